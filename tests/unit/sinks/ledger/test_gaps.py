"""The ledger shares out every gap exactly, and does not depend on what was read first."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.identity import gap_id
from schemas.intervals import MINUTE_US
from schemas.records import Gap, GapState
from sinks.ledger.gaps import admit, joined, revise, settle
from tests.model.ledger import admit_one, settle_by_bars
from tests.support.builders import NINE_THIRTY, a_gap

STREAM = "bars.1m:yahoo:SPY"


def gap(low: int, high: int, **changes: object) -> Gap:
    """Return a gap of minutes [low, high) of the session."""
    start = NINE_THIRTY + low * MINUTE_US
    fields: dict[str, object] = {
        "gap_id": gap_id(STREAM, start), "from_time": start, "to_time": NINE_THIRTY + high * MINUTE_US,
        "expected": high - low, "raw_offset": low,
    }  # fmt: skip
    return a_gap(**(fields | changes))


def bars(*numbers: int) -> set[int]:
    """Return bar starts by minute."""
    return {NINE_THIRTY + number * MINUTE_US for number in numbers}


def shape(ledger: Iterable[Gap]) -> list[tuple[int, int, str]]:
    """Return (first minute, end minute, state) of each row."""
    at = [
        ((g.from_time - NINE_THIRTY) // MINUTE_US, (g.to_time - NINE_THIRTY) // MINUTE_US, g.state)
        for g in ledger
    ]
    return [(low, high, state) for low, high, state in at]


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        pytest.param((), [(0, 6, "open")], id="nothing"),
        pytest.param((0, 1, 2, 3, 4, 5), [(0, 6, "filled")], id="all"),
        pytest.param((0, 1), [(0, 2, "filled"), (2, 6, "open")], id="trimmed at the left"),
        pytest.param((4, 5), [(0, 4, "open"), (4, 6, "filled")], id="trimmed at the right"),
        pytest.param((2, 3), [(0, 2, "open"), (2, 4, "filled"), (4, 6, "open")], id="split"),
        pytest.param((7, 100), [(0, 6, "open")], id="elsewhere"),
    ],
)
def test_stored_bars_fill_trim_or_split(
    stored: tuple[int, ...], expected: list[tuple[int, int, str]]
) -> None:
    """Each piece has its own state, and its own id by where it begins."""
    ledger = settle([gap(0, 6)], bars(*stored))

    assert shape(ledger) == expected
    assert all(g.gap_id == gap_id(STREAM, g.from_time) for g in ledger)
    assert sum(g.expected for g in ledger) == 6


def test_a_bar_outside_the_session_fills_nothing() -> None:
    """Pre-market bars are not what the calendar expects."""
    overnight = replace(gap(388, 0), to_time=NINE_THIRTY + 1440 * MINUTE_US + 2 * MINUTE_US)
    ledger = settle([overnight], bars(400, 1300))

    assert ledger == [overnight]


def test_evidence_already_known_adds_only_what_is_new() -> None:
    """Gaps of one stream never overlap; the uncovered parts get ids of their own."""
    ledger = admit([gap(2, 4)], [gap(0, 6, cause="producer_down")])

    assert shape(ledger) == [(0, 2, "open"), (2, 4, "open"), (4, 6, "open")]
    assert [g.cause for g in ledger] == ["producer_down", "missing_bars", "producer_down"]


def test_the_sinks_own_finding_is_taken_over() -> None:
    """The processor's evidence replaces the sink's, whichever came first."""
    own, theirs = gap(0, 4, detector="sink", raw_offset=9), gap(0, 4)

    assert admit([], [own, theirs]) == admit([], [theirs, own]) == admit([own], [theirs]) == [theirs]


@pytest.mark.parametrize(
    ("first", "then", "expected"),
    [
        ("open", "filling", "filling"),
        ("filled", "open", "filled"),
        ("empty", "filled", "empty"),
        ("filling", "empty", "empty"),
    ],
)
def test_states_go_forward_only(first: GapState, then: GapState, expected: GapState) -> None:
    """Within one generation nothing is taken back."""
    (row,) = admit([gap(0, 2, state=first)], [gap(0, 2, state=then)])

    assert row.state == expected


def test_a_higher_generation_reopens_and_a_lower_one_is_history() -> None:
    """New evidence counts up."""
    filled = gap(0, 2, state="filled", generation=1)

    assert admit([filled], [gap(0, 2, generation=2)])[0].state == "open"
    assert admit([filled], [gap(0, 2, generation=0, state="unrecoverable")]) == [filled]


def test_a_verdict_holds_for_the_stretch_it_names() -> None:
    """A vendor's proof that there is nothing closes what is still open, and leaves what is filled."""
    ledger = settle([gap(0, 6)], bars(0, 1))

    assert shape(admit(ledger, [gap(0, 5, state="empty")])) == [
        (0, 2, "filled"),
        (2, 5, "empty"),
        (5, 6, "open"),
    ]


