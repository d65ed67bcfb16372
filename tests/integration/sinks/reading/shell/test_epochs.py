"""A log that lost its end and grew again, on a real broker: killed, a segment cut as if never written, started anew."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from infra.embedded.kafka import EmbeddedKafka
from infra.runtime.kafka.topics import ensure_topics
from schemas.errors import BrokerUnavailable
from schemas.intervals import MINUTE_US
from schemas.partitions import TopicPartition
from schemas.streams import Bar
from schemas.topics import BARS, DEFAULT_PARTITIONS
from sinks.progress.positions import EpochStart, Log, StoredPosition
from sinks.reading.shell.feed import feed_member, open_feed
from sinks.reading.shell.logs import TopicLogs
from tests.conftest import READY_WITHIN_S, free_port
from tests.support.builders import NINE_THIRTY, a_bar
from tests.support.eventually import eventually
from tests.support.received import home
from tests.support.sink_records import count, outgoing, publish, query, sink_process

WITHIN_S = 60.0
SPY = TopicPartition(BARS, home("SPY"))
BATCH_HEADER = struct.Struct(">qi")  # first offset, and the length of what follows


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    """A broker of this test alone, with every topic."""
    with EmbeddedKafka(tmp_path, port=free_port(), controller_port=free_port(), short_lived=True) as running:
        running.wait_ready(READY_WITHIN_S)
        ensure_topics(running.bootstrap_servers)
        yield running
        running.kill()


def bar(number: int) -> Bar:
    """Return the bar of a minute, which is also the offset of its raw block."""
    return a_bar(event_time=NINE_THIRTY + number * MINUTE_US, raw_offset=number)


async def append(broker: EmbeddedKafka, *numbers: int) -> list[int]:
    """Append bars, each a batch of its own; return their offsets."""
    return [(await publish(broker.bootstrap_servers, outgoing("", [bar(number)])))[0] for number in numbers]


def cut(broker: EmbeddedKafka, offset: int) -> None:
    """Take the records from `offset` on from the log, and start the broker anew."""
    broker.kill()
    folder = broker.home.kafka / "data" / f"{BARS}-{SPY.partition}"
    (segment,) = folder.glob("*.log")
    data, at = segment.read_bytes(), 0
    while at < len(data):
        first, length = BATCH_HEADER.unpack_from(data, at)
        if first >= offset:
            break
        at += BATCH_HEADER.size + length
    assert 0 < at < len(data)
    segment.write_bytes(data[:at])
    for index in (*folder.glob("*.index"), *folder.glob("*.timeindex")):
        index.unlink()  # made anew from the segment
    broker.start()
    broker.wait_ready(READY_WITHIN_S)


async def looked(broker: EmbeddedKafka, stored: StoredPosition | None = None) -> Log:
    """Return the log as the broker has it, once it leads it."""
    logs, found = TopicLogs(broker.bootstrap_servers, prefix=""), dict[TopicPartition, Log]()

    async def answered() -> bool:
        try:
            found.update(await logs.look([SPY], {SPY: stored} if stored else None))
        except BrokerUnavailable:
            return False
        return True

    await eventually(answered, within_s=WITHIN_S)
    return found[SPY]


async def test_where_a_log_was_cut_is_found_and_a_position_behind_it_is_not_read_on(
    broker: EmbeddedKafka,
) -> None:
    """By who looks before reading, and by who reads from a position that was good in an older epoch."""
    assert await append(broker, *range(5)) == [0, 1, 2, 3, 4]
    before = await looked(broker)
    stored = StoredPosition(topic_id=before.topic_id, next_offset=5, leader_epoch=before.leader_epoch)
    assert (await looked(broker, stored)).newer is None

    await asyncio.to_thread(cut, broker, 3)
    assert await append(broker, 10, 11, 12, 13) == [3, 4, 5, 6]

    after = await looked(broker, stored)
    assert (after.topic_id, after.end) == (before.topic_id, 7)
    assert after.leader_epoch > before.leader_epoch >= 0
    assert after.newer == EpochStart(offset=3, epoch=after.leader_epoch)
    member = feed_member(broker.bootstrap_servers, prefix="", session_timeout_s=6)
    async with open_feed(
        member, [BARS], partitions=DEFAULT_PARTITIONS, prefix="", batch_records=10, linger_s=0.01
    ) as feed:
        era = await asyncio.wait_for(feed.assignment(), WITHIN_S)
        era.begin({SPY: 5}, {SPY: before.leader_epoch})
        await eventually(lambda: era.over, within_s=WITHIN_S)
        assert "led anew" in era.reason
        era.leave()
        era.renew()
        era = await asyncio.wait_for(feed.assignment(), WITHIN_S)
        era.begin({SPY: 3}, {SPY: after.leader_epoch})
        read = list[int]()
        while len(read) < 4:  # the last block is whole where the log ends
            batch = await era.next_batch(within_s=WITHIN_S)
            assert batch is not None
            era.done()
            read += [row for rows in batch.rows for row in rows.columns.integers("raw_offset")]
        assert read == [10, 11, 12, 13]


@pytest.mark.parametrize("meanwhile", [pytest.param("stopped", marks=pytest.mark.soak), "running"])
async def test_a_sink_stores_what_a_log_holds_anew_and_tells_what_it_may_have_lost(
    broker: EmbeddedKafka, database: str, meanwhile: str
) -> None:
    """Whether it stood still while the log was cut or not; what was stored stays, nothing is stored twice."""

    async def stored() -> tuple[int, int]:
        (row,) = await query(
            database,
            "SELECT next_offset, leader_epoch FROM sink_offsets WHERE topic = $1 AND partition = $2",
            *SPY,
        ) or [(0, -1)]
        return row[0], row[1]

    async def is_stored(offset: int, rows: int) -> bool:
        return (await stored())[0] == offset and await count(database, "v_bars_all") == rows

    await append(broker, *range(5))
    with ExitStack() as stack:
        first = stack.enter_context(sink_process(broker.bootstrap_servers, "", database, free_port()))
        await eventually(lambda: is_stored(5, 5), within_s=WITHIN_S)
        if meanwhile == "stopped":
            first.kill()
        _, epoch = await stored()
        await asyncio.to_thread(cut, broker, 3)
        await append(broker, 10, 11, 12, 13)
        if meanwhile == "stopped":
            stack.enter_context(sink_process(broker.bootstrap_servers, "", database, free_port()))
        await eventually(lambda: is_stored(7, 9), within_s=WITHIN_S)

    assert (await stored())[1] > epoch
    told = await query(database, "SELECT stream, cause FROM gap_evidence ORDER BY stream")
    assert [tuple(each) for each in told] == [
        (stream, "log_truncated") for stream in ("bars.1m:yahoo:SPY", f"{BARS}/{SPY.partition}")
    ]
