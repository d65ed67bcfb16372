"""Burn rates: how much faster than it may an objective uses up what it is allowed to miss, over several windows at once.

An alert needs both windows of a pair, as in the SRE workbook: the long one says that it matters, the short one that it goes
on. Where an objective is about bars, time is the market's: minutes and hours are counted while trading goes on, and three
days are the last three trading days, so that a holiday neither burns anything nor lets anything be forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal, NamedTuple

from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US

State = Literal["met", "burning", "violated", "no_data"]
STATES: tuple[State, ...] = ("met", "burning", "violated", "no_data")
LENGTHS_US: Mapping[str, int] = {
    "5m": 5 * MINUTE_US,
    "30m": 30 * MINUTE_US,
    "1h": HOUR_US,
    "6h": 6 * HOUR_US,
    "3d": 3 * DAY_US,
}
WHOLE = "3d"  # the window an objective is kept over or not
TRADING_DAYS = 3
LOOK_BACK_US = 21 * DAY_US  # holds three trading days of any market


class WindowPair(NamedTuple):
    """Two windows that must both burn faster than `factor` for an alert."""

    long: str
    short: str
    factor: float


PAIRS = (WindowPair("1h", "5m", 14.4), WindowPair("6h", "30m", 6.0), WindowPair("3d", "6h", 1.0))


@dataclass(frozen=True, slots=True)
class WindowCount:
    """A number of events, and how many of them were bad."""

    total: int = 0
    bad: int = 0

    @property
    def share(self) -> float | None:
        """The share that was bad; None of nothing."""
        return self.bad / self.total if self.total else None

    def __add__(self, other: WindowCount) -> WindowCount:
        """Return both together."""
        return WindowCount(self.total + other.total, self.bad + other.bad)


WindowCounts = Mapping[str, WindowCount]
"""By window."""


def burn_rate(outcome: WindowCount, allowed: float) -> float | None:
    """Return how many times the `allowed` share was bad; None where there was nothing."""
    return None if outcome.share is None else outcome.share / allowed


def firing(outcomes: WindowCounts, allowed: float) -> list[WindowPair]:
    """Return the pairs both of whose windows burn faster than they may."""
    return [
        pair
        for pair in PAIRS
        if all((burn_rate(outcomes[name], allowed) or 0.0) > pair.factor for name in (pair.long, pair.short))
    ]


def state_of(outcomes: WindowCounts, allowed: float) -> State:
    """Return whether an objective was kept over the longest window, and if so whether it is about not to be."""
    if not outcomes[WHOLE].total:
        return "no_data"
    if (outcomes[WHOLE].share or 0.0) > allowed:
        return "violated"
    return "burning" if firing(outcomes, allowed) else "met"


def worst(states: Iterable[State]) -> State:
    """Return the worst state of several; one that says nothing is better than none."""
    order: tuple[State, ...] = ("violated", "burning", "met", "no_data")
    return min(states, key=order.index, default="no_data")


def wall_windows(now: int) -> dict[str, int]:
    """Return where each window up to `now` (µs) begins, by the clock on the wall."""
    return {name: now - length for name, length in LENGTHS_US.items()}


def market_windows(calendar: Calendar, now: int) -> dict[str, EventTime] | None:
    """Return where each window up to `now` (µs) begins in the market's time; None where its hours are not known."""
    if not calendar.is_known or not calendar.knows(now):
        return None
    found = takewhile(lambda each: each.open < now, calendar.sessions(now - LOOK_BACK_US, now))
    begun = sorted(found, key=lambda each: each.open, reverse=True)
    if not begun:
        return None
    parts = [part for session in begun for part in reversed(session.parts)]
    starts = {name: _counted_back(parts, now, length) for name, length in LENGTHS_US.items()}
    starts[WHOLE] = EventTime(begun[:TRADING_DAYS][-1].pre_open)
    return starts


def _counted_back(parts: Iterable[tuple[int, int]], now: int, length_us: int) -> EventTime:
    """Return the moment up to `now` from which `length_us` of trading passed; `parts` are given the newest first."""
    left, low = length_us, now
    for opens, closes in parts:
        low, high = opens, min(closes, now)
        if high - low >= left:
            return EventTime(high - left)
        left -= max(0, high - low)
    return EventTime(low)
