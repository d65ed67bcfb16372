"""Gap violations: of the bars that should be there, those that are neither stored nor proved not to exist, by window.

Nothing is judged here that the ledger did not judge: blind gaps and bits of coverage are what evidence and bars made of
them, and which bars exist is asked of the calendar alone. What no evidence can tell yet is a feed that fell silent: its
bars count from the first one on that no series of it has.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.objectives.burn_rates import WHOLE, WindowCount, market_windows
from gateway.objectives.collection import BlindGap, CollectedNow, SeriesStanding, live_series
from schemas.calendar.expected_bars import DAILY, expected_span, first_expected, is_judged, next_slot, slot_of
from schemas.calendar.session_slots import SessionSlots
from schemas.calendar.sessions import Calendar, calendar_of
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, HOUR_US, SLOT_US
from schemas.ledger.coverage import Coverage
from schemas.ledger.gaps import chunks, ended_slots
from schemas.streams import BAR_STREAM, StreamId
from schemas.universe import Tier

CONFIRM_WITHIN_US = HOUR_US  # of a session's close: then it was asked again what did not come in it
LONGEST_CLOSED_US = 14 * DAY_US  # no market is closed for longer
WORST = 10


@dataclass(frozen=True, slots=True)
class Tally:
    """Bars that should be there by now: of them missing, proved not to exist, and such that nobody can say yet."""

    expected: int = 0
    missing: int = 0
    empty: int = 0
    unconfirmed: int = 0

    def __add__(self, other: Tally) -> Tally:
        """Return both together."""
        return Tally(
            self.expected + other.expected,
            self.missing + other.missing,
            self.empty + other.empty,
            self.unconfirmed + other.unconfirmed,
        )

    @property
    def stored(self) -> int:
        """The number that is stored: all of which nothing else is known."""
        return self.expected - self.missing - self.empty - self.unconfirmed

    @property
    def outcome(self) -> WindowCount:
        """The missing ones among the expected."""
        return WindowCount(self.expected, self.missing)


NOTHING = Tally()
Tallies = Mapping[str, Tally]
"""By window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstSeries:
    """A series with many missing bars in the longest window, which begins at `start` (µs)."""

    series: StreamId
    tally: Tally
    causes: tuple[str, ...]
    start: EventTime


@dataclass(slots=True, kw_only=True)
class Violations:
    """Counts by tier and interval, and the worst series; `unknown`: series of markets whose hours nobody knows."""

    groups: dict[tuple[Tier, str], dict[str, Tally]] = field(default_factory=dict)
    worst: list[WorstSeries] = field(default_factory=list)
    series: int = 0
    unknown: int = 0


class JudgedSlots(NamedTuple):
    """Slots (µs) a series is judged by: its bars in [low, high), quiet from the one on, silent from the other on."""

    low: EventTime
    high: EventTime
    quiet_from: EventTime
    silent_from: EventTime


def violations(every: Sequence[SeriesStanding], wanted: CollectedNow, now: int) -> Violations:
    """Return what is missing at market time `now` (µs); blocking, for a thread of its own."""
    judging = _Judging(every, wanted, now)
    for each in every:
        if each.id.name == BAR_STREAM.name and is_judged(each.id.interval):
            judging.judge(each)
    judging.found.worst = [heapq.heappop(judging.worst)[2] for _ in range(len(judging.worst))][::-1]
    return judging.found


