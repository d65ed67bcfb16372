"""An event loop whose clock jumps to the next timer instead of waiting: a day of asyncio in seconds."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

BEGIN_US = 1_790_000_000_000_000  # of the epoch, where loop time is 0
SECOND_US = 1_000_000
STEP_S = 1e-9  # added to every jump: a float must not stop just short of the timer

T = TypeVar("T")


class _NoWait(selectors.SelectSelector):
    """Reports what is ready now, and tells the loop how long it would have waited."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return at once, the clock moved on by what the wait would have been."""
        ready = super().select(0)
        if not ready and timeout is None:
            raise AssertionError("everything waits for something that no timer brings")
        if not ready and timeout:
            self._loop.now_s += timeout + STEP_S
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop for code without sockets or threads."""

    def __init__(self) -> None:
        self.now_s = 0.0
        super().__init__(_NoWait(self))

    def time(self) -> float:
        """Return virtual seconds."""
        return self.now_s


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


def in_virtual_time(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Return a test that runs to its end in virtual time."""

    def wrapped() -> None:
        run(test())

    wrapped.__doc__, wrapped.__name__ = test.__doc__, test.__name__
    return wrapped


def now_us() -> int:
    """Return virtual time in µs of the epoch; inside `run` only."""
    return BEGIN_US + int(asyncio.get_running_loop().time() * SECOND_US)
