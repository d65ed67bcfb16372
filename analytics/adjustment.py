"""Adjustment of bars for corporate actions: factors from the shares a bar's prices are of to those of the day asked for.

With S(b → t) = Π from/to of the splits with b < ex ≤ t, its inverse where t is before b, and D likewise of what was paid out:
split = price·S(basis → B), all = that·D(day → B), volume = volume/S, raw = price·S(basis → day). An action whose ex-date lies
behind both ends, announced or not, is in no product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from analytics.action_effects import Days, Doubles, Effect
from schemas.clocks import Day

NO_DAY = Day(-(2**63))
"""The basis of a bar that nobody can tell."""
# Beyond these a factor is no history of any share; within them no price overflows.
FACTORS = (1e-15, 1e15)
MOST_WHOLE = 2.0**53

Adjustment = Literal["raw", "split", "all"]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class BarFactors:
    """Factors of n bars, arrays of shape (n,), and what they are made of.

    Where `known` is false the bar's basis, or a factor that a double holds, is not known and its values stay as they are
    stored; where `complete` is false an unresolved action lies between the bar and the basis, and the rest is applied.
    """

    up: Doubles
    down: Doubles
    kept: Doubles
    known: Flags
    complete: Flags
    applied: tuple[Effect, ...]
    unresolved: tuple[Effect, ...]

    def prices(self, prices: Doubles) -> Doubles:
        """Return prices of shape (n,) or (k, n) adjusted; a volume weighted average is a price."""
        return np.asarray(prices * self.up / self.down * self.kept)

    def volumes(self, volumes: Doubles) -> Doubles:
        """Return volumes of shape (n,) adjusted: in shares, whatever was paid out."""
        return np.asarray(volumes * self.down / self.up)


class ActionSchedule:
    """Effects in the order of their ex-dates, as arrays, asked for the factors of bars."""

    def __init__(self, effects: Sequence[Effect]) -> None:
        """Hold the effects of one symbol's actions, in any order."""
        ordered = sorted(effects, key=_order)
        self._shares = _Steps([each for each in ordered if each.of_shares])
        self._payouts = _Steps([each for each in ordered if not each.of_shares])

    def factors(self, days: Days, basis: Days, *, target: Day, adjustment: Adjustment) -> BarFactors:
        """Return the factors of bars of `days` whose prices are in shares of `basis`, for the basis day `target`.

        Days are of the venue's calendar, in any order; raw prices are those in shares of the bar's own day, whatever `target`.
        """
        told = basis != NO_DAY
        basis = np.where(told, basis, days)
        to = days if adjustment == "raw" else np.full_like(days, target)
        up, down = self._shares.quotients(basis, to, target)
        kept, found = np.ones(len(days)), [self._shares.between(basis, to)]
        if adjustment == "all":
            with_cash = self._payouts.quotients(days, to, target)
            kept = _quotient(*with_cash)
            found.append(self._payouts.between(days, to))
        ratio, is_whole = _quotient(up, down), np.maximum(up, down) <= MOST_WHOLE
        up, down = np.where(is_whole, up, ratio), np.where(is_whole, down, 1.0)
        known = told & _sane(ratio) & _sane(kept)
        return BarFactors(
            up=np.where(known, up, 1.0),
            down=np.where(known, down, 1.0),
            kept=np.where(known, kept, 1.0),
            known=known,
            complete=np.logical_and.reduce([each.complete for each in found]),
            applied=tuple(each for part in found for each in part.effects if each.reason is None),
            unresolved=tuple(each for part in found for each in part.effects if each.reason is not None),
        )

    def shares_between(self, basis: Days, to: Days) -> Doubles:
        """Return S(basis → to) of each pair of days, of shape (n,); NaN where it is not known."""
        anchor = Day(int(to.max(initial=0)))
        up, down = self._shares.quotients(basis, to, anchor)
        ratio = _quotient(up, down)
        known = self._shares.between(basis, to).complete & _sane(ratio)
        return np.where(known & (basis != NO_DAY) & (to != NO_DAY), ratio, np.nan)

    def newest_split(self, days: Days) -> Days:
        """Return the ex-date of the last change of shares on or before each day, NO_DAY where there was none."""
        return self._shares.newest(days)

    def split_ratios(self, days: Days) -> Doubles:
        """Return the shares after of one before, of what changes them on each day; 1 where nothing does."""
        return 1.0 / self.shares_between(days - 1, days)


def _order(effect: Effect) -> tuple[object, ...]:
    """Return the place of an effect: products are the same to the last bit however the effects arrive."""
    return effect.ex, effect.action.provider, effect.action.action_id, effect.ratio, effect.kept


def _quotient(up: Doubles, down: Doubles) -> Doubles:
    with np.errstate(all="ignore"):
        return np.asarray(up / down)


def _sane(values: Doubles) -> Flags:
    # NaN is not.
    return (values >= FACTORS[0]) & (values <= FACTORS[1])


@dataclass(frozen=True, slots=True)
class _Between:
    """Effects that lie between the two days of any bar, and the bars that have no unresolved one between theirs."""

    effects: tuple[Effect, ...]
    complete: Flags


class _Steps:
    """Effects of one kind in order, as arrays: what each multiplies by, and divides by."""

    def __init__(self, effects: Sequence[Effect]) -> None:
        self._effects = effects
        self._ex: Days = np.array([each.ex for each in effects], np.int64)
        self._by: Doubles = np.array([each.before * each.kept for each in effects], np.float64)
        self._of: Doubles = np.array([each.after for each in effects], np.float64)
        unresolved = np.array([each.reason is not None for each in effects], np.int64)
        self._unresolved: Days = np.concatenate((np.zeros(1, np.int64), np.cumsum(unresolved)))

    def quotients(self, start_days: Days, to: Days, anchor: Day) -> tuple[Doubles, Doubles]:
        """Return numerators and denominators of the products between two days of each bar.

        They are multiplied outwards from `anchor`, where most products end, and divided last: whole numbers of shares stay whole.
        """
        first, last, middle = self._place(start_days), self._place(to), int(self._place(anchor))
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            up = np.concatenate((_back(self._by, middle), [1.0], np.cumprod(self._of[middle:])))
            down = np.concatenate((_back(self._of, middle), [1.0], np.cumprod(self._by[middle:])))
            return up[first] * down[last], down[first] * up[last]

    def between(self, start_days: Days, to: Days) -> _Between:
        """Return which effects count for bars, each between its two days in either direction."""
        places = self._place(start_days), self._place(to)
        first, last = np.minimum(*places), np.maximum(*places)
        size = len(self._ex) + 1
        begun, ended = (np.bincount(each, minlength=size) for each in (first, last))
        touched = np.flatnonzero(np.cumsum(begun - ended)[:-1] > 0)
        complete = self._unresolved[first] == self._unresolved[last]
        return _Between(tuple(self._effects[place] for place in touched.tolist()), complete)

    def newest(self, days: Days) -> Days:
        """Return the newest ex-date on or before each day."""
        return np.concatenate(([NO_DAY], self._ex))[self._place(days)]

    def _place(self, days: Days | Day) -> NDArray[np.intp]:
        """Return how many of the effects have happened by each day."""
        return np.asarray(np.searchsorted(self._ex, days, "right"))


def _back(values: Doubles, middle: int) -> Doubles:
    """Return the products of the values from each place up to `middle`."""
    return np.asarray(np.cumprod(values[:middle][::-1])[::-1], np.float64)
