"""A process that stood still ends before anything else goes out; a slow or idle one goes on."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from math import inf

import pytest

from infra.runtime import standstill
from infra.runtime.clock import monotonic_s
from infra.runtime.exit_codes import ExitCode
from infra.runtime.standstill import Standstill, Watchdog
from schemas.partitions import TopicPartition
from tests.support.eventually import eventually


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often."""
    monkeypatch.setattr(standstill, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(standstill, "WATCH_EVERY_S", 0.005)
    monkeypatch.setattr(standstill, "CONFIRM_S", 0.02)


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

        assert codes == [ExitCode.FROZEN]
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
    assert codes == [ExitCode.FROZEN]


@dataclass
class Partition:
    """An owned partition with a newest offset of 6."""

    key: TopicPartition
    moved_at_s: float
    done: int


STALE = Partition(TopicPartition("raw", 2), 0.0, 5)


def behind(partition: Partition) -> bool:
    """Whether records wait after what was done."""
    return partition.done < 6


async def codes_of(partition: Partition, *, expected: bool, frozen_after_s: float = 60.0) -> set[int]:
    """Return what a watchdog asked for, once it did or after 0.1 s."""
    codes: list[int] = []
    dog = Watchdog(
        lambda: [partition],
        behind=behind,
        frozen_after_s=frozen_after_s,
        stalled_after_s=15.0,
        leave=codes.append,
    )
    dog.start()
    try:
        if expected:
            await eventually(lambda: codes, within_s=5)
        else:
            await asyncio.sleep(0.1)
    finally:
        dog.stop()
    return set(codes)


async def test_records_that_wait_while_nothing_moves_end_the_process() -> None:
    """A member that owns partitions and never fetches again is not cured by waiting."""
    assert await codes_of(STALE, expected=True) == {ExitCode.STALLED}


async def test_a_process_that_lost_time_was_frozen() -> None:
    """Its Kafka session is over; a look that took longer than that is a freeze."""
    moving = Partition(TopicPartition("raw", 2), monotonic_s() + 60, 5)

    assert await codes_of(moving, expected=True, frozen_after_s=0.001) == {ExitCode.FROZEN}


@pytest.mark.parametrize(
    "partition",
    [
        pytest.param(Partition(TopicPartition("raw", 2), inf, 5), id="moving"),
        pytest.param(Partition(TopicPartition("raw", 2), 0.0, 6), id="nothing waits"),
    ],
)
async def test_nothing_else_does(partition: Partition) -> None:
    """Progress and idleness are no reason."""
    assert await codes_of(partition, expected=False) == set()


async def test_a_question_that_blocks_is_no_freeze() -> None:
    """A broker that is away keeps the watchdog waiting for longer than a session: the process itself goes on."""
    codes, asked = list[int](), list[float]()

    def absent(_: Partition) -> bool:
        asked.append(monotonic_s())
        time.sleep(0.4)
        return False

    dog = Watchdog(
        lambda: [STALE, Partition(TopicPartition("raw", 3), 0.0, 5)],
        behind=absent,
        frozen_after_s=0.2,
        stalled_after_s=15.0,
        leave=codes.append,
    )
    dog.start()
    await eventually(lambda: len(asked) > 3, within_s=10)
    dog.stop()

    assert codes == []


async def test_a_freeze_during_a_question_is_one_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that leaps while the broker is asked is that of a stopped process."""
    codes, leap_s = list[int](), [0.0]
    monkeypatch.setattr(standstill, "monotonic_s", lambda: monotonic_s() + leap_s[0])
    asked = threading.Event()

    def absent(_: Partition) -> bool:
        asked.set()
        time.sleep(0.3)
        return False

    dog = Watchdog(
        lambda: [STALE], behind=absent, frozen_after_s=60.0, stalled_after_s=15.0, leave=codes.append
    )
    dog.start()
    try:
        await eventually(asked.is_set, within_s=5)
        leap_s[0] = 61.0
        await eventually(lambda: codes, within_s=5)
    finally:
        dog.stop()

    assert set(codes) == {ExitCode.FROZEN}


async def test_the_first_answer_after_an_outage_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records wait because the broker was away; the lanes have their time to fetch them."""
    monkeypatch.setattr(standstill, "CONFIRM_S", 60.0)

    assert await codes_of(STALE, expected=False) == set()


async def test_progress_that_moves_between_the_looks_is_no_standstill() -> None:
    """A partition that waits its turn among many full ones moves late, and moves: its clock begins anew."""
    codes, part = list[int](), Partition(TopicPartition("raw", 2), 0.0, 0)

    def behind(partition: Partition) -> bool:
        partition.done += 1
        return True

    dog = Watchdog(
        lambda: [part], behind=behind, frozen_after_s=60.0, stalled_after_s=15.0, leave=codes.append
    )
    dog.start()
    await eventually(lambda: part.done > 20, within_s=10)
    dog.stop()

    assert codes == []
