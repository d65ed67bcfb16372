"""News of gaps: each opening and end once, whichever topic is read first, and the bars that end an absence."""

from __future__ import annotations

from dataclasses import asdict
from itertools import permutations
from typing import Any

import pytest

from gateway.live import gap_news
from gateway.live.gap_news import MAX_OPEN_GAPS, GapNews, SymbolGaps
from schemas.clocks import EventTime, KnowledgeTime
from schemas.identity import gap_id, stream_of
from schemas.intervals import AHEAD_US, MINUTE_US
from schemas.ledger.gaps import gaps_of
from schemas.records import Evidence, Gap
from schemas.streams import Bar
from tests.support.builders import NINE_THIRTY, a_bar, a_gap, an_evidence

STREAM = "bars.1m:yahoo:SPY"
KNOWN = NINE_THIRTY + 30 * MINUTE_US


def at(minute: int) -> int:
    """Return the start of a minute of the day."""
    return NINE_THIRTY + minute * MINUTE_US


def absent(first: int, bars: int, **changes: Any) -> Evidence:
    """Return the signal that so many bars did not come."""
    given = {"from_time": at(first), "to_time": at(first + bars), "known_from": KNOWN, "expected": bars}
    return an_evidence(**({"kind": "absent", "cause": "missing_bars"} | given | changes))


def minute(number: int, **changes: Any) -> Bar:
    """Return a final bar."""
    return a_bar(event_time=at(number), known_from=changes.pop("known_from", KNOWN + 1), **changes)


def told(gaps: SymbolGaps, *records: Evidence | Gap | Bar) -> list[tuple[str, str, bool]]:
    """Return (gap_id, state, recorded) of what these records make news, one after the other."""
    hear = {Evidence: gaps.hear_evidence, Gap: gaps.hear_gap, Bar: gaps.hear_bar}
    news: list[GapNews] = []
    for record in records:
        news += hear[type(record)](asdict(record))
    return [(each.fields["gap_id"], each.fields["state"], each.recorded) for each in news]


def test_evidence_opens_a_gap_as_the_ledger_will_name_it() -> None:
    """Blind ones are records of the stream of gaps, too; absent ones are not."""
    gaps = SymbolGaps()
    blind = an_evidence(from_time=at(-30 * 60) + 17, to_time=at(2) + 5, known_from=KNOWN)

    assert told(gaps, absent(5, 2), blind) == [
        (gap_id(STREAM, at(5)), "open", False),
        (told_id(blind), "open", True),
    ]


def told_id(blind: Evidence) -> str:
    """Return the id of the one gap that a piece of evidence makes."""
    end = EventTime(blind.to_time or 0)
    (gap,) = gaps_of(stream_of(blind.stream), [blind], (), horizon=None, start=blind.from_time, end=end)
    return gap.gap_id


@pytest.mark.parametrize("first", ["evidence", "ledger"])
def test_what_both_topics_tell_is_told_once(first: str) -> None:
    """Whichever is read first; what becomes of the gap is told by the ledger, and a new opening is news again."""
    blind = an_evidence(from_time=at(1), to_time=at(3), known_from=KNOWN)
    name = gap_id(STREAM, at(1))
    opened = a_gap(gap_id=name, from_time=at(1), to_time=at(3), known_from=KNOWN, cause="producer_down")
    filled = a_gap(gap_id=name, from_time=at(1), to_time=at(3), known_from=KNOWN, state="filled")
    again = an_evidence(from_time=at(1), to_time=at(3), known_from=KNOWN + 9)
    reopened = a_gap(gap_id=name, from_time=at(1), to_time=at(3), known_from=KNOWN + 9, generation=1)
    gaps = SymbolGaps()
    both: list[Evidence | Gap] = [blind, opened] if first == "evidence" else [opened, blind]

    assert told(gaps, *both) == [(name, "open", True)]
    assert told(gaps, filled, filled) == [(name, "filled", True)]
    assert told(gaps, blind) == []  # read late
    assert told(gaps, again, reopened) == [(name, "open", True)]


def test_an_absence_ends_when_its_last_bar_has_come() -> None:
    """Whatever the order, a bar twice counts once, and none of another series, nor one not expected there."""
    for order in permutations([5, 6, 7]):
        gaps = SymbolGaps()
        others = [
            minute(8),
            minute(5, provider="finnhub"),
            minute(8, provider="finnhub"),
            minute(5, provider="finnhub", raw_offset=99),
            minute(4),
            minute(8, interval="5m"),
        ]
        assert told(gaps, absent(5, 3), *others) == [(gap_id(STREAM, at(5)), "open", False)]
        first, second, last = (minute(number) for number in order)
        assert told(gaps, first, first, second, second) == []
        assert told(gaps, last) == [(gap_id(STREAM, at(5)), "filled", False)]
        assert told(gaps, last) == []
        assert list(gaps.absences(KnowledgeTime(0))) == []


