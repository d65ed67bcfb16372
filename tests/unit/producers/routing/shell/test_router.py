"""Routing by what polls report."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from infra.runtime.metrics import REGISTRY
from producers.http.shell.breaker import CircuitOpen
from producers.routing.evidence import AnswerEvidence
from producers.routing.serving import Turn
from producers.routing.shell.router import TELL_EVERY_S, Router
from schemas.calendar.sessions import calendar_of
from schemas.configuration.model import Routing
from schemas.errors import BudgetExhausted, ProviderRefused, ProviderUnavailable, UnknownSymbol
from schemas.intervals import HOUR_US, MINUTE_US
from schemas.journals import ProviderHealth
from tests.support.builders import NINE_THIRTY
from tests.support.eventually import eventually
from tests.support.producer_fakes import FixedClock, a_router

NOW = NINE_THIRTY + HOUR_US
QUOTES = "quotes"
SPY = ("SPY",)


class _World:
    """Time, breakers and a router of Yahoo before Finnhub."""

    def __init__(self) -> None:
        self.s = 0.0
        self.breakers = {"yahoo": "closed", "finnhub": "closed"}
        self.market = FixedClock(NOW)
        self.router: Router = a_router(
            "yahoo",
            "finnhub",
            clock=self.market,
            now_s=lambda: self.s,
            breakers={name: (lambda name=name: self.breakers[name]) for name in self.breakers},
            routing=Routing(half_life_s=10.0),
        )

    def answer(self, provider: str, *, age_us: int = 0, lies: int = 0, price: float = 0.0) -> None:
        prices = {"SPY": price or 100.0 + self.s}
        evidence = AnswerEvidence(
            latency_s=0.1,
            asked=("SPY",),
            newest={"SPY": self.market.now - age_us},
            tolerance_us=MINUTE_US,
            prices={} if lies else prices,
            lies=("SPY",) if lies else (),
        )
        self.router.answered(QUOTES, provider, evidence)

    def pass_s(self, seconds: float) -> None:
        self.s += seconds
        self.market.now += int(seconds * 1_000_000)

    def seconds_until_left(self, **lie: Any) -> float:
        """Let Yahoo answer so every 5 s and Finnhub well; return when Yahoo is left."""
        self.answer("finnhub")
        for _ in range(100):
            self.pass_s(5.0)
            self.answer("finnhub")
            self.answer("yahoo", **lie)
            if self.router.chosen(QUOTES) == "finnhub":
                return self.s
        raise AssertionError("never left")


def test_the_choice_serves_and_the_others_are_probed_at_their_rate() -> None:
    """One probe a provider and capability within the time set for it."""
    world = _World()

    turns = [world.router.turn(QUOTES, "finnhub", SPY) for _ in range(3)]
    world.pass_s(30.0)

    assert world.router.turn(QUOTES, "yahoo", SPY) == Turn(serve=SPY)
    assert turns == [Turn(probe=SPY), Turn(), Turn()]
    assert world.router.turn(QUOTES, "finnhub", SPY) == Turn(probe=SPY)
    assert world.router.turn("bars:1m", "finnhub", SPY) == Turn(probe=SPY)


def test_an_open_breaker_routes_the_next_poll_elsewhere() -> None:
    """Decided at poll time, not at the next report."""
    world = _World()
    world.breakers["yahoo"] = "open"

    assert world.router.turn(QUOTES, "finnhub", SPY) == Turn(serve=SPY)
    assert world.router.chosen(QUOTES) == "finnhub"


def test_a_liar_is_left_like_one_that_fails() -> None:
    """Zero quotes, old quotes and frozen prices: each costs the place, within a few polls."""
    assert _World().seconds_until_left(lies=1) <= 10.0
    assert _World().seconds_until_left(age_us=20 * MINUTE_US) <= 10.0
    assert _World().seconds_until_left(price=100.0) <= 140.0


def test_old_values_are_no_lie_while_the_market_is_closed() -> None:
    """At night the last quote of the day is the newest there is."""
    world = _World()
    world.market.now = NOW + 12 * HOUR_US
    for _ in range(20):
        world.pass_s(5.0)
        world.answer("finnhub")
        world.answer("yahoo", age_us=8 * HOUR_US)

    assert world.router.chosen(QUOTES) == "yahoo"


def test_what_says_nothing_of_the_provider_costs_nothing() -> None:
    """An unknown symbol, a circuit that stays open and our own budget are no new failures; a refused key is one."""
    world = _World()
    used_up = BudgetExhausted("yahoo", 3.0, limit="60 requests a minute", setting="per_minute")
    for error in (UnknownSymbol("who"), CircuitOpen("yahoo", 3.0), used_up):
        world.pass_s(60.0)
        world.breakers["yahoo"] = "open" if isinstance(error, CircuitOpen) else "closed"
        world.router.failed(QUOTES, "yahoo", error, SPY)
    before = world.router.records()[0]
    world.router.failed(QUOTES, "yahoo", ProviderRefused("check the key"), SPY)
    after = next(r for r in world.router.records() if (r.capability, r.provider) == (QUOTES, "yahoo"))

    assert (before.success, before.last_error) == (1.0, "")
    assert after.success < 0.1
    assert after.last_error == "check the key"


def test_a_circuit_before_what_only_helps_is_a_failure() -> None:
    """Quotes whose crumb is left alone bring nothing, though their own breaker is closed: another serves them."""
    world = _World()
    for _ in range(3):
        world.answer("finnhub")
        world.pass_s(10.0)
        world.router.failed(QUOTES, "yahoo", CircuitOpen("yahoo crumb", 3.0))

    assert world.router.chosen(QUOTES) == "finnhub"


def chosen_finnhub() -> float:
    """Return how many times Finnhub was chosen for quotes, as the metric says."""
    labels = {"capability": QUOTES, "provider": "finnhub"}
    return REGISTRY.get_sample_value("provider_selected_total", labels) or 0.0


async def test_every_change_is_told_at_once_and_the_rest_regularly() -> None:
    """A reader learns of the switch with its reason, and of all scores every ten seconds."""
    world, told = _World(), list[ProviderHealth]()
    selected = chosen_finnhub()

    async def publish(records: Sequence[ProviderHealth]) -> None:
        told.extend(records)

    running = asyncio.ensure_future(world.router.run(publish))
    try:
        await eventually(lambda: len(told) >= 4, within_s=2.0)
        first = len(told)
        world.router.failed(QUOTES, "yahoo", ProviderUnavailable("yahoo quote: status 500"), SPY)
        world.breakers["yahoo"] = "open"
        await eventually(lambda: len(told) > first, within_s=2.0)
        told_at_switch = told[first:]
        world.pass_s(TELL_EVERY_S)
        await eventually(lambda: len(told) >= first + len(told_at_switch) + 4, within_s=2.0)
    finally:
        running.cancel()
    switch = next(r for r in told_at_switch if r.capability == QUOTES and r.changed == "failover")

    assert (switch.provider, switch.previous, switch.chosen) == ("finnhub", "yahoo", True)
    assert switch.reason == "the breaker of yahoo is open"
    assert [r.last_error for r in told_at_switch if (r.capability, r.provider) == (QUOTES, "yahoo")] == [
        "yahoo quote: status 500"
    ]
    assert chosen_finnhub() == selected + 1


def test_a_score_is_that_of_the_scrape_and_goes_with_its_route() -> None:
    """A breaker that opens is seen before anybody is told of it; a provider routed no more has no score."""

    def shown(provider: str) -> float | None:
        labels = {"capability": QUOTES, "provider": provider}
        return REGISTRY.get_sample_value("provider_health_score", labels)

    world = _World()
    world.answer("yahoo")
    sound = shown("yahoo")
    world.breakers["yahoo"] = "open"
    broken = shown("yahoo")
    world.router.route(
        {QUOTES: {"finnhub": SPY}},
        {"SPY": calendar_of("SPY")},
        Routing(),
        {"finnhub": lambda _: "closed"},
    )

    assert sound is not None
    assert broken is not None
    assert broken < sound
    assert shown("yahoo") is None
    assert shown("finnhub") is not None


def test_what_another_plan_moves_alone_is_told_at_once() -> None:
    """The one that gave a symbol alone is removed, or one that has it is added: it waits for no cadence of the next."""
    router = a_router("yahoo")
    told = list[tuple[str, list[str]]]()
    router.moved = lambda capability, symbols: told.append((capability, sorted(symbols)))
    calendars = {symbol: calendar_of("SPY") for symbol in ("SPY", "IBM", "GE", "MMM")}
    closed = dict.fromkeys(("yahoo", "finnhub", "alpaca", "polygon"), lambda _: "closed")

    def plan(**named: str) -> None:
        router.route({QUOTES: {name: of.split() for name, of in named.items()}}, calendars, Routing(), closed)

    plan(yahoo="SPY IBM", finnhub="SPY GE", alpaca="SPY GE")
    router.failed(QUOTES, "yahoo", UnknownSymbol("who?"), ("SPY",))
    begun = list(told)
    plan(yahoo="SPY IBM", alpaca="SPY GE MMM")
    for provider in ("yahoo", "alpaca"):
        router.failed(QUOTES, provider, UnknownSymbol("who?"), ("SPY",))
    before = list(told)
    plan(yahoo="SPY IBM", alpaca="GE MMM", polygon="SPY IBM GE")
    plan(yahoo="SPY IBM", alpaca="GE", polygon="SPY IBM")

    assert begun == [(QUOTES, ["SPY"])]
    assert before == [*begun, (QUOTES, ["GE", "SPY"]), (QUOTES, ["SPY"])]
    assert told == [*before, (QUOTES, ["SPY"])]
    assert (router.chosen(QUOTES), router.chosen(QUOTES, "SPY")) == ("yahoo", "polygon")
