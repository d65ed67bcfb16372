"""A writer that owns every partition of a database, and batches as it would read them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from schemas.intervals import MINUTE_US
from schemas.records import Evidence, Progress
from schemas.streams import Bar, Quote, Trade
from schemas.topics import (
    CANONICAL_TOPICS,
    DEFAULT_PARTITIONS,
    EVIDENCE,
    PROGRESS,
)
from sinks.batch.batch import Batch, assemble
from sinks.progress.positions import Log
from sinks.store.shell.healing import Healing
from sinks.store.shell.outcome import Written
from sinks.store.shell.writer import Store, Writer
from tests.support.builders import NINE_THIRTY, a_bar
from tests.support.received import Message, a_part, home

ALL = [
    (topic, number)
    for topic in (*CANONICAL_TOPICS, EVIDENCE, PROGRESS)
    for number in range(DEFAULT_PARTITIONS)
]

NOW = NINE_THIRTY + 10**12

WITHIN_S = 60.0


def logs(**changes: Any) -> dict[tuple[str, int], Log]:
    """Return logs wide enough for any test."""
    return {partition: Log(**({"topic_id": "one", "start": 0, "end": 10**9} | changes)) for partition in ALL}


@asynccontextmanager
async def a_writer(dsn: str, healing: Healing | None = None) -> AsyncIterator[Writer]:
    """Own everything."""
    store = Store(dsn, write_within_s=WITHIN_S, healing=healing)
    async with store.take_over(logs(), now_us=NOW) as writer:
        yield writer


def a_batch(writer: Writer, *records: Bar | Quote | Trade | Evidence | Progress) -> Batch:
    """Return the batch of records read next, wherever the writer stands."""
    by_place: dict[tuple[type, int], list[Any]] = {}
    for record in records:
        number = record.partition if isinstance(record, Progress) else home(record.symbol)
        by_place.setdefault((type(record), number), []).append(record)
    parts = []
    for (_, number), group in by_place.items():
        part = a_part(group, partition=number)
        start = writer.positions.get((part.topic, number), 0)
        part.records = [Message(message.value(), start + at) for at, message in enumerate(part.records)]
        part.end = start + len(group)
        parts.append(part)
    return assemble(parts)[0]


async def store(dsn: str, *batches: Sequence[Any]) -> list[Written]:
    """Store batches one after another through one writer."""
    async with a_writer(dsn) as writer:
        return [await writer.write(a_batch(writer, *records)) for records in batches]


def a_minute(number: int, **changes: Any) -> Bar:
    """Return the bar of a minute of the session."""
    return a_bar(**({"event_time": NINE_THIRTY + number * MINUTE_US, "raw_offset": number} | changes))
