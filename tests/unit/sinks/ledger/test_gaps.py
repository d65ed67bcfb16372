"""Gaps of a stream change only where evidence or bars say so, and subscribers hear of every change."""

from __future__ import annotations

from itertools import pairwise
from operator import itemgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.clocks import EventTime, KnowledgeTime
from schemas.identity import gap_id
from schemas.intervals import DAY_US, MINUTE_US
from schemas.ledger.gaps import gaps_of
from schemas.records import Evidence, EvidenceKind, Gap
from schemas.streams import StreamId
from sinks.ledger.gaps import Stretch, clusters, revise, revision_of, touched_blind
from tests.support.builders import a_gap, an_evidence
from tests.support.stream_values import NINE_THIRTY

STREAM = "bars.1m:yahoo:SPY"
SPY = StreamId("bars", "1m", "yahoo", "SPY")
LATER = KnowledgeTime(NINE_THIRTY + 10 * DAY_US)


def at(number: int) -> EventTime:
    """Return a minute of the session."""
    return EventTime(NINE_THIRTY + number * MINUTE_US)


def gap(low: int, high: int, **changes: object) -> Gap:
    """Return a gap of minutes [low, high) of the session."""
    fields: dict[str, object] = {
        "gap_id": gap_id(STREAM, at(low)), "from_time": at(low), "to_time": at(high), "expected": high - low, "raw_offset": low,
    }  # fmt: skip
    return a_gap(**(fields | changes))


def told(low: int, high: int, kind: EvidenceKind = "blind", number: int = 0) -> Evidence:
    """Return evidence number `number` about minutes [low, high)."""
    return an_evidence(kind=kind, from_time=at(low), to_time=at(high), known_from=LATER, raw_offset=number)


