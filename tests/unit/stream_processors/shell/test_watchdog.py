"""A frozen process and a standing progress end the process; an idle or unreachable partition does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import pytest

from infra.runtime.clock import monotonic_s
from schemas.errors import BrokerUnavailable
from schemas.topics import RAW_BARS
from stream_processors.shell import watchdog
from stream_processors.shell.watchdog import EXIT_FROZEN, EXIT_STALLED, Watchdog
from tests.support.eventually import eventually


@dataclass
class Partition:
    """An owned raw partition."""

    key: tuple[str, int]
    moved_at_s: float
    done: int


STALE = Partition((RAW_BARS, 2), 0.0, 5)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often; six records are in the log."""
    monkeypatch.setattr(watchdog, "LOOK_EVERY_S", 0.005)
    monkeypatch.setattr(watchdog, "offsets", lambda *_: (0, 7))


def watching(partition: Partition, codes: list[int], *, frozen_after_s: float = 60.0) -> Watchdog:
    """Return a watchdog that remembers the exit codes it asked for."""
    return Watchdog(
        lambda: [partition],
        bootstrap="127.0.0.1:1",
        prefix="",
        frozen_after_s=frozen_after_s,
        stalled_after_s=15.0,
        leave=codes.append,
    )


async def codes_of(partition: Partition, *, expected: bool, frozen_after_s: float = 60.0) -> set[int]:
    """Return what a watchdog asked for, once it did or after 0.1 s."""
    codes: list[int] = []
    dog = watching(partition, codes, frozen_after_s=frozen_after_s)
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
    assert await codes_of(STALE, expected=True) == {EXIT_STALLED}


async def test_a_process_that_lost_time_was_frozen() -> None:
    """Its Kafka session is over; a look that took longer than that is a freeze."""
    moving = Partition((RAW_BARS, 2), monotonic_s() + 60, 5)

    assert await codes_of(moving, expected=True, frozen_after_s=0.001) == {EXIT_FROZEN}


def unreachable(*_: object) -> tuple[int, int]:
    """Be the broker that does not answer."""
    raise BrokerUnavailable("gone")


@pytest.mark.parametrize(
    ("partition", "log"),
    [
        pytest.param(Partition((RAW_BARS, 2), inf, 5), lambda *_: (0, 9), id="moving"),
        pytest.param(Partition((RAW_BARS, 2), 0.0, 6), lambda *_: (0, 7), id="nothing waits"),
        pytest.param(STALE, unreachable, id="broker away"),
    ],
)
async def test_nothing_else_does(
    partition: Partition, log: Callable[..., tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Progress, idleness and a broker's outage are no reason."""
    monkeypatch.setattr(watchdog, "offsets", log)

    assert await codes_of(partition, expected=False) == set()
