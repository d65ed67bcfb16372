"""Counts of missing bars against listing them one by one, in several markets and at moments nobody chose."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.objectives.burn_rates import LENGTHS_US, market_windows
from gateway.objectives.collection import BlindGap, CollectedNow, SeriesStanding
from gateway.objectives.violations import (
    CONFIRM_WITHIN_US,
    Tally,
    Violations,
    between,
    is_open,
    violations,
)
from schemas.calendar.session_slots import session_slots
from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, micros
from schemas.ledger.coverage import Coverage
from schemas.streams import BAR_STREAM, StreamId
from tests.support.expected_starts import expected_starts
from tests.support.growth import assert_linear

SYMBOLS = ("SPY", "7203.T", "EURUSD=X", "BTC-USD")  # without a closing auction, which a last bar takes in
LONG_AGO = EventTime(0)


def at(*moment: int) -> EventTime:
    """Return a UTC time in µs."""
    return EventTime(micros(datetime(*moment, tzinfo=UTC)))  # type: ignore[misc,arg-type]


def series(
    symbol: str,
    last_seen: int,
    *holes: BlindGap,
    provider: str = "yahoo",
    interval: str = "1m",
    **more: object,
) -> SeriesStanding:
    """Return bars that are stored since ever, but for what is told."""
    name = StreamId(BAR_STREAM.name, interval, provider, symbol)
    return SeriesStanding(
        id=name,
        start=LONG_AGO,
        last_seen=EventTime(last_seen),
        holes=tuple(holes),
        **more,  # type: ignore[arg-type]
    )


def blind(low: int, high: int, state: str = "open") -> BlindGap:
    """Return a stretch nobody watched."""
    return BlindGap(EventTime(low), EventTime(high), state, "producer_down")


def of(found: Violations, window: str = "3d", group: tuple[str, str] = ("T2", "1m")) -> Tally:
    """Return the counts of a group."""
    return found.groups[group][window]  # type: ignore[index]


def marked(
    symbol: str, session: int, *, absent: tuple[int, ...] = (), empty: tuple[int, ...] = ()
) -> Coverage:
    """Return bits of the session that holds a moment."""
    slots = session_slots(calendar_of(symbol), "1m", session)
    assert slots is not None
    return Coverage(
        start=slots.start,
        expected=slots.count,
        absent=sum(1 << n for n in absent),
        empty=sum(1 << n for n in empty),
    )


@settings(max_examples=120, deadline=None)
@given(
    symbol=st.sampled_from(SYMBOLS),
    minute=st.integers(0, 290 * 1440),
    back=st.lists(st.tuples(st.integers(0, 6_000), st.integers(1, 500)), max_size=4),
    behind=st.integers(0, 15),
)
def test_holes_are_counted_as_if_bars_were_listed(
    symbol: str, minute: int, back: list[tuple[int, int]], behind: int
) -> None:
    """Of any moment of months and holes anywhere before it, some across nights, one on top of the other."""
    calendar, now = calendar_of(symbol), at(2024, 1, 10) + minute * MINUTE_US
    windows = market_windows(calendar, now)
    assert windows is not None
    holes = [blind(now - (far + width) * MINUTE_US, now - far * MINUTE_US) for far, width in back]
    ended = [each for each in expected_starts(calendar, "1m", windows["3d"], now) if each + MINUTE_US <= now]
    last_seen = ended[-1 - behind] if len(ended) > behind else windows["3d"]
    found = violations([series(symbol, last_seen, *holes)], CollectedNow(), now)

    for name in LENGTHS_US:
        bars = [each for each in ended if each + MINUTE_US > windows[name]]
        gone = {each for each in bars if any(hole.low <= each < hole.high for hole in holes)}
        tally = of(found, name)
        assert (tally.expected, tally.missing) == (len(bars), len(gone))
        assert tally.stored + tally.missing + tally.empty + tally.unconfirmed == tally.expected


@pytest.mark.parametrize(
    ("symbol", "now", "expected"),
    [
        pytest.param("SPY", at(2024, 6, 6, 21), 3 * 390, id="ordinary days"),
        pytest.param("SPY", at(2024, 11, 29, 23), 390 + 390 + 210, id="Thanksgiving and its half day"),
        pytest.param("SPY", at(2024, 12, 25, 15), 390 + 390 + 210, id="Christmas itself"),
        pytest.param("7203.T", at(2024, 6, 6, 9), 3 * 300, id="Tokyo with its lunch"),
        pytest.param("BTC-USD", at(2024, 6, 6, 12), 2 * 1440 + 720, id="never closed"),
    ],
)
def test_what_is_expected_over_three_days(symbol: str, now: int, expected: int) -> None:
    """By hand: a holiday expects nothing, and takes nothing away."""
    found = violations([series(symbol, now)], CollectedNow(), now)

    assert of(found) == Tally(expected)
    assert found.worst == []


FRIDAY_EVENING = at(2024, 6, 7, 23)


def test_a_feed_that_fell_silent_is_missing_once_it_is_overdue() -> None:
    """Not while the newest bar may be on its way; then from the first bar on that no series of the feed has."""
    front, now = at(2024, 6, 6, 15, 0), at(2024, 6, 6, 15, 20)
    quiet = series("TWX", at(2024, 6, 6, 14, 50))

    def missing(now: int, *more: SeriesStanding) -> list[int]:
        found = violations([series("SPY", front), quiet, *more], CollectedNow(), now)
        return [of(found, name).missing for name in ("5m", "1h")]

    assert missing(now) == [0, 0]
    assert missing(now + 2 * MINUTE_US) == [10, 42]  # of two series: 15:01 to 15:21
    # one symbol of another provider's feed says nothing of this one
    other = series("QQQ", now, provider="finnhub")
    assert missing(now + 2 * MINUTE_US, other) == [10, 42]
    # one symbol of the same feed that goes on shows that the feed does
    assert missing(now + 2 * MINUTE_US, series("QQQ", now)) == [0, 0]


def test_a_feed_is_not_silent_while_its_market_is_closed() -> None:
    """Over a holiday, and before the first bars of the next session are overdue; nor for the last minutes of a day."""
    # a half day before Independence Day, on which the last 14 minutes are quiet
    last = at(2024, 7, 3, 16, 45)
    for now in (at(2024, 7, 3, 23), at(2024, 7, 4, 15), at(2024, 7, 5, 13, 35)):
        found = violations([series("SPY", last)], CollectedNow(), now)

        assert (of(found).missing, of(found, "5m").missing) == (0, 0)
    assert of(violations([series("SPY", last)], CollectedNow(), at(2024, 7, 5, 13, 36)), "5m").missing == 5


def test_a_slow_feed_is_not_silent() -> None:
    """A quarter of an hour late, as vendors without a live plan are, and with the pause between two polls on top."""
    now = at(2024, 6, 6, 15, 0)
    late = [series("SPY", now - 16 * MINUTE_US)]
    found = violations(late, CollectedNow(), now)
    slower = violations(
        [series("SPY", now - 24 * MINUTE_US)], CollectedNow(cadences_us={("T2", "1m"): 5 * MINUTE_US}), now
    )

    assert of(found).missing == of(slower).missing == 0
    assert of(found).unconfirmed == 15
    assert of(slower).unconfirmed == 23


def test_who_serves_no_more_owes_nothing_after_its_last_bar() -> None:
    """After a failover, of a symbol that was taken off the list, and of bars that are collected no more."""
    now = at(2024, 6, 6, 15, 0)
    before = series("SPY", now - 3 * HOUR_US)
    since = series("SPY", now, provider="finnhub")
    unlisted = CollectedNow(symbols=frozenset(), tiers={})
    dropped = CollectedNow(intervals=frozenset({"5m"}))

    both = of(violations([before, since], CollectedNow(), now))
    assert (both.missing, both.unconfirmed) == (0, 0)
    assert of(violations([before], unlisted, now)).missing == 0
    assert of(violations([before], dropped, now)).missing == 0
    assert of(violations([before], CollectedNow(), now)).missing > 0


def test_absent_bars_are_missing_once_they_should_have_been_confirmed() -> None:
    """An hour after the close; those before the close, which the next session shows, after that one. Empty ones never."""
    day, following = at(2024, 6, 5, 15), at(2024, 6, 6, 15)
    bits = marked("SPY", day, absent=(5, 6, 388, 389), empty=(9,))
    closes_next = at(2024, 6, 7)  # after hours

    def counts(now: int) -> tuple[int, int, int]:
        found = of(violations([series("SPY", now, coverage=(bits,))], CollectedNow(), now))
        return found.missing, found.empty, found.unconfirmed

    assert counts(at(2024, 6, 5, 22)) == (0, 1, 4)
    assert counts(at(2024, 6, 6) + CONFIRM_WITHIN_US - 1) == (0, 1, 4)
    assert counts(at(2024, 6, 6) + CONFIRM_WITHIN_US) == (2, 1, 2)
    assert counts(following) == (2, 1, 2)
    assert counts(closes_next + CONFIRM_WITHIN_US - 1) == (2, 1, 2)
    assert counts(closes_next + CONFIRM_WITHIN_US) == (4, 1, 0)


def test_what_became_of_a_hole_counts() -> None:
    """Filled and proved empty are no holes any more; being filled, and given up, they are."""
    states = ("open", "filling", "unrecoverable", "filled", "empty")

    assert [is_open(blind(0, 1, state)) for state in states] == [True, True, True, False, False]


def test_a_blind_stretch_over_absent_bars_counts_once() -> None:
    """And one known after a verdict of emptiness opens what that had closed."""
    day, now = at(2024, 6, 5, 15), at(2024, 6, 7, 23)
    slots = session_slots(calendar_of("SPY"), "1m", day)
    assert slots is not None
    hole = blind(slots.slot_at(4), slots.slot_at(8))
    bits = marked("SPY", day, absent=(6, 7, 8), empty=(5,))
    found = of(violations([series("SPY", now, hole, coverage=(bits,))], CollectedNow(), now))

    assert (found.missing, found.empty) == (5, 0)


def test_days_are_judged_by_their_ends() -> None:
    """The day under way is none yet; one nobody watched is in the six hours that follow its close."""
    now = at(2024, 6, 6, 15)
    days = {"interval": "1d"}
    whole = series("SPY", at(2024, 6, 5), **days)  # type: ignore[arg-type]
    gone = series("SPY", at(2024, 6, 5), blind(at(2024, 6, 5), at(2024, 6, 6)), **days)  # type: ignore[arg-type]

    assert of(violations([whole], CollectedNow(), now), group=("T2", "1d")) == Tally(2)
    found = violations([gone], CollectedNow(), now)
    assert of(found, group=("T2", "1d")) == Tally(2, 1)
    assert of(found, "6h", ("T2", "1d")) == Tally(1, 1)
    assert of(found, "1h", ("T2", "1d")) == Tally()


def test_absent_days_are_missing_a_day_after_the_bar_that_showed_them() -> None:
    """Then they were asked for; of a day the close is the end, and the night counts as nothing."""
    year = Coverage(start=at(2024, 1, 1), expected=252, absent=1 << _day_number(at(2024, 6, 5)))

    def missing(now: int) -> tuple[int, int]:
        days = series("SPY", at(2024, 6, 6), interval="1d", coverage=(year,))
        found = of(violations([days], CollectedNow(), now), group=("T2", "1d"))
        return found.missing, found.unconfirmed

    assert missing(at(2024, 6, 6, 15)) == (0, 1)
    assert missing(at(2024, 6, 6, 20, 59)) == (0, 1)
    assert missing(at(2024, 6, 6, 21)) == (1, 0)


def _day_number(day: int) -> int:
    slots = session_slots(calendar_of("SPY"), "1d", day)
    number = None if slots is None else slots.index_of(day)
    assert number is not None
    return number


def test_groups_are_by_tier_and_interval_and_the_worst_are_named() -> None:
    """The most first; of a market whose hours nobody knows nothing is said, and that it is so is."""
    now = FRIDAY_EVENING
    symbols = [f"A{chr(65 + n)}" for n in range(14)]
    every = [
        series(each, now, blind(at(2024, 6, 7, 14), at(2024, 6, 7, 14, n + 1)))
        for n, each in enumerate(symbols)
    ]
    tiers = dict.fromkeys(symbols, "T0") | {"AB": "T1"}
    wanted = CollectedNow(symbols=frozenset(symbols), tiers=tiers)  # type: ignore[arg-type]
    found = violations([*every, series("NOWHERE:ODD", now)], wanted, now)

    assert set(found.groups) == {("T0", "1m"), ("T1", "1m")}
    assert of(found, group=("T1", "1m")).missing == 2
    assert [each.tally.missing for each in found.worst] == list(range(14, 4, -1))
    assert found.worst[0].causes == ("producer_down",)
    assert (found.series, found.unknown) == (15, 1)


def test_a_series_owes_nothing_before_its_first_bar() -> None:
    """One that began this morning has a small part of three days to answer for."""
    now = at(2024, 6, 6, 15)
    young = SeriesStanding(
        id=StreamId(BAR_STREAM.name, "1m", "yahoo", "SPY"), start=at(2024, 6, 6, 14, 30), last_seen=now
    )

    assert of(violations([young], CollectedNow(), now)) == Tally(30)


def test_bits_between_two_moments() -> None:
    """The first is taken in, the second is not; turned round there are none."""
    slots = session_slots(calendar_of("SPY"), "1m", at(2024, 6, 5, 15))
    assert slots is not None

    assert between(slots, slots.slot_at(2), slots.slot_at(5)) == 0b11100
    assert between(slots, slots.slot_at(5), slots.slot_at(2)) == 0
    assert between(slots, 0, 10**18).bit_count() == 390


@pytest.mark.parametrize("broken", [False, True])
def test_the_cost_is_linear_in_series(*, broken: bool) -> None:
    """Also where each has holes of its own."""
    now = FRIDAY_EVENING

    def prepare(count: int) -> Callable[[], object]:
        every = [
            series(
                f"S{n}", now - (n % 3) * DAY_US, *([blind(now - (8 + n % 9) * HOUR_US, now - 7 * HOUR_US)] if broken else ())
            )
            for n in range(count)
        ]  # fmt: skip
        return lambda: violations(every, CollectedNow(), now)

    assert_linear(prepare, 500)
