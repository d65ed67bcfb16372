"""The router of polls to providers: keeps every provider's health, decides at poll time, and tells Kafka, metrics and logs.

What a provider that does not serve answers to a probe is judged and dropped: a shadow row would move the provider's
cursor, and every stretch between two probes would then be a hole of its stream.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Any

from infra.runtime.clock import Market, monotonic_s, wall_us
from infra.runtime.metrics import PROVIDER_HEALTH_SCORE, PROVIDER_SELECTED, compute_at_scrape
from producers.http.shell.breaker import CircuitOpen
from producers.routing import score as health_score
from producers.routing.choice import NEVER, Candidate, Choice, Rules, choose
from producers.routing.evidence import AnswerEvidence, Witness, is_judged
from producers.routing.score import CapabilityHealth, Sample, freshness_sample, latency_sample
from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime, MarketTime, WallTime
from schemas.configuration.model import Routing
from schemas.errors import BudgetExhausted, MarketDataError, UnknownSymbol
from schemas.journals import HealthChange, ProviderHealth

TELL_EVERY_S = 10.0
LOOK_EVERY_S = 0.5  # at breakers: they open and close between polls
MAX_UNTOLD = 1_000  # records of switches waiting for the broker; the oldest give way
MAX_ERROR_CHARACTERS = 300

NEVER_CHOSEN = WallTime(0)

log = logging.getLogger(__name__)


class Turn(Enum):
    """Permission of a poll."""

    SERVE = "serve"  # ask and publish
    PROBE = "probe"  # ask, be judged, publish nothing
    SKIP = "skip"


@dataclass(slots=True)
class _Entry:
    """One provider in one capability."""

    health: CapabilityHealth
    probed_s: float = NEVER
    newest: EventTime | None = None
    last_error: str = ""


@dataclass(slots=True)
class _Capability:
    calendars: Sequence[Calendar]
    entries: dict[str, _Entry]  # in order of preference
    witness: Witness = field(default_factory=Witness)
    choice: Choice | None = None
    chosen_since: WallTime = NEVER_CHOSEN


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
        self._capabilities: dict[str, _Capability] = {}

    def route(
        self,
        routes: Mapping[str, Sequence[str]],
        calendars: Mapping[str, Sequence[Calendar]],
        routing: Routing,
        breakers: Mapping[str, Callable[[str], str]],
    ) -> None:
        """Route each capability of `routes` among its providers, the preferred one first, from now on.

        `breakers` tell by provider the state of the breaker in front of a capability. What is known of a provider's health in a capability stays known.
        """
        self._routing = routing
        self._rules = Rules(
            margin=routing.margin, floor=routing.floor, dwell_s=routing.dwell_s, proof_s=routing.proof_s
        )
        self._breakers = breakers
        now_s, before = self._now_s(), self._capabilities
        self._capabilities = {}
        PROVIDER_HEALTH_SCORE.clear()
        for name, providers in routes.items():
            kept = before.get(name) or _Capability(calendars[name], {})
            kept.calendars = calendars[name]
            kept.entries = {
                provider: kept.entries.get(provider)
                or _Entry(health_score.unknown(now_s, routing.half_life_s))
                for provider in providers
            }
            self._capabilities[name] = kept
            self._decide(name)
            for provider in providers:
                gauge = PROVIDER_HEALTH_SCORE.labels(name, provider)
                compute_at_scrape(gauge, partial(self._score, name, provider))

    def chosen(self, capability: str) -> str:
        """Return who serves a capability now."""
        choice = self._capabilities[capability].choice
        assert choice is not None  # noqa: S101 - decided when it was routed
        return choice.provider

    def routes(self, capability: str) -> bool:
        """Whether anybody is asked for a capability."""
        return capability in self._capabilities

    def serves(self, provider: str) -> bool:
        """Whether a provider is the choice for anything."""
        return any(self.chosen(name) == provider for name in self._capabilities)

    def turn(self, capability: str, provider: str, *, may_probe: bool = True) -> Turn:
        """Return what a poll of `provider` may do now; a probe granted is a probe used."""
        entry = self._entry(capability, provider)
        if entry is None:
            return Turn.SKIP
        self._decide(capability)
        if self.chosen(capability) == provider:
            return Turn.SERVE
        now_s = self._now_s()
        if not may_probe or now_s - entry.probed_s < self._routing.probe_every_s:
            return Turn.SKIP
        entry.probed_s = now_s
        return Turn.PROBE

    def answered(self, capability: str, provider: str, evidence: AnswerEvidence) -> None:
        """Take what an answer says of its provider; one that is routed no more while it answered is forgotten."""
        entry = self._entry(capability, provider)
        if entry is None:
            return
        kept, now = self._capabilities[capability], self._market.horizon_us()
        if evidence.newest is not None:
            entry.newest = max(evidence.newest, entry.newest or evidence.newest)
        sample = Sample(
            latency=latency_sample(evidence.latency_s, self._deadline_s),
            freshness=self._freshness(kept, entry, evidence, now),
            validity=kept.witness.validity(provider, evidence, now),
        )
        entry.health = health_score.answered(entry.health, sample, self._now_s(), self._routing.half_life_s)
        self._decide(capability)

    def failed(self, capability: str, provider: str, error: MarketDataError) -> None:
        """Take a failure; a symbol unknown there, its circuit that stayed open and our own budget say nothing of it.

        One before what is asked for its sake only (a crumb for quotes) is a failure like any other.
        """
        entry = self._entry(capability, provider)
        if entry is None or isinstance(error, UnknownSymbol | BudgetExhausted):
            return
        if isinstance(error, CircuitOpen) and self._breakers[provider](capability) != "closed":
            return
        entry.last_error = str(error)[:MAX_ERROR_CHARACTERS]
        entry.health = health_score.failed(entry.health, self._now_s(), self._routing.half_life_s)
        self._decide(capability)

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

    def _entry(self, capability: str, provider: str) -> _Entry | None:
        kept = self._capabilities.get(capability)
        return None if kept is None else kept.entries.get(provider)

    def _freshness(
        self, kept: _Capability, entry: _Entry, evidence: AnswerEvidence, now: MarketTime
    ) -> float | None:
        # Without a pace all of the data is now: nothing is ever late.
        if not self._market.paced or not is_judged(kept.calendars, now, evidence.tolerance_us):
            return None
        return 0.0 if entry.newest is None else freshness_sample(now - entry.newest, evidence.tolerance_us)

    def _candidates(self, name: str) -> Iterable[Candidate]:
        now_s = self._now_s()
        for provider, entry in self._capabilities[name].entries.items():
            breaker, since_s = self._breakers[provider](name), entry.health.sound_since_s
            yield Candidate(
                provider=provider,
                score=health_score.score(entry.health, breaker),
                breaker=breaker,
                sound_s=None if since_s is None else now_s - since_s,
            )

    def _score(self, name: str, provider: str) -> float:
        return health_score.score(
            self._capabilities[name].entries[provider].health, self._breakers[provider](name)
        )

    def _decide(self, name: str) -> None:
        kept = self._capabilities[name]
        choice = choose(kept.choice, list(self._candidates(name)), self._rules, self._now_s())
        if choice is kept.choice:
            return
        moved = kept.choice is None or choice.provider != kept.choice.provider
        kept.choice = choice
        if moved:
            kept.chosen_since = wall_us()
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

    def _record(self, name: str, provider: str, changed: HealthChange = "no") -> ProviderHealth:
        kept = self._capabilities[name]
        choice, health = kept.choice, kept.entries[provider].health
        assert choice is not None  # noqa: S101 - decided when it was routed
        candidate = next(each for each in self._candidates(name) if each.provider == provider)
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
            reason=choice.reason,
            changed=changed,
            previous=choice.previous,
            chosen_since=kept.chosen_since,
            last_error=kept.entries[provider].last_error,
            budgets=json.dumps(self._budgets(provider)),
            observed_time=wall_us(),
        )
