"""Windows of cadence reach the journal: in order, through an outage of the broker, and at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from infra.runtime.clock import Market, WallMarketClock
from producers.polling.shell.timeliness import CadenceRecorder
from producers.polling.timeliness import CadenceGroup, PlannedCadence
from schemas.errors import BrokerUnavailable
from schemas.intervals import SECOND_US
from schemas.journals import CadenceSample
from tests.support.eventually import eventually

GROUP = CadenceGroup("quotes", "yahoo", "T1")
MARKET = Market(clock=WallMarketClock())


class Broker:
    """Confirms what it is given, unless it is away: then it lets the caller wait, as the real one does."""

    def __init__(self) -> None:
        self.samples: list[CadenceSample] = []
        self.waiting = 0
        self.back = asyncio.Event()
        self.back.set()

    async def publish(self, samples: Sequence[CadenceSample]) -> None:
        """Take samples once it is back."""
        self.waiting += 1
        await self.back.wait()
        self.samples.extend(samples)


@asynccontextmanager
async def recorded(broker: Broker) -> AsyncIterator[CadenceRecorder]:
    """Run a recorder of one group with windows of 10 ms."""
    recorder = CadenceRecorder(market=MARKET, replica="a", generation=lambda: 4, window_s=0.01)
    recorder.plan({GROUP: PlannedCadence(every_us=SECOND_US, symbols=("SPY",))})
    running = asyncio.ensure_future(recorder.run(broker.publish))
    try:
        yield recorder
    finally:
        running.cancel()
        await asyncio.wait({running})


def poll(recorder: CadenceRecorder) -> None:
    recorder.begun(GROUP, due_us=MARKET.now_us() - SECOND_US)
    recorder.ended(GROUP, ("SPY",), next_due_us=MARKET.now_us() + SECOND_US, ok=True)


async def test_windows_counted_while_the_broker_is_away_are_published_one_by_one_when_it_is_back() -> None:
    """An outage leaves no hole, and no window that is longer than the others."""
    broker = Broker()
    async with recorded(broker) as recorder:
        broker.back.clear()
        await eventually(lambda: broker.waiting, within_s=5.0)
        poll(recorder)
        away_until = asyncio.get_running_loop().time() + 0.1
        await eventually(lambda: asyncio.get_running_loop().time() > away_until, within_s=5.0)
        assert broker.samples == []
        broker.back.set()
        await eventually(lambda: len(broker.samples) > 5, within_s=5.0)

    samples = broker.samples
    assert sum(sample.begun for sample in samples) == 1
    assert [sample.begun_time for sample in samples[1:]] == [sample.ended_time for sample in samples[:-1]]
    assert {(sample.replica, sample.generation, sample.capability) for sample in samples} == {
        ("a", 4, "quotes")
    }


async def test_the_last_window_is_published_when_the_recorder_stops() -> None:
    """What was counted since the window before is not lost."""
    broker = Broker()
    recorder = CadenceRecorder(market=MARKET, replica="a", generation=lambda: 0)
    recorder.plan({GROUP: PlannedCadence(every_us=SECOND_US, symbols=("SPY",))})
    running = asyncio.ensure_future(recorder.run(broker.publish))
    await asyncio.sleep(0)
    poll(recorder)
    running.cancel()
    await asyncio.wait({running})

    (sample,) = broker.samples
    assert (sample.begun, sample.succeeded) == (1, 1)


async def test_what_was_under_way_when_the_recorder_stops_is_published_again() -> None:
    """Twice is harmless, because a record is named by its series and time; not at all would be a hole."""
    broker = Broker()
    async with recorded(broker) as recorder:
        broker.back.clear()
        poll(recorder)
        await eventually(lambda: broker.waiting, within_s=5.0)
        asyncio.get_running_loop().call_later(0.05, broker.back.set)

    assert sum(sample.begun for sample in broker.samples) == 1


async def test_a_publisher_that_is_dead_ends_the_process() -> None:
    """Like that of provider health: the process is started again rather than left without a journal."""

    async def publish(_: Sequence[CadenceSample]) -> None:
        raise BrokerUnavailable("the producer is dead; restart the process")

    recorder = CadenceRecorder(market=MARKET, replica="a", generation=lambda: 0, window_s=0.01)
    recorder.plan({GROUP: PlannedCadence(every_us=SECOND_US, symbols=("SPY",))})
    with pytest.raises(ExceptionGroup) as ended:
        await recorder.run(publish)

    assert ended.group_contains(BrokerUnavailable)
