"""How work grows with its size: processor time for n, 2n and 4n, and the steps a database is asked for."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg

from schemas.intervals import DAY_US, MINUTE_US
from schemas.streams import Bar
from tests.support.builders import NINE_THIRTY, a_bar

FULL = "MDS_GROWTH_FULL" in os.environ  # `make soak`: sizes at which earlier versions stood still
SIZES = (1, 2, 4)
ROUNDS = 3
SLACK = 2.0  # four times the size may take eight times as long; work that grows with the square takes sixteen


def sized(small: int, full: int) -> int:
    """Return the size to measure at: the one of `make test`, or of `make soak`."""
    return full if FULL else small


def processor_s(work: Callable[[], object]) -> float:
    """Return the processor time of some work, without what collecting garbage takes now and then."""
    gc.disable()
    try:
        began_s = time.process_time()
        work()
        return time.process_time() - began_s
    finally:
        gc.enable()


def assert_linear(prepare: Callable[[int], Callable[[], object]], size: int) -> None:
    """Check that what `prepare` returns for n, 2n and 4n takes time in proportion, or else for 4n, 8n and 16n.

    Work that outgrows a processor's cache on the way makes one step, as all work does beside a busy neighbour; work that
    grows with the square goes on growing.
    """
    first = _taken(prepare, size)
    if not _is_linear(first):
        later = _taken(prepare, size * SIZES[-1])
        assert _is_linear(later), (
            f"{first} s for {size} times {SIZES}, then {later} s for {SIZES[-1]} times as many"
        )


def _taken(prepare: Callable[[int], Callable[[], object]], size: int) -> list[float]:
    """Return the least time of several rounds for each size, since what else the machine does only ever adds.

    A round measures all sizes, so that a slow moment does not fall on one of them alone.
    """
    rounds = [[processor_s(prepare(size * times)) for times in SIZES] for _ in range(ROUNDS)]
    return [min(each) for each in zip(*rounds, strict=True)]


def _is_linear(taken: Sequence[float]) -> bool:
    base = max(taken[0], 0.001)
    return all(each <= times * SLACK * base for times, each in zip(SIZES, taken, strict=True))


class CountingConnection(asyncpg.Connection):  # type: ignore[type-arg]
    """Counts the statements it is asked for, and the rows it is given back."""

    statements = 0
    rows = 0

    @classmethod
    def forget(cls) -> None:
        """Count from zero."""
        cls.statements = cls.rows = 0

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        """Fetch, counted."""
        found = await super().fetch(query, *args, **options)
        CountingConnection.statements += 1
        CountingConnection.rows += len(found)
        return found

    async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
        """Fetch a value, counted."""
        CountingConnection.statements += 1
        return await super().fetchval(query, *args, **options)

    async def execute(self, query: str, *args: Any, **options: Any) -> str:
        """Execute, counted."""
        CountingConnection.statements += 1
        return await super().execute(query, *args, **options)


SPARSE = "BTC-USD"
MIDNIGHT = NINE_THIRTY - NINE_THIRTY % DAY_US


def sparse_bars(number: int) -> list[Bar]:
    """Return every second minute of one series of a market that never closes, in blocks of 500."""
    return [
        a_bar(symbol=SPARSE, event_time=MIDNIGHT + 2 * n * MINUTE_US, raw_offset=n // 500, index=n % 500)
        for n in range(number)
    ]
