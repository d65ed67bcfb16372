"""Effects of corporate actions on the prices before them: shares and cash of each, or the reason why nobody can say.

A price of a day before the ex-date becomes one of the ex-date by `before`/`after` where shares change, and by `kept` where
something is paid out: 1 − a/C₋ of an amount a and the last regular close C₋, as CRSP, Yahoo and LEAN multiply. Nothing is
guessed: what cannot be computed has a `reason` and leaves prices as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from schemas.clocks import Day
from schemas.entries import AmountBasis, CorporateAction

SHARES = frozenset({"split", "stock_dividend"})
CASH = frozenset({"cash_dividend", "special_dividend", "return_of_capital"})
# Shares after of one before, and either number of them: what lies outside is a mistake.
RATIOS = (1e-6, 1e6)
# of the steps of adjusted closes, which vendors round to single precision
STEP_TOLERANCE = 5e-5

Days = NDArray[np.int64]
Doubles = NDArray[np.float64]
Reason = Literal[
    "ratio_impossible",
    "ratio_contradicted",
    "amount_impossible",
    "amount_above_close",
    "amount_basis_unknown",
    "other_currency",
    "close_unknown",
    "shares_unresolved",
    "split_on_ex_date",
    "no_factor",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RawSessions:
    """Trading days of a venue, ascending, with what was paid in the regular session as it was paid; arrays of shape (n,).

    A price that is not known is NaN. `first_closes` are those of symbols that were spun off.
    """

    days: Days
    opens: Doubles
    closes: Doubles
    currency: str
    first_closes: Mapping[str, float] = field(default_factory=dict)

    def first_from(self, day: Day) -> Day:
        """Return the day, or the next trading day where it is none; outside of what is listed the day itself."""
        place = int(np.searchsorted(self.days, day))
        is_listed = 0 < place < len(self.days)
        return Day(int(self.days[place])) if is_listed else day

    def close_before(self, day: Day) -> float | None:
        """Return the close of the last trading day before a day, None where it is not known."""
        place = int(np.searchsorted(self.days, day)) - 1
        return _price(self.closes[place]) if place >= 0 else None

    def open_on(self, day: Day) -> float | None:
        """Return the open of a trading day, None where it is not known."""
        place = int(np.searchsorted(self.days, day))
        is_there = place < len(self.days) and self.days[place] == day
        return _price(self.opens[place]) if is_there else None


def _price(value: float) -> float | None:
    return float(value) if math.isfinite(value) and value > 0.0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One action and what it does: of `before` shares `after` are left, and `kept` of a price; 1 where it does not.

    `ex` is the trading day it happens on; with a `reason` it is unresolved and every number is 1.
    """

    action: CorporateAction
    ex: Day
    before: float = 1.0
    after: float = 1.0
    kept: float = 1.0
    reason: Reason | None = None

    @property
    def of_shares(self) -> bool:
        """Whether it changes how many shares there are, which matters to `split` as to `all`."""
        return self.action.type in SHARES

    @property
    def ratio(self) -> float:
        """Shares after of one before."""
        return self.after / self.before


def share_effect(action: CorporateAction, ex: Day) -> Effect:
    """Return the effect of a split or a dividend in shares."""
    before, after = action.ratio_from, action.ratio_to
    # NaN is in no range.
    if (
        not before
        or not after
        or not all(RATIOS[0] <= each <= RATIOS[1] for each in (before, after, after / before))
    ):
        return Effect(action=action, ex=ex, reason="ratio_impossible")
    if before.is_integer() and after.is_integer():
        # What is multiplied often stays a whole number for longer.
        common = math.gcd(int(before), int(after))
        before, after = before / common, after / common
    return Effect(action=action, ex=ex, before=before, after=after)


