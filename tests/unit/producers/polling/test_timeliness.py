"""What is counted of polls."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from producers.polling.timeliness import (
    CadenceGroup,
    CadenceStatistics,
    CadenceWindow,
    PlannedCadence,
    sample_of,
)
from schemas.intervals import SECOND_US

BARS = CadenceGroup("bars:1m", "yahoo", "T1")
EVERY = 60 * SECOND_US


def a_plan(*symbols: str) -> dict[CadenceGroup, PlannedCadence]:
    return {BARS: PlannedCadence(every_us=EVERY, symbols=symbols)}


def statistics(*symbols: str) -> CadenceStatistics:
    counted = CadenceStatistics(now_us=0, wall_us=0)
    counted.plan(a_plan(*symbols), 0)
    return counted


def closed(counted: CadenceStatistics, now_us: int) -> CadenceWindow:
    (window,) = counted.close(now_us=now_us, wall_us=now_us)
    return window


def test_lateness_is_market_time_scaled_to_wall_time() -> None:
    """At sixty times the speed, a minute late on the market is a second late for us."""
    counted = statistics("SPY")

    assert counted.begun(BARS, due_us=EVERY, now_us=2 * EVERY, speed=60.0) == SECOND_US
    assert counted.begun(BARS, due_us=EVERY, now_us=2 * EVERY, speed=float("inf")) is None


def test_a_poll_due_at_once_has_no_lateness() -> None:
    """The first poll and one after a failure have no moment of the cadence to be late for."""
    counted = statistics("SPY")
    counted.begun(BARS, due_us=0, now_us=EVERY, speed=1.0)
    window = closed(counted, EVERY)

    assert (window.begun, window.due, window.errors, window.error_us(0.99)) == (1, 0, {}, None)


def test_every_slot_that_went_by_is_missed() -> None:
    """A poll that ends three cadences after it was due stands for one and missed three."""
    counted = statistics("SPY")
    counted.ended(BARS, ["SPY"], now_us=10, next_due_us=EVERY, ok=True)
    counted.begun(BARS, due_us=EVERY, now_us=4 * EVERY, speed=1.0)
    counted.ended(BARS, ["SPY"], now_us=4 * EVERY + 5, next_due_us=5 * EVERY, ok=True)
    window = closed(counted, 4 * EVERY + 9)

    assert (window.due, window.missed, window.succeeded) == (4, 3, 2)


def test_a_symbol_whose_polls_fail_grows_stale_and_recovers() -> None:
    """Its due moment stays where it was until a poll succeeds."""
    counted = statistics("SPY", "QQQ")
    counted.ended(BARS, ["SPY"], now_us=10, next_due_us=9 * EVERY, ok=True)
    counted.ended(BARS, ["QQQ"], now_us=10, next_due_us=EVERY, ok=True)
    counted.ended(BARS, ["QQQ"], now_us=EVERY, next_due_us=0, ok=False)
    failing = closed(counted, 5 * EVERY)
    counted.ended(BARS, ["QQQ"], now_us=5 * EVERY, next_due_us=9 * EVERY, ok=True)
    well = closed(counted, 6 * EVERY)

    assert (failing.stale_us, failing.stale_symbols, failing.failed) == (4 * EVERY, 1, 1)
    assert (well.stale_us, well.stale_symbols) == (0, 0)


def test_what_another_provider_serves_is_not_stale() -> None:
    """A poll left out on purpose counts as such."""
    counted = statistics("SPY")
    counted.skipped(BARS, ["SPY"], next_due_us=9 * EVERY)
    window = closed(counted, 8 * EVERY)

    assert (window.skipped, window.missed, window.stale_us) == (1, 0, 0)


def test_a_new_plan_keeps_what_is_known_of_the_symbols_that_stay() -> None:
    """Neither counts nor waiting times of others are touched; what left is forgotten."""
    counted = statistics("SPY", "QQQ")
    counted.ended(BARS, ["SPY", "QQQ"], now_us=1, next_due_us=EVERY, ok=True)
    counted.plan(a_plan("SPY", "IWM"), EVERY)
    window = closed(counted, EVERY + SECOND_US)

    assert (window.symbols, window.symbol_polls, window.stale_us) == (2, 2, SECOND_US)


def test_what_is_not_planned_is_not_counted() -> None:
    """The last poll of a group that was just removed makes no row."""
    counted = statistics("SPY")
    counted.plan({}, 0)
    counted.begun(BARS, due_us=1, now_us=2, speed=1.0)
    counted.ended(BARS, ["SPY"], now_us=2, next_due_us=3, ok=True)

    assert counted.close(now_us=9, wall_us=9) == []


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40))
def test_a_window_holds_the_market_time_and_the_polls_in_it(gaps: list[int]) -> None:
    """The achieved interval is the one divided by the other; the next window begins with no polls."""
    counted, now = statistics("SPY"), 0
    for gap in gaps:
        now += gap * SECOND_US
        counted.ended(BARS, ["SPY"], now_us=now, next_due_us=now + EVERY, ok=True)
    window, following = closed(counted, now), closed(counted, now + 1)

    assert (window.market_us, window.symbols, window.symbol_polls) == (sum(gaps) * SECOND_US, 1, len(gaps))
    assert (following.market_us, following.symbol_polls) == (1, 0)


def test_a_sample_says_in_seconds_and_milliseconds_what_its_window_counted() -> None:
    """Whose it is, and under which configuration, stands beside it."""
    counted = statistics("SPY", "QQQ")
    counted.begun(BARS, due_us=EVERY, now_us=EVERY + 2 * SECOND_US, speed=1.0)
    counted.begun(BARS, due_us=0, now_us=EVERY, speed=1.0)
    counted.ended(BARS, ["SPY"], now_us=EVERY + 3 * SECOND_US, next_due_us=9 * EVERY, ok=True)
    sample = sample_of(closed(counted, 2 * EVERY), replica="host-1", generation=7)

    assert (sample.replica, sample.generation, sample.capability, sample.tier) == ("host-1", 7, *BARS[::2])
    assert (sample.market_s, sample.every_s, sample.stale_s) == (120.0, 60.0, 60.0)
    assert (sample.begun_time, sample.ended_time) == (0, 2 * EVERY)
    assert (sample.due, sample.begun, sample.succeeded, sample.symbol_polls) == (1, 2, 1, 1)
    assert sample.error_max_ms == 2_000.0
    assert (len(sample.buckets), list(sample.counts)) == (1, [1])


def test_a_sample_without_polls_claims_no_lateness() -> None:
    """Null, rather than zero."""
    sample = sample_of(closed(statistics("SPY"), SECOND_US), replica="a", generation=0)

    assert (sample.error_p50_ms, sample.error_p99_ms, sample.error_max_ms) == (None, None, 0.0)
