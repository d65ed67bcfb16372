"""Changes that evidence and bars make in the gaps of a stream: disjoint blind stretches, each with its state.

The gaps are the same whichever is read first, since they are derived from all evidence and all bars of the stretch that
may change (`schemas.ledger`). Work grows with the rows that lie there: how many those are is decided outside.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from schemas.clocks import EventTime
from schemas.intervals import DAY_US
from schemas.ledger.gaps import gaps_of
from schemas.records import Evidence, Gap
from schemas.streams import StreamId

NEAR_US = 7 * DAY_US

Stretch = tuple[EventTime, EventTime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """Change of a stream's gaps: rows to delete and to write, what is news, and what subscribers must hear."""

    deleted: tuple[Gap, ...]
    written: tuple[Gap, ...]
    found: tuple[Gap, ...]  # of the written ones those where no gap was before
    announced: tuple[Gap, ...]


def clusters(stretches: Iterable[Stretch], *, near_us: int = NEAR_US) -> list[Stretch]:
    """Return what covers the stretches, in order, one for all that lie within `near_us` (µs) of each other.

    An old and a live bar that arrive together so ask nothing of the years between them.
    """
    found: list[Stretch] = []
    for low, high in sorted(stretches):
        if found and low - found[-1][1] <= near_us:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found


def touched_blind(changed: Sequence[Stretch], evidence: Iterable[Evidence]) -> list[Evidence]:
    """Return the blind stretches that overlap any of the changed ones, which are in order: only their gaps can change."""
    begins = [low for low, _ in changed]
    found = []
    for told in evidence:
        place = bisect_left(begins, told.to_time or told.from_time) - 1
        if told.kind == "blind" and place >= 0 and changed[place][1] > told.from_time:
            found.append(told)
    return found


def revision_of(
    series: StreamId,
    blind: Sequence[Evidence],
    *,
    evidence: Sequence[Evidence],
    before: Sequence[Gap],
    stored: Sequence[EventTime],
) -> Revision:
    """Return how the gaps `before` of a stream change, as far as the `blind` stretches, which may have changed, make them.

    `evidence`: all that overlaps those; `stored`: the final bars within them, in order.
    """
    if not blind:
        return Revision(deleted=(), written=(), found=(), announced=())
    start, end = min(told.from_time for told in blind), max(told.to_time or told.from_time for told in blind)
    ours = {_place(told) for told in blind}
    derived = gaps_of(series, evidence, stored, horizon=None, start=start, end=end)
    after = [gap for gap in derived if _place(gap) in ours]
    begins = [gap.from_time for gap in after]
    # What no evidence is known of gives way: an older version found it while this one was rolled out.
    return revise([gap for gap in before if _place(gap) in ours or _overlaps(gap, begins, after)], after)


def _overlaps(gap: Gap, begins: Sequence[EventTime], after: Sequence[Gap]) -> bool:
    place = bisect_left(begins, gap.to_time) - 1
    return place >= 0 and after[place].to_time > gap.from_time


def _place(told: Evidence | Gap) -> tuple[object, ...]:
    """Return what names the evidence that a gap follows from."""
    return told.known_from, told.raw_offset, told.index, told.detector


def revise(before: Sequence[Gap], after: Sequence[Gap]) -> Revision:
    """Return the difference between the gaps of a stream before and after, both in order of time.

    An id whose start now lies in another stretch is announced once more, as the part of it in that stretch and in its
    state, so that nobody keeps it open, and nobody takes more than that part for settled.
    """
    old, new = {gap.gap_id: gap for gap in before}, {gap.gap_id: gap for gap in after}
    written = tuple(gap for gap in after if old.get(gap.gap_id) != gap)
    known = sorted(before, key=lambda gap: gap.from_time)
    begins, ends = [gap.from_time for gap in known], [gap.to_time for gap in known]
    found = tuple(
        gap for gap in written if bisect_left(begins, gap.to_time) == bisect_right(ends, gap.from_time)
    )
    gone = [gap for name, gap in old.items() if name not in new]
    return Revision(
        deleted=tuple(gone), written=written, found=found, announced=(*written, *_last_words(after, gone))
    )


def _last_words(after: Sequence[Gap], gone: Iterable[Gap]) -> Iterator[Gap]:
    begins = [gap.from_time for gap in after]
    for gap in gone:
        place = bisect_right(begins, gap.from_time) - 1
        if place >= 0 and after[place].to_time > gap.from_time:
            there = after[place]
            yield replace(gap, to_time=min(gap.to_time, there.to_time), state=there.state)
        else:  # nothing is expected there any more
            yield replace(gap, state="empty")
