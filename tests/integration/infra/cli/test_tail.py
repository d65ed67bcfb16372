"""`mds tail` on a real broker: one symbol's committed records, as JSON lines."""

from __future__ import annotations

import asyncio
from itertools import islice
from pathlib import Path

import orjson
import pytest
from confluent_kafka import Producer

from infra.cli.system import System
from infra.cli.tail import records
from infra.runtime.exit_codes import ExitCode
from infra.runtime.kafka.clients import producer_config
from schemas.errors import BrokerUnavailable, ConfigurationError
from schemas.partitions import partition_of
from schemas.topics import DEFAULT_PARTITIONS, TRADES
from schemas.wire.codec import encode
from tests.conftest import free_port
from tests.support.builders import a_trade
from tests.support.embedded_cli import Cli

SPY = partition_of("SPY", DEFAULT_PARTITIONS)
GOOD = encode(TRADES, a_trade(symbol="SPY"))


def a_system(folder: Path, kafka: str, prefix: str) -> System:
    return System.from_env({"MDS_HOME": str(folder), "MDS_KAFKA": kafka, "MDS_TOPIC_PREFIX": prefix})


def write(bootstrap: str, prefix: str, *records: tuple[str, bytes], transaction: str = "") -> None:
    """Append records to SPY's partition of trades; those of a transaction are aborted."""
    config = producer_config(bootstrap, "test-tail")
    if transaction:
        config |= {
            "transactional.id": transaction, "transaction.timeout.ms": 60_000, "delivery.timeout.ms": 60_000,
        }  # fmt: skip
    producer = Producer(config)
    if transaction:
        producer.init_transactions(30)
        producer.begin_transaction()
    for key, value in records:
        producer.produce(prefix + TRADES, value, key.encode(), partition=SPY)
    producer.flush(30)
    if transaction:
        producer.abort_transaction(30)


async def test_a_symbols_records_come_in_order_and_those_nobody_can_read_are_said_so(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Another symbol of the partition, and what was never committed, is left out."""
    write(kafka_bootstrap, topic_prefix, ("SPY", GOOD), ("OTHER", GOOD), ("SPY", b"noise"))
    write(kafka_bootstrap, topic_prefix, ("SPY", GOOD), transaction=f"{topic_prefix}aborted")
    write(kafka_bootstrap, topic_prefix, ("SPY", GOOD))
    system = a_system(tmp_path, kafka_bootstrap, topic_prefix)

    told = records(system, "SPY", stream="trades", from_start=True)
    lines = await asyncio.wait_for(asyncio.to_thread(lambda: list(islice(told, 3))), 60)

    assert [line["partition"] for line in lines] == [SPY] * 3
    assert [line["offset"] for line in lines][:2] == [0, 2]
    assert [line.get("symbol") for line in lines] == ["SPY", None, "SPY"]
    assert "error" in lines[1]


def test_whoever_waits_for_a_while_is_told_that_nothing_came(
    mds: Cli, kafka_bootstrap: str, topic_prefix: str
) -> None:
    """With the code of a no; what is there is shown, and the time over, with that of a yes."""
    env = {"MDS_KAFKA": kafka_bootstrap, "MDS_TOPIC_PREFIX": topic_prefix}
    asked = ["tail", "SPY", "--stream", "trades", "--for"]
    nothing = mds(*asked, "1", expect=ExitCode.NO, **env)
    write(kafka_bootstrap, topic_prefix, ("SPY", GOOD), ("OTHER", GOOD))
    one = mds(*asked, "5", "--from-start", **env)

    assert (
        nothing
        == "error: no record of SPY in trades came within 1 s; --from-start shows those that are kept\n"
    )
    assert [orjson.loads(line)["symbol"] for line in one.splitlines()] == ["SPY"]


def test_what_cannot_be_shown_says_what_to_do(kafka_bootstrap: str, tmp_path: Path) -> None:
    """A topic nobody made, a broker that is away."""
    with pytest.raises(ConfigurationError) as absent:
        next(records(a_system(tmp_path, kafka_bootstrap, "nosuch."), "SPY", stream="bars", from_start=True))
    away = a_system(tmp_path, f"127.0.0.1:{free_port()}", "")
    with pytest.raises(BrokerUnavailable, match="mds up kafka"):
        next(records(away, "SPY", stream="bars", from_start=True))

    assert "mds topics apply" in absent.value.remedy