def test_gaps_of_trades_are_not_judged_by_bars() -> None:
    """Nothing counts how many trades are missing."""
    trades = a_gap(stream="trades:finnhub:SPY", interval="", expected=0)

    assert settle([trades], bars(0)) == [trades]


def test_a_joined_id_has_a_last_word() -> None:
    """Subscribers hear that the piece they knew is filled, and not what they said themselves."""
    pieces = settle([gap(0, 4)], bars(0, 1))
    whole = settle(pieces, bars(0, 1, 2, 3))
    change = revise(pieces, whole, heard=())

    assert [g.gap_id for g in change.deleted] == [gap(2, 4).gap_id]
    assert shape(change.written) == [(0, 4, "filled")]
    assert shape(change.announced) == [(0, 4, "filled"), (2, 4, "filled")]
    assert change.found == ()
    news = revise([], [gap(0, 4)], heard=[gap(0, 4)])
    assert (news.announced, len(news.found)) == ((), 1)


EVIDENCE = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 8), st.sampled_from(["missing_bars", "producer_down"])),
    max_size=4,
)


@settings(max_examples=300)
@given(evidence=EVIDENCE, own=EVIDENCE, stored=st.sets(st.integers(0, 28)), data=st.data())
def test_the_ledger_is_the_same_in_every_order(
    evidence: list[tuple[int, int, str]],
    own: list[tuple[int, int, str]],
    stored: set[int],
    data: st.DataObject,
) -> None:
    """Bars and the sink's own findings may come before, between or after the processor's gaps, which stay in order."""
    theirs = [
        gap(low, low + size, cause=cause, raw_offset=n) for n, (low, size, cause) in enumerate(evidence)
    ]
    # One block reveals disjoint holes, so the sink's own findings never overlap each other.
    ours, covered = [], set[int]()
    for n, (low, size, _) in enumerate(own):
        if covered.isdisjoint(range(low, low + size)):
            covered |= set(range(low, low + size))
            ours.append(gap(low, low + size, detector="sink", raw_offset=100 + n))

    def play(steps: list[object], groups: list[set[int]]) -> list[Gap]:
        ledger: list[Gap] = []
        present: set[int] = set()
        for step in steps:
            if isinstance(step, Gap):
                ledger = admit(ledger, [step])
            else:
                present |= bars(*groups[int(str(step))])
            ledger = settle(ledger, present)
        return ledger

    halves = [
        {n for n in stored if n % 3 == 0},
        {n for n in stored if n % 3 == 1},
        {n for n in stored if n % 3 == 2},
    ]
    order = data.draw(st.permutations([*range(len(ours)), *"abc", *(["p"] * len(theirs))]))
    rest = iter(theirs)
    mixed = [next(rest) if s == "p" else ours[s] if isinstance(s, int) else "abc".index(s) for s in order]

    ledger = play(mixed, halves)

    assert ledger == play([*theirs, *ours, 0], [stored])
    assert ledger == joined(ledger)
    minutes = {n: state for low, high, state in shape(ledger) for n in range(low, high)}
    covered |= {n for low, size, _ in evidence for n in range(low, low + size)}
    assert minutes == {n: "filled" if n in stored else "open" for n in covered}
    assert all(a.to_time <= b.from_time for a, b in itertools.pairwise(ledger))


