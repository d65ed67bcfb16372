"""`mds rebuild --verify`: what was changed by hand is found and named, and nothing else is."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator

import pytest

from infra.cli.rebuild import rebuild
from infra.cli.system import System
from infra.cli.verify import verify
from infra.runtime.kafka.publisher import Outgoing
from schemas.intervals import MINUTE_US
from schemas.partitions import partition_of
from schemas.records import Discontinuity
from schemas.topics import DEFAULT_PARTITIONS, RAW_BARS, RAW_TRADES
from schemas.wire.codec import encode
from tests.support.builders import NINE_THIRTY, a_bar_event, a_block, a_trade_event
from tests.support.databases import execute, with_database
from tests.support.embedded_cli import Cli
from tests.support.sink_records import publish, query

SPY = partition_of("SPY", DEFAULT_PARTITIONS)
MISSING = (4, 5, 9)  # minutes
DAMAGE = (
    "UPDATE bars SET close = close + 1 WHERE event_time = (SELECT min(event_time) FROM bars)",
    "DELETE FROM bars WHERE event_time = (SELECT max(event_time) FROM bars)",
    "INSERT INTO trades SELECT (jsonb_populate_record(t, '{\"position\": 77}')).* FROM trades t LIMIT 1",
    "UPDATE gaps SET state = 'filled' WHERE gap_id = (SELECT min(gap_id) FROM gaps)",
    "UPDATE coverage SET expected = expected + 1",
    "UPDATE streams SET last_seen = last_seen - interval '1 hour' WHERE kind = 'trades'",
)


@pytest.fixture
def live(postgres_admin: str) -> Iterator[str]:
    """The name of the live database; dropped afterwards."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    yield name
    asyncio.run(execute(postgres_admin, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


def raw_records(prefix: str) -> list[Outgoing]:
    """Return bars with minutes missing, corrected ones, and trades; last of each a tick, so that all before it is complete."""
    minutes = [minute for minute in range(20) if minute not in MISSING]
    bars = [a_block(a_bar_event(event_time=NINE_THIRTY + minute * MINUTE_US)) for minute in minutes]
    unseen = Discontinuity(
        symbol="SPY",
        interval="1m",
        from_time=NINE_THIRTY + 4 * MINUTE_US,
        to_time=NINE_THIRTY + 6 * MINUTE_US,
        cause="producer_down",
    )
    bars.insert(minutes.index(6), a_block(discontinuities=(unseen,)))
    bars += [a_block(a_bar_event(event_time=NINE_THIRTY + 2 * MINUTE_US, close=167.44)), a_block()]
    trades = [a_block(a_trade_event(price=100.0 + n), connection_id=f"c{n}") for n in range(5)] + [a_block()]
    return [
        Outgoing(topic=prefix + topic, partition=SPY, key=b"SPY", value=encode(topic, block))
        for topic, blocks in ((RAW_BARS, bars), (RAW_TRADES, trades))
        for block in blocks
    ]


def test_damage_is_found_and_named_and_an_honest_database_passes(
    mds: Cli,
    kafka_bootstrap: str,
    topic_prefix: str,
    postgres_admin: str,
    live: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A row changed, one deleted, one added, a gap, coverage, a cursor; the database made for it is gone afterwards."""
    asyncio.run(publish(kafka_bootstrap, raw_records(topic_prefix)))
    where = mds.env | {
        "MDS_KAFKA": kafka_bootstrap, "MDS_TOPIC_PREFIX": topic_prefix, "MDS_POSTGRES_DSN": postgres_admin,
    }  # fmt: skip
    assert rebuild(System.from_env(where), live) == 0
    dsn = with_database(postgres_admin, live)
    system = System.from_env(where | {"MDS_POSTGRES_DSN": dsn})
    assert verify(system, into=None, archive=False) == 0
    sound = capfd.readouterr().out
    (gap,) = asyncio.run(query(dsn, "SELECT gap_id, state FROM v_gaps"))
    for statement in DAMAGE:
        asyncio.run(execute(dsn, statement))

    assert verify(system, into=None, archive=False) == 1

    out, err = capfd.readouterr()
    assert "database = topics: " in sound
    assert "v_bars_all: 18 rows alike, 0 not" in sound
    assert gap["state"] == "open"
    series = "symbol=SPY provider=yahoo interval=1m"
    for told in (
        f"v_bars {series} event_time=",
        "close is 168.3 in the database, 167.3 in the topics",
        "v_bars: 15 rows alike, 2 not",
        "v_trades: 5 rows alike, 1 not",
        "only in the topics",
        "only in the database",
        f"v_gaps {series} gap_id={gap['gap_id']}: state is 'filled' in the database, 'open' in the topics",
        f"v_coverage {series} start_time=",
        "v_streams symbol=SPY provider=yahoo interval=: last_seen is ",
    ):
        assert told in out
    assert "the database is not what the topics say" in err
    left = asyncio.run(
        query(postgres_admin, "SELECT datname FROM pg_database WHERE datname LIKE 'mds_verify%'")
    )
    assert left == []