class ShareSteps:
    """Effects of shares in a row, asked for what lies between two days."""

    def __init__(self, effects: Sequence[Effect]) -> None:
        """Hold the effects of shares among `effects`."""
        steps = sorted((each for each in effects if each.of_shares), key=lambda each: each.ex)
        self._ex: Days = np.array([each.ex for each in steps], np.int64)
        ratios = [math.log(each.before / each.after) for each in steps]
        self._logs: Doubles = np.concatenate(([0.0], np.cumsum(np.array(ratios, np.float64))))
        unresolved = np.array([each.reason is not None for each in steps], np.int64)
        self._unresolved: Days = np.concatenate(([0], np.cumsum(unresolved)))

    def happen_on(self, day: Day) -> bool:
        """Whether shares change on a day."""
        return bool(np.searchsorted(self._ex, day) < np.searchsorted(self._ex, day, "right"))

    def between(self, basis: Day, target: Day) -> float | None:
        """Return S(basis → target): what a price in shares of one day is multiplied by to be one in shares of the other.

        None where an action between them is unresolved, or where the number is none a double holds.
        """
        first, last = (int(np.searchsorted(self._ex, day, "right")) for day in (basis, target))
        if self._unresolved[first] != self._unresolved[last]:
            return None
        exponent = float(self._logs[last] - self._logs[first])
        return math.exp(exponent) if abs(exponent) < 500.0 else None


def price_effect(
    action: CorporateAction, ex: Day, told: Day, sessions: RawSessions, shares: ShareSteps
) -> Effect:
    """Return the effect of an action that changes no shares; `told` is the day its source spoke on, by the venue's calendar."""
    if action.type not in CASH:
        return _other_effect(action, ex, sessions)
    close = sessions.close_before(ex)
    amount = action.amount
    reason: Reason | None = None
    if amount is None or not (math.isfinite(amount) and amount > 0.0):
        reason = "amount_impossible"
    elif action.currency != sessions.currency:
        reason = "other_currency"
    elif action.amount_basis == "unknown":
        reason = "amount_basis_unknown"
    elif close is None:
        reason = "close_unknown"
    elif action.amount_basis == "as_declared" and shares.happen_on(ex):
        # Nobody says whether it is paid on the shares before the split or after it.
        reason = "split_on_ex_date"
    if reason is not None or amount is None or close is None:
        return Effect(action=action, ex=ex, reason=reason)
    if action.amount_basis == "split_adjusted":
        factor = shares.between(Day(ex - 1), told)
        if factor is None:
            return Effect(action=action, ex=ex, reason="shares_unresolved")
        close *= factor
    if not amount < close:
        return Effect(action=action, ex=ex, reason="amount_above_close")
    return Effect(action=action, ex=ex, kept=1.0 - amount / close)


def _other_effect(action: CorporateAction, ex: Day, sessions: RawSessions) -> Effect:
    """Return the effect of what is neither shares nor cash: the vendor's own factor, or what the child was worth."""
    factor = action.price_factor
    if factor is None and action.type == "spin_off":
        factor = _left_by_child(action, ex, sessions)
    if factor is None or not RATIOS[0] <= factor <= RATIOS[1]:
        return Effect(action=action, ex=ex, reason="no_factor")
    return Effect(action=action, ex=ex, kept=factor)


def _left_by_child(action: CorporateAction, ex: Day, sessions: RawSessions) -> float | None:
    """Return what is left of a price: all but the child's first close times its shares for one of the parent's."""
    child, close = sessions.first_closes.get(action.child_symbol), sessions.close_before(ex)
    if child is None or close is None or not action.ratio_to or not action.ratio_from:
        return None
    return 1.0 - action.ratio_to / action.ratio_from * child / close


def amount_basis(amount: float, close: float, step: float, ratio: float) -> AmountBasis:
    """Return the basis of a dividend's amount by what the same answer's adjusted closes did on its ex-date.

    `close` is the split-adjusted one before the ex-date, `step` the quotient of adjusted and plain close before by that on
    the ex-date, `ratio` S(ex-date → day of the answer). Where both readings fit, or neither does, it is unknown.
    """
    fits = [
        close > 0.0 and 0.0 < paid < close and abs(step / (1.0 - paid / close) - 1.0) <= STEP_TOLERANCE
        for paid in (amount, amount * ratio)
    ]
    if all(fits) and ratio != 1.0:
        return "unknown"
    if fits[1]:
        return "as_declared"
    return "split_adjusted" if fits[0] else "unknown"
