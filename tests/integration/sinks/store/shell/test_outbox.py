"""What transactions left to publish reaches the real broker by its owner's hand, in order, and is deleted only then."""

# ruff: noqa: S608 - texts of this file only

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import asyncpg
import pytest

from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.publisher import Outgoing
from infra.runtime.postgres.pool import pool
from schemas.clocks import CanonicalOffset
from schemas.errors import BrokerUnavailable, Fenced
from schemas.partitions import TopicPartition
from schemas.topics import EVIDENCE, GAPS, TRADES, dead
from sinks.progress.positions import Log
from sinks.store.shell.outbox import (
    DELETE_ROWS,
    DRAIN_ROWS,
    NEXT_ROWS,
    WAITING,
    Outbox,
    OutboxWriter,
    Writer,
)
from sinks.store.shell.ownership import Owned, take_over
from sinks.store.shell.session import open_connection
from tests.support.eventually import eventually
from tests.support.sink_records import count, query

WITHIN_S = 30.0
MANY_ROWS = 100_000


async def leave(dsn: str, *records: tuple[bytes, bytes], topic: str = GAPS, number: int = 0) -> None:
    """Leave (key, value) records to publish, as transactions of a sink do, oldest first."""
    rows = [(topic, number, key, value) for key, value in records]
    connection = await asyncpg.connect(dsn)
    try:
        await connection.executemany(
            "INSERT INTO outbox (topic, partition, key, value) VALUES ($1, $2, $3, $4)", rows
        )
    finally:
        await connection.close()


async def own(dsn: str, *numbers: int) -> dict[TopicPartition, Owned]:
    """Take partition numbers over as a sink does: whoever had them before owns them no more."""
    places = [TopicPartition(topic, number) for topic in (EVIDENCE, TRADES) for number in numbers]
    logs = {place: Log(topic_id="one", start=CanonicalOffset(0), end=CanonicalOffset(10)) for place in places}
    async with open_connection(dsn) as connection:
        return (await take_over(connection, logs)).owned


def published(bootstrap: str, topic: str, number: int = 0) -> list[tuple[bytes | None, bytes]]:
    """Return (key, value) of what committed readers of a topic see, in log order."""
    with LogReader(bootstrap, "test-outbox") as reader:
        return [(message.key(), message.value() or b"") for message in reader.read(topic, number, 0)]


class Held:
    """A publisher whose process is held just before it sends: frozen, or behind a slow connection."""

    def __init__(self, writer: OutboxWriter) -> None:
        self.writer, self.reached, self.go_on = writer, threading.Event(), threading.Event()

    def take_over(self) -> None:
        """Take over, as it does."""
        self.writer.take_over()

    def publish(self, records: Sequence[Outgoing]) -> None:
        """Send once told to."""
        self.reached.set()
        assert self.go_on.wait(WITHIN_S)
        self.writer.publish(records)

    def close(self) -> None:
        """Let go."""
        self.writer.close()


@asynccontextmanager
async def an_outbox(
    dsn: str, open_writer: Callable[[int], Writer], owned: Mapping[TopicPartition, Owned]
) -> AsyncIterator[Outbox]:
    """Run nothing by itself: `drain` is the test's to call."""
    async with pool(dsn, service="test", size=2) as opened:
        yield Outbox(opened, open_writer, lambda: owned)


async def test_rows_are_published_in_order_a_piece_at_a_time(
    kafka_bootstrap: str, topic_prefix: str, database: str
) -> None:
    """Five hundred in one transaction, the oldest first; then there is nothing to do."""
    rows = [(b"SPY", f"{number:04d}".encode()) for number in range(DRAIN_ROWS + 3)]
    await leave(database, *rows)
    writer = partial(OutboxWriter, kafka_bootstrap, prefix=topic_prefix)
    async with an_outbox(database, writer, await own(database, 0)) as outbox:
        drained = [await outbox.drain() for _ in range(3)]

    assert drained == [DRAIN_ROWS, 3, 0]
    assert await asyncio.to_thread(published, kafka_bootstrap, topic_prefix + GAPS) == rows
    assert await count(database, "outbox") == 0


