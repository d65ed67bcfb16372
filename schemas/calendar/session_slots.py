"""The bars one session should hold, numbered: slot to number and back by arithmetic, so that bits can stand for bars.

A chunk is what is numbered as one: of intraday bars the trading day, of daily bars the calendar year, UTC.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import accumulate

from schemas.calendar.expected_bars import DAILY, is_judged
from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, SLOT_US, micros

CACHED_CHUNKS = 4_096  # sessions under judgement at once, over all calendars and intervals


@dataclass(frozen=True, slots=True)
class SessionSlots:
    """The slots (µs) of the bars expected in the chunk [start, end) (µs), numbered from 0 to `count` - 1 in order.

    Held as runs of slots one step apart: a session without breaks is one run, a year of days some fifty.
    """

    start: EventTime
    end: EventTime
    step: int
    firsts: tuple[int, ...]
    bases: tuple[int, ...]  # the number of each run's first slot, and the count at the end

    @property
    def count(self) -> int:
        """The number of bars expected in the chunk."""
        return self.bases[-1]

    def index_of(self, slot: int) -> int | None:
        """Return the number of the bar in `slot` (µs); None where no bar is expected there."""
        run = bisect_right(self.firsts, slot) - 1
        if run < 0:
            return None
        number, beside = divmod(slot - self.firsts[run], self.step)
        index = self.bases[run] + number
        return None if beside or index >= self.bases[run + 1] else index

    def slot_at(self, index: int) -> EventTime:
        """Return the slot (µs) of bar number `index`; raise IndexError where there is none."""
        if not 0 <= index < self.count:
            raise IndexError(f"bar {index} of {self.count}")
        run = bisect_right(self.bases, index) - 1
        return EventTime(self.firsts[run] + (index - self.bases[run]) * self.step)

    def count_before(self, moment: int) -> int:
        """Return how many bars have a slot before `moment` (µs): the number of the first one that has not."""
        run = bisect_left(self.firsts, moment) - 1
        if run < 0:
            return 0
        return min(self.bases[run] - (self.firsts[run] - moment) // self.step, self.bases[run + 1])


def session_slots(calendar: Calendar, interval: str, moment: int) -> SessionSlots | None:
    """Return the numbered slots of the chunk that holds `moment` (µs); None where it expects no bar.

    Of intraday bars that is the trading day whose hours hold `moment`, of daily bars its calendar year (UTC).
    """
    if not is_judged(interval):
        return None
    if interval == DAILY:
        return _year_slots(calendar, datetime.fromtimestamp(moment // 1_000_000, UTC).year)
    session = calendar.session_at(moment)
    return None if session is None else _day_slots(calendar, interval, session.open)


@lru_cache(maxsize=CACHED_CHUNKS)
def _day_slots(calendar: Calendar, interval: str, opens: int) -> SessionSlots | None:
    session = calendar.session_at(opens)
    if session is None:
        return None
    step = SLOT_US[interval]
    found = [(low, -(-(high - low) // step)) for low, high in session.parts]
    return _numbered(session.pre_open, session.post_close, step, found)


@lru_cache(maxsize=CACHED_CHUNKS)
def _year_slots(calendar: Calendar, year: int) -> SessionSlots | None:
    start, end = (micros(datetime(each, 1, 1, tzinfo=UTC)) for each in (year, year + 1))
    opens = (session.open for session in calendar.sessions(start, end))
    days = [each - each % DAY_US for each in opens if start <= each < end]
    return _numbered(start, end, DAY_US, ((day, 1) for day in days))


def _numbered(start: int, end: int, step: int, found: Iterable[tuple[int, int]]) -> SessionSlots | None:
    """Return the runs (first slot, slots), which are in order, numbered; two without a step between are one."""
    firsts: list[int] = []
    counts: list[int] = []
    for first, slots in found:
        if firsts and first == firsts[-1] + counts[-1] * step:
            counts[-1] += slots
        elif slots:
            firsts.append(first)
            counts.append(slots)
    if not firsts:
        return None
    bases = tuple(accumulate(counts, initial=0))
    return SessionSlots(EventTime(start), EventTime(end), step, tuple(firsts), bases)
