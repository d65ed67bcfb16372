"""Gaps and arrivals partition what the calendar expects, however a response is cut up."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.calendar.sessions import calendar_of
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US, SLOT_US, micros
from schemas.records import LONG_SILENCE, MISSING_BARS, Discontinuity
from stream_processors.gaps import SILENCE_US, Blindness, Hole, judge, unseen_range
from tests.support.builders import NINE_THIRTY

SPY = calendar_of("SPY")
ALWAYS = calendar_of("SIM1")
CLOSE = NINE_THIRTY + 390 * MINUTE_US
NEXT_OPEN = NINE_THIRTY + DAY_US


def minute(number: int) -> int:
    """Return the start of a minute of the session of 2013-10-07."""
    return NINE_THIRTY + number * MINUTE_US


def hole(first: int, after: int, cause: str = MISSING_BARS) -> Hole:
    """Return the hole of minutes [first, after) of that session."""
    return Hole(from_time=minute(first), to_time=minute(after), expected=after - first, cause=cause)


def test_a_later_bar_reveals_the_run_before_it() -> None:
    """Minutes 2 and 3 are one hole, 5 another."""
    assert judge(SPY, "1m", minute(1), [minute(6), minute(4)]) == (minute(6), [hole(2, 4), hole(5, 6)])


def test_nothing_is_missing_before_the_first_bar() -> None:
    """A subscription that begins at noon did not lose the morning."""
    assert judge(SPY, "1m", None, [minute(150), minute(151)]) == (minute(151), [])


def test_a_late_bar_moves_nothing() -> None:
    """It fills a hole; the sink closes it."""
    assert judge(SPY, "1m", minute(6), [minute(2)]) == (minute(6), [])


def test_only_regular_sessions_are_expected() -> None:
    """The night, and minutes of pre- and post-market without a trade, are no holes."""
    post, pre = CLOSE + 40 * MINUTE_US, NEXT_OPEN - 2 * HOUR_US

    assert judge(SPY, "1m", minute(389), [post, pre, pre + 5 * MINUTE_US, NEXT_OPEN]) == (NEXT_OPEN, [])


def test_a_run_over_the_night_is_one_hole_unless_something_arrived_in_it() -> None:
    """Maximal runs of expected bars; an arrival, even outside the session, ends one."""
    evening = Hole(from_time=minute(388), to_time=CLOSE, expected=2, cause=MISSING_BARS)
    morning = Hole(from_time=NEXT_OPEN, to_time=NEXT_OPEN + MINUTE_US, expected=1, cause=MISSING_BARS)
    whole = Hole(from_time=minute(388), to_time=NEXT_OPEN + MINUTE_US, expected=3, cause=MISSING_BARS)
    pre, second = NEXT_OPEN - HOUR_US, NEXT_OPEN + MINUTE_US

    assert judge(SPY, "1m", minute(387), [second])[1] == [whole]
    assert judge(SPY, "1m", minute(387), [pre, second])[1] == [evening, morning]


@pytest.mark.parametrize(
    ("symbol", "interval"), [("META", "1m"), ("META", "1d"), ("7203.T", "1h"), ("BTC-USD", "15m"), ("EURUSD=X", "1m")]
)  # fmt: skip
def test_a_long_silence_proves_no_absence(symbol: str, interval: str) -> None:
    """Of whatever market: a ticker may be another company's after it. What a producer says it watched is absent."""
    calendar, last = calendar_of(symbol), NINE_THIRTY
    within, beyond = last + SILENCE_US, last + SILENCE_US + SLOT_US[interval]
    for start, cause in ((within, MISSING_BARS), (beyond, LONG_SILENCE)):
        frontier, holes = judge(calendar, interval, last, [start])
        assert (frontier, [hole.cause for hole in holes]) == (start, [cause])

    down = Blindness(from_time=beyond, to_time=beyond + 30 * DAY_US, cause="producer_down")
    assert [hole.cause for hole in judge(calendar, interval, last, [], [down])[1]] == [
        MISSING_BARS,
        "producer_down",
    ]


@pytest.mark.parametrize(
    ("symbol", "last", "after"),
    [
        ("META", "2024-10-09T13:30", "2024-11-08T14:30"),  # by its opens, which move with the clocks
        ("VOD.L", "2024-10-14T07:00", "2024-11-13T08:00"),
        ("0700.HK", "2024-10-09T00:00", "2024-11-08T08:10"),  # midnight of a blind day, then the close of one in progress
        ("EURUSD=X", "2024-10-09T21:00", "2024-11-08T22:00"),
        ("BTC-USD", "2024-10-09T00:00", "2024-11-08T23:59"),
    ],
)  # fmt: skip
def test_a_silence_of_days_is_counted_in_days(symbol: str, last: str, after: str) -> None:
    """Thirty of them are no longer for the hour at which the bars of the first and the last are stamped."""
    first, second = (micros(datetime.fromisoformat(text + "+00:00")) for text in (last, after))
    for days, cause in ((0, MISSING_BARS), (3, LONG_SILENCE)):
        holes = judge(calendar_of(symbol), "1d", first, [second + days * DAY_US])[1]
        assert [hole.cause for hole in holes] == [cause]


