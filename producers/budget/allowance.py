"""Allowances of one provider and its endpoints: budgets, and the pauses the vendor asked for; a request must find room in all.

What is refused at an endpoint stops that endpoint: others of the same vendor were not spoken of.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from producers.budget.budget import Budget
from producers.budget.limits import VendorLimits
from producers.budget.pauses import Pause, Signal
from producers.budget.shares import Share
from producers.budget.windows import Purpose
from schemas.providers.facts import UNLIMITED

WHOLE = ""  # the scope of a provider's own budget and pause; an endpoint's is its name

WITHOUT_STORE_SHARE = 0.5  # of a day's limit while what earlier processes used is unknown


@dataclass(slots=True)
class Scope:
    """One budget with its pause: a provider's, or that of an endpoint which is limited on its own."""

    budget: Budget
    pause: Pause = field(default_factory=Pause)
    known: bool = True  # whether what earlier processes used is counted, or there is nothing to know
    saving: bool = False  # whether the store takes what is written: only then a reserved block is waited for
    tests: int = 0  # requests under way that find out whether a pause is over

    def earliest(self, now_us: int, purpose: Purpose, *, part: float = 1.0) -> int | None:
        """Return when a request may start (µs), `now_us` for at once, None when another has ended or a block is stored.

        `part` is as much of the limits as the request may meet used.
        """
        if self.pause.until_us > now_us:
            return self.pause.until_us
        if self.pause.testing and self.tests:
            return None
        if self.saving and not self.budget.limits.unlimited and self.budget.day.granted <= 0:
            return None
        return self.budget.earliest(now_us, purpose, day_share=self._day_share, part=part)

    def left_alone(self, now_us: int) -> bool:
        """Whether it is the vendor's word, not our budget, that keeps requests waiting."""
        return self.pause.until_us > now_us or bool(self.pause.testing and self.tests)

    def binding(self, now_us: int, purpose: Purpose, *, part: float = 1.0) -> tuple[str, int] | None:
        """Return which of our limits keeps a request waiting, and what it allows; None: none does."""
        return self.budget.binding(now_us, purpose, day_share=self._day_share, part=part)

    @property
    def _day_share(self) -> float:
        return 1.0 if self.known else WITHOUT_STORE_SHARE


class Allowances:
    """The scopes of one provider: its own, and one of each endpoint that anybody has spoken of."""

    def __init__(self, share: Share) -> None:
        """Begin with nothing limited and nothing used; `share` is the part of all limits that is ours."""
        self.share = share
        self.limits = VendorLimits()
        self.scopes: dict[str, Scope] = {WHOLE: Scope(Budget(UNLIMITED, share))}

    def limit(self, limits: VendorLimits) -> None:
        """Put other limits in force; what was used and learned stays."""
        self.limits = limits
        self.scopes[WHOLE].budget.limits = limits.whole
        for endpoint in self.scopes.keys() - {WHOLE} | limits.endpoints.keys():
            self.scope(endpoint).budget.limits = limits.endpoints.get(endpoint, UNLIMITED)

    def own(self, share: Share, now_us: int) -> None:
        """Use another part of all limits."""
        self.share = share
        for scope in self.scopes.values():
            scope.budget.own(share, now_us)

    def scope(self, endpoint: str) -> Scope:
        """Return the budget and pause of an endpoint."""
        if endpoint not in self.scopes:
            self.scopes[endpoint] = Scope(Budget(UNLIMITED, self.share))
        return self.scopes[endpoint]

    def of(self, endpoint: str) -> tuple[Scope, ...]:
        """Return the scopes in which a request must find room."""
        own = self.scope(endpoint)
        return (own,) if endpoint in self.limits.separate else (self.scopes[WHOLE], own)

    def earliest(self, endpoint: str, now_us: int, purpose: Purpose) -> int | None:
        """Return when a request may start in all of its scopes; like `Scope.earliest`.

        What refusals of an endpoint taught holds for its requests alone: others may use all of the limits.
        """
        part = self.scope(endpoint).budget.share(now_us)
        moments = [scope.earliest(now_us, purpose, part=part) for scope in self.of(endpoint)]
        return None if None in moments else max(moment_us for moment_us in moments if moment_us is not None)

    def is_owed(self, endpoint: str, now_us: int) -> bool:
        """Whether a backfill goes before live: it has had less than its share, and would start no later than live."""
        part = self.scope(endpoint).budget.share(now_us)
        return all(
            scope.budget.limits.unlimited or scope.budget.is_owed(now_us, part=part)
            for scope in self.of(endpoint)
        ) and self.earliest(endpoint, now_us, "backfill") == self.earliest(endpoint, now_us, "live")

    def refused(self, endpoint: str, signal: Signal, *, started_us: int, now_us: int) -> None:
        """Pause the endpoint; the provider where the vendor speaks of all of us, or refuses elsewhere, too, and answers nowhere."""
        apart = endpoint in self.limits.separate
        whole, own = self.scopes[WHOLE], self.scope(endpoint)
        scope = whole if signal.whole and not apart else own
        if not scope.pause.refused(signal, started_us=started_us, now_us=now_us):
            return
        scope.budget.lower(now_us)
        if scope is own and not apart and self._refusing_elsewhere(endpoint, now_us):
            whole.pause.follow(own.pause, reason=f"{signal.reason}, at two endpoints", now_us=now_us)
            whole.budget.lower(now_us)

    def _refusing_elsewhere(self, endpoint: str, now_us: int) -> bool:
        """Return whether an endpoint that has nothing to do with this one refuses as well, and no third was answered since."""
        asked_for = self.limits.asked_for
        counted = [
            (asked_for(name), scope.pause)
            for name, scope in self.scopes.items()
            if name != WHOLE and name not in self.limits.separate and asked_for(name) != asked_for(endpoint)
        ]
        refusing = [(other, pause.began_us) for other, pause in counted if pause.is_refusing(now_us)]
        return any(
            not any(third != other and pause.well_us > since_us for third, pause in counted)
            for other, since_us in refusing
        )
