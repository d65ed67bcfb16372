"""The thread that prices option chains, one chain at a time, and what it keeps: slices as read and chains as priced.

A thread and not a process: numpy gives the interpreter back while it computes, so that the loop turns, and a chain need not be
carried between processes (DECISIONS 120).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from gateway.http.problems import Problem

MAX_WAITING = 16
RETRY_S = 1
KEPT_LEGS = 200_000  # of slices, and again of priced chains: about 150 bytes each

T = TypeVar("T")


class KeptByLegs(Generic[T]):
    """Values by key, the least recently used given up when together they have more than so many legs."""

    def __init__(self, most: int = KEPT_LEGS) -> None:
        """Keep nothing yet."""
        self._most, self._legs = most, 0
        self._values: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()

    def get(self, key: Hashable) -> T | None:
        """Return what is kept under a key."""
        found = self._values.get(key)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def keep(self, key: Hashable, value: T, legs: int) -> None:
        """Keep a value of so many legs."""
        replaced = self._values.pop(key, None)
        self._legs += legs - (0 if replaced is None else replaced[1])
        self._values[key] = value, legs
        while self._legs > self._most and len(self._values) > 1:
            _, (_, left) = self._values.popitem(last=False)
            self._legs -= left


class ModelQueue:
    """Runs what prices chains beside the loop, in the order it was asked for."""

    def __init__(self) -> None:
        """Start the thread with the first question."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="options")
        self._waiting = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns; raise the Problem of a queue that is full, and whatever it raises."""
        if self._waiting >= MAX_WAITING:
            detail = f"{MAX_WAITING} questions about option chains already wait to be computed; come again"
            raise Problem(code="overloaded", detail=detail, retry_after_s=RETRY_S)
        self._waiting += 1
        try:
            return await self.behind(work)
        finally:
            self._waiting -= 1

    async def behind(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, after what waits already; for one at a time, which does not count as waiting."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
