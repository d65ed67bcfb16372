"""Allowance of one provider or endpoint: a budget, and the pause its vendor asked for; a request must find room in both."""

from __future__ import annotations

from dataclasses import dataclass, field

from producers.budget.budget import Budget
from producers.budget.pauses import Pause
from producers.budget.windows import Purpose

WITHOUT_STORE_SHARE = 0.5  # of a day's limit while what earlier processes used is unknown


@dataclass(slots=True)
class Scope:
    """One budget with its pause: a provider's, or that of an endpoint which is limited on its own."""

    budget: Budget
    pause: Pause = field(default_factory=Pause)
    known: bool = True  # whether what earlier processes used is counted, or there is nothing to know
    saving: bool = False  # whether the store takes what is written: only then a reserved block is waited for
    tests: int = 0  # requests under way that find out whether a pause is over

    def earliest(self, now_us: int, purpose: Purpose) -> int | None:
        """Return when a request may start (µs), `now_us` for at once, None when another has ended or a block is stored."""
        if self.pause.until_us > now_us:
            return self.pause.until_us
        if self.pause.testing and self.tests:
            return None
        if self.saving and not self.budget.limits.unlimited and self.budget.day.granted <= 0:
            return None
        return self.budget.earliest(now_us, purpose, day_share=self._day_share)

    def left_alone(self, now_us: int) -> bool:
        """Whether it is the vendor's word, not our budget, that keeps requests waiting."""
        return self.pause.until_us > now_us or bool(self.pause.testing and self.tests)

    def binding(self, now_us: int, purpose: Purpose) -> tuple[str, int] | None:
        """Return which of our limits keeps a request waiting, and what it allows; None: none does."""
        return self.budget.binding(now_us, purpose, day_share=self._day_share)

    @property
    def _day_share(self) -> float:
        return 1.0 if self.known else WITHOUT_STORE_SHARE
