"""The same corporate actions through every vendor's format on the simulator: what of them agrees, and what habits leave."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

from infra.simulator.faults.exchange import Simulation
from infra.simulator.market.actions import made_dividends
from producers.catalogue.shell.opening import Vendors
from producers.vendors.answers import ActionsRequest, Answer
from schemas.clocks import day_of, iso_day
from schemas.errors import MalformedPayload, ProviderThrottled, ProviderUnavailable
from schemas.intervals import DAY_US
from schemas.providers.built_in import BUILT_IN
from schemas.validation import check_action
from tests.support.vendor_apis import VENDORS, vendors

GIVE_ACTIONS = tuple(name for name in VENDORS if BUILT_IN[name].capabilities.action_symbols_per_request)
TELL_AHEAD = ("alpaca", "polygon")
LATER = "2015-06-30T20:00:00Z"
SYNTHETIC = "2026-11-22T16:00:30Z"
SIMULATED = tuple(f"SIM{number:03d}" for number in range(1, 21))


async def told(opened: Vendors, vendor: str, symbols: tuple[str, ...], first: str, last: str) -> Answer:
    """Return what a vendor tells of symbols, asked for as many at once as it takes."""
    days = [day_of(date.fromisoformat(text)) for text in (first, last)]
    most = BUILT_IN[vendor].capabilities.action_symbols_per_request
    parts = [
        (
            await opened.apis[vendor].actions(
                ActionsRequest(symbols=symbols[begin : begin + most], first=days[0], last=days[1])
            )
        )
        for begin in range(0, len(symbols), most)
    ]
    for part in parts:
        for event in part.answer.events:
            check_action(event, part.received_time)
    return Answer(
        events=[event for part in parts for event in part.answer.events],
        rejected=[refused for part in parts for refused in part.answer.rejected],
    )


def shown(event: Any) -> tuple[Any, ...]:
    """Return what all vendors say alike of an action."""
    return event["type"], iso_day(event["ex_date"]), event["ratio_to"], event["ratio_from"]


def test_three_vendors_tell_actions() -> None:
    """Whoever joins them is held to the same."""
    assert GIVE_ACTIONS == ("alpaca", "polygon", "yahoo")


async def test_three_formats_give_one_truth(market_data: Path) -> None:
    """Apple's and SPY's year, and Time Warner's spin-off, which two of the vendors have no word for."""
    async with vendors(data=market_data, start=LATER, speed="1") as (opened, _, _):
        found = {
            name: {
                symbol: (await told(opened, name, (symbol,), "2014-04-01", "2015-03-31")).events
                for symbol in ("AAPL", "SPY", "TWX")
            }
            for name in GIVE_ACTIONS
        }

    assert [shown(event)[:2] for event in found["polygon"]["AAPL"]] == [
        ("cash_dividend", "2014-05-08"), ("split", "2014-06-09"), ("cash_dividend", "2014-08-07"),
        ("cash_dividend", "2014-11-06"), ("cash_dividend", "2015-02-05"),
    ]  # fmt: skip
    assert len(found["polygon"]["SPY"]) == 4
    for name in GIVE_ACTIONS:
        for symbol in ("AAPL", "SPY"):
            assert [*map(shown, found[name][symbol])] == [*map(shown, found["polygon"][symbol])], name
    amounts = {name: [event["amount"] for event in found[name]["AAPL"]] for name in GIVE_ACTIONS}
    assert amounts["alpaca"] == amounts["polygon"] == pytest.approx([3.29, None, 0.47, 0.47, 0.47], abs=1e-4)
    assert amounts["yahoo"] == pytest.approx([0.47, None, 0.47, 0.47, 0.47], abs=1e-4)
    basis = {name: found[name]["AAPL"][0]["amount_basis"] for name in GIVE_ACTIONS}
    assert basis == {"alpaca": "as_declared", "polygon": "as_declared", "yahoo": "unknown"}
    (spun,) = found["alpaca"]["TWX"]
    assert (*shown(spun), spun["child_symbol"]) == ("spin_off", "2014-06-09", 1.0, 8.0, "TIME")


async def test_a_split_is_told_from_its_ex_date_on(market_data: Path) -> None:
    """At the simulator's market clock: the day before nobody tells, for no file says when it was declared."""
    for moment, count in (("2014-06-08T20:00:00Z", 0), ("2014-06-09T15:00:00Z", 1)):
        async with vendors(data=market_data, start=moment, speed="1") as (opened, _, _):
            for name in GIVE_ACTIONS:
                answer = await told(opened, name, ("AAPL",), "2014-06-01", "2014-06-30")
                assert len(answer.events) == count, name


def payers(simulation: Simulation) -> list[str]:
    """Return the simulated symbols that pay dividends."""
    now = simulation.view.clock.now()
    return [symbol for symbol in SIMULATED if simulation.view.market.actions(symbol, now)]


