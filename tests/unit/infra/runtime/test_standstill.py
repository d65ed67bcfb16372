"""A loop that stood still for too long ends its process before anything else goes out; a slow one goes on."""

from __future__ import annotations

import asyncio
import time

import pytest

from infra.runtime import standstill
from infra.runtime.standstill import EXIT_FROZEN, Standstill
from tests.support.eventually import eventually


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often."""
    monkeypatch.setattr(standstill, "LOOK_EVERY_S", 0.001)


def freeze(seconds: float) -> None:
    """Stop the whole loop, as SIGSTOP does."""
    time.sleep(seconds)


async def test_what_goes_out_after_a_freeze_is_stopped_first() -> None:
    """A woken loop may run what reads a socket before it runs the watch."""
    codes: list[int] = []
    guard = Standstill(0.5, leave=codes.append)
    freeze(0.6)
    guard.check()
    assert codes == [], "before the watch begins nothing is owned"
    async with asyncio.TaskGroup() as tasks:
        watch = tasks.create_task(guard.watch())
        await asyncio.sleep(0.01)
        guard.check()
        assert codes == []

        freeze(0.6)
        guard.check()

        assert codes == [EXIT_FROZEN]
        watch.cancel()


async def test_a_loop_that_turns_is_left_alone_and_a_blocked_one_is_not() -> None:
    """The watch moves on with every turn of the loop, and only with it."""
    codes: list[int] = []
    guard = Standstill(0.5, leave=codes.append)
    async with asyncio.TaskGroup() as tasks:
        watch = tasks.create_task(guard.watch())
        for _ in range(8):
            await asyncio.sleep(0.1)
            guard.check()
        assert codes == []

        freeze(0.6)
        await eventually(lambda: codes, within_s=5)

        watch.cancel()
    assert codes == [EXIT_FROZEN]
