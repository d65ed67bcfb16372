"""Adjustment of stored bars, pure: whose shares the prices of each are in, and the bar in shares of the day asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from analytics.action_effects import Days, Doubles
from analytics.adjustment import NO_DAY, ActionSchedule, Adjustment, Flags
from analytics.bar_basis import BarsTold, basis_days, judged_basis, mixed_basis
from gateway.database.rows import record_maker
from gateway.database.versions import BarBasis, BarVersion
from gateway.market.aggregate import MOST_DAYS, unit_bounds
from schemas.calendar.sessions import Calendar
from schemas.clocks import Day, EventTime, date_of, day_of
from schemas.intervals import DAY_US, MINUTE_US

QUARTER_US = 15 * MINUTE_US  # days begin on one, whatever the timezone
BLOCK_US = 14 * DAY_US  # no zone changes its clocks there and back within it
# Within it the three sessions are that follow an ex-date, and one more.
AFTER_SPLIT_US = 21 * DAY_US

Place = tuple[int, int, int]
"""A version of a bar of one series: event_time, and its place in the log."""

_CHANGED = ("open", "high", "low", "close", "volume", "vwap", "adjustment_state", "adjusted_through", "basis")
_made: Callable[..., BarVersion] = record_maker(
    BarVersion,
    ("bar", *_CHANGED),
    {each.name: each.name if each.name in _CHANGED else f"bar.{each.name}" for each in fields(BarVersion)},
    {},
)
_based: Callable[..., BarBasis] = record_maker(
    BarBasis,
    ("day", "shares_of", "mixed", "known"),
    {"days": "(day, day)", "shares_of": "(shares_of, shares_of)", "mixed": "mixed", "uncertain": "not known"},
    {},
)


def day_numbers(moments: Sequence[int], calendar: Calendar) -> Days:
    """Return the venue's days that hold moments (µs).

    Clocks are looked at once a fortnight; of those in which they change once for each quarter of an hour.
    """
    given = np.array(moments, np.int64)
    blocks, places = np.unique(given // BLOCK_US, return_inverse=True)
    # The end of one is the begin of the next.
    edges = np.union1d(blocks, blocks + 1)
    numbers, begins = _days_at(edges * BLOCK_US, calendar)
    at = np.searchsorted(edges, blocks)
    days = np.asarray(numbers[at][places] + (given - begins[at][places]) // DAY_US)
    changes = (begins[at + 1] - begins[at] != (numbers[at + 1] - numbers[at]) * DAY_US)[places]
    quarters, places = np.unique(given[changes] // QUARTER_US, return_inverse=True)
    days[changes] = _days_at(quarters * QUARTER_US, calendar)[0][places]
    return days


def _days_at(moments: Days, calendar: Calendar) -> tuple[Days, Days]:
    """Return the days that hold moments, and where they begin (µs)."""
    dates = [calendar.date_of(each) for each in moments.tolist()]
    begins = np.array([calendar.day_start(each) for each in dates], np.int64)
    return np.array([day_of(each) for each in dates], np.int64), begins


def place_of(bar: BarVersion) -> Place:
    """Return the place of a version among those of its series."""
    return bar.event_time, bar.raw_offset, bar.index


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A bar that its provider adjusted around a split, and the moment (µs) before which what it said proves the basis."""

    bar: BarVersion
    told_before: EventTime


