"""Begin what is to be fetched again: whose turn it is, and the fewest requests that cover the jobs of a series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from producers.polling.position import longest_span_us
from schemas.backfill import AGED_EVERY, BackfillJob
from schemas.clocks import EventTime
from schemas.intervals import slot_us
from schemas.streams import StreamId

UNFINISHED = 8  # sets that later jobs may join

Window = tuple[EventTime, EventTime]
"""[from, to), µs."""


def room_of(concurrency: int, under_way: Mapping[str, int], open_to_us: Collection[str]) -> dict[str, int]:
    """Return how many jobs may be begun at each provider; none where it is not open to us now."""
    room = {provider: concurrency - under_way.get(provider, 0) for provider in open_to_us}
    return {provider: left for provider, left in room.items() if left > 0}


class Turns:
    """Lets every `AGED_EVERY`-th job that is begun at a provider be the oldest there is."""

    def __init__(self) -> None:
        """Begin with ranks."""
        self._begun = Counter[str]()  # begun since the last by age

    def ranked(self, room: Mapping[str, int]) -> dict[str, int]:
        """Return how much of the room is for jobs by rank, before an old one is due."""
        left = {provider: min(most, self._left(provider)) for provider, most in room.items()}
        return {provider: most for provider, most in left.items() if most > 0}

    def oldest(self, room: Mapping[str, int]) -> dict[str, int]:
        """Return where the oldest job is due, with room for that one."""
        return {provider: 1 for provider, most in room.items() if most > 0 and not self._left(provider)}

    def begun(self, jobs: Mapping[str, int]) -> None:
        """Note how many jobs were begun by rank at each provider."""
        self._begun.update(jobs)

    def aged(self, providers: Iterable[str]) -> None:
        """Note that an old one was begun at each of these providers, or looked for in vain."""
        for provider in providers:
            del self._begun[provider]

    def _left(self, provider: str) -> int:
        return max(0, AGED_EVERY - 1 - self._begun[provider])


def requests_for(stretches: Iterable[Window], *, step_us: int, span_us: int) -> list[Window]:
    """Return, in order, windows of whole steps and of at most `span_us` that cover every stretch.

    Each begins with the first moment that those before it leave out, and takes in all that it can: on a line nothing
    does with fewer. What lies between two stretches of one window is asked for as well.
    """
    span_us -= span_us % step_us
    windows: list[Window] = []
    for low, high in sorted((_floor(low, step_us), -_floor(-high, step_us)) for low, high in stretches):
        position = max(low, windows[-1][1]) if windows else low
        if windows and position < high:
            begin = windows[-1][0]
            if position < begin + span_us:
                position = min(high, begin + span_us)
                windows[-1] = begin, EventTime(position)
        while position < high:
            end = min(high, position + span_us)
            windows.append((EventTime(position), EventTime(end)))
            position = end
    return windows


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """Most that one request of a provider may hold: series, and bars of all of them."""

    series: int = 1
    bars: int = 0


@dataclass(slots=True)
class _Set:
    """Jobs that one request fetches: all its series over all its stretch."""

    step_us: int
    span_us: int
    low: int
    high: int
    most: int
    series: set[StreamId] = field(default_factory=set)
    jobs: list[BackfillJob] = field(default_factory=list)

    def takes(self, job: BackfillJob, most: int, capacity: Capacity) -> bool:
        """Add a job where it fits."""
        series = job.order.series
        low, high = _steps(job, self.step_us)
        low, high = min(low, self.low), max(high, self.high)
        count = len(self.series) + (series not in self.series)
        bars = count * (high - low) // self.step_us
        if (
            most != self.most
            or count > most
            or high - low > self.span_us
            or (count > 1 and bars > capacity.bars)
        ):
            return False
        self.low, self.high = low, high
        self.series.add(series)
        self.jobs.append(job)
        return True


def sets_of(jobs: Iterable[BackfillJob], capacity: Capacity) -> list[list[BackfillJob]]:
    """Return jobs of one provider and one length of bars in sets that one request each fetches, in order of time.

    In that order each is put with the earlier ones as far as a request reaches, counted by the clock as if no minute
    were quiet. One that is longer is alone. What failed is asked for with its like and with fewer of them, a quarter each
    time, so that one whom the others fail with is soon alone.
    """
    done: list[list[BackfillJob]] = []
    unfinished: list[_Set] = []
    for job in sorted(jobs, key=lambda each: (each.order.from_time, each.order.to_time, each.order.series)):
        step_us = slot_us(job.order.series.interval)
        span_us = longest_span_us(step_us)
        span_us -= span_us % step_us
        low, high = _steps(job, step_us)
        most = max(1, capacity.series >> 2 * failures(job))
        if high - low > span_us:
            done.append([job])
            continue
        if any(each.takes(job, most, capacity) for each in unfinished):
            continue
        fresh = _Set(step_us=step_us, span_us=span_us, low=low, high=high, most=most)
        fresh.takes(job, most, capacity)
        unfinished.append(fresh)
        if len(unfinished) > UNFINISHED:
            done.append(unfinished.pop(0).jobs)
    return [*done, *(each.jobs for each in unfinished)]


def failures(job: BackfillJob) -> int:
    """Return how often a job failed before; what is queued has not begun its next attempt."""
    return max(0, job.attempts - (job.state == "running"))


def _steps(job: BackfillJob, step_us: int) -> tuple[int, int]:
    return _floor(job.order.from_time, step_us), -_floor(-job.order.to_time, step_us)


def _floor(moment: int, step_us: int) -> int:
    return moment - moment % step_us