@pytest.mark.parametrize("vendor", TELL_AHEAD)
async def test_simulated_dividends_are_announced(vendor: str) -> None:
    """Some lie ahead when they are told; later there are more."""
    found = []
    async with vendors(start=SYNTHETIC, speed="1") as (opened, simulation, _):
        for _ in range(2):
            events = (await told(opened, vendor, SIMULATED, "2026-11-23", "2027-03-01")).events
            found.append({(event["symbol"], event["action_id"]): event for event in events})
            simulation.view.clock.step_to(simulation.view.clock.now() + 20 * DAY_US)

    before, after = found
    assert before.keys() < after.keys()
    assert all(event["simulated"] for event in after.values())
    precisions = {event["published_precision"] for event in before.values()}
    assert precisions == {"date" if vendor == "polygon" else "none"}


@pytest.mark.parametrize("vendor", TELL_AHEAD)
async def test_a_dividend_told_wrong_is_told_anew_under_its_id(vendor: str) -> None:
    """At the market time of its correction, with another amount and nothing else changed."""
    async with vendors(start=SYNTHETIC, speed="1") as (opened, simulation, _):
        clock = simulation.view.clock
        clock.set_paused(paused=True)
        symbol, first, last = next(
            (symbol, one, other)
            for symbol in payers(simulation)
            for one, other in pairwise(made_dividends(simulation.seed, symbol, clock.now() + 400 * DAY_US))
            if one.ex_date == other.ex_date and one.told_from > clock.now()
        )
        day = first.ex_date.isoformat()
        versions = []
        for moment in (first.told_from - 1, last.told_from - 1, last.told_from):
            clock.step_to(moment)
            versions.append((await told(opened, vendor, (symbol,), day, day)).events)

    untold, (wrong,), (right,) = versions
    assert not untold
    assert (wrong["amount"], right["amount"]) == (first.amount, last.amount)
    assert {**wrong, "amount": 0, "event_time": 0} == {**right, "amount": 0, "event_time": 0}


async def test_yahoo_tells_simulated_dividends_that_are_over() -> None:
    """Marked as what no market made."""
    async with vendors(start=SYNTHETIC, speed="1") as (opened, simulation, _):
        symbol = payers(simulation)[0]
        events = (await told(opened, "yahoo", (symbol,), "2026-07-01", "2026-12-31")).events
        whole = (await told(opened, "polygon", (symbol,), "2026-07-01", "2026-11-22")).events

    assert events
    assert [*map(shown, events)] == [*map(shown, whole)]
    assert all(event["simulated"] for event in events)


@pytest.mark.parametrize("vendor", TELL_AHEAD)
async def test_short_pages_join_to_the_whole(vendor: str) -> None:
    """Cut anywhere."""
    rule = orjson.dumps({"rules": [{"fault": {"type": "short_pages", "rows": 3}}]}).decode()
    found = []
    for scenario in ("rules: []", rule):
        async with vendors(start=SYNTHETIC, speed="1", scenario=scenario) as (opened, simulation, _):
            found.append((await told(opened, vendor, SIMULATED, "2026-10-01", "2027-02-01")).events)
            requests = simulation.statistics.requests.total()

    ids = [[(event["symbol"], event["action_id"], event["amount"]) for event in each] for each in found]
    assert len(ids[0]) > 6
    assert ids[1] == ids[0]
    assert requests > 3


FAULTS = [
    ({"type": "status", "status": 429, "retry_after": 3}, ProviderThrottled),
    ({"type": "status", "status": 500}, ProviderUnavailable),
    ({"type": "html"}, ProviderUnavailable),
    ({"type": "truncate", "bytes": 40}, MalformedPayload),
]


@pytest.mark.parametrize("vendor", GIVE_ACTIONS)
@pytest.mark.parametrize(("fault", "expected"), FAULTS, ids=lambda each: str(each)[:24])
async def test_faults_are_those_of_all_endpoints(vendor: str, fault: Any, expected: type[Exception]) -> None:
    """A vendor that fails has told nothing."""
    rule = orjson.dumps({"rules": [{"fault": fault}]}).decode()
    async with vendors(start=SYNTHETIC, speed="1", scenario=rule) as (opened, _, _):
        with pytest.raises(expected):
            await told(opened, vendor, ("SIM001",), "2026-11-01", "2026-11-30")


async def test_a_symbol_refused_or_empty_costs_itself() -> None:
    """Alpaca fails a batch for one of its symbols; of an empty one nobody tells anything."""
    async with vendors(start=SYNTHETIC, speed="1") as (opened, simulation, _):
        good, refused, empty = payers(simulation)[:3]
    rules = [
        {"match": {"vendor": "alpaca"}, "fault": {"type": "refused_symbols", "symbols": [refused]}},
        {"fault": {"type": "empty_symbols", "symbols": [empty]}},
    ]
    scenario = orjson.dumps({"rules": rules}).decode()
    found = {}
    async with vendors(start=SYNTHETIC, speed="1", scenario=scenario) as (opened, _, _):
        for name in TELL_AHEAD:
            answer = await told(opened, name, (good, refused, empty), "2026-01-01", "2026-12-31")
            found[name] = {event["symbol"] for event in answer.events}

    assert found == {"alpaca": {good}, "polygon": {good, refused}}
