"""The wholeness of stretches of bars: which the calendar expects, which of them are missing, and what the ledger says of those.

Where nobody traded there is no bar, and one that is missing looks the same: only a verdict of the ledger tells them apart.
A provider that still misses something is not answered by another that has none: their feeds differ.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from schemas.calendar.expected_bars import expected_span
from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime
from schemas.ledger.gaps import chunks
from schemas.records import Gap


@dataclass(frozen=True, slots=True, kw_only=True)
class Wholeness:
    """The number of bars expected in a stretch, whether all there are is there, and whether nothing more will come.

    `expected` None: the calendar does not know. `complete` None: none is expected, or nobody knows.
    """

    expected: int | None
    complete: bool | None
    settled: bool


UNKNOWN = Wholeness(expected=None, complete=None, settled=True)
NOTHING_EXPECTED = Wholeness(expected=0, complete=None, settled=True)


@dataclass(slots=True)
class _Verdicts:
    """Bits of the bars of a chunk that are missing, by what is said of them."""

    empty: int = 0
    given_up: int = 0
    awaited: int = 0


class Wholes:
    """A judge of stretches of bars of one interval; without gaps only by the calendar: then what is missing settles nothing."""

    def __init__(self, calendar: Calendar, interval: str, gaps: Iterable[Gap] | None = None) -> None:
        """Judge by `gaps`, of any providers and in any order, which are all there are of the stretches asked about."""
        self.calendar, self.interval = calendar, interval
        self._judged = gaps is not None
        self._verdicts: dict[EventTime, _Verdicts] = defaultdict(_Verdicts)
        for gap in gaps or ():
            self._take(gap)

    def of(self, left: EventTime, end: EventTime, slots: Iterable[EventTime]) -> Wholeness:
        """Return how whole [left, end) (µs) is with the bars in these `slots` (µs)."""
        calendar, interval = self.calendar, self.interval
        if not (calendar.knows(left) and calendar.knows(EventTime(end - 1))):
            return UNKNOWN
        span = expected_span(calendar, interval, left, end)
        if span is None:
            return NOTHING_EXPECTED
        complete = settled = True
        there = sorted(slots)
        last = EventTime(span.last + 1)
        place = 0
        for chunk in chunks(calendar, interval, span.first, last):
            missing = _bits(chunk.count_before(span.first), chunk.count_before(last))
            while place < len(there) and there[place] < chunk.end:
                index = chunk.index_of(there[place])
                missing &= ~(1 << index) if index is not None else -1
                place += 1
            if missing:
                said = self._verdicts[chunk.start] if self._judged else _Verdicts()
                complete = complete and not missing & ~(said.empty & ~said.given_up & ~said.awaited)
                settled = settled and not missing & ~((said.empty | said.given_up) & ~said.awaited)
        return Wholeness(expected=span.count, complete=complete, settled=settled or not self._judged)

    def _take(self, gap: Gap) -> None:
        for chunk in chunks(self.calendar, self.interval, gap.from_time, gap.to_time):
            bits = _bits(chunk.count_before(gap.from_time), chunk.count_before(gap.to_time))
            said = self._verdicts[chunk.start]
            if gap.state == "empty":
                said.empty |= bits
            elif gap.state == "unrecoverable":
                said.given_up |= bits
            elif gap.state != "filled":
                said.awaited |= bits


def _bits(first: int, last: int) -> int:
    """Return the bits of numbers [first, last)."""
    return ((1 << last) - 1) ^ ((1 << first) - 1) if first < last else 0
