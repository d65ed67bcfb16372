"""Basis of bars: the day in whose shares a stored bar's prices are, and where nobody can tell.

Vendors that adjust rebase their whole history when a split happens, hours late at times, twice or never. Within the first
sessions from the ex-date on, what such a vendor says of a bar before it must therefore be proven by what it said before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analytics.action_effects import Days, Doubles
from analytics.adjustment import NO_DAY, ActionSchedule, Flags

REBASED_TOLERANCE = 0.002
UNCERTAIN_SESSIONS = 3
MIXED_RANGE = 1.5


def basis_days(states: Sequence[str], days: Days, through: Days, received: Days) -> Days:
    """Return the basis of bars of `days`, as their provider tells it; arrays of shape (n,), days of the venue's calendar.

    Raw prices are of their own day; split-adjusted ones of the day `through` which they are, or of the day they were received
    where that is NO_DAY. Of prices that were adjusted for dividends too nobody can tell.
    """
    said = np.asarray(states)
    split = np.where(through != NO_DAY, through, received)
    return np.where(said == "raw", days, np.where(said == "split", split, NO_DAY))


def is_rebased(earlier: Doubles, prices: Doubles, factor: Doubles) -> Flags:
    """Return which bars say what they said before times `factor`, within 0.2 %; prices (4, n), factors (n,)."""
    with np.errstate(all="ignore"):
        off = np.abs(prices / (earlier * factor) - 1.0)
    # NaN is not.
    return np.asarray(np.all(off < REBASED_TOLERANCE, axis=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class BarsTold:
    """Bars as they were told at one time: `prices` open, high, low, close of shape (4, n), NaN where nothing was told; `basis` (n,)."""

    prices: Doubles
    basis: Days


def judged_basis(
    days: Days, adjusted: Flags, now: BarsTold, before: BarsTold, schedule: ActionSchedule, sessions: Days
) -> Days:
    """Return the basis of bars: as told, or that of the day before a split, or NO_DAY where it is uncertain.

    Judged are those `adjusted` by their provider, of a day before the ex-date of a split and told on it or within three
    sessions after it: equal to the version `before` times the split's ratio they are rebased, equal to it as it is they are
    not yet. `sessions` are the venue's trading days, ascending.
    """
    ex = schedule.newest_split(now.basis)
    within = np.searchsorted(sessions, now.basis, "right") - np.searchsorted(sessions, ex)
    doubted = adjusted & (ex != NO_DAY) & (days < ex) & (within <= UNCERTAIN_SESSIONS + 1)
    eve = np.where(doubted, ex - 1, now.basis)
    new = is_rebased(before.prices, now.prices, schedule.shares_between(before.basis, now.basis))
    old = is_rebased(before.prices, now.prices, schedule.shares_between(before.basis, eve))
    proven = np.where(new & ~old, now.basis, np.where(old & ~new, eve, NO_DAY))
    return np.where(doubted, proven, now.basis)


def mixed_basis(days: Days, highs: Doubles, lows: Doubles, schedule: ActionSchedule) -> Flags:
    """Return which bars hold trades of both sides of a split: an ex-date's first bar whose range says so, arrays of shape (n,) in order of time.

    High/low is then above 1.5 times the root of the ratio; such a bar is kept as it is and adjusted as one of its day.
    """
    ratios = schedule.split_ratios(days)
    is_first = np.concatenate((np.ones(min(len(days), 1), np.bool_), days[1:] != days[:-1]))
    with np.errstate(all="ignore"):
        wide = highs / lows > MIXED_RANGE * np.sqrt(np.maximum(ratios, 1.0 / ratios))
    return np.asarray(is_first & (ratios != 1.0) & wide)
