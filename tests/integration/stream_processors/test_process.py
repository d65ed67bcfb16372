"""The stream-processor process on a real broker: start positions, poison, idleness, stopping and taking over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from confluent_kafka import Consumer, TopicPartition

from infra.runtime.clock import wall_us
from schemas.intervals import MINUTE_US
from schemas.partitions import partition_of
from schemas.topics import (
    BARS,
    DEFAULT_PARTITIONS,
    EVIDENCE,
    QUOTES,
    RAW_BARS,
    RAW_QUOTES,
    RAW_TOPICS,
    RAW_TRADES,
    TRADES,
)
from schemas.wire.codec import encode
from stream_processors.replay import from_kafka, replay
from tests.support.builders import NINE_THIRTY, a_bar_event, a_block, a_quote_event, a_trade_event
from tests.support.eventually import eventually
from tests.support.processor_workers import Log, Raw, worker

STARTED_WITHIN_S = 60.0
SPY = partition_of("SPY", DEFAULT_PARTITIONS)


@pytest.fixture
def raw(kafka_bootstrap: str, topic_prefix: str) -> Raw:
    """Give a way to append raw records."""
    return Raw(kafka_bootstrap, topic_prefix)


@pytest.fixture
def log(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Log]:
    """Give a reader of what was written."""
    reader = Log(kafka_bootstrap, topic_prefix)
    yield reader
    reader.close()


async def test_processing_starts_after_progress_whatever_the_group_committed(
    kafka_bootstrap: str, topic_prefix: str, raw: Raw, log: Log, tmp_path: Path
) -> None:
    """Faust's commit may run ahead of a transaction that never happened; the blocks between are not lost."""
    blocks = 40
    for number in range(blocks):
        raw.block(RAW_QUOTES, a_block(a_quote_event(event_time=NINE_THIRTY + number)))
    group = Consumer({"bootstrap.servers": kafka_bootstrap, "group.id": f"{topic_prefix}processors"})
    ahead = [TopicPartition(topic_prefix + RAW_QUOTES, SPY, blocks // 2)]
    group.commit(offsets=ahead, asynchronous=False)
    group.close()

    with worker(kafka_bootstrap, topic_prefix, tmp_path) as process:
        await eventually(
            process.sees(lambda: len(log.values(QUOTES, SPY)) >= blocks),
            within_s=STARTED_WITHIN_S,
            every_s=0.3,
        )
    assert [value["raw_offset"] for value in log.values(QUOTES, SPY)] == list(range(blocks))


async def test_poison_is_dead_lettered_and_harms_nothing_after_it(
    kafka_bootstrap: str, topic_prefix: str, raw: Raw, log: Log, tmp_path: Path
) -> None:
    """Nothing, random bytes, a foreign schema, a truncated and an oversized record, and one impossible event."""
    good = encode(RAW_TRADES, a_block(a_trade_event()))
    mixed = a_block(a_trade_event(), a_trade_event(price=float("nan")), a_trade_event(size=2.0))
    poison = [
        None,
        b"",
        b"\x07random",
        encode(RAW_QUOTES, a_block(a_quote_event())),
        good[:-9],
        bytes(1_500_000),
    ]
    for value in poison:
        raw.send(RAW_TRADES, SPY, value, b"key")
    raw.send(RAW_TRADES, SPY, encode(RAW_TRADES, mixed))
    raw.send(RAW_TRADES, SPY, good)

    with worker(kafka_bootstrap, topic_prefix, tmp_path) as process:
        await eventually(
            process.sees(lambda: len(log.values(TRADES, SPY)) >= 3), within_s=STARTED_WITHIN_S, every_s=0.3
        )
    places = [(value["raw_offset"], value["index"]) for value in log.values(TRADES, SPY)]
    letters = log.letters(RAW_TRADES)

    assert places == [(6, 0), (6, 2), (7, 0)]
    assert [(letter.offset, letter.index, letter.reason) for letter in letters] == [
        (0, -1, "malformed"),
        (1, -1, "malformed"),
        (2, -1, "malformed"),
        (3, -1, "unknown_schema"),
        (4, -1, "malformed"),
        (5, -1, "oversized"),
        (6, 1, "invalid"),
    ]
    assert [letter.payload for letter in letters[:6]] == [value or b"" for value in poison]
    assert {letter.stage for letter in letters} == {"processor"}


async def test_an_idle_system_keeps_saying_what_it_knows(
    kafka_bootstrap: str, topic_prefix: str, log: Log, tmp_path: Path
) -> None:
    """Ticks move progress and knowledge of every partition; nothing canonical is written; health tells."""
    before = wall_us()
    places = [(topic, partition) for topic in RAW_TOPICS for partition in range(DEFAULT_PARTITIONS)]
    with worker(kafka_bootstrap, topic_prefix, tmp_path) as process:
        await eventually(
            process.sees(lambda: all(log.standing().get(place, 0) >= 2 for place in places)),
            within_s=STARTED_WITHIN_S,
            every_s=0.3,
        )
        async with aiohttp.ClientSession() as session:
            answer = await session.get(f"http://127.0.0.1:{process.port}/readyz")
            parts = (await answer.json())["parts"]
    for place in places:
        known = [record.known_from for record in log.progress(*place)]
        assert known == sorted(known)
        assert known[0] >= before
        assert known[-1] > known[0]
        assert parts[f"{place[0]}/{place[1]}"]["ready"]
    assert [log.all_values(topic) for topic in (QUOTES, TRADES, BARS, EVIDENCE)] == [[], [], [], []]


async def test_a_successor_knows_what_its_predecessor_knew(
    kafka_bootstrap: str, topic_prefix: str, raw: Raw, log: Log, tmp_path: Path
) -> None:
    """After a SIGTERM the next process drops the repeats, finds the gap once, and replay agrees with both."""
    minutes = [a_bar_event(event_time=NINE_THIRTY + number * MINUTE_US) for number in range(10)]
    frames = [a_trade_event(frame_sequence=number, frame_hash=7) for number in (1, 2)]
    raw.block(RAW_BARS, a_block(*minutes[:3], minutes[5]))
    raw.block(RAW_QUOTES, a_block(a_quote_event()))
    raw.block(RAW_TRADES, a_block(frames[0], connection_id="c"))
    with worker(kafka_bootstrap, topic_prefix, tmp_path) as first:
        await eventually(
            first.sees(lambda: len(log.standing()) >= 12), within_s=STARTED_WITHIN_S, every_s=0.3
        )
        assert first.terminate() == 0

    raw.block(RAW_BARS, a_block(*minutes[:3], minutes[5], minutes[8]))
    raw.block(RAW_QUOTES, a_block(a_quote_event(), a_quote_event(bid=1.0)))
    raw.block(
        RAW_TRADES, a_block(frames[1], a_trade_event(frame_sequence=3, frame_hash=8), connection_id="c")
    )
    with worker(kafka_bootstrap, topic_prefix, tmp_path) as second:
        ends = log.ends()
        await eventually(
            second.sees(lambda: all(log.standing().get(place, -1) >= end for place, end in ends.items())),
            within_s=STARTED_WITHIN_S,
            every_s=0.3,
        )
        assert second.terminate() == 0

    assert len(log.values(BARS, SPY)) == 5
    assert len(log.values(QUOTES, SPY)) == 2
    assert len(log.values(TRADES, SPY)) == 3  # a lone frame of one trade may be another trade
    absent = [told for told in log.values(EVIDENCE, SPY) if told["kind"] == "absent"]
    assert [(told["from_time"], told["expected"]) for told in absent] == [
        (NINE_THIRTY + 3 * MINUTE_US, 2),
        (NINE_THIRTY + 6 * MINUTE_US, 2),
    ]
    replayed = list(
        replay(
            from_kafka(kafka_bootstrap, RAW_TOPICS, DEFAULT_PARTITIONS, prefix=topic_prefix),
            DEFAULT_PARTITIONS,
        )
    )
    for topic in (BARS, QUOTES, TRADES, EVIDENCE):
        written = [(m.key(), m.value()) for p in range(DEFAULT_PARTITIONS) for m in log.messages(topic, p)]
        told = [(record.key, record.value) for record in replayed if record.topic == topic]
        # Three raw topics tell their evidence in one partition, in whatever order they are processed.
        assert sorted(told) == sorted(written) if topic == EVIDENCE else told == written