async def test_rows_of_partitions_that_are_not_ours_wait(
    kafka_bootstrap: str, topic_prefix: str, database: str
) -> None:
    """Dead letters follow the partition number, too; one lost to a newer owner is left alone like one never owned."""
    for number in (1, 2, 3):
        await leave(database, (b"k", b"letter %d" % number), topic=dead(TRADES), number=number)
    owned = await own(database, 1, 2)
    newer = await own(database, 2)
    writer = partial(OutboxWriter, kafka_bootstrap, prefix=topic_prefix)
    async with (
        an_outbox(database, writer, owned) as outbox,
        an_outbox(database, writer, newer) as successors,
    ):
        first = await outbox.drain()
        left = [row["partition"] for row in await query(database, "SELECT partition FROM outbox ORDER BY id")]
        second = await successors.drain()

    assert (first, left, second) == (1, [2, 3], 1)
    letters = [
        await asyncio.to_thread(published, kafka_bootstrap, topic_prefix + dead(TRADES), number)
        for number in (1, 2, 3)
    ]
    assert letters == [[(b"k", b"letter 1")], [(b"k", b"letter 2")], []]


async def test_two_replicas_publish_the_states_of_a_gap_in_order(
    kafka_bootstrap: str, topic_prefix: str, database: str
) -> None:
    """One holds rows 1 to 500, `g` open; the other takes over, finds `g` filled: the log ends with `filled`.

    The first wakes when its successor has published and may not add a word.
    """
    others = [(b"o%03d" % number, b"open") for number in range(DRAIN_ROWS - 1)]
    await leave(database, *others, (b"g", b"open"))
    real = partial(OutboxWriter, kafka_bootstrap, prefix=topic_prefix)
    held = Held(real(0))
    async with an_outbox(database, lambda _: held, await own(database, 0)) as first:
        draining = asyncio.ensure_future(first.drain())
        await eventually(held.reached.is_set, within_s=WITHIN_S)
        await leave(database, (b"g", b"filled"))
        async with an_outbox(database, real, await own(database, 0)) as second:
            drained = [await second.drain() for _ in range(3)]
        held.go_on.set()
        with pytest.raises(Fenced):
            await draining
        assert await first.drain() == 0

    assert drained == [DRAIN_ROWS, 1, 0]
    seen = await asyncio.to_thread(published, kafka_bootstrap, topic_prefix + GAPS)
    assert seen == [*others, (b"g", b"open"), (b"g", b"filled")]
    assert await count(database, "outbox") == 0


class Unheard:
    """A publisher whose first answer is lost, after the records are in the log or before they are sent."""

    def __init__(self, writer: OutboxWriter, *, sent: bool) -> None:
        self.writer, self.sent = writer, sent
        self.records: Sequence[Outgoing] = ()

    def take_over(self) -> None:
        """Take over, as it does."""
        self.writer.take_over()

    def publish(self, records: Sequence[Outgoing]) -> None:
        """Send, or keep for later; the answer does not come either way."""
        self.records = records
        if self.sent:
            self.writer.publish(records)
        raise BrokerUnavailable("the answer did not come in time")

    def close(self) -> None:
        """Keep it, as a client does that still tries."""


