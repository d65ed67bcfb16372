"""`mds rebuild` on a real broker and database: an empty database from the raw topics, and what is not in them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from infra.runtime.kafka.publisher import Outgoing
from schemas.intervals import MINUTE_US
from schemas.partitions import partition_of
from schemas.topics import DEFAULT_PARTITIONS, RAW_BARS
from schemas.wire.codec import encode
from tests.support.builders import NINE_THIRTY, a_bar_event, a_block
from tests.support.databases import execute, with_database
from tests.support.embedded_cli import Cli
from tests.support.sink_records import publish, query

SPY = partition_of("SPY", DEFAULT_PARTITIONS)
BLOCKS = 5


@pytest.fixture
def target(postgres_admin: str) -> Iterator[str]:
    """The name of a database that is not there yet; dropped afterwards."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    yield name
    asyncio.run(execute(postgres_admin, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


def raw_bars(prefix: str) -> list[Outgoing]:
    """Return raw records with a bar each."""
    blocks = [a_block(a_bar_event(event_time=NINE_THIRTY + minute * MINUTE_US)) for minute in range(BLOCKS)]
    return [
        Outgoing(topic=prefix + RAW_BARS, partition=SPY, key=b"SPY", value=encode(RAW_BARS, block))
        for block in blocks
    ]


def test_an_empty_database_is_made_from_what_the_broker_still_has(
    mds: Cli, kafka_bootstrap: str, topic_prefix: str, postgres_admin: str, target: str
) -> None:
    """The rows are those of the records kept, and how many are deleted is said; a second time it is refused."""
    asyncio.run(publish(kafka_bootstrap, raw_bars(topic_prefix)))
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    for future in admin.delete_records([TopicPartition(topic_prefix + RAW_BARS, SPY, 2)]).values():
        future.result(30)
    where = {
        "MDS_KAFKA": kafka_bootstrap, "MDS_TOPIC_PREFIX": topic_prefix, "MDS_POSTGRES_DSN": postgres_admin,
    }  # fmt: skip

    told = mds("rebuild", "--into", target, **where)
    again = mds("rebuild", "--into", target, expect=2, **where)

    rows = asyncio.run(
        query(
            with_database(postgres_admin, target), "SELECT symbol, raw_offset FROM v_bars ORDER BY event_time"
        )
    )
    assert [tuple(row) for row in rows] == [("SPY", 2), ("SPY", 3), ("SPY", 4)]
    assert f"{topic_prefix}{RAW_BARS}: 3 records since 20" in told
    assert "2 older ones are deleted and not in it; complete from 20" in told
    assert f"{topic_prefix}raw.trades.v1: 0 records, nothing was deleted" in told
    assert "not empty" in again


def test_the_database_of_the_services_is_never_the_target(mds: Cli, postgres_admin: str) -> None:
    """Nor is any other that nobody named."""
    assert "mds rebuild --into NAME" in mds("rebuild", expect=2)
    live = postgres_admin.rpartition("/")[2]
    told = mds("rebuild", "--into", live, expect=2, MDS_POSTGRES_DSN=postgres_admin)
    assert "rebuild into another" in told
