"""Two processors under load, killed, frozen and stopped: every event once, in raw order."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Iterator
from functools import partial
from operator import ge
from pathlib import Path

import pytest

from schemas.partitions import partition_of
from schemas.topics import DEFAULT_PARTITIONS, QUOTES, RAW_QUOTES
from schemas.wire.codec import decode_block, encode
from tests.support.builders import NINE_THIRTY, a_block, a_quote_event
from tests.support.eventually import eventually
from tests.support.processor_workers import Log, Raw, Worker

SEED = int(os.environ.get("MDS_TEST_SEED", "7"))
SESSION_TIMEOUT_S = "6"
FREEZE_S = 9.0  # beyond the Kafka session: the frozen worker is a zombie when it wakes up
EVENTS_PER_BLOCK = 50
BLOCK_EVERY_S = 0.05
STARTED_WITHIN_S = 60.0
CONVERGED_WITHIN_S = 120.0


class Crew:
    """Two workers; whoever ends is replaced, as a supervisor does."""

    def __init__(self, bootstrap: str, prefix: str, folder: Path) -> None:
        self._make = partial(
            Worker, bootstrap, prefix, folder, PROCESSORS_SESSION_TIMEOUT_S=SESSION_TIMEOUT_S
        )
        self.workers = [self._make(), self._make()]
        self.started = 2

    async def supervise(self) -> None:
        """Replace what ended, for ever."""
        while True:
            for place, worker in enumerate(self.workers):
                if worker.process.poll() is not None:
                    self.workers[place] = self._make()
                    self.started += 1
            await asyncio.sleep(0.5)

    def signal(self, place: int, number: signal.Signals) -> None:
        """Send a signal to a worker that may just have ended."""
        self.workers[place].process.send_signal(number)

    def logs(self) -> str:
        """Return the end of every log."""
        return "\n".join(worker.log.read_text()[-1_500:] for worker in self.workers)

    def kill(self) -> None:
        """End them all."""
        for worker in self.workers:
            worker.kill()


@pytest.fixture
def crew(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Iterator[Crew]:
    """Give two workers."""
    workers = Crew(kafka_bootstrap, topic_prefix, tmp_path)
    yield workers
    workers.kill()


class Feed:
    """Appends blocks of numbered quotes at a steady pace."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw
        self.stopped = False
        self._symbols = [self._symbols_of(partition) for partition in range(DEFAULT_PARTITIONS)]

    async def run(self) -> None:
        """Feed until told to stop; then nothing is on its way any more."""
        number = 1  # 0 is no price
        while not self.stopped:
            partition = number % DEFAULT_PARTITIONS
            numbers = [float(number * EVENTS_PER_BLOCK + place) for place in range(EVENTS_PER_BLOCK)]
            events = [
                a_quote_event(
                    symbol=self._symbols[partition][place % 10],
                    bid=value,
                    event_time=NINE_THIRTY + int(value),
                )
                for place, value in enumerate(numbers)
            ]
            await asyncio.to_thread(
                self._raw.send, RAW_QUOTES, partition, encode(RAW_QUOTES, a_block(*events))
            )
            number += 1
            await asyncio.sleep(BLOCK_EVERY_S)

    @staticmethod
    def _symbols_of(partition: int) -> list[str]:
        names = (f"SIM{number}" for number in range(1_000))
        return [name for name in names if partition_of(name, DEFAULT_PARTITIONS) == partition][:10]


@pytest.mark.slow
@pytest.mark.soak
async def test_every_event_is_there_once_and_in_raw_order_whatever_happens_to_the_workers(
    kafka_bootstrap: str, topic_prefix: str, crew: Crew
) -> None:
    """A kill -9, a freeze beyond the session, SIGTERM, in a seeded order, under load; two workers share the partitions."""
    log = Log(kafka_bootstrap, topic_prefix)
    feed = Feed(Raw(kafka_bootstrap, topic_prefix))
    order = random.Random(SEED)
    faults = [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM]
    order.shuffle(faults)
    async with asyncio.TaskGroup() as tasks:
        supervising = tasks.create_task(crew.supervise())
        feeding = tasks.create_task(feed.run())
        await eventually(lambda: all(_counts(log)), within_s=STARTED_WITHIN_S, every_s=0.5, what=crew.logs())
        for fault in faults:
            await asyncio.sleep(order.uniform(2, 4))  # some load between faults is the point
            struck = order.randrange(2)
            crew.signal(struck, fault)
            if fault is signal.SIGSTOP:
                await asyncio.sleep(FREEZE_S)
                crew.signal(struck, signal.SIGCONT)
        await asyncio.sleep(2)
        feed.stopped = True
        await feeding
        wanted = [_raw_bids(log, partition) for partition in range(DEFAULT_PARTITIONS)]
        try:
            await eventually(
                lambda: all(map(ge, _counts(log), map(len, wanted))), within_s=CONVERGED_WITHIN_S, every_s=1.0
            )
        except AssertionError as error:
            raise AssertionError(crew.logs()) from error
        supervising.cancel()

    for partition, sent in enumerate(wanted):
        values = log.values(QUOTES, partition)
        assert [value["bid"] for value in values] == sent
        places = [(value["raw_offset"], value["index"]) for value in values]
        assert places == sorted(places)
        known = [progress.known_from for progress in log.progress(RAW_QUOTES, partition)]
        assert known == sorted(known)
    assert crew.started >= 4  # the killed, the frozen and the stopped one were replaced
    log.close()


def _counts(log: Log) -> list[int]:
    return [len(log.messages(QUOTES, partition)) for partition in range(DEFAULT_PARTITIONS)]


def _raw_bids(log: Log, partition: int) -> list[float]:
    """Return what the raw topic holds, ticks aside: the oracle."""
    blocks = [decode_block(RAW_QUOTES, message.value()) for message in log.messages(RAW_QUOTES, partition)]
    return [float(event["bid"]) for block in blocks for event in block.events]