def test_bars_read_before_the_evidence_of_their_absence_are_remembered() -> None:
    """The two topics are read side by side: what is filled already is no news."""
    gaps = SymbolGaps()
    assert told(gaps, minute(8), minute(5), minute(6), absent(5, 2)) == []
    assert told(gaps, absent(3, 2), minute(4)) == [(gap_id(STREAM, at(3)), "open", False)]


def test_a_stamp_of_the_future_makes_no_bar_late() -> None:
    """Bars after it are on time, and say nothing of absences."""
    gaps = SymbolGaps()
    ahead = minute(60, known_from=at(60) - AHEAD_US - 1)
    assert told(gaps, ahead, absent(5, 1), minute(6), minute(7)) == [(gap_id(STREAM, at(5)), "open", False)]
    assert told(gaps, minute(5)) == [(gap_id(STREAM, at(5)), "filled", False)]


@pytest.mark.parametrize("kind", ["empty", "unrecoverable"])
def test_a_verdict_ends_an_absence(kind: str) -> None:
    """One about all of it; one about a part leaves it open."""
    gaps = SymbolGaps()
    verdict = an_evidence(kind=kind, from_time=at(5), to_time=at(8), known_from=KNOWN + 1)
    part = an_evidence(kind=kind, from_time=at(6), to_time=at(9), known_from=KNOWN + 1)
    other = an_evidence(
        kind=kind, stream="bars.1m:finnhub:SPY", provider="finnhub", from_time=at(5), to_time=at(8)
    )
    name = gap_id(STREAM, at(5))

    assert told(gaps, absent(5, 3), part, other, verdict) == [(name, "open", False), (name, kind, False)]


def test_what_names_no_series_or_is_no_gap_is_no_news() -> None:
    """A partition's truncation, and what is collected."""
    partition = an_evidence(stream="raw.bars.v1/3", symbol="", provider="", interval="")
    collected = an_evidence(kind="collected", to_time=None)
    quotes = an_evidence(
        stream="quotes:yahoo:SPY", interval="", from_time=at(1) + 1, to_time=at(1) + 1_000_000
    )

    assert told(SymbolGaps(), partition, collected) == []
    assert told(SymbolGaps(), quotes) == [(gap_id("quotes:yahoo:SPY", at(1) + 1), "open", True)]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest give way; of a gap too long to wait for only the opening is told."""
    gaps = SymbolGaps()
    many = [absent(2 * number, 1, known_from=KNOWN + 10**11) for number in range(190)]
    days = [[each, *_next_day(each)] for each in many]
    told(gaps, *(each for day in days for each in day))
    assert len(list(gaps.absences(KnowledgeTime(0)))) == MAX_OPEN_GAPS

    monkeypatch.setattr(gap_news, "MAX_AWAITED_BARS", 2)
    long = absent(11, 3, stream="bars.1m:finnhub:SPY", provider="finnhub", known_from=KNOWN)
    held = list(gaps.absences(KnowledgeTime(0)))
    assert [state for _, state, _ in told(gaps, long)] == ["open"]
    assert list(gaps.absences(KnowledgeTime(0))) == held


def _next_day(told_of: Evidence) -> list[Evidence]:
    day = 1_440 * MINUTE_US
    end = (told_of.to_time or 0) + day
    given = asdict(told_of) | {"from_time": told_of.from_time + day, "to_time": end}
    return [Evidence(**given)]


def test_older_absences_than_the_bars_seen_can_be_left_out() -> None:
    """Their bars may have come before anything was read."""
    gaps = SymbolGaps()
    told(gaps, absent(1, 1), absent(3, 1, known_from=KNOWN + 7))
    assert [gap.from_time for gap in gaps.absences(KnowledgeTime(KNOWN + 1))] == [at(3)]


@pytest.mark.parametrize("kind", ["absent", "blind"])
def test_a_stretch_of_years_is_one_gap(kind: str) -> None:
    """Not one a session: whoever reads all streams would wait for it."""
    years = absent(0, 5 * 366 * 1_440, kind=kind, expected=491_400)
    assert told(SymbolGaps(), years) == [(gap_id(STREAM, at(0)), "open", kind == "blind")]
    of_two_days = told(SymbolGaps(), absent(0, 2 * 1_440, kind=kind, known_from=at(4 * 1_440)))
    assert len(of_two_days) == (2 if kind == "absent" else 1)
