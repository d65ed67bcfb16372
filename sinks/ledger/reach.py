"""From where to where bars of a series are missing: only bars that arrive there change anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from schemas.clocks import EventTime
from schemas.streams import StreamId
from sinks.ledger.gaps import Stretch


@dataclass(slots=True)
class Reach:
    """From the first to the last gap of each series that is not filled, and from its first to its last absent or empty bar.

    Known of the series that were asked for; None where there is none. It never shrinks while it is kept.
    """

    gaps: dict[StreamId, Stretch | None] = field(default_factory=dict)
    bits: dict[StreamId, Stretch | None] = field(default_factory=dict)

    def unknown(self, series: Iterable[StreamId]) -> list[StreamId]:
        """Return those that were not asked for yet; from now on they were."""
        found = [key for key in series if key not in self.gaps]
        self.gaps.update(dict.fromkeys(found))
        self.bits.update(dict.fromkeys(found))
        return found

    def of_gaps(self, series: StreamId, arrived: Stretch) -> bool:
        """Whether bars from `arrived[0]` to `arrived[1]` (µs) may lie in a gap that is not filled."""
        return _overlaps(self.gaps.get(series), arrived)

    def of_bits(self, series: StreamId, arrived: Stretch) -> bool:
        """Whether bars from `arrived[0]` to `arrived[1]` (µs) may be told absent or empty."""
        return _overlaps(self.bits.get(series), arrived)

    def widen(self, reach: dict[StreamId, Stretch | None], series: StreamId, stretch: Stretch) -> None:
        """Take a stretch in, where the series was asked for."""
        if series in reach:
            low, high = reach[series] or stretch
            reach[series] = (min(low, stretch[0]), max(high, stretch[1]))


def _overlaps(reach: tuple[EventTime, EventTime] | None, arrived: Stretch) -> bool:
    return reach is not None and reach[0] <= arrived[1] and arrived[0] < reach[1]