@pytest.mark.parametrize("sent", [True, False], ids=["in the log", "still on its way"])
async def test_a_retry_delivers_no_older_copy_after_a_newer_one(
    kafka_bootstrap: str, topic_prefix: str, database: str, *, sent: bool
) -> None:
    """What became of a piece is settled before anything newer of its partition goes out; other partitions go on."""
    await leave(database, (b"g", b"open"))
    await leave(database, (b"h", b"open"), number=1)
    real = partial(OutboxWriter, kafka_bootstrap, prefix=topic_prefix)
    unheard = Unheard(real(0), sent=sent)
    writers: dict[int, list[Writer]] = {0: [unheard, real(0)], 1: [real(1)]}
    async with an_outbox(
        database, lambda number: writers[number].pop(0), await own(database, 0, 1)
    ) as outbox:
        with pytest.raises(BrokerUnavailable):
            await outbox.drain()
        others = await asyncio.to_thread(published, kafka_bootstrap, topic_prefix + GAPS, 1)
        await leave(database, (b"g", b"filled"))
        assert await outbox.drain() == 2
        with pytest.raises(Fenced):
            await asyncio.to_thread(unheard.writer.publish, unheard.records)

    seen = await asyncio.to_thread(published, kafka_bootstrap, topic_prefix + GAPS)
    first = [(b"g", b"open")] if sent else []
    assert seen == [*first, (b"g", b"open"), (b"g", b"filled")]
    assert others == [(b"h", b"open")]


async def test_an_outage_keeps_the_rows_and_is_waited_out(
    kafka_bootstrap: str, topic_prefix: str, database: str
) -> None:
    """What is left while it runs is published without being asked for twice."""
    await leave(database, (b"g", b"first"))
    real = partial(OutboxWriter, kafka_bootstrap, prefix=topic_prefix)
    writers: list[Writer] = [Unheard(real(0), sent=False), Unheard(real(0), sent=False), real(0)]
    kept = []

    def open_writer(number: int) -> Writer:
        assert number == 0
        kept.append(len(writers))
        return writers.pop(0)

    async with an_outbox(database, open_writer, await own(database, 0)) as outbox:
        running = asyncio.ensure_future(outbox.run())
        await eventually(lambda: len(kept) == 2, within_s=WITHIN_S)
        left = await count(database, "outbox")
        await leave(database, (b"g", b"second"))
        outbox.filled()

        async def is_empty() -> bool:
            return await count(database, "outbox") == 0

        await eventually(is_empty, within_s=WITHIN_S)
        running.cancel()
        await asyncio.wait({running})

    assert left == 1
    seen = await asyncio.to_thread(published, kafka_bootstrap, topic_prefix + GAPS)
    assert seen == [(b"g", b"first"), (b"g", b"second")]


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("number", ["0", "n % 4"], ids=["rows of others", "rows of everybody"])
async def test_rows_are_looked_up_however_many_wait(database: str, mode: str, number: str) -> None:
    """A hundred thousand rows, analysed or not, are never read through: each statement has its index."""
    owned = await own(database, 1, 3)
    columns = [
        [place.topic for place in owned],
        [place.partition for place in owned],
        [each.epoch for each in owned.values()],
    ]
    fill = f"INSERT INTO outbox (topic, partition, value) SELECT $1, {number}, 'x' FROM generate_series(1, $2::int) n"
    connection = await asyncpg.connect(database)
    try:
        await connection.execute(f"SET plan_cache_mode = {mode}")
        await connection.execute(fill, GAPS, MANY_ROWS)
        for prepare in ("SELECT 1", "ANALYZE outbox"):
            await connection.execute(prepare)
            for statement, values in (
                (WAITING, columns),
                (NEXT_ROWS, [*columns, DRAIN_ROWS]),
                (DELETE_ROWS, [1, list(range(1, DRAIN_ROWS + 1))]),
            ):
                plan = json.loads(await connection.fetchval("EXPLAIN (FORMAT JSON) " + statement, *values))
                (way,) = ways(plan[0]["Plan"])
                assert way == "outbox_pkey by partition", statement
    finally:
        await connection.close()


def ways(node: dict[str, Any]) -> set[str]:
    """Return how a plan reads the outbox: the index and whether it is entered by partition, or the kind of scan."""
    here = set()
    if "outbox_pkey" in node.get("Index Name", ""):
        here = {"outbox_pkey" + (" by partition" if "partition =" in node.get("Index Cond", "") else "")}
    elif node.get("Relation Name") == "outbox" and node["Node Type"].endswith("Seq Scan"):
        here = {node["Node Type"]}
    return here.union(*(ways(child) for child in node.get("Plans", ())))
