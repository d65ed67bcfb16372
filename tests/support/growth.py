"""How work grows with its size: processor time for n, 2n and 4n, and the steps a database is asked for."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from statistics import median
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
    """Check that what `prepare` returns for n, 2n and 4n takes time in proportion; median of several rounds."""
    taken = [median(processor_s(prepare(size * times)) for _ in range(ROUNDS)) for times in SIZES]
    for times, each in zip(SIZES, taken, strict=True):
        assert each <= times * SLACK * max(taken[0], 0.001), f"{taken} s for {size} times {SIZES}"


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
