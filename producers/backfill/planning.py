"""Begin what is to be fetched again: whose turn it is, and the fewest requests that cover the jobs of a series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from schemas.backfill import AGED_EVERY
from schemas.clocks import EventTime

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


def _floor(moment: int, step_us: int) -> int:
    return moment - moment % step_us
