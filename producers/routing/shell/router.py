"""The router of polls to providers: keeps every provider's health, decides at poll time, and tells Kafka, metrics and logs.

What a provider that does not serve answers to a probe is judged and dropped: a shadow row would move the provider's
cursor, and every stretch between two probes would then be a hole of its stream. Of a symbol nobody gives it is no probe:
who is tried for it serves it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from infra.runtime.clock import Market, monotonic_s, wall_us
from infra.runtime.metrics import (
    PROVIDER_HEALTH_SCORE,
    PROVIDER_SELECTED,
    UNSERVED_SYMBOLS,
    compute_at_scrape,
)
from producers.http.shell.breaker import CircuitOpen
from producers.routing import score as health_score
from producers.routing.choice import NEVER, Rules
from producers.routing.evidence import AnswerEvidence
from producers.routing.serving import Serving, Turn
from schemas.calendar.sessions import Calendar
from schemas.clocks import WallTime
from schemas.configuration.model import Routing
from schemas.errors import BudgetExhausted, MarketDataError
from schemas.journals import MAX_NAMES, HealthChange, ProviderHealth

TELL_EVERY_S = 10.0
LOOK_EVERY_S = 0.5  # at breakers: they open and close between polls
MAX_UNTOLD = 1_000  # records of switches waiting for the broker; the oldest give way
SHOWN_SYMBOLS = 10

log = logging.getLogger(__name__)


Moved = Callable[[str, Sequence[str]], None]
"""Told of a capability and the symbols of it that another provider serves from now on; of no symbols: of all of it."""


class Router:
    """Routes polls to providers; used from one event loop."""

    def __init__(
        self,
        *,
        budgets: Callable[[str], Mapping[str, Any]],
        market: Market,
        deadline_s: float,
        now_s: Callable[[], float] = monotonic_s,
    ) -> None:
        """Route nothing until `route`.

        `budgets` gives what a provider may still be asked as JSON types; `deadline_s` is that of one request.
        """
        self._budgets, self._market = budgets, market
        self._deadline_s, self._now_s = deadline_s, now_s
        self._changed = asyncio.Event()
        self._untold: deque[ProviderHealth] = deque(maxlen=MAX_UNTOLD)
        self._capabilities: dict[str, Serving] = {}
        self._chosen_since: dict[str, WallTime] = {}
        self.moved: Moved = lambda _capability, _symbols: None

    def route(
        self,
        named: Mapping[str, Mapping[str, Collection[str]]],
        calendars: Mapping[str, Calendar],
        routing: Routing,
        breakers: Mapping[str, Callable[[str], str]],
    ) -> None:
        """Route each capability of `named` among its providers, the preferred one first, each with its symbols.

        `breakers` tell by provider the state of the breaker in front of a capability. What is known of a provider's health in a capability stays known.
        """
        self._routing, self._breakers = routing, breakers
        rules = Rules(
            margin=routing.margin, floor=routing.floor, dwell_s=routing.dwell_s, proof_s=routing.proof_s
        )
        self._rules, before, self._capabilities = rules, self._capabilities, {}
        PROVIDER_HEALTH_SCORE.clear()
        UNSERVED_SYMBOLS.clear()
        for name, symbols in named.items():
            kept = self._capabilities[name] = before.get(name) or Serving()
            routes, choice = kept.routes(), kept.choice
            kept.plan(
                symbols,
                calendars,
                rules,
                half_life_s=routing.half_life_s,
                deadline_s=self._deadline_s,
                now_s=self._now_s(),
            )
            self._decide(name)
            if choice is not None and kept.chosen == choice.provider and (moved := kept.moved(routes)):
                self.moved(name, moved)
            compute_at_scrape(UNSERVED_SYMBOLS.labels(name), partial(self._count_unserved, name))
            for provider in symbols:
                gauge = PROVIDER_HEALTH_SCORE.labels(name, provider)
                compute_at_scrape(gauge, partial(self._score, name, provider))

    def chosen(self, capability: str, symbol: str | None = None) -> str:
        """Return who serves a capability now, or a symbol of it."""
        kept = self._capabilities[capability]
        return kept.chosen if symbol is None else kept.provider_of(symbol)

    def routes(self, capability: str) -> bool:
        """Whether anybody is asked for a capability."""
        return capability in self._capabilities

    def serves(self, provider: str) -> bool:
        """Whether a provider is the choice for anything."""
        return any(self.chosen(name) == provider for name in self._capabilities)

    def unserved(self) -> Mapping[str, Mapping[str, str]]:
        """Return the symbols that nobody gives, by capability, with the reason in a word."""
        found = {
            name: {symbol: fault.value for symbol, fault in kept.streams.unserved.items()}
            for name, kept in self._capabilities.items()
        }
        return {name: symbols for name, symbols in found.items() if symbols}

    def disputed(self) -> Mapping[str, Collection[str]]:
        """Return the symbols of whose prices two providers say too different things, by capability."""
        return {name: kept.disputed for name, kept in self._capabilities.items() if kept.disputed}

    def turn(self, capability: str, provider: str, symbols: Sequence[str]) -> Turn:
        """Return what a poll of some symbols may ask `provider` for now; a probe granted is a probe used."""
        kept = self._serving(capability, provider)
        if kept is None:
            return Turn()
        self._decide(capability)
        return kept.turn(provider, symbols, self._routing.probe_every_s, self._now_s())

    def answered(self, capability: str, provider: str, evidence: AnswerEvidence) -> None:
        """Take what an answer says of its provider; one that is routed no more while it answered is forgotten."""
        kept = self._serving(capability, provider)
        if kept is None:
            return
        now, now_s = self._market.horizon_us(), self._now_s()
        moved = kept.answered(provider, evidence, now, now_s, paced=self._market.paced)
        self._take(capability, moved)

    def failed(
        self, capability: str, provider: str, error: MarketDataError, symbols: Sequence[str] = ()
    ) -> None:
        """Take a failure to get some symbols; its circuit that stayed open and our own budget say nothing of it.

        One before what is asked for its sake only (a crumb for quotes) is a failure like any other.
        """
        kept = self._serving(capability, provider)
        if kept is None or isinstance(error, BudgetExhausted):
            return
        if isinstance(error, CircuitOpen) and self._breaker(capability, provider) != "closed":
            return
        self._take(capability, kept.failed(provider, symbols, error, self._now_s()))

    def records(self) -> list[ProviderHealth]:
        """Return the health of every provider in every capability."""
        return [
            self._record(name, provider)
            for name, kept in self._capabilities.items()
            for provider in kept.entries
        ]

    async def run(self, publish: Callable[[Sequence[ProviderHealth]], Awaitable[None]]) -> None:
        """Publish all records every 10 s, and those of a capability whenever its choice changes, until cancelled."""
        told_s = NEVER
        while True:
            for name in self._capabilities:
                self._decide(name)
            if self._now_s() - told_s >= TELL_EVERY_S:
                told_s = self._now_s()
                self._untold.extend(self.records())
            if self._untold:
                records = list(self._untold)
                self._untold.clear()
                await publish(records)
            self._changed.clear()
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._changed.wait()
            except TimeoutError:
                pass

    def _serving(self, capability: str, provider: str) -> Serving | None:
        kept = self._capabilities.get(capability)
        return kept if kept is not None and provider in kept.entries else None

    def _take(self, capability: str, moved: Sequence[str]) -> None:
        """Decide anew after what was noted, and tell what moved."""
        self._decide(capability)
        if moved:
            self.moved(capability, moved)

    def _count_unserved(self, name: str) -> float:
        return len(self._capabilities[name].streams.unserved)

    def _breaker(self, capability: str, provider: str) -> str:
        return self._breakers[provider](capability)

    def _score(self, name: str, provider: str) -> float:
        health = self._capabilities[name].entries[provider].health
        return health_score.score(health, self._breaker(name, provider))

    def _decide(self, name: str) -> None:
        kept = self._capabilities[name]
        before = kept.choice
        if not kept.decide(partial(self._breaker, name), self._now_s()):
            return
        choice = kept.choice
        assert choice is not None  # noqa: S101 - just decided
        moved = before is None or choice.provider != before.provider
        if moved:
            self._chosen_since[name] = wall_us()
            PROVIDER_SELECTED.labels(name, choice.provider).inc()
        log.log(
            logging.INFO if choice.changed == "initial" else logging.WARNING,
            "provider_routed",
            extra={
                "capability": name,
                "provider": choice.provider,
                "previous": choice.previous,
                "change": choice.changed,
                "reason": choice.reason,
            },
        )
        self._untold.extend(
            self._record(name, provider, choice.changed if provider == choice.provider else "no")
            for provider in kept.entries
        )
        self._changed.set()
        if moved and before is not None:
            self.moved(name, ())

    def _record(self, name: str, provider: str, changed: HealthChange = "no") -> ProviderHealth:
        kept = self._capabilities[name]
        choice, health = kept.choice, kept.entries[provider].health
        assert choice is not None  # noqa: S101 - decided when it was routed
        candidates = kept.candidates(partial(self._breaker, name), self._now_s())
        candidate = next(each for each in candidates if each.provider == provider)
        return ProviderHealth(
            capability=name,
            provider=provider,
            score=candidate.score,
            success=health.success.value,
            latency=health.latency.value,
            freshness=health.freshness.value,
            validity=health.validity.value,
            breaker=candidate.breaker,
            usable=candidate.usable(self._rules),
            chosen=provider == choice.provider,
            reason=choice.reason + _words(kept),
            changed=changed,
            previous=choice.previous,
            chosen_since=self._chosen_since[name],
            last_error=kept.entries[provider].last_error,
            budgets=json.dumps(self._budgets(provider)),
            observed_time=wall_us(),
            unserved=len(kept.streams.unserved),
            unserved_symbols=tuple(islice(kept.streams.unserved, MAX_NAMES)),
        )


def _words(kept: Serving) -> str:
    """Return what follows the reason of the choice: which symbols nobody gives, and whose prices are disputed."""
    unserved = [f"{symbol} ({lack.value})" for symbol, lack in kept.streams.unserved.items()]
    return _some("nobody gives", unserved) + _some("two levels of prices of", list(kept.disputed))


def _some(title: str, names: Sequence[str]) -> str:
    more = len(names) - SHOWN_SYMBOLS
    shown = ", ".join(names[:SHOWN_SYMBOLS]) + (f" and {more} more" if more > 0 else "")
    return f"; {title} {shown}" if names else ""