class _Judging:
    """One pass over all series; those that are alike are judged once."""

    def __init__(self, every: Sequence[SeriesStanding], wanted: CollectedNow, now: int) -> None:
        self._wanted, self._now = wanted, now
        self._live = live_series(every, wanted)
        self._fronts: dict[tuple[str, str, str], EventTime] = {}
        for each in every:
            if each.id in self._live:
                feed = _feed(each.id)
                self._fronts[feed] = max(self._fronts.get(feed, each.last_seen), each.last_seen)
        self._edges: dict[tuple[str, str], dict[str, EventTime] | None] = {}
        self._silent: dict[tuple[str, str, str, Tier], EventTime | None] = {}
        self._alike: dict[tuple[str, str, JudgedSlots], dict[str, Tally]] = {}
        self.found = Violations()
        self.worst: list[tuple[int, int, WorstSeries]] = []

    def judge(self, series: SeriesStanding) -> None:
        calendar, interval = calendar_of(series.id.symbol), series.id.interval
        edges = self._edges_of(calendar, interval)
        self.found.series += 1
        if edges is None:
            self.found.unknown += 1
            return
        tier = self._wanted.tier(series.id.symbol)
        high = ended_slots(calendar, interval, self._now)
        bounds = self._bounds(series, tier, edges[WHOLE], high)
        key = calendar.name, interval, bounds
        if series.holes or series.coverage:
            tallies = tallied(series, calendar, bounds, edges, self._now)
        else:
            if key not in self._alike:
                self._alike[key] = tallied(series, calendar, bounds, edges, self._now)
            tallies = self._alike[key]
        group = self.found.groups.setdefault((tier, interval), dict.fromkeys(edges, NOTHING))
        for window, tally in tallies.items():
            group[window] += tally
        self._note_worst(series, tallies[WHOLE], bounds)

    def _edges_of(self, calendar: Calendar, interval: str) -> dict[str, EventTime] | None:
        key = calendar.name, interval
        if key not in self._edges:
            starts = market_windows(calendar, self._now)
            self._edges[key] = starts and {
                name: ended_slots(calendar, interval, start) for name, start in starts.items()
            }
        return self._edges[key]

    def _bounds(self, series: SeriesStanding, tier: Tier, low: EventTime, high: EventTime) -> JudgedSlots:
        quiet_from = next_slot(series.id.interval, series.last_seen)
        silent_from = self._silent_from(series.id, tier) if series.id in self._live else None
        if series.id not in self._live:
            high = min(high, quiet_from)
        low = max(low, slot_of(series.id.interval, series.start))
        quiet_from = min(max(quiet_from, low), high)  # alike for all that have all
        return JudgedSlots(
            low, high, quiet_from, high if silent_from is None else max(low, min(silent_from, high))
        )

    def _silent_from(self, series: StreamId, tier: Tier) -> EventTime | None:
        """Return from when on (µs) no series of a feed has bars that are overdue; None where none is.

        As long must have been traded meanwhile: who is quiet for the last minutes of a day may have had no trade.
        """
        feed = _feed(series)
        key = (*feed, tier)
        if key not in self._silent:
            calendar, interval = calendar_of(series.symbol), series.interval
            begin, late = (
                next_slot(interval, self._fronts[feed]),
                self._wanted.silent_after_us(tier, interval),
            )
            overdue = first_expected(
                calendar, interval, begin, ended_slots(calendar, interval, self._now - late)
            )
            ended = expected_span(calendar, interval, begin, ended_slots(calendar, interval, self._now))
            is_silent = overdue is not None and ended is not None and ended.count * SLOT_US[interval] >= late
            self._silent[key] = begin if is_silent else None
        return self._silent[key]

    def _note_worst(self, series: SeriesStanding, tally: Tally, bounds: JudgedSlots) -> None:
        if tally.missing:
            causes = {hole.cause for hole in series.holes if is_open(hole)}
            causes |= {"silent"} if bounds.silent_from < bounds.high else set()
            causes = causes or {"absent"}
            entry = WorstSeries(series=series.id, tally=tally, causes=tuple(sorted(causes)), start=bounds.low)
            keep = heapq.heappush if len(self.worst) < WORST else heapq.heappushpop
            keep(self.worst, (tally.missing, -self.found.series, entry))


def _feed(series: StreamId) -> tuple[str, str, str]:
    return series.provider, series.interval, calendar_of(series.symbol).name


def is_open(hole: BlindGap) -> bool:
    """Whether what is missing in a hole is neither stored nor proved not to exist."""
    return hole.state not in ("filled", "empty")


def tallied(
    series: SeriesStanding, calendar: Calendar, bounds: JudgedSlots, edges: Mapping[str, EventTime], now: int
) -> dict[str, Tally]:
    """Return the counts of a series in each window, whose first slots are `edges` (µs)."""
    found = dict.fromkeys(edges, NOTHING)
    rows = {row.start: row for row in series.coverage}
    interval = series.id.interval
    for slots in chunks(calendar, interval, bounds.low, bounds.high) if bounds.low < bounds.high else ():
        row = rows.get(slots.start, Coverage(start=slots.start, expected=slots.count))
        blind, silent = 0, between(slots, bounds.silent_from, bounds.high)
        for hole in filter(is_open, series.holes):
            blind |= between(slots, slot_of(interval, hole.low), slot_of(interval, hole.high))
        due = row.absent & _due(calendar, interval, slots, row, now) if row.absent else 0
        inside = between(slots, bounds.low, bounds.high)
        missing = (blind | (due | silent) & ~row.empty) & inside
        open_ = row.absent | between(slots, bounds.quiet_from, bounds.high)
        for window, edge in edges.items():
            within = between(slots, edge, bounds.high) & inside
            empty = row.empty & within & ~missing
            found[window] += Tally(
                within.bit_count(),
                (missing & within).bit_count(),
                empty.bit_count(),
                (open_ & within & ~missing & ~empty).bit_count(),
            )
    return found


def between(slots: SessionSlots, low: int, high: int) -> int:
    """Return the bits of a session's bars whose slots lie in [low, high) (µs)."""
    return ((1 << slots.count_before(high)) - 1) & ~((1 << slots.count_before(low)) - 1)


def _due(calendar: Calendar, interval: str, slots: SessionSlots, row: Coverage, now: int) -> int:
    """Return the bits of the bars of which it should be known by `now` whether they exist.

    That those before a close did not come is known with the next session's first bar, and asked once that one is over.
    """
    moment = now - CONFIRM_WITHIN_US
    if interval == DAILY:
        return between(slots, slots.start, ended_slots(calendar, DAILY, moment - SLOT_US[DAILY]))
    every = (1 << slots.count) - 1
    if slots.end > moment:
        return 0
    following = next(calendar.sessions(slots.end, slots.end + LONGEST_CLOSED_US), None)
    if following is not None and following.post_close <= moment:
        return every
    return (1 << (every & ~(row.absent | row.empty)).bit_length()) - 1