GAPS = st.lists(
    st.tuples(
        st.integers(0, 12),
        st.integers(1, 6),
        st.sampled_from(["missing_bars", "producer_down"]),
        st.sampled_from(["processor", "sink", "producer"]),
        st.sampled_from(["open", "filling", "filled", "empty", "unrecoverable"]),
        st.integers(0, 2),
        st.integers(0, 3),
    ),
    max_size=12,
)


def gaps_of(told: list[tuple[int, int, str, str, GapState, int, int]]) -> list[Gap]:
    """Return gaps as anyone may tell them: overlapping, of any detector, state and generation."""
    return [
        gap(
            low, low + size, cause=cause, detector=detector, state=state, generation=generation, raw_offset=offset,
            index=number,
        )
        for number, (low, size, cause, detector, state, generation, offset) in enumerate(told)
    ]  # fmt: skip


@settings(max_examples=500)
@given(known=GAPS, told=GAPS, stored=st.sets(st.integers(-2, 20)))
def test_the_sweep_finds_what_admitting_one_by_one_finds(
    known: list[tuple[int, int, str, str, GapState, int, int]],
    told: list[tuple[int, int, str, str, GapState, int, int]],
    stored: set[int],
) -> None:
    """All of a batch at once, onto any ledger, and then its bars: not a row, a name or a count is another."""
    before: list[Gap] = []
    for each in gaps_of(known):
        before = admit_one(before, each)
    after = before
    for each in gaps_of(told):
        after = admit_one(after, each)

    assert admit([], gaps_of(known)) == before
    assert admit(before, gaps_of(told)) == after
    assert settle(after, bars(*stored)) == settle_by_bars(after, bars(*stored))


def test_a_gap_of_years_closes_when_its_bars_are_there() -> None:
    """However many bars it holds (above 100,000 none of them was looked at); a single one missing stays open."""
    year = 366 * 1_440
    long = a_gap(
        stream="bars.1m:yahoo:BTC-USD", symbol="BTC-USD", from_time=0, to_time=year * MINUTE_US, expected=year
    )
    starts = range(0, year * MINUTE_US, MINUTE_US)
    gone = 200_000

    whole = settle([long], starts)
    torn = settle([long], [*starts[:gone], *starts[gone + 1 :]])

    assert [(row.state, row.expected) for row in whole] == [("filled", year)]
    assert [(row.state, row.expected) for row in torn] == [
        ("filled", gone),
        ("open", 1),
        ("filled", year - gone - 1),
    ]


def test_what_is_news_and_what_overlaps_is_told_apart() -> None:
    """A gap that only touches known ones was not there before; one that shares a minute was."""
    before = [gap(2, 4), gap(6, 8)]
    news = [gap(4, 6, raw_offset=9), gap(8, 9, raw_offset=9)]

    assert revise(before, sorted([*before, *news], key=lambda each: each.from_time), ()).found == tuple(news)
    assert revise(before, [gap(2, 5), gap(6, 8)], ()).found == ()


def test_a_gap_keeps_the_name_it_was_told_under() -> None:
    """Also where another that changes nothing ends inside it; a part of it is named by where it begins."""
    named = gap(0, 4, gap_id="theirs", expected=9)

    assert admit([named], [gap(1, 2, raw_offset=7)]) == [named]
    assert admit([], [gap(1, 2, raw_offset=7, generation=0), replace(named, generation=1)]) == [
        replace(named, generation=1)
    ]
    assert [row.gap_id for row in admit([named], [gap(1, 2, state="filled")])] == [
        gap(low, 4).gap_id for low in (0, 1, 2)
    ]
