"""Sixty-four partitions: one processor takes them over, works a backlog off without an end, and shares with others."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from confluent_kafka import Producer

from infra.runtime.kafka.clients import producer_config
from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.topics import Topics, ensure_topics
from schemas.partitions import TopicPartition
from schemas.records import Progress
from schemas.topics import PROGRESS, RAW_QUOTES, RAW_TOPICS
from schemas.wire.codec import decode, encode
from tests.support.eventually import eventually
from tests.support.loaded_partitions import block_of_quotes, symbols_at_home
from tests.support.processor_workers import Worker, worker

PARTITIONS = 24  # of five raw topics: 120 lanes (docs/PARTITIONS.md: what one process holds)
LANES = PARTITIONS * len(RAW_TOPICS)
BLOCKS_EACH, EVENTS = 120, 200  # a million events: more than the watchdog's patience on a slow machine
TAKEN_OVER_WITHIN_S = 20.0
STARTED_WITHIN_S = 180.0
WORKED_OFF_WITHIN_S = 180.0


@pytest.fixture
def prefix(kafka_bootstrap: str, bare_prefix: str) -> str:
    """A prefix under which every topic has 24 partitions."""
    ensure_topics(kafka_bootstrap, prefix=bare_prefix, partitions=PARTITIONS)
    return bare_prefix


class Progressed:
    """The newest processed offset of every partition of the quotes, followed."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._topics = Topics(bootstrap, "test-ends")
        self._reader = LogReader(bootstrap, "test-progress", tuning={"fetch.wait.max.ms": 20})
        self._prefix = prefix
        self._next = dict.fromkeys(range(PARTITIONS), 0)
        self.done: dict[int, int] = {}

    def behind(self) -> int:
        """Return how many raw quote records are not processed yet."""
        places = [TopicPartition(self._prefix + RAW_QUOTES, number) for number in range(PARTITIONS)]
        ends = self._topics.bounds(places)
        for number, start in self._next.items():
            for message in self._reader.read(self._prefix + PROGRESS, number, start):
                self._next[number] = (message.offset() or 0) + 1
                progress = decode(PROGRESS, message.value(), Progress)
                if progress.raw_topic == RAW_QUOTES:
                    self.done[number] = progress.raw_offset
        return sum(ends[place][1] - 1 - self.done.get(place.partition, -1) for place in places)

    def close(self) -> None:
        """Disconnect."""
        self._reader.close()


def fill(bootstrap: str, prefix: str) -> None:
    """Append the same blocks again and again: what they say matters less than how many there are."""
    producer = Producer(producer_config(bootstrap, "test-fill"))
    values = [
        encode(RAW_QUOTES, block_of_quotes(home, 0, EVENTS)) for home in symbols_at_home(PARTITIONS, 20)
    ]
    for _ in range(BLOCKS_EACH):
        for number, value in enumerate(values):
            producer.produce(prefix + RAW_QUOTES, value, partition=number)
        producer.poll(0)
    assert producer.flush(60) == 0


@pytest.mark.slow
async def test_a_backlog_of_many_partitions_is_worked_off_by_one_process_that_never_ends(
    kafka_bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    """Idle neighbours' ticks lie unread behind it for long: they wait their turn, and nothing has stalled."""
    fill(kafka_bootstrap, prefix)
    progressed = Progressed(kafka_bootstrap, prefix)
    with worker(kafka_bootstrap, prefix, tmp_path) as process:
        await eventually(
            process.sees(lambda: process.events("partitions_taken_over")), within_s=STARTED_WITHIN_S
        )
        taken = process.events("partitions_taken_over")[0]
        assert len(taken["partitions"].split()) == LANES
        assert taken["took_s"] < TAKEN_OVER_WITHIN_S
        await eventually(
            process.sees(lambda: progressed.behind() <= PARTITIONS),  # a tick of each may wait at any time
            within_s=WORKED_OFF_WITHIN_S,
            every_s=1.0,
        )
        assert process.process.poll() is None
        assert process.terminate() == 0
    progressed.close()


@pytest.mark.slow
@pytest.mark.soak
async def test_four_workers_share_them_and_a_returning_partition_keeps_its_lane(
    kafka_bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    """Who stays a member takes over what it did not have, and nothing else."""

    def shares(workers: list[Worker]) -> bool:
        """Whether each owns its part, by what it last logged."""
        owned = [len(owned_by(each)) for each in workers]
        assert sum(owned) == LANES, owned
        return max(owned) - min(owned) <= len(RAW_TOPICS)

    with ExitStack() as stack:
        first = stack.enter_context(worker(kafka_bootstrap, prefix, tmp_path))
        await eventually(first.sees(lambda: len(owned_by(first)) == LANES), within_s=STARTED_WITHIN_S)
        rest = [stack.enter_context(worker(kafka_bootstrap, prefix, tmp_path)) for _ in range(3)]
        await eventually(lambda: shares([first, *rest]), within_s=STARTED_WITHIN_S, every_s=0.5)

        assert len(first.events("partitions_taken_over")) == 1, "it had all of them already"
        assert first.events("partitions_kept")
        for each in rest:
            assert each.terminate() == 0
        await eventually(first.sees(lambda: len(owned_by(first)) == LANES), within_s=STARTED_WITHIN_S)
        assert first.process.poll() is None
        assert first.terminate() == 0


def owned_by(one: Worker) -> set[str]:
    """Return what a worker owns, as its log tells."""
    owned: set[str] = set()
    for line in one.events("partitions_taken_over", "partitions_kept", "partitions_released"):
        names = set(line["partitions"].split())
        owned = owned - names if line["event"] == "partitions_released" else owned | names
    return owned