def test_a_hole_of_decades_is_counted_not_listed() -> None:
    """A hostile stamp costs milliseconds, not memory."""
    frontier, holes = judge(SPY, "1m", 900_000_000_000_000, [NINE_THIRTY])

    assert frontier == NINE_THIRTY
    assert len(holes) == 1
    assert holes[0].expected > 1_400_000


def test_daily_bars_are_compared_by_day_wherever_in_it_they_are_stamped() -> None:
    """Midnight in New York, midnight UTC, the open or after it: Tuesday is missing, once, as a whole day."""
    monday = NINE_THIRTY // DAY_US * DAY_US
    tuesday = Hole(from_time=monday + DAY_US, to_time=monday + 2 * DAY_US, expected=1, cause=MISSING_BARS)
    for stamp in (0, 4 * HOUR_US, NINE_THIRTY - monday, NINE_THIRTY - monday + HOUR_US):
        assert judge(SPY, "1d", monday + stamp, [monday + DAY_US + stamp])[1] == []
        assert judge(SPY, "1d", monday + stamp, [monday + 2 * DAY_US + stamp])[1] == [tuesday]


def test_weeks_and_months_expect_nothing() -> None:
    """Their starts are the vendor's choice."""
    assert judge(SPY, "1wk", NINE_THIRTY, [NINE_THIRTY + 70 * DAY_US])[1] == []


def test_blindness_begins_after_the_last_bar_when_nobody_knows_better() -> None:
    """A producer that came back knows when, not since when."""
    blind = Blindness(from_time=None, to_time=minute(9), cause="producer_down")

    assert judge(SPY, "1m", minute(4), [], [blind]) == (minute(8), [hole(5, 9, "producer_down")])
    assert judge(SPY, "1m", None, [], [blind]) == (None, [])


@pytest.mark.parametrize("seconds", [0, 1, 17, 59])
def test_a_bar_not_over_when_watching_ended_is_blind_not_absent(seconds: int) -> None:
    """Killed within a minute, whoever watched knows the bars before it and nothing of this one."""
    blind = Blindness(from_time=minute(5) + seconds * SECOND_US, to_time=minute(9), cause="producer_down")

    assert judge(SPY, "1m", minute(4), [minute(9)], [blind]) == (minute(9), [hole(5, 9, "producer_down")])
    assert judge(SPY, "1m", minute(3), [minute(9)], [blind]) == (
        minute(9),
        [hole(4, 5), hole(5, 9, "producer_down")],
    )
    assert judge(SPY, "1m", None, [], [blind]) == (minute(8), [hole(5, 9, "producer_down")])


def test_blindness_is_a_hole_of_its_own_even_where_the_block_fills_it() -> None:
    """Downtime stays visible; what was missing outside it keeps its own cause; nothing overlaps."""
    blind = Blindness(from_time=minute(6), to_time=minute(9), cause="producer_down")
    arrivals = [minute(number) for number in (2, 7, 8, 10)]

    assert judge(SPY, "1m", minute(1), arrivals, [blind]) == (
        minute(10),
        [hole(3, 6), hole(6, 9, "producer_down"), hole(9, 10)],
    )


def test_blindness_outside_the_session_is_no_hole() -> None:
    """Nothing was expected at night."""
    blind = Blindness(from_time=CLOSE, to_time=NEXT_OPEN, cause="producer_down")

    assert judge(SPY, "1m", minute(389), [], [blind]) == (minute(389), [])


def test_blindness_already_judged_is_not_judged_again() -> None:
    """Holes of a stream never overlap."""
    blind = Blindness(from_time=minute(2), to_time=minute(9), cause="disconnected")

    assert judge(SPY, "1m", minute(8), [], [blind]) == (minute(8), [])


NUMBERS = st.sets(st.integers(min_value=0, max_value=60), min_size=1)


