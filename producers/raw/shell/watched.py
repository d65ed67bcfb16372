"""Until when streams were watched ↔ Kafka: read for partitions that are taken over, noted every few seconds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from functools import partial

from infra.runtime.backoff import RETRY_S
from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.publisher import Outgoing
from infra.runtime.threads import in_daemon_thread
from producers.raw.shell.topics import RawTopics
from producers.raw.watched import watched_key
from schemas.errors import BrokerUnavailable, PermanentError
from schemas.records import Watched
from schemas.topics import WATCHED
from schemas.wire.codec import decode, encode

NOTE_EVERY_S = 5.0  # so much longer than it was may a killed process claim to have been blind
LAST_NOTE_S = 2.0
MAX_RECORDS = 10_000  # of a partition that compaction has not cleaned yet

log = logging.getLogger(__name__)


class WatchedTopic:
    """Notes what `raw.watched` says, and fills it with what those before us noted."""

    def __init__(self, raw: RawTopics, bootstrap: str, *, prefix: str) -> None:
        """Read and write the declared topic under `prefix`."""
        self._raw, self._bootstrap, self._prefix = raw, bootstrap, prefix
        self._read: frozenset[int] = frozenset()

    async def take_over(self, partitions: frozenset[int]) -> None:
        """Take up what is noted of partitions that were not ours before, however long the broker is away."""
        fresh = partitions - self._read
        self._read &= partitions
        if not fresh:
            return
        while True:
            try:
                found = await in_daemon_thread(partial(self._noted, fresh), name="watched")
                break
            except BrokerUnavailable as error:  # without it nothing can be collected either
                log.warning("watched_not_read", extra={"error": str(error)})
                await asyncio.sleep(RETRY_S)
        for noted in found:
            self._raw.watched.take_up(noted)
        self._read |= fresh  # only now: who was given up on while it read has read nothing

    async def run(self) -> None:
        """Note what changed every few seconds, until cancelled; then once more."""
        try:
            while True:
                await asyncio.sleep(NOTE_EVERY_S)
                await self._note()
        except asyncio.CancelledError:
            await self.hand_over()
            raise

    async def hand_over(self) -> None:
        """Note what changed before others take over: what is not noted they claim to be missing. Waits 2 s at most."""
        try:
            async with asyncio.timeout(LAST_NOTE_S):
                await self._note()
        except (TimeoutError, BrokerUnavailable) as error:
            why = str(error) or "the broker did not confirm in time"
            log.warning("watched_not_noted", extra={"error": why})

    async def _note(self) -> None:
        records = [
            Outgoing(
                topic=self._prefix + WATCHED,
                partition=partition,
                value=encode(WATCHED, noted),
                key=watched_key(partition, noted),
            )
            for partition, noted in self._raw.watched.changed(self._raw.partitions)
        ]
        await self._raw.confirmed(records)

    def _noted(self, partitions: Collection[int]) -> list[Watched]:
        found: list[Watched] = []
        topic = self._prefix + WATCHED
        with LogReader(self._bootstrap, "mds-watched") as reader:
            for partition in partitions:
                low, high = reader.bounds(topic, partition)
                for message in reader.read(topic, partition, max(low, high - MAX_RECORDS), high):
                    try:
                        found.append(decode(WATCHED, message.value(), Watched))
                    except PermanentError as error:
                        log.warning("foreign_record_skipped", extra={"topic": WATCHED, "error": str(error)})
        return found
