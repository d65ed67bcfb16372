"""Pages of derived gaps: the time is walked window by window, each as wide as what was read in the one before allows.

A gap belongs to the window it begins in; one that begins before the range asked for, to the window at its beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.database.versions import GapFilter
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, MINUTE_US, SLOT_US
from schemas.records import Gap

FIRST_WINDOW_SLOTS = 10_000
NARROWEST_US = DAY_US
WIDEST_US = 4_096 * DAY_US
EASY_ROWS, HEAVY_ROWS = 2_000, 8_000  # read for a window: below, the next one is wider; above, narrower
MAX_ROWS = 20_000  # read for a page; it ends there, with fewer gaps or none, and the next one goes on

GapKey = tuple[EventTime, str]
"""(from_time, gap_id)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GapPage:
    """Gaps in the order asked for; `after` is the key behind which the next page begins, None where there is none."""

    gaps: Sequence[Gap]
    after: GapKey | None = None


NO_GAPS = GapPage(gaps=())


@dataclass(slots=True, kw_only=True)
class GapWalk:
    """The walk over [low, high) for one page; `after` is the key of the last gap of the page before."""

    which: GapFilter
    low: EventTime
    high: EventTime
    limit: int
    descending: bool
    after: GapKey | None = None
    width_us: int
    most_rows: int = MAX_ROWS
    found: list[Gap] = field(default_factory=list)
    rows: int = 0
    edge: EventTime = field(init=False)  # of what was looked at

    def __post_init__(self) -> None:
        """Begin behind the page before."""
        self.edge = self.high if self.descending else self.low
        if self.after is not None:
            behind = self.after[0] + 1 if self.descending and self.after[1] else self.after[0]
            # Those that begin before the range are looked for where it begins, backwards, too.
            first = self.low + 1 if self.descending else self.low
            self.edge = EventTime(min(max(behind, first), self.high))

    @property
    def window(self) -> tuple[EventTime, EventTime] | None:
        """The stretch (µs) to be looked at next; None where all has been."""
        if self.descending:
            window = EventTime(max(self.edge - self.width_us, self.low)), self.edge
        else:
            window = self.edge, EventTime(min(self.edge + self.width_us, self.high))
        return window if window[0] < window[1] else None

    def take(self, gaps: Sequence[Gap], rows: int) -> GapPage | None:
        """Take the gaps that overlap the window, for which so many rows were read; return the page once it is whole."""
        window = self.window
        if window is None:
            return GapPage(gaps=self.found)
        mine = [gap for gap in gaps if self._is_mine(gap, *window)]
        self.found += sorted(mine, key=_key, reverse=self.descending)
        if len(self.found) > self.limit:
            return GapPage(gaps=self.found[: self.limit], after=_key(self.found[self.limit - 1]))
        self.edge = window[0] if self.descending else window[1]
        self.rows += rows
        if rows > HEAVY_ROWS:
            self.width_us = max(self.width_us // 2, NARROWEST_US)
        elif rows < EASY_ROWS:
            self.width_us = min(self.width_us * 2, WIDEST_US)
        if self.window is None:
            return GapPage(gaps=self.found)
        return GapPage(gaps=self.found, after=(self.edge, "")) if self.rows > self.most_rows else None

    def _is_mine(self, gap: Gap, low: EventTime, high: EventTime) -> bool:
        if gap.from_time >= high or (gap.from_time < low and low > self.low):
            return False
        if self.which.state not in (None, gap.state):
            return False
        if self.after is None:
            return True
        return _key(gap) < self.after if self.descending else _key(gap) > self.after


def first_width_us(intervals: Sequence[str] | None) -> int:
    """Return how wide (µs) a window may be that holds few bars of these intervals; None: of any."""
    step = MINUTE_US if intervals is None else min(SLOT_US.get(each, MINUTE_US) for each in intervals)
    return min(FIRST_WINDOW_SLOTS * step, WIDEST_US)


def _key(gap: Gap) -> GapKey:
    return gap.from_time, gap.gap_id
