"""Servers of a machine of its own in the background, and what the command does with them."""

from __future__ import annotations

import json

from confluent_kafka import Producer

from schemas.partitions import partition_of
from schemas.topics import BARS, DEFAULT_PARTITIONS, catalogue
from schemas.wire.codec import encode
from tests.support.builders import a_bar
from tests.support.embedded_cli import Cli


def states(mds: Cli) -> dict[str, bool]:
    """Return which parts are ready; exit 1 because the services are not."""
    return {part["name"]: part["ready"] for part in json.loads(mds("status", "--json", expect=1))}


def test_servers_run_in_the_background_until_down(mds: Cli) -> None:
    """Up, again up, status, topics, migrations, a record read back, down, again down."""
    up = mds("up")
    assert "kafka is up" in up
    assert "postgres is up" in up
    assert "already runs" in mds("up", "kafka")
    ready = states(mds)
    assert (ready["kafka"], ready["postgres"], ready["gateway"]) == (True, True, False)
    mds("topics", "check", expect=1)
    assert mds("topics", "apply").count("created") == len(catalogue().topics)
    assert mds("topics", "apply").strip() == "nothing to create"
    mds("topics", "check")
    assert "applied 0001" in mds("migrate")
    assert mds("migrate").strip() == "nothing to apply"
    bar = a_bar(symbol="BRK.B")
    publish(mds, bar.symbol, encode(BARS, bar))
    line = json.loads(mds("tail", "BRK.B", "--stream", "bars", "--from-start", "-n", "1"))
    assert (line["symbol"], line["close"], line["event_time"]) == ("BRK.B", bar.close, bar.event_time)
    assert (line["topic"], line["partition"]) == (BARS, partition_of("BRK.B", DEFAULT_PARTITIONS))
    down = mds("down")
    assert "kafka stopped" in down
    assert "postgres stopped" in down
    assert mds("down").strip() == "nothing runs"
    assert not any(states(mds).values())


def publish(mds: Cli, symbol: str, value: bytes) -> None:
    """Write a record where the symbol belongs."""
    producer = Producer({"bootstrap.servers": f"127.0.0.1:{mds.env['MDS_KAFKA_PORT']}"})
    producer.produce(BARS, value, symbol.encode(), partition=partition_of(symbol, DEFAULT_PARTITIONS))
    assert producer.flush(30) == 0
