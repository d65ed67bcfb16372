"""Faults strike when their rule says so, the same way every time."""

from __future__ import annotations

import pytest

from infra.simulator.faults.habits import FrozenSymbols, Latency
from infra.simulator.faults.injection import FaultPlan, Row, apply_bar_faults, null_minutes
from infra.simulator.faults.parsing import parse_scenario
from infra.simulator.faults.scenario import CorrectBars, LateBars, NullBars, Scenario
from infra.simulator.market.model import Candle
from schemas.errors import ConfigurationError
from schemas.intervals import MINUTE_US, SECOND_US

BEGUN = 1_381_152_600_000_000  # 2013-10-07 09:30 New York
ZONE = "America/New_York"


def a_plan(text: str, *, seed: int = 1) -> FaultPlan:
    """Return the plan of one rule."""
    return FaultPlan(parse_scenario(f"- {text}"), seed=seed, begun=BEGUN)


def strikes(plan: FaultPlan, count: int, *, now: int = BEGUN) -> list[bool]:
    """Return which of `count` chart requests are struck."""
    return [bool(plan.request_faults("yahoo", "chart", ("SPY",), now)) for _ in range(count)]


def a_row(minute: int) -> Row:
    """Return the row of the n-th minute after the beginning."""
    time = BEGUN + minute * MINUTE_US
    return time, Candle(time=time, open=10.0, high=11.0, low=9.0, close=10.5, volume=100)


def test_a_rule_waits_then_strikes_every_so_many_up_to_its_limit() -> None:
    """after_requests, every and limit hold together."""
    plan = a_plan("{when: {after_requests: 2, every: 3, limit: 2}, fault: {type: html}}")
    assert [n for n, struck in enumerate(strikes(plan, 20), start=1) if struck] == [5, 8]


def test_probability_is_decided_by_the_seed() -> None:
    """The same seed strikes the same requests, another seed others."""
    rule = "{when: {probability: 0.3}, fault: {type: html}}"
    first, again = strikes(a_plan(rule), 500), strikes(a_plan(rule), 500)
    assert first == again
    assert 100 < sum(first) < 200
    assert first != strikes(a_plan(rule, seed=2), 500)


def test_a_window_is_half_open_on_the_market_clock() -> None:
    """From is inclusive, to is exclusive, offsets count from the beginning."""
    plan = a_plan("{when: {from: +60s, to: +90s}, fault: {type: html}}")
    moments = [BEGUN + offset * SECOND_US for offset in (59, 60, 89, 90)]
    assert [strikes(plan, 1, now=moment)[0] for moment in moments] == [False, True, True, False]


def test_a_rule_matches_vendor_endpoint_and_symbol() -> None:
    """Whatever differs in one of them passes."""
    plan = a_plan("{match: {vendor: yahoo, endpoint: chart, symbol: SPY}, fault: {type: html}}")
    assert plan.request_faults("yahoo", "chart", ("SPY",), BEGUN)
    assert not plan.request_faults("yahoo", "quote", ("SPY",), BEGUN)
    assert not plan.request_faults("finnhub", "candle", ("SPY",), BEGUN)
    assert not plan.request_faults("yahoo", "chart", ("AAPL",), BEGUN)


def test_stream_faults_leave_requests_alone() -> None:
    """A rule about frames or connections strikes no request, whatever it matches."""
    for fault in ("{type: duplicate_frames}", "{type: mute_socket}"):
        assert strikes(a_plan(f"{{fault: {fault}}}"), 1) == [False]


def test_late_bars_are_hidden_until_their_time() -> None:
    """A minute late by 60 s shows from its end plus 60 s on."""
    rows = [a_row(0), a_row(1)]
    fault = LateBars(type="late_bars", by_s=60)
    assert apply_bar_faults(rows, [fault], now=BEGUN + 2 * MINUTE_US - 1, zone=ZONE) == []
    assert apply_bar_faults(rows, [fault], now=BEGUN + 2 * MINUTE_US, zone=ZONE) == rows[:1]


def test_a_corrected_bar_changes_once_its_time_has_come() -> None:
    """The close moves after after_s, high and low make room for it, other minutes stay."""
    fault = CorrectBars(type="correct_bars", minute="09:30", close_delta=2.0, after_s=30)
    rows = [a_row(0), a_row(1)]
    assert apply_bar_faults(rows, [fault], now=BEGUN + MINUTE_US + 29 * SECOND_US, zone=ZONE) == rows
    corrected, other = apply_bar_faults(rows, [fault], now=BEGUN + MINUTE_US + 30 * SECOND_US, zone=ZONE)
    assert corrected[1] is not None
    assert (corrected[1].close, corrected[1].high, corrected[1].low) == (12.5, 12.5, 9.0)
    assert other == rows[1]


def test_null_bars_are_those_named_or_counted() -> None:
    """Minutes by the exchange's clock, or each n-th."""
    rows = [a_row(minute) for minute in range(6)]
    named = NullBars(type="null_bars", minutes=("09:31",))
    counted = NullBars(type="null_bars", every=3)
    assert [t for t, bar in apply_bar_faults(rows, [named], now=0, zone=ZONE) if bar is None] == [rows[1][0]]
    nulls = [t for t, bar in apply_bar_faults(rows, [counted], now=0, zone=ZONE) if bar is None]
    assert nulls == [rows[0][0], rows[3][0]]


def test_a_named_minute_without_a_row_is_known() -> None:
    """So that a missing minute can be served as a null row."""
    named = NullBars(type="null_bars", minutes=("09:31", "12:08"))
    assert null_minutes([named], BEGUN, BEGUN + 3 * MINUTE_US, ZONE) == [BEGUN + MINUTE_US]


def test_latency_has_the_median_and_the_tail_that_were_asked_for() -> None:
    """Over 20,000 requests, for each of several shapes; the same seed draws the same."""
    for p50_s, p99_s in ((0.1, 0.4), (0.02, 2.0), (0.3, 0.3)):
        latency = Latency(type="latency", p50_s=p50_s, p99_s=p99_s)
        plan = FaultPlan(Scenario(), seed=3, begun=BEGUN)
        drawn = sorted(plan.latency_s(number, latency) for number in range(20_000))
        assert drawn[10_000] == pytest.approx(p50_s, rel=0.05)
        assert drawn[19_800] == pytest.approx(p99_s, rel=0.12)
        assert plan.latency_s(5, latency) == FaultPlan(Scenario(), seed=3, begun=0).latency_s(5, latency)
    with pytest.raises(ConfigurationError, match="p50_s"):
        parse_scenario("- fault: {type: latency, p50_s: 2, p99_s: 1}")


def test_prices_freeze_where_the_rule_begins_or_where_it_is_told() -> None:
    """An offset counts from the scenario's beginning, as that of a window does."""
    for rule, offset_s in (
        ("{fault: {type: frozen_symbols, symbols: [SPY]}}", 0),
        ("{when: {from: +90s}, fault: {type: frozen_symbols, symbols: [SPY]}}", 90),
        ("{when: {from: +90s}, fault: {type: frozen_symbols, symbols: [SPY], since: +30s}}", 30),
    ):
        (fault,) = a_plan(rule).request_faults("yahoo", "chart", (), BEGUN + 100 * SECOND_US)
        assert isinstance(fault, FrozenSymbols)
        assert fault.since == BEGUN + offset_s * SECOND_US
