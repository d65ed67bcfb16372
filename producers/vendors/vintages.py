"""Vintages of one macro series: what a source said of each period, and from which day to which; pure.

A source answers about a window of days and cuts what it says to it: a value that stood before the window seems to begin
with it, one that stood after it to end with it. Windows that follow one another are put together again here. Two
statements are one where they are of the same period and value and the second begins the day after the first ends: what a
source goes on saying is no new vintage, so where windows are cut leaves no trace.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from schemas.clocks import Day


@dataclass(frozen=True, slots=True, kw_only=True)
class Vintage:
    """A value of a period, said on the days [start, end]; `end` is None while it stands, `value` where it is missing."""

    period_start: Day
    period_end: Day
    value: float | None
    start: Day
    end: Day | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """A statement that contradicts another one, and how."""

    vintage: Vintage
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VintageWindow:
    """The days a source is asked about, both included; `end` is None where that is for ever."""

    start: Day
    end: Day | None


def windows(days: Sequence[Day], *, most: int, since: Day | None) -> list[VintageWindow]:
    """Return windows of at most `most` vintages each that follow one another without a hole, the last one without end.

    `days` are those on which vintages begin, in order. With `since` the first window begins the day before: what begins in
    a window, and not with it, begins where it says.
    """
    starts = list(days[::most])
    if not starts:
        return []
    if since is not None:
        starts[0] = Day(since - 1)
    ends = [Day(following - 1) for following in starts[1:]]
    return [VintageWindow(start=start, end=end) for start, end in zip(starts, [*ends, None], strict=True)]


def joined(told: Iterable[Vintage]) -> tuple[list[Vintage], list[Contradiction]]:
    """Return what was said as vintages, periods and days in order, and those statements that contradict one another.

    What is said twice counts once. Of statements on one period that stand on the same day none is taken.
    """
    by_period = defaultdict(list)
    for vintage in dict.fromkeys(told):
        by_period[vintage.period_start].append(vintage)
    kept: list[Vintage] = []
    refused: list[Contradiction] = []
    for period in sorted(by_period):
        ordered = sorted(by_period[period], key=attrgetter("start"))
        against = _overlapping(ordered)
        refused += (Contradiction(vintage=each, why=against[each]) for each in ordered if each in against)
        kept += _without_cuts(each for each in ordered if each not in against)
    return kept, refused


def began_since(vintages: Iterable[Vintage], since: Day | None) -> list[Vintage]:
    """Return those that begin on a day or later; all of them without one."""
    return [vintage for vintage in vintages if since is None or vintage.start >= since]


def _overlapping(ordered: Sequence[Vintage]) -> dict[Vintage, str]:
    """Return those that stand on a day on which another one stands, each with what is wrong."""
    found: dict[Vintage, str] = {}
    reaching: Vintage | None = None  # of those before, the one that stands longest
    for vintage in ordered:
        if reaching is not None and (reaching.end is None or vintage.start <= reaching.end):
            found[reaching] = found[vintage] = "two values of one period stand on the same day"
        if reaching is None or (
            reaching.end is not None and (vintage.end is None or vintage.end > reaching.end)
        ):
            reaching = vintage
    return found


def _without_cuts(ordered: Iterable[Vintage]) -> Iterator[Vintage]:
    """Yield vintages of one period, one where several say the same without a day between."""
    last: Vintage | None = None
    for vintage in ordered:
        if last is not None and last.end == vintage.start - 1 and last.value == vintage.value:
            last = replace(last, end=vintage.end)
            continue
        if last is not None:
            yield last
        last = vintage
    if last is not None:
        yield last