def shape(gaps: tuple[Gap, ...]) -> list[tuple[int, int, str]]:
    """Return (first minute, end minute, state) of each."""
    return [
        ((g.from_time - NINE_THIRTY) // MINUTE_US, (g.to_time - NINE_THIRTY) // MINUTE_US, g.state)
        for g in gaps
    ]


def test_a_joined_id_has_a_last_word() -> None:
    """Subscribers hear that the piece they knew is filled."""
    pieces, whole = [gap(0, 2, state="filled"), gap(2, 4)], [gap(0, 4, state="filled")]
    change = revise(pieces, whole)

    assert [g.gap_id for g in change.deleted] == [gap(2, 4).gap_id]
    assert shape(change.written) == [(0, 4, "filled")]
    assert shape(change.announced) == [(0, 4, "filled"), (2, 4, "filled")]
    assert change.found == ()


def test_an_id_that_lies_in_no_gap_any_more_is_told_to_be_empty() -> None:
    """Nothing is expected there: nobody keeps it open."""
    change = revise([gap(0, 2), gap(5, 6)], [gap(5, 6)])

    assert shape(change.deleted) == [(0, 2, "open")]
    assert shape(change.announced) == [(0, 2, "empty")]


def test_what_is_news_and_what_overlaps_is_told_apart() -> None:
    """A gap that only touches known ones was not there before; one that shares a minute was."""
    before = [gap(2, 4), gap(6, 8)]
    news = [gap(4, 6, raw_offset=9), gap(8, 9, raw_offset=9)]

    assert revise(before, sorted([*before, *news], key=lambda each: each.from_time)).found == tuple(news)
    assert revise(before, [gap(2, 5), gap(6, 8)]).found == ()


def test_what_lies_near_is_asked_for_together() -> None:
    """An old and a live bar ask nothing of the years between them."""
    assert clusters([(at(5), at(6)), (at(0), at(1)), (at(60_000), at(60_001))]) == [
        (at(0), at(6)),
        (at(60_000), at(60_001)),
    ]
    assert clusters([(at(5), at(6)), (at(0), at(1))], near_us=0) == [(at(0), at(1)), (at(5), at(6))]


def test_only_blind_stretches_that_share_a_moment_can_change() -> None:
    """One that ends where the change begins has nothing to do with it, nor has a verdict."""
    changed: list[Stretch] = [(at(3), at(5)), (at(9), at(20))]
    evidence = [
        told(0, 3),
        told(0, 4),
        told(5, 9),
        told(4, 10),
        told(20, 30),
        told(3, 4, "empty"),
        told(12, 13),
    ]

    assert touched_blind(changed, evidence) == [evidence[1], evidence[3], evidence[6]]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 40), st.integers(1, 12), st.sampled_from(["blind", "blind", "empty", "unrecoverable"]), st.integers(0, 9)
        ),
        max_size=10,
        unique_by=itemgetter(3),  # no two lie in one place of the log
    ),
    st.sets(st.integers(0, 50)),
    st.randoms(),
)  # fmt: skip
def test_any_order_of_evidence_and_bars_ends_where_deriving_the_whole_does(
    said: list[tuple[int, int, EvidenceKind, int]],
    bars: set[int],
    random,  # type: ignore[no-untyped-def]
) -> None:
    """One thing after the other, each with no more than what it touches; the rows never overlap on the way."""
    evidence = [told(low, low + size, kind, number) for low, size, kind, number in said]
    steps: list[Evidence | int] = [*evidence, *bars]
    random.shuffle(steps)
    known: list[Evidence] = []
    stored: list[EventTime] = []
    ledger: dict[str, Gap] = {}
    for step in steps:
        if isinstance(step, Evidence):
            known.append(step)
            changed: Stretch = (step.from_time, step.to_time or step.from_time)
        else:
            stored.append(at(step))
            changed = (at(step), EventTime(at(step) + 1))
        blind = touched_blind([changed], known)
        if not blind:
            continue
        low, high = min(b.from_time for b in blind), max(b.to_time or b.from_time for b in blind)
        change = revision_of(
            SPY,
            blind,
            evidence=[e for e in known if e.from_time < high and (e.to_time or 0) > low],
            before=[g for g in ledger.values() if g.from_time < high and g.to_time > low],
            stored=sorted(each for each in stored if low <= each < high),
        )
        for gone in change.deleted:
            del ledger[gone.gap_id]
        ledger.update((each.gap_id, each) for each in change.written)
        ordered = sorted(ledger.values(), key=lambda each: each.from_time)
        assert all(a.to_time <= b.from_time for a, b in pairwise(ordered))

    whole = gaps_of(SPY, evidence, sorted(map(at, bars)), horizon=None, start=at(-10), end=at(100))
    assert sorted(ledger.values(), key=lambda each: each.from_time) == whole


@pytest.mark.parametrize("overlapping", [True, False])
def test_a_gap_of_which_no_evidence_is_known_gives_way(overlapping: bool) -> None:
    """An older version found it while this one was rolled out; elsewhere it stays."""
    foreign = gap(2 if overlapping else 6, 9, raw_offset=77, detector="sink")
    change = revision_of(SPY, [told(0, 5)], evidence=[told(0, 5)], before=[foreign], stored=())

    assert shape(change.deleted) == ([(2, 9, "open")] if overlapping else [])
    assert shape(change.written) == [(0, 5, "open")]


def test_what_the_change_does_not_touch_stays_as_it_is() -> None:
    """Bars are known of the stretch that changes alone: a neighbour that reaches out of it is not judged by them."""
    first, neighbour = told(0, 5, number=2), told(4, 12, number=1)
    both, known = [first, neighbour], [at(10)]
    before = gaps_of(SPY, both, known, horizon=None, start=at(0), end=at(20))
    assert shape(tuple(before)) == [(0, 4, "open"), (4, 10, "open"), (10, 11, "filled"), (11, 12, "open")]

    change = revision_of(SPY, [first], evidence=both, before=before, stored=[at(1)])

    assert shape(change.written) == [(0, 1, "open"), (1, 2, "filled"), (2, 4, "open")]
    assert change.deleted == ()


def test_nothing_blind_changes_nothing() -> None:
    """A verdict on what nobody was blind to, and bars that nobody missed."""
    change = revision_of(SPY, [], evidence=[told(0, 5, "empty")], before=[], stored=[at(1)])
    assert (change.written, change.deleted, change.announced) == ((), (), ())
