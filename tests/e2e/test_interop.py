"""Stock clients read our topics with nothing of ours: their own deserialiser, the gateway as their registry."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from confluent_kafka import DeserializingConsumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import StringDeserializer

from schemas.partitions import partition_of
from schemas.topics import DEFAULT_PARTITIONS
from schemas.wire.codec import HEADER_BYTES
from tests.support.loaded_system import SPY_TRADES, Loaded
from tests.support.market_files import minute_bars, ticks

pytestmark = pytest.mark.slow


def _read(loaded: Loaded, topic: str, symbol: str, count: int) -> list[dict[str, Any]]:
    registry = SchemaRegistryClient({"url": loaded.system.url})
    consumer = DeserializingConsumer(
        {
            "bootstrap.servers": loaded.bootstrap,
            "group.id": "stock-client",
            "key.deserializer": StringDeserializer(),
            "value.deserializer": AvroDeserializer(registry),
        }
    )
    consumer.assign([TopicPartition(loaded.prefix + topic, partition_of(symbol, DEFAULT_PARTITIONS), 0)])
    records: list[dict[str, Any]] = []
    while len(records) < count:
        message = consumer.poll(20)
        assert message is not None, f"only {len(records)} of {count}"
        assert message.error() is None
        if message.key() == symbol:
            records.append(message.value())
    consumer.close()
    return records


def test_a_stock_consumer_reads_bars(loaded: Loaded) -> None:
    """Every bar of a real day, decoded by confluent_kafka's own AvroDeserializer."""
    want = minute_bars(loaded.data, "SPY", "20131007")

    bars = _read(loaded, "bars.v1", "SPY", len(want))

    assert {bar["event_time"]: (bar["open"], bar["close"]) for bar in bars} == {
        start: (values[0], values[3]) for start, values in want.items()
    }


def test_a_stock_consumer_reads_trades(loaded: Loaded) -> None:
    """Every trade of a real day, in order."""
    want = ticks(loaded.data, "SPY", "20131007")

    trades = _read(loaded, "trades.v1", "SPY", SPY_TRADES)

    assert [(trade["event_time"], trade["price"], trade["size"]) for trade in trades] == want


def test_kcat_reads_bars(kcat: str, loaded: Loaded) -> None:
    """Every bar of a real day by key, with its bytes; Debian builds kcat without Avro."""
    partition = partition_of("GOOG", DEFAULT_PARTITIONS)
    done = subprocess.run(
        [kcat, "-C", "-b", loaded.bootstrap, "-t", f"{loaded.prefix}bars.v1", "-p", str(partition), "-o", "beginning",
         "-e", "-q", "-f", "%k %S\n"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    sizes = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("GOOG ")]

    assert len(sizes) == sum(len(minute_bars(loaded.data, "GOOG", day)) for day in ("20151224", "20151228"))
    assert min(sizes) > HEADER_BYTES
