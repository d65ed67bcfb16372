"""What a request for a backfill asks, and the order it makes: bounds, providers, and venues' midnights."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.backfill.order_request import (
    OFFERED,
    Circumstances,
    backfill_asked,
    check_job_id,
    order_of,
    request_key,
    symbol_in,
)
from gateway.http.problems import Problem
from schemas.clocks import MarketTime
from schemas.configuration.model import parse_configuration
from schemas.intervals import DAY_US, HOUR_US
from schemas.providers.built_in import BUILT_IN
from tests.support.backfill_jobs import CONFIGURATION, DAY

NOW = MarketTime(1_400_000_000_000_000)  # 2014-05-13T16:53:20Z
IN_FORCE = parse_configuration(CONFIGURATION.replace("HEALING", "true"), source="test")
HERE = Circumstances(configuration=IN_FORCE, facts=BUILT_IN, collects=True, now=NOW)


def asked(**changed: Any) -> bytes:
    """Return a body."""
    return json.dumps({**DAY, **changed}).encode()


def faults(collecting: Circumstances = HERE, **changed: Any) -> list[tuple[str, str]]:
    """Return what stands against a request."""
    with pytest.raises(Problem) as problem:
        order_of(backfill_asked(asked(**changed)), collecting, caller="ann", key="k")
    assert problem.value.status == 422
    return [(error.param, error.code) for error in problem.value.errors]


@pytest.mark.parametrize(
    ("symbol", "start", "end", "hours"),
    [
        ("SPY", "2013-11-02", "2013-11-03", 24),
        ("SPY", "2013-11-03", "2013-11-04", 25),  # the clock goes back in New York
        ("SPY", "2014-03-09", "2014-03-10", 23),
        ("VOD.L", "2013-10-27", "2013-10-28", 25),  # a week earlier in London
        ("BTC-USD", "2013-11-03", "2013-11-04", 24),
        ("SPY", "2013-11-03", "2013-11-04T00:00:00Z", 20),
        ("SPY", "2013-11-03T01:30:00-04:00", "2013-11-03T01:30:00-05:00", 1),
    ],
)
def test_a_bare_date_is_midnight_at_the_venue(symbol: str, start: str, end: str, hours: int) -> None:
    """Days of 23 and 25 hours, where clocks are changed."""
    ask = backfill_asked(asked(symbol=symbol, start=start, end=end))
    assert ask.end - ask.start == hours * HOUR_US


def test_the_order_says_who_asks_whom_for_what() -> None:
    """The lowest tier and the preferred provider, where nothing else is said."""
    ask = backfill_asked(asked())
    order = order_of(ask, HERE, caller="ann", key="k")
    assert (order.series.provider, order.series.interval, order.tier, order.origin, order.source) == (
        "yahoo", "1m", "T2", "user", "ann",
    )  # fmt: skip
    assert order_of(ask, HERE, caller="ann", key="l").job_id != order.job_id
    assert order_of(ask, HERE, caller="ann", key="k").job_id == order.job_id
    other = order_of(backfill_asked(asked(source="alpaca", priority="T0")), HERE, caller="ann", key="k")
    assert (other.series.provider, other.tier) == ("alpaca", "T0")
    assert backfill_asked(asked(source="best")) == backfill_asked(asked(source="best"))
    assert (
        backfill_asked(asked(source="best")).content
        == ask.content
        != backfill_asked(asked(source="yahoo")).content
    )


def test_a_stretch_may_be_as_long_as_configured_and_end_now() -> None:
    """To the microsecond."""
    start = "2013-10-01T00:00:00Z"
    ask = backfill_asked(asked(start=start, end="2013-10-31T00:00:00Z"))
    assert ask.end - ask.start == 30 * DAY_US
    order_of(ask, replace(HERE, now=MarketTime(ask.end)), caller="ann", key="k")
    assert faults(start=start, end="2013-10-31T00:00:00.000001Z") == [("end", "out_of_range")]
    early = replace(HERE, now=MarketTime(ask.end - 1))
    assert faults(early, start=start, end="2013-10-31T00:00:00Z") == [("end", "not_over")]


def test_what_is_not_collected_is_not_fetched() -> None:
    """A symbol, an interval, bars at all."""
    assert faults(replace(HERE, collects=False), interval="5m") == [
        ("symbol", "not_collected"),
        ("interval", "not_collected"),
    ]
    text = "symbols: [SPY]\nstreams: {quotes: {provider: yahoo}}"
    bare = parse_configuration(text, source="test")
    assert faults(replace(HERE, configuration=bare)) == [("interval", "not_collected")]


def test_who_cannot_give_it_is_passed_over_or_refused() -> None:
    """Alpaca has no indices, Yahoo has; without facts nobody can be asked."""
    order = order_of(backfill_asked(asked(symbol="^GSPC")), HERE, caller="ann", key="k")
    assert order.series.provider == "yahoo"
    text = CONFIGURATION.replace("HEALING", "true").replace("[yahoo, alpaca]", "[alpaca, yahoo]")
    turned = replace(HERE, configuration=parse_configuration(text, source="test"))
    assert (
        order_of(backfill_asked(asked(symbol="^GSPC")), turned, caller="a", key="k").series.provider
        == "yahoo"
    )
    assert order_of(backfill_asked(asked()), turned, caller="a", key="k").series.provider == "alpaca"
    assert faults(symbol="^GSPC", source="alpaca") == [("source", "not_served")]
    assert faults(source="polygon") == [("source", "not_served")]
    assert faults(replace(HERE, facts={})) == [("source", "not_served")]
    assert faults(replace(HERE, facts={}), source="yahoo") == [("source", "not_served")]


def test_the_simulators_offer_is_asked_of_whom_it_collects() -> None:
    """Yahoo first."""
    here = replace(HERE, configuration=OFFERED)
    order = order_of(backfill_asked(asked(symbol="SIM001")), here, caller="ann", key="k")
    assert order.series.provider == "yahoo"


@pytest.mark.parametrize("given", ["", "two words", "x" * 201, "ümlaut", "tab\t", "k\n"])
def test_a_key_is_of_visible_signs(given: str) -> None:
    """Two hundred at most."""
    assert request_key(None) == "" and request_key("~" * 200) == "~" * 200
    with pytest.raises(Problem) as problem:
        request_key(given)
    assert problem.value.errors[0].param == "Idempotency-Key"


@pytest.mark.parametrize("given", ["", "\x00", "a b", "x" * 201, "é"])
def test_an_id_no_job_can_have_is_of_none(given: str) -> None:
    """404, whatever it looks like."""
    assert check_job_id("0123456789abcdef") == "0123456789abcdef"
    with pytest.raises(Problem) as problem:
        check_job_id(given)
    assert (problem.value.status, problem.value.code) == (404, "unknown_job")


def test_the_symbol_of_a_body_is_found_before_it_is_judged() -> None:
    """Where there is one."""
    assert symbol_in(asked(start=7)) == ["SPY"]
    for body in (b"", b"[]", b'{"symbol": 7}', b'{"symbol": "spy"}', b"[" * 100_000):
        assert symbol_in(body) == []