class BarAdjuster:
    """The adjustment of one symbol's bars for its actions, for one day's shares."""

    def __init__(
        self, schedule: ActionSchedule, calendar: Calendar, *, target: Day, adjustment: Adjustment
    ) -> None:
        """Adjust to shares of the day `target`."""
        self._schedule, self._calendar = schedule, calendar
        self._target, self._adjustment = target, adjustment
        self._shown: tuple[Adjustment, Day | None] = adjustment, None if adjustment == "raw" else target

    def doubts(self, bars: Sequence[BarVersion]) -> list[Doubt]:
        """Return which bars need what their providers said before to be told apart, those alone."""
        bars = [bar for bar in bars if bar.adjustment_state == "split"]
        if not bars:
            return []
        days, told = self._told(bars)
        uncertain = np.flatnonzero((self._judged(bars, days, told, {}) == NO_DAY) & (told != NO_DAY))
        ex = self._schedule.newest_split(told)
        return [
            Doubt(bar=bars[k], told_before=self._calendar.day_start(date_of(Day(int(ex[k])))))
            for k in uncertain.tolist()
        ]

    def adjusted(
        self, bars: Sequence[BarVersion], before: Mapping[Place, BarVersion], *, whole: bool = False
    ) -> list[BarVersion]:
        """Return the bars adjusted, in their order; `before` has earlier versions of those in doubt.

        One that cannot be adjusted, of `whole` also one with an unresolved action between, is as it is stored, and uncertain.
        """
        if not bars:
            return []
        days, told = self._told(bars)
        basis = self._judged(bars, days, told, before)
        prices = np.array([_prices(bar) for bar in bars], np.float64).T
        made = self._schedule.factors(days, basis, target=self._target, adjustment=self._adjustment)
        known = made.known & self._is_one_day(bars, days, basis)
        if whole:
            known &= made.complete
        mixed = self._mixed(days, prices[1], prices[2]).tolist()
        volumes = made.volumes(np.array([bar.volume for bar in bars], np.float64)).tolist()
        numbers = zip(*made.prices(prices).tolist(), volumes, strict=True)
        told_days, told_basis = days.tolist(), np.where(known, basis, days).tolist()
        return [
            _bar(bar, numbers_, self._shown, _based(day, of, is_mixed, is_known))
            for bar, numbers_, day, of, is_mixed, is_known in zip(
                bars, numbers, told_days, told_basis, mixed, known.tolist(), strict=True
            )
        ]

    def _told(self, bars: Sequence[BarVersion]) -> tuple[Days, Days]:
        """Return the days of bars, and whose shares their prices are in as their providers tell it."""
        days = day_numbers([bar.event_time for bar in bars], self._calendar)
        states = [bar.adjustment_state for bar in bars]
        received = days
        if "split" in states:
            received = day_numbers([bar.received_time for bar in bars], self._calendar)
        return days, basis_days(states, days, _through(bars), received)

    def _judged(
        self, bars: Sequence[BarVersion], days: Days, told: Days, before: Mapping[Place, BarVersion]
    ) -> Days:
        by_provider = np.array([bar.adjustment_state == "split" for bar in bars], np.bool_)
        if not by_provider.any():
            return told
        earlier = [before.get(place_of(bar)) for bar in bars]
        there = [bar for bar in earlier if bar is not None]
        prices, basis = np.full((4, len(bars)), np.nan), np.full(len(bars), NO_DAY, np.int64)
        if there:
            places = np.array([bar is not None for bar in earlier], np.bool_)
            prices[:, places] = np.array([_prices(bar)[:4] for bar in there], np.float64).T
            basis[places] = self._told(there)[1]
        now = BarsTold(
            prices=np.array([_prices(bar)[:4] for bar in bars], np.float64).reshape(-1, 4).T, basis=told
        )
        then = BarsTold(prices=prices, basis=basis)
        return judged_basis(days, by_provider, now, then, self._schedule, self._sessions_after(told))

    def _sessions_after(self, told: Days) -> Days:
        """Return the trading days that follow the splits bars were told after: enough of them to count three."""
        found: set[int] = set()
        for ex in np.unique(self._schedule.newest_split(told)).tolist():
            if ex != NO_DAY:
                begin = self._calendar.day_start(date_of(Day(ex)))
                found.update(
                    each.day // DAY_US for each in self._calendar.sessions(begin, begin + AFTER_SPLIT_US)
                )
        return np.array(sorted(found), np.int64)

    def _mixed(self, days: Days, highs: Doubles, lows: Doubles) -> Flags:
        """Return which bars hold trades of both sides of a split: each is looked at alone, whatever page it is the first of."""
        found = np.zeros(len(days), np.bool_)
        for k in np.flatnonzero(self._schedule.newest_split(days) == days).tolist():
            one = slice(k, k + 1)
            found[one] = mixed_basis(days[one], highs[one], lows[one], self._schedule)
        return found

    def _is_one_day(self, bars: Sequence[BarVersion], days: Days, basis: Days) -> Flags:
        """Return which bars are of one day's shares: not a week's or a month's with an action within."""
        if bars[0].interval not in MOST_DAYS or bars[0].derived:
            return np.ones(len(bars), np.bool_)
        bounds = (unit_bounds(EventTime(bar.event_time), bar.interval, self._calendar) for bar in bars)
        ends = day_numbers([end - 1 for _, end in bounds], self._calendar)
        first, last = (
            self._schedule.factors(
                each, np.where(basis == days, each, basis), target=self._target, adjustment=self._adjustment
            )
            for each in (days, ends)
        )
        return np.asarray((first.up == last.up) & (first.down == last.down) & (first.kept == last.kept))


def _through(bars: Sequence[BarVersion]) -> Days:
    """Return the days bars were told in the shares of, NO_DAY where nothing says it; a vendor may have been late to work a split in."""
    return np.array(
        [NO_DAY if bar.adjusted_through is None else bar.adjusted_through for bar in bars], np.int64
    )


def _prices(bar: BarVersion) -> tuple[float, float, float, float, float]:
    return bar.open, bar.high, bar.low, bar.close, np.nan if bar.vwap is None else bar.vwap


def _bar(
    bar: BarVersion, numbers: tuple[float, ...], shown: tuple[Adjustment, Day | None], basis: BarBasis
) -> BarVersion:
    if basis.uncertain:
        return replace(bar, basis=basis)
    opened, high, low, close, vwap, volume = numbers
    given = None if bar.vwap is None else vwap
    return _made(bar, opened, high, low, close, volume, given, *shown, basis)
