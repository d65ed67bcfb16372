"""A real processor process, raw records for it, and readers of what it wrote."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import Message, Producer

from infra.runtime.kafka.clients import producer_config
from infra.runtime.kafka.logs import LogReader
from schemas.partitions import partition_of
from schemas.records import DeadLetter, Progress, RawBlock
from schemas.topics import DEFAULT_PARTITIONS, PROGRESS, RAW_TOPICS, dead, progress_key
from schemas.wire.codec import decode, decode_value, encode
from tests.conftest import ROOT, free_port

STOP_WITHIN_S = 15
FETCH_WAIT_MS = 20  # the end of a partition is told after this


class Worker:
    """One `python -m stream_processors`; its log is kept for the failure message."""

    def __init__(
        self,
        bootstrap: str,
        prefix: str,
        folder: Path,
        **settings: str,
    ) -> None:
        self.port = free_port()
        self.log = folder / f"worker-{self.port}.log"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MDS_")}
        environment = kept | {
            "MDS_KAFKA": bootstrap,
            "MDS_TOPIC_PREFIX": prefix,
            "PROCESSORS_OPS_PORT": str(self.port),
            **settings,
        }
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stream_processors"], cwd=ROOT, env=environment, stdout=out, stderr=out
            )

    def terminate(self) -> int:
        """Ask it to stop and return its exit code."""
        self.process.terminate()
        return self.process.wait(STOP_WITHIN_S)

    def kill(self) -> None:
        """Kill it and wait, also where it is frozen."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(STOP_WITHIN_S)

    def events(self, *names: str) -> list[dict[str, Any]]:
        """Return the lines of its log with one of these events."""
        lines = self.log.read_text().splitlines()
        return [line for line in map(_json, lines) if line.get("event") in names]

    def sees(self, fact: Callable[[], bool]) -> Callable[[], bool]:
        """Return the fact as one that explains itself with the end of this worker's log."""

        def holds() -> bool:
            if not fact():
                raise AssertionError(f"exit {self.process.poll()}: {self.log.read_text()[-4_000:]}")
            return True

        return holds


def _json(line: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(line)
    except ValueError:  # a traceback's, or half written yet
        return {}
    return found


@contextmanager
def worker(bootstrap: str, prefix: str, folder: Path, **settings: Any) -> Iterator[Worker]:
    """Run a worker and kill it in the end."""
    started = Worker(bootstrap, prefix, folder, **settings)
    try:
        yield started
    finally:
        started.kill()


class Raw:
    """Appends raw records, confirmed before `send` returns."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._producer = Producer(producer_config(bootstrap, "test-raw"))
        self._prefix = prefix

    def send(
        self, topic: str, partition: int, value: bytes | None, key: bytes | None = None
    ) -> tuple[int, int]:
        """Append bytes and return their offset and the broker's append time, µs."""
        delivered: list[Message] = []
        self._producer.produce(
            self._prefix + topic,
            value,
            key,
            partition=partition,
            on_delivery=lambda _, message: delivered.append(message),
        )
        self._producer.flush(10)
        (message,) = delivered
        offset = message.offset()
        assert offset is not None
        return offset, message.timestamp()[1] * 1_000

    def block(self, topic: str, block: RawBlock) -> None:
        """Append a block to the partition of its first event's symbol."""
        self.send(
            topic, partition_of(str(block.events[0]["symbol"]), DEFAULT_PARTITIONS), encode(topic, block)
        )


class Log:
    """Reads committed records of the test's own topics, from the beginning to the end."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._consumer = LogReader(bootstrap, "test-log", tuning={"fetch.wait.max.ms": FETCH_WAIT_MS})
        self._prefix = prefix

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()

    def messages(self, topic: str, partition: int) -> list[Message]:
        """Return every committed record of a partition."""
        low, _ = self._consumer.bounds(self._prefix + topic, partition)
        return list(self._consumer.read(self._prefix + topic, partition, low))

    def values(self, topic: str, partition: int) -> list[dict[str, Any]]:
        """Return every committed record of a partition, decoded."""
        return [decode_value(topic, message.value()) for message in self.messages(topic, partition)]

    def all_values(self, topic: str) -> list[dict[str, Any]]:
        """Return every committed record of a topic, partition by partition."""
        return [value for partition in range(DEFAULT_PARTITIONS) for value in self.values(topic, partition)]

    def letters(self, raw_topic: str) -> list[DeadLetter]:
        """Return every dead letter of a raw topic."""
        topic = dead(raw_topic)
        return [
            decode(topic, message.value(), DeadLetter)
            for partition in range(DEFAULT_PARTITIONS)
            for message in self.messages(topic, partition)
        ]

    def progress(self, raw_topic: str, partition: int) -> list[Progress]:
        """Return the progress of a raw partition, oldest first."""
        key = progress_key(raw_topic, partition)
        messages = [message for message in self.messages(PROGRESS, partition) if message.key() == key]
        return [decode(PROGRESS, message.value(), Progress) for message in messages]

    def standing(self) -> dict[tuple[str, int], int]:
        """Return the newest processed raw offset of every raw partition that has one."""
        found: dict[tuple[str, int], int] = {}
        for partition in range(DEFAULT_PARTITIONS):
            for value in self.values(PROGRESS, partition):
                found[value["raw_topic"], partition] = value["raw_offset"]
        return found

    def ends(self, topics: Sequence[str] = RAW_TOPICS) -> dict[tuple[str, int], int]:
        """Return the newest offset of every raw partition that holds a record."""
        ends = {
            (topic, partition): self._consumer.bounds(self._prefix + topic, partition)[1] - 1
            for topic in topics
            for partition in range(DEFAULT_PARTITIONS)
        }
        return {place: end for place, end in ends.items() if end >= 0}