@given(NUMBERS, st.sampled_from(["1m", "5m"]))
def test_gaps_and_arrivals_partition_the_expected_range(numbers: set[int], interval: str) -> None:
    """Between the first and the last arrival every expected bar arrived or lies in exactly one hole."""
    step = SLOT_US[interval]
    starts = {NINE_THIRTY + number * step for number in numbers}

    _, holes = judge(SPY, interval, None, starts)

    missing = [start for gap in holes for start in range(gap.from_time, gap.to_time, step)]
    assert sorted([*starts, *missing]) == list(range(min(starts), max(starts) + 1, step))
    assert [gap.expected for gap in holes] == [(gap.to_time - gap.from_time) // step for gap in holes]


@given(NUMBERS, st.lists(st.integers(min_value=1, max_value=20)))
def test_splitting_a_response_finds_the_same_holes(numbers: set[int], cuts: list[int]) -> None:
    """As long as the blocks keep the order of time."""
    starts = [NINE_THIRTY - 5 * MINUTE_US + number * 7 * MINUTE_US for number in sorted(numbers)]
    whole = judge(SPY, "1m", None, starts)

    frontier: int | None = None
    holes: list[Hole] = []
    rest = starts
    for size in [*cuts, len(starts)]:
        frontier, more = judge(SPY, "1m", frontier, rest[:size])
        holes, rest = [*holes, *more], rest[size:]

    assert (frontier, holes) == whole


@given(
    st.lists(
        st.tuples(
            st.sets(st.integers(min_value=0, max_value=40), max_size=5),
            st.none() | st.tuples(st.none() | st.integers(min_value=1, max_value=40), st.integers(1, 41)),
        ),
        max_size=8,
    )
)
def test_holes_of_a_stream_never_overlap_and_come_in_order(
    blocks: list[tuple[set[int], tuple[int | None, int] | None]],
) -> None:
    """Whatever arrives and whatever a producer says it missed."""
    frontier: int | None = None
    ends = -1
    for numbers, told in blocks:
        blind = []
        if told is not None:
            start = None if told[0] is None else minute(told[0])
            blind = [Blindness(from_time=start, to_time=minute(told[1]), cause="producer_down")]
        frontier, holes = judge(ALWAYS, "1m", frontier, [minute(number) for number in numbers], blind)
        for gap in holes:
            assert gap.from_time >= ends
            assert gap.to_time > gap.from_time
            ends = gap.to_time


SPY = calendar_of("SPY")
POST_CLOSE = NINE_THIRTY + 10 * HOUR_US + 30 * MINUTE_US  # 20:00
PRE_OPEN = POST_CLOSE + 8 * HOUR_US  # 04:00


def unseen(seen_to: int | None, from_time: int | None, to_time: int) -> tuple[int, int] | None:
    """Return the unseen range of SPY's trades."""
    told = Discontinuity(
        symbol="SPY", interval="", from_time=from_time, to_time=to_time, cause="producer_down"
    )
    return unseen_range(SPY, seen_to, told)


def test_the_later_of_last_event_and_the_producers_word_begins_it() -> None:
    """Neither can be right about the time before it."""
    end = NINE_THIRTY + MINUTE_US

    assert unseen(NINE_THIRTY, None, end) == (NINE_THIRTY, end)
    assert unseen(None, NINE_THIRTY, end) == (NINE_THIRTY, end)
    assert unseen(NINE_THIRTY + 5, NINE_THIRTY, end) == (NINE_THIRTY + 5, end)
    assert unseen(NINE_THIRTY, NINE_THIRTY + 5, end) == (NINE_THIRTY + 5, end)


def test_nothing_known_claims_nothing() -> None:
    """A stream nobody ever saw has no hole."""
    assert unseen(None, None, NINE_THIRTY) is None
    assert unseen(NINE_THIRTY, None, NINE_THIRTY) is None


def test_closed_hours_at_its_ends_are_left_out() -> None:
    """A night between is part of it, a night alone is none, and decades cost no more."""
    assert unseen(POST_CLOSE - 5, None, PRE_OPEN + 5) == (POST_CLOSE - 5, PRE_OPEN + 5)
    assert unseen(POST_CLOSE, None, PRE_OPEN + 5) == (PRE_OPEN, PRE_OPEN + 5)
    assert unseen(POST_CLOSE - 5, None, PRE_OPEN) == (POST_CLOSE - 5, POST_CLOSE)
    assert unseen(POST_CLOSE, None, PRE_OPEN) is None
    assert unseen(1, None, PRE_OPEN + 5) is None  # before the calendar begins nothing is known to be open


def minutes_of(first: int, count: int) -> list[int]:
    """Return the starts of so many minutes in a row."""
    return [first + number * MINUTE_US for number in range(count)]


def moment(text: str, zone: str) -> int:
    """Return a local time in µs."""
    return micros(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


@pytest.mark.parametrize(
    ("symbol", "zone", "stretches"),
    [
        pytest.param("7203.T", "Asia/Tokyo", [("2024-12-03 09:00", 150), ("2024-12-03 12:30", 175), ("2024-12-04 09:00", 1)], id="Tokyo since 2024"),
        pytest.param("6758.T", "Asia/Tokyo", [("2011-11-18 09:00", 120), ("2011-11-18 12:30", 150), ("2011-11-21 09:00", 150)], id="Tokyo in 2011"),
        pytest.param("0700.HK", "Asia/Hong_Kong", [("2024-07-02 09:30", 150), ("2024-07-02 13:00", 180), ("2024-07-03 09:30", 1)], id="Hong Kong"),
        pytest.param("^HSI", "UTC", [("2024-07-02 01:30", 150), ("2024-07-02 05:00", 180), ("2024-07-03 01:30", 150)], id="an index of Hong Kong"),
        pytest.param("EURUSD=X", "UTC", [("2024-07-12 20:00", 60), ("2024-07-14 21:00", 240)], id="currencies in summer"),
        pytest.param("USDJPY=X", "UTC", [("2024-01-12 21:00", 60), ("2024-01-14 22:00", 9)], id="currencies in winter"),
        pytest.param("EURUSD=X", "UTC", [("2024-12-24 21:30", 30), ("2024-12-25 22:00", 9)], id="currencies at Christmas"),
        pytest.param("VOD.L", "Europe/London", [("2024-07-02 16:00", 30), ("2024-07-02 16:35", 1), ("2024-07-03 08:00", 2)], id="London with its auction"),
        pytest.param("SAP.DE", "Europe/Berlin", [("2024-07-02 17:00", 30), ("2024-07-03 09:00", 2)], id="Xetra without its auction"),
        pytest.param("NESN.SW", "Europe/Zurich", [("2024-07-02 17:00", 20), ("2024-07-02 17:30", 1), ("2024-07-03 09:00", 2)], id="Zurich calls for ten minutes"),
        pytest.param("BMW.F", "Europe/Berlin", [("2024-07-02 21:00", 60), ("2024-07-03 08:00", 2)], id="Frankfurt's floor"),
        pytest.param("^NSEI", "Asia/Kolkata", [("2024-07-02 09:15", 1), ("2024-07-02 11:00", 3), ("2024-07-05 09:15", 2)], id="an unknown home"),
    ],
)  # fmt: skip
def test_whole_days_of_any_market_have_no_hole(
    symbol: str, zone: str, stretches: list[tuple[str, int]]
) -> None:
    """All its bars are there; what lies between them is a break, a night, a week-end or an auction."""
    arrivals = [each for start, count in stretches for each in minutes_of(moment(start, zone), count)]

    assert judge(calendar_of(symbol), "1m", None, arrivals) == (arrivals[-1], [])


def test_a_minute_that_is_missing_at_the_edge_of_a_break_is_a_hole() -> None:
    """The last before lunch and the first after it, and no other."""
    tokyo, noon = calendar_of("7203.T"), moment("2024-12-03 11:30", "Asia/Tokyo")
    lacking = {noon - MINUTE_US, noon + HOUR_US}
    arrivals = [
        each
        for each in minutes_of(noon - HOUR_US, 180)
        if each not in lacking and not noon <= each < noon + HOUR_US
    ]

    (found,) = judge(tokyo, "1m", None, arrivals)[1]
    assert (found.from_time, found.to_time, found.expected) == (noon - MINUTE_US, noon + 61 * MINUTE_US, 2)


def test_a_bar_that_lunch_cuts_is_over_with_it() -> None:
    """Nobody watched the hour that ended at noon, though it began less than an hour before they were back."""
    tokyo, noon = calendar_of("9432.T"), moment("2024-12-03 11:30", "Asia/Tokyo")
    blind = Blindness(from_time=noon - HOUR_US // 2, to_time=noon + 15 * MINUTE_US, cause="producer_down")

    (found,) = judge(tokyo, "1h", noon - 3 * HOUR_US // 2, [], [blind])[1]
    assert (found.from_time, found.expected) == (noon - HOUR_US // 2, 1)


def test_nobody_was_blind_to_a_market_that_was_closed_or_is_unknown() -> None:
    """Of quotes and trades a blind stretch is cut to the hours in which trades are to be expected."""
    tokyo = moment("2024-12-03 10:00", "Asia/Tokyo"), moment("2024-12-03 14:00", "Asia/Tokyo")
    blind = Discontinuity(
        symbol="7203.T", interval="", from_time=tokyo[0], to_time=tokyo[1], cause="disconnected"
    )

    lunch = Discontinuity(
        symbol="7203.T",
        interval="",
        from_time=tokyo[0] + 90 * MINUTE_US,
        to_time=tokyo[1] - 90 * MINUTE_US,
        cause="x",
    )
    assert unseen_range(calendar_of("7203.T"), None, blind) == tokyo
    assert unseen_range(calendar_of("7203.T"), None, lunch) is None
    assert unseen_range(calendar_of("^NSEI"), None, blind) is None
