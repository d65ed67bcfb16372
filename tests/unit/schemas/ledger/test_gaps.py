"""Gaps follow from evidence and stored bars alone: as when every expected bar is asked one by one, in any order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.calendar import sessions
from schemas.calendar.sessions import Calendar
from schemas.calendar.trading_days import TradingSession
from schemas.clocks import EventTime, KnowledgeTime, MarketTime, RawOffset
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SLOT_US, micros
from schemas.ledger import gaps as derived
from schemas.ledger.gaps import gap_from, gaps_of, reach
from schemas.records import LONG_SILENCE, SERVED_ELSEWHERE, Evidence, EvidenceKind, Gap
from schemas.streams import StreamId
from tests.support.builders import an_evidence
from tests.support.expected_starts import expected_starts
from tests.support.growth import assert_linear, sized
from tests.support.ledger_oracle import Row, gaps_bar_by_bar
from tests.support.stream_values import NINE_THIRTY

SPY = StreamId("bars", "1m", "yahoo", "SPY")
QUOTES = StreamId("quotes", "", "yahoo", "SPY")
COLLECTED_AND_EMPTY: Sequence[EvidenceKind] = ("collected", "empty")
KINDS: Sequence[EvidenceKind] = ("collected", "blind", "absent", "empty", "unrecoverable")
LATER = KnowledgeTime(micros(datetime(2026, 1, 1, tzinfo=UTC)))


def moment(text: str) -> EventTime:
    """Return a moment of UTC in µs."""
    return EventTime(micros(datetime.fromisoformat(text + "+00:00")))


def lunch() -> Calendar:
    """Return a market that is closed an hour at noon, 9:00 to 15:00, on every day of June 2024, and early on the 10th."""
    days = []
    for number in range(30):
        at = moment("2024-06-01T00:00:00") + number * DAY_US
        opens, closes = (
            MarketTime(at + 9 * HOUR_US),
            MarketTime(at + (13 if number == 9 else 15) * HOUR_US + MINUTE_US // 2),
        )
        noon, one = MarketTime(at + 12 * HOUR_US), MarketTime(at + 13 * HOUR_US)
        parts = ((opens, noon), (one, closes)) if number != 9 else ((opens, noon),)
        days.append(
            TradingSession(
                day=MarketTime(at), pre_open=opens, open=opens, close=closes, post_close=closes, trading=parts
            )
        )
    return Calendar("LUNCH", "UTC", days)


MARKETS = {
    "always open": (sessions.load_calendar(sessions.ALWAYS_OPEN), moment("2024-06-07T22:00:00")),
    "a half day": (sessions.load_calendar("XNYS"), moment("2024-11-28T12:00:00")),
    "lunch": (lunch(), moment("2024-06-09T09:00:00")),
    "Sydney": (sessions.load_calendar("XASX"), moment("2024-06-06T23:00:00")),
    "currencies": (sessions.calendar_of("EURUSD=X"), moment("2024-06-07T12:00:00")),
}


@st.composite
def histories(draw: st.DrawFn) -> tuple[str, str, list[Evidence], list[int], int | None, tuple[int, int]]:
    """Return a market, an interval, evidence with ties and overlaps, stored bars, a horizon and a window."""
    market = draw(st.sampled_from(sorted(MARKETS)))
    interval = draw(st.sampled_from(["15m", "1h", "1d"]))
    calendar, begin = MARKETS[market]
    unit = SLOT_US[interval] // 2
    places = st.integers(0, 20)
    told = []
    for number in range(draw(st.integers(1, 9))):
        kind = draw(st.sampled_from(KINDS))
        low = draw(places)
        high = None if kind == "collected" and draw(st.booleans()) else low + draw(st.integers(1, 20))
        told.append(
            an_evidence(
                kind=kind, interval=interval, stream=f"bars.{interval}:yahoo:SPY", from_time=begin + low * unit,
                to_time=None if high is None else begin + high * unit,
                cause=draw(st.sampled_from(["", SERVED_ELSEWHERE] if kind == "collected" and high else [""] if kind == "collected" else ["down", "refused", LONG_SILENCE])),
                known_from=begin + draw(st.sampled_from([0, 9, 18, 45])) * unit + draw(st.sampled_from([0, 0, unit * 5 // 6])), raw_offset=draw(st.integers(0, 2)), index=number,
            )
        )  # fmt: skip
    starts = expected_starts(calendar, interval, begin - 10 * unit, begin + 60 * unit)
    stored = [start for start in starts if draw(st.booleans())] + draw(st.sampled_from([[], [begin + 7]]))
    horizon = draw(st.none() | places.map(lambda place: begin + place * unit))
    low = draw(places)
    return (
        market,
        interval,
        told,
        sorted(stored),
        horizon,
        (begin + low * unit, begin + (low + draw(st.integers(1, 40))) * unit),
    )


def rows(found: Sequence[Gap]) -> list[Row]:
    """Return what the oracle says of gaps."""
    return [(g.from_time, g.to_time, g.confidence, g.state, g.generation, g.expected) for g in found]


@given(histories(), st.randoms())
@settings(max_examples=150)
def test_they_are_those_found_bar_by_bar_in_any_order(history, random) -> None:  # type: ignore[no-untyped-def]
    """Overlaps, equal moments of knowledge, verdicts before and after, bars off the grid, breaks, half days."""
    market, interval, told, stored, horizon, window = history
    calendar = MARKETS[market][0]
    series = StreamId("bars", interval, "yahoo", "SPY")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(derived, "calendar_of", lambda _: calendar)
        low, high = reach(series, told, *window)
        there = [each for each in stored if low <= each < high]
        shuffled = random.sample(told, len(told))
        found = gaps_of(series, shuffled, there, horizon=horizon, start=window[0], end=window[1])

    expected = gaps_bar_by_bar(calendar, interval, told, there, horizon, (low, high))
    assert rows(found) == [row for row in expected if row[0] < window[1] and row[1] > window[0]]
    assert len({gap.gap_id for gap in found}) == len(found)


@given(histories())
@settings(max_examples=150)
def test_two_questions_find_all_evidence_that_matters(history) -> None:  # type: ignore[no-untyped-def]
    """What overlaps the sessions of the window, and then what overlaps the blind stretches that reach into them."""
    market, interval, told, stored, horizon, (start, end) = history
    calendar, series = MARKETS[market][0], StreamId("bars", interval, "yahoo", "SPY")

    def overlapping(stretch: tuple[int, int]) -> list[Evidence]:
        return [e for e in told if e.from_time < stretch[1] and (e.to_time is None or e.to_time > stretch[0])]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(derived, "calendar_of", lambda _: calendar)
        near = overlapping(reach(series, (), start, end))
        second = reach(series, near, start, end)
        there = [each for each in stored if second[0] <= each < second[1]]
        found = gaps_of(series, overlapping(second), there, horizon=horizon, start=start, end=end)
        assert found == gaps_of(series, told, stored, horizon=horizon, start=start, end=end)


def ask(
    told: Sequence[Evidence], stored: Sequence[int] = (), **changes: object
) -> list[tuple[int, int, str, str, int]]:
    """Return (first minute, end minute, state, cause, generation) of the gaps of the session."""
    fields = {"horizon": None, "start": NINE_THIRTY - DAY_US, "end": NINE_THIRTY + 10 * DAY_US} | changes
    found = gaps_of(SPY, told, stored, **fields)  # type: ignore[arg-type]
    minutes = (
        (g, (g.from_time - NINE_THIRTY) // MINUTE_US, (g.to_time - NINE_THIRTY) // MINUTE_US) for g in found
    )
    return [(low, high, g.state, g.cause, g.generation) for g, low, high in minutes]


def minutes(
    low: int, high: int | None, kind: EvidenceKind = "blind", known: int = 1_000, **changes: object
) -> Evidence:
    """Return evidence about minutes [low, high) of the session, known so many minutes after its begin."""
    to_time = None if high is None else NINE_THIRTY + high * MINUTE_US
    times = {
        "from_time": NINE_THIRTY + low * MINUTE_US,
        "to_time": to_time,
        "known_from": NINE_THIRTY + known * MINUTE_US,
    }
    return an_evidence(kind=kind, **(times | {"raw_offset": known} | changes))


def bars(*numbers: int) -> list[EventTime]:
    """Return starts of minutes."""
    return [at(number) for number in numbers]


def at(number: int) -> EventTime:
    """Return the begin of a minute of the session."""
    return EventTime(NINE_THIRTY + number * MINUTE_US)


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
    """What nobody watched and is stored nevertheless is no longer missing."""
    assert [row[:3] for row in ask([minutes(0, 6)], bars(*stored))] == expected


def test_a_verdict_closes_what_was_known_before_and_new_blindness_opens_it_again() -> None:
    """A verdict speaks of what was blind then: the next blindness is the next generation."""
    blind, verdict, again = (
        minutes(0, 6),
        minutes(2, 4, "empty", 1_100),
        minutes(3, 5, "blind", 1_200, cause="refused"),
    )

    assert ask([verdict, blind]) == [
        (0, 2, "open", "producer_down", 0), (2, 4, "empty", "producer_down", 0), (4, 6, "open", "producer_down", 0)
    ]  # fmt: skip
    assert ask([again, verdict, blind]) == [
        (0, 2, "open", "producer_down", 0), (2, 3, "empty", "producer_down", 0), (3, 4, "open", "refused", 1),
        (4, 6, "open", "producer_down", 0),
    ]  # fmt: skip
    assert ask(
        [replace(verdict, known_from=blind.known_from, raw_offset=blind.raw_offset, index=-1), blind]
    ) == [(0, 6, "open", "producer_down", 0)]


def test_a_vendor_that_has_nothing_outranks_giving_up() -> None:
    """Whichever was said first."""
    empty, given_up = minutes(0, 6, "empty", 1_100), minutes(0, 6, "unrecoverable", 1_200)

    for verdicts in ([empty, given_up], [replace(empty, known_from=LATER), given_up]):
        assert ask([minutes(0, 6), *verdicts]) == [(0, 6, "empty", "producer_down", 0)]


def test_an_absence_is_inferred_up_to_the_newest_live_bar() -> None:
    """Only where bars are collected, and not behind the horizon: what comes next is not late yet."""
    live = minutes(2, None, "collected")
    assert ask([live], bars(2, 5), horizon=NINE_THIRTY + 5 * MINUTE_US) == [(3, 5, "open", "missing_bars", 0)]
    assert ask([live], bars(2, 5)) == []
    (gap,) = gaps_of(
        SPY, [live], bars(2, 5), horizon=at(5), start=at(0), end=at(60)
    )  # fmt: skip
    assert (gap.confidence, gap.known_from) == ("inferred", live.known_from)


@pytest.mark.parametrize(
    ("kind", "cause", "confidence"),
    [("blind", "producer_down", "proven"), ("blind", "long_silence", "inferred"), ("blind", "missing_bars", "inferred"),
     ("absent", "missing_bars", "inferred"), ("collected", "", "inferred")],
)  # fmt: skip
def test_only_who_was_not_there_proves_a_gap(kind: EvidenceKind, cause: str, confidence: str) -> None:
    """A silence, too, may have been watched; a gap says what its evidence says."""
    told = minutes(0, 6, kind, cause=cause)
    assert gap_from(told, at(0), at(6), expected=6).confidence == confidence
    if kind == "blind":
        (gap,) = gaps_of(SPY, [told], (), horizon=None, start=at(0), end=at(60))
        assert gap.confidence == confidence


def test_a_signal_of_absence_changes_no_gap() -> None:
    """It is told live and kept as bits; the gap follows from what is collected and stored."""
    collected = [minutes(0, None, "collected", 0), minutes(2, None, "collected", 5)]
    signal = minutes(3, 5, "absent", 20)
    found = [
        gaps_of(SPY, told, bars(0, 1, 2, 5), horizon=at(5), start=at(0), end=at(60))
        for told in (collected, [signal, *collected])
    ]
    assert found[0] == found[1]
    assert [gap.known_from for gap in found[0]] == [at(0)]


def test_an_absence_is_told_session_by_session_and_the_same_whatever_is_asked_for() -> None:
    """The last minute of one day and the first of the next are two; half a minute of a run shows the run."""
    collected, stored = minutes(0, None, "collected", 0), [*bars(*range(388)), at(1_440 + 2), at(1_440 + 9)]
    window = {"horizon": at(1_440 + 9), "end": at(2_000)}
    days = [(388, 390), (1_440, 1_442), (1_443, 1_449)]
    assert [row[:2] for row in ask([collected], stored, **window)] == days
    assert [
        row[:2] for row in ask([collected], stored, **(window | {"start": at(1_446), "end": at(1_447)}))
    ] == days[2:]
    assert [
        row[:2] for row in ask([collected], stored, **(window | {"start": at(389), "end": at(1_441)}))
    ] == days[:2]


def test_a_bar_that_is_not_over_is_never_missing() -> None:
    """A backfill that asked up to the present says nothing of the minute that is running."""
    asked = [minutes(0, 10, kind, 4, raw_offset=1) for kind in COLLECTED_AND_EMPTY]
    assert ask(asked, bars(0, 1)) == [(2, 4, "empty", "missing_bars", 0)]


@pytest.mark.parametrize(("hour", "missing"), [(13, 1), (19, 1), (20, 2), (23, 2)])
def test_a_day_is_missing_once_its_session_has_closed(hour: int, missing: int) -> None:
    """Not at midnight: 2013-10-07 closed at 20:00 UTC."""
    midnight = moment("2013-10-04T00:00:00")
    asked = [
        an_evidence(
            kind=kind, stream="bars.1d:yahoo:SPY", interval="1d", from_time=midnight, to_time=midnight + 9 * DAY_US,
            known_from=moment(f"2013-10-07T{hour}:00:00"),
        )
        for kind in COLLECTED_AND_EMPTY
    ]  # fmt: skip
    series = StreamId("bars", "1d", "yahoo", "SPY")
    (gap,) = gaps_of(series, asked, (), horizon=None, start=midnight, end=EventTime(midnight + 9 * DAY_US))
    assert (gap.state, gap.expected) == ("empty", missing)


def test_live_then_backfill_and_backfill_then_live_are_one_ledger() -> None:
    """Years between two collected stretches are not collected, and no gap: a set of stretches, never a hull."""
    old, live = moment("2021-06-07T13:30:00"), moment("2024-06-05T13:30:00")
    day = 390 * MINUTE_US
    backfilled = an_evidence(kind="collected", from_time=old, to_time=old + day, known_from=LATER)
    collected = an_evidence(kind="collected", from_time=live, to_time=None, known_from=live + MINUTE_US)
    stored = [EventTime(each) for each in (*range(old, old + day, MINUTE_US), live, live + 3 * MINUTE_US)]
    horizon, end = EventTime(live + 3 * MINUTE_US), EventTime(live + DAY_US)

    found = [
        gaps_of(SPY, told, stored, horizon=horizon, start=old, end=end)
        for told in ([collected, backfilled], [backfilled, collected])
    ]

    assert found[0] == found[1]
    assert rows(found[0]) == [(live + MINUTE_US, live + 3 * MINUTE_US, "inferred", "open", 0, 2)]


def test_three_years_settle_once_all_their_bars_are_stored() -> None:
    """However long a blind stretch is, it is counted."""
    low, high = moment("2021-06-08T13:30:00"), moment("2024-06-05T14:00:00")
    stored = expected_starts(sessions.calendar_of("SPY"), "1m", low, high)
    blind = an_evidence(from_time=low, to_time=high, known_from=LATER)
    (gap,) = gaps_of(SPY, [blind], stored, horizon=None, start=low, end=EventTime(low + 1))
    assert (gap.state, gap.expected) == ("filled", 292_980)
    first, second, third = gaps_of(
        SPY, [blind], stored[:1_000] + stored[1_001:], horizon=None, start=low, end=high
    )
    assert [gap.state for gap in (first, second, third)] == ["filled", "open", "filled"]
    assert second.expected == 1


def test_quotes_close_by_a_verdict_only() -> None:
    """Nobody knows how many there should be."""
    told = [
        minutes(0, 600, stream="quotes:yahoo:SPY", interval=""),
        minutes(0, 30, "empty", 1_100, interval=""),
    ]
    found = gaps_of(
        QUOTES,
        told,
        (),
        horizon=at(0),
        start=at(0),
        end=at(1_440),
    )
    assert rows(found) == [
        (NINE_THIRTY, NINE_THIRTY + 30 * MINUTE_US, "proven", "empty", 0, 0),
        (NINE_THIRTY + 30 * MINUTE_US, NINE_THIRTY + 600 * MINUTE_US, "proven", "open", 0, 0),
    ]


def test_any_window_shows_blind_gaps_whole() -> None:
    """A page of answers cuts no gap in two."""
    blind = [minutes(0, 6), minutes(4, 9, "blind", 2_000)]
    for start in range(9):
        expected = (0, 6, "open") if start < 6 else (6, 9, "open")
        assert [row[:3] for row in ask(blind, start=at(start), end=at(start + 1))] == [expected]


@pytest.mark.parametrize("shape", ["side by side", "one over another"])
def test_the_work_grows_with_the_evidence(shape: str) -> None:
    """Not with its square."""
    step = 2 if shape == "side by side" else 1

    def prepare(number: int):  # type: ignore[no-untyped-def]
        told = [
            an_evidence(
                kind="empty" if each % 3 == 0 else "blind", from_time=EventTime(NINE_THIRTY + each * step * MINUTE_US),
                to_time=EventTime(NINE_THIRTY + (each * step + (1 if step == 2 else number)) * MINUTE_US),
                known_from=LATER, raw_offset=RawOffset(each), stream="bars.1m:x:BTC-USD", symbol="BTC-USD",
            )
            for each in range(number)
        ]  # fmt: skip
        series = StreamId("bars", "1m", "x", "BTC-USD")
        stored = bars(*range(0, 2 * number, 5))
        return lambda: gaps_of(series, told, stored, horizon=None, start=at(0), end=at(40 * number))

    assert_linear(prepare, sized(400, 4_000))
