"""Raw records moved to another partition count on a real broker, judged by what processing makes of them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections import defaultdict
from random import Random
from typing import Any

import pytest
from confluent_kafka import Producer

from infra.runtime.clock import wall_us
from infra.runtime.kafka.appending import BY_BROKER, BY_PRODUCER, STAMP
from infra.runtime.kafka.clients import producer_config
from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.moving import STILL_FOR_S, Move
from infra.runtime.kafka.topics import Topics, ensure_topics
from producers.raw.blocks import encoded, place
from schemas.errors import BrokerUnavailable, ConfigurationError
from schemas.intervals import HOUR_US, MINUTE_US
from schemas.partitions import partition_of
from schemas.records import RawBlock
from schemas.topics import (
    BARS,
    DEFAULT_PARTITIONS,
    EVIDENCE,
    MOVED_FROM,
    PROGRESS,
    RAW_BARS,
    RAW_QUOTES,
    RAW_TOPICS,
    RAW_TRADES,
    catalogue,
)
from schemas.wire.codec import decode_value
from stream_processors.replay import from_kafka, replay
from tests.conftest import ROOT
from tests.support.builders import NINE_THIRTY, a_bar_event, a_block, a_quote_event, a_trade_event
from tests.support.eventually import eventually

SYMBOLS = [f"S{number:02}" for number in range(24)]
RESULT = tuple[tuple[str, Any], ...]
PLACES = {"raw_offset", "index"}  # where a record lies: what a move changes


def collect(bootstrap: str, prefix: str, rounds: int, *, partitions: int = DEFAULT_PARTITIONS) -> None:
    """Publish what producers would: polls of all symbols, corrections, holes, frames that repeat, ticks and noise."""
    random, producer = Random(7), Producer(producer_config(bootstrap, "test-raw"))

    def publish(topic: str, blank: RawBlock, events: list[dict[str, Any]]) -> None:
        for entry in place(blank, events, partitions):
            for value in encoded(topic, entry.block):
                producer.produce(prefix + topic, value, partition=entry.partition)

    for number in range(rounds):
        start = NINE_THIRTY + number * MINUTE_US
        some = random.sample(SYMBOLS, 18)
        bars = [a_bar_event(symbol=symbol, event_time=start, volume=float(number)) for symbol in some]
        bars += [a_bar_event(symbol=symbol, event_time=start - MINUTE_US, volume=0.5) for symbol in some[:5]]
        publish(RAW_BARS, a_block(), bars)
        publish(RAW_QUOTES, a_block(), [a_quote_event(symbol=symbol, event_time=start) for symbol in some])
        frame = number - number % 3  # two of three frames repeat one before them
        trades = [
            a_trade_event(
                symbol=symbol, event_time=start, price=100.0 + frame, frame_sequence=number, frame_hash=frame
            )
            for symbol in SYMBOLS[:8]
        ]
        publish(RAW_TRADES, a_block(connection_id="one"), trades)
        for partition in range(partitions):
            tick = encoded(RAW_BARS, a_block(provider="", endpoint="tick"))[0]
            producer.produce(prefix + RAW_BARS, tick, partition=partition)
        producer.produce(prefix + RAW_QUOTES, b"noise", partition=number % partitions)
        astray = encoded(RAW_QUOTES, a_block(a_quote_event(symbol=some[0], bid=1.0)))[0]
        producer.produce(prefix + RAW_QUOTES, astray, partition=(number + 1) % partitions)
        producer.flush(15)


def history(bootstrap: str, prefix: str, partitions: int) -> dict[tuple[str, str], list[RESULT]]:
    """Return what processing makes of the raw topics: of each topic and symbol the records in order, but for their places."""
    made: dict[tuple[str, str], list[RESULT]] = defaultdict(list)
    for record in replay(from_kafka(bootstrap, RAW_TOPICS, partitions, prefix=prefix), partitions):
        if record.topic != PROGRESS:
            value = decode_value(record.topic, record.value)
            fields = tuple(sorted((k, v) for k, v in value.items() if k not in PLACES))
            made[record.topic, value["symbol"]].append(fields)
    return made


def move(bootstrap: str, source: str, target: str, partitions: int, *, still_for_s: float = 0.5) -> Move:
    """Return a move that waits a shorter time for stillness: nothing runs in most tests."""
    told: list[str] = []
    return Move(
        bootstrap,
        source=source,
        target=target,
        partitions=partitions,
        tell=told.append,
        still_for_s=still_for_s,
    )


@pytest.mark.soak
def test_answers_are_the_same_in_every_count(
    kafka_bootstrap: str, topic_prefix: str, bare_prefix: str
) -> None:
    """Values, repeats, gaps and known_from of each symbol, by way of more, fewer and other counts, one after the other."""
    collect(kafka_bootstrap, topic_prefix, rounds=30)
    before = history(kafka_bootstrap, topic_prefix, DEFAULT_PARTITIONS)
    assert {topic for topic, _ in before} == {"bars.v1", "quotes.v1", "trades.v1", EVIDENCE}
    source, old = topic_prefix, DEFAULT_PARTITIONS
    for count in (16, 6, 1, 5):
        target = f"{bare_prefix}{count}."
        moved = move(kafka_bootstrap, source, target, count).run()

        assert history(kafka_bootstrap, target, count) == before, (old, count)
        assert sum(topic.there for topic in moved) > 0
        stamps = Topics(kafka_bootstrap, "test").settings([target + topic for topic in RAW_TOPICS], STAMP)
        assert set(stamps.values()) == {BY_BROKER}
        source, old = target, count


def test_the_largest_record_and_one_known_ahead_of_the_clock_are_moved(
    kafka_bootstrap: str, topic_prefix: str, bare_prefix: str
) -> None:
    """Noise as long as the broker takes it, and what became known while the clock of a broker was hours fast."""
    topic = topic_prefix + RAW_QUOTES
    largest = Random(1).randbytes(catalogue().topics[RAW_QUOTES].max_message_bytes - 80)
    ahead_us = wall_us() + 5 * HOUR_US
    producer = Producer(producer_config(kafka_bootstrap, "test-raw"))
    producer.produce(topic, largest, partition=0)
    producer.flush(15)
    Topics(kafka_bootstrap, "test").change([topic], STAMP, BY_PRODUCER)
    fast = encoded(RAW_QUOTES, a_block(a_quote_event(symbol=SYMBOLS[0])))[0]
    home = partition_of(SYMBOLS[0], DEFAULT_PARTITIONS)
    producer.produce(topic, fast, partition=home, headers=[(MOVED_FROM, f"0/0/{ahead_us}".encode())])
    producer.flush(15)

    moved = {each.topic: each for each in move(kafka_bootstrap, topic_prefix, bare_prefix, 1).run()}

    assert moved[RAW_QUOTES].there == 2


def test_a_move_that_is_killed_goes_on(kafka_bootstrap: str, topic_prefix: str, bare_prefix: str) -> None:
    """Whatever was written when it was killed is neither written again nor missing."""
    collect(kafka_bootstrap, topic_prefix, rounds=400)
    before = history(kafka_bootstrap, topic_prefix, DEFAULT_PARTITIONS)
    command = [
        sys.executable,
        "-m",
        "infra.cli",
        "topics",
        "move",
        "--to-prefix",
        bare_prefix,
        "--partitions",
        "6",
    ]
    env = {name: value for name, value in os.environ.items() if not name.startswith("MDS_")}
    env |= {"MDS_KAFKA": kafka_bootstrap, "MDS_TOPIC_PREFIX": topic_prefix}
    topics = Topics(kafka_bootstrap, "test")

    def written() -> int:
        places = [(bare_prefix + topic, number) for topic in RAW_TOPICS for number in range(6)]
        try:
            return sum(log.end for log in topics.bounds(places).values())  # type: ignore[arg-type]
        except BrokerUnavailable:
            return 0  # the topics are not there yet

    kills = 0
    for least in (1, 1_500, 3_000):
        running = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        asyncio.run(eventually(lambda least=least: written() >= least, within_s=60, every_s=0.01))
        kills += running.poll() is None
        running.kill()
        running.communicate()
    assert kills, "nothing was interrupted: publish more"
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"MDS_TOPIC_PREFIX={bare_prefix}" in done.stdout
    assert history(kafka_bootstrap, bare_prefix, 6) == before
    again = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert again.returncode == 0, again.stdout + again.stderr
    # Nothing is copied again; the same is found there.
    found = [
        [line.partition(";")[0] for line in run.stdout.splitlines() if line.startswith("raw.")]
        for run in (done, again)
    ]
    assert len(found[0]) == len(RAW_TOPICS)
    assert found[0] == found[1]


def test_what_is_no_move_is_refused_untouched(
    kafka_bootstrap: str, topic_prefix: str, bare_prefix: str
) -> None:
    """The same prefix, topics made by others, another count than begun with, and a target that was used."""
    collect(kafka_bootstrap, topic_prefix, rounds=2)
    with pytest.raises(ConfigurationError, match="name another with --to-prefix"):
        move(kafka_bootstrap, topic_prefix, topic_prefix, 6).run()
    with pytest.raises(ConfigurationError, match="set MDS_TOPIC_PREFIX"):
        move(kafka_bootstrap, "absent.", bare_prefix, 6).run()
    ensure_topics(kafka_bootstrap, prefix=f"{bare_prefix}made.", partitions=6)
    with pytest.raises(ConfigurationError, match="were not made by a move"):
        move(kafka_bootstrap, topic_prefix, f"{bare_prefix}made.", 6).run()

    move(kafka_bootstrap, topic_prefix, bare_prefix, 6).run()
    with pytest.raises(ConfigurationError, match="have 6 partitions, not 8"):
        move(kafka_bootstrap, topic_prefix, bare_prefix, 8).run()
    producer = Producer(producer_config(kafka_bootstrap, "test-raw"))
    producer.produce(bare_prefix + RAW_BARS, encoded(RAW_BARS, a_block())[0], partition=0)
    producer.flush(15)
    with pytest.raises(ConfigurationError, match="a record that was not moved there"):
        move(kafka_bootstrap, topic_prefix, bare_prefix, 6).run()
    producer.produce(bare_prefix + BARS, b"anything", partition=3)
    producer.flush(15)
    with pytest.raises(ConfigurationError, match=f"{BARS} holds records already"):
        move(kafka_bootstrap, topic_prefix, bare_prefix, 6).run()


def test_a_system_that_still_runs_is_told_to_stop(
    kafka_bootstrap: str, topic_prefix: str, bare_prefix: str
) -> None:
    """Nothing is made before it does: what came later would be missing."""
    collect(kafka_bootstrap, topic_prefix, rounds=1)
    stopping = threading.Event()

    def run() -> None:
        producer = Producer(producer_config(kafka_bootstrap, "test-raw"))
        while not stopping.wait(0.05):
            producer.produce(topic_prefix + RAW_BARS, encoded(RAW_BARS, a_block())[0], partition=0)
            producer.flush(15)

    writer = threading.Thread(target=run)
    writer.start()
    try:
        with pytest.raises(ConfigurationError, match="stop producers and stream_processors"):
            move(kafka_bootstrap, topic_prefix, bare_prefix, 6, still_for_s=STILL_FOR_S).run()
    finally:
        stopping.set()
        writer.join()
    assert not [n for n in Topics(kafka_bootstrap, "test").partition_counts() if n.startswith(bare_prefix)]


def test_two_moves_at_once_are_found_out(kafka_bootstrap: str, topic_prefix: str, bare_prefix: str) -> None:
    """What both have written is there twice, and is not taken for history."""
    collect(kafka_bootstrap, topic_prefix, rounds=2)
    move(kafka_bootstrap, topic_prefix, bare_prefix, 6).run()
    with LogReader(kafka_bootstrap, "test") as reader:
        low, _ = reader.bounds(bare_prefix + RAW_TRADES, 0)
        first = next(reader.read(bare_prefix + RAW_TRADES, 0, low))
    Topics(kafka_bootstrap, "test").change([bare_prefix + RAW_TRADES], STAMP, "CreateTime")
    producer = Producer(producer_config(kafka_bootstrap, "test-raw"))
    producer.produce(
        bare_prefix + RAW_TRADES,
        first.value(),
        partition=0,
        timestamp=first.timestamp()[1],
        headers=first.headers(),
    )
    producer.flush(15)
    with pytest.raises(ConfigurationError, match="two moves ran at once"):
        move(kafka_bootstrap, topic_prefix, bare_prefix, 6).run()
