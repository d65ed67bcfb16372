"""`mds replay` on a real broker and database: what is asked for and nothing else, whole or told, whatever interrupts it."""

from __future__ import annotations

import asyncio
import csv
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from io import StringIO
from pathlib import Path

import asyncpg
import pytest
from arro3.io import read_parquet
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from infra.cli.replay import replay
from infra.cli.replay_request import requested
from infra.cli.system import System
from infra.runtime.clock import rfc3339
from infra.runtime.kafka.copying import Copies
from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.publisher import Outgoing
from infra.runtime.kafka.ranges import Range, records
from infra.runtime.postgres.comparing import VIEWS
from schemas.intervals import MINUTE_US
from schemas.partitions import partition_of
from schemas.streams import Trade
from schemas.topics import DEFAULT_PARTITIONS, RAW_BARS, RAW_TOPICS, RAW_TRADES, TRADES
from schemas.wire.codec import encode
from stream_processors import replay as processing
from tests.support.archives import a_round, archiver
from tests.support.builders import NINE_THIRTY, a_bar, a_bar_event, a_block, a_trade, a_trade_event
from tests.support.databases import execute, with_database
from tests.support.embedded_cli import Cli
from tests.support.sink_records import outgoing, publish, query

KNOWN = NINE_THIRTY + 60 * MINUTE_US
SPY = partition_of("SPY", DEFAULT_PARTITIONS)
OTHER = next(s for s in ("QQQ", "AAPL", "MSFT", "GOOG") if partition_of(s, DEFAULT_PARTITIONS) != SPY)
# another of the same partition
TOGETHER = next(s for s in map("S{}".format, range(99)) if partition_of(s, DEFAULT_PARTITIONS) == SPY)


@pytest.fixture
def where(mds: Cli, kafka_bootstrap: str, topic_prefix: str) -> dict[str, str]:
    """The environment of the command."""
    return mds.env | {"MDS_KAFKA": kafka_bootstrap, "MDS_TOPIC_PREFIX": topic_prefix}


@pytest.fixture
def databases(postgres_admin: str) -> Iterator[list[str]]:
    """Names of two databases that are not there yet; dropped afterwards."""
    names = [f"t_{uuid.uuid4().hex[:12]}" for _ in range(2)]
    yield names
    for name in names:
        asyncio.run(execute(postgres_admin, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


def send(where: dict[str, str], sent: Sequence[Outgoing]) -> None:
    """Publish records."""
    asyncio.run(publish(where["MDS_KAFKA"], sent))


def done(
    where: dict[str, str], words: str, into: tuple[str, object], *, allow_holes: bool = False, **asked: object
) -> int:
    """Replay within this process and return the exit code."""
    request = requested([words], (into[0], str(into[1])), **asked)  # type: ignore[arg-type]
    return replay(System.from_env(where), request, allow_holes=allow_holes)


def trades(symbol: str, count: int) -> list[Trade]:
    """Return trades a minute apart, each known an hour after it happened."""
    return [
        a_trade(
            symbol=symbol,
            event_time=NINE_THIRTY + number * MINUTE_US,
            known_from=KNOWN + number * MINUTE_US,
            raw_offset=number,
            price=100.0 + number,
        )
        for number in range(count)
    ]


def raw_trades(prefix: str, blocks: int, events: int) -> list[Outgoing]:
    """Return blocks of trades."""
    return [
        Outgoing(
            topic=prefix + RAW_TRADES,
            partition=SPY,
            key=b"SPY",
            value=encode(
                RAW_TRADES,
                a_block(
                    *(a_trade_event(price=100.0 + event, frame_hash=event) for event in range(events)),
                    connection_id=f"c{block}",
                ),
            ),
        )
        for block in range(blocks)
    ]


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    return list(csv.DictReader(StringIO(path.read_text(), newline="")))


def _killed_once(where: dict[str, str], asked: Sequence[str], begun: Callable[[], object]) -> None:
    """Run a replay and kill it, without a word, once something of it is at the target."""
    command = [sys.executable, "-m", "infra.cli", "replay", *asked]
    with subprocess.Popen(
        command, env=where, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline_s = time.monotonic() + 60
        while not begun():
            assert time.monotonic() < deadline_s, "nothing came"
            assert process.poll() is None, "it was too quick to be killed"
            time.sleep(0.005)
        process.kill()


def test_a_file_holds_what_was_asked_for_by_time_symbol_and_offset(
    where: dict[str, str], tmp_path: Path
) -> None:
    """By when it was known and by when it happened, both ends exact; raw records with the bytes they have."""
    prefix = where["MDS_TOPIC_PREFIX"]
    sent = [*trades("SPY", 9), *trades(TOGETHER, 5), *trades(OTHER, 4)]
    raw = raw_trades(prefix, 5, 1)
    send(where, [*outgoing(prefix, sorted(sent, key=lambda trade: trade.known_from)), *raw])
    known, event, every, blocks = (tmp_path / name for name in ("k.csv", "e.csv", "a.parquet", "r.parquet"))
    bounds = {"since": rfc3339(KNOWN + 2 * MINUTE_US), "until": rfc3339(KNOWN + 6 * MINUTE_US)}
    happened = {"by": "event", "symbols": ["SPY"], "since": rfc3339(NINE_THIRTY + 7 * MINUTE_US)}

    assert done(where, "trades", ("file", known), **bounds) == 0
    assert done(where, "trades", ("file", event), **happened) == 0
    assert done(where, "trades", ("file", every)) == 0
    assert done(where, "raw.trades", ("file", blocks), positions=[f"{SPY}:3"]) == 0

    ends = (("SPY", 9), (TOGETHER, 5), (OTHER, 4))
    assert sorted((row["symbol"], int(row["raw_offset"])) for row in rows_of(known)) == sorted(
        (symbol, n) for symbol, end in ends for n in range(2, min(6, end))
    )
    assert [(row["symbol"], row["price"]) for row in rows_of(event)] == [("SPY", "107.0"), ("SPY", "108.0")]
    table = read_parquet(every).read_all()
    assert sorted(zip(table["symbol"].to_pylist(), table["price"].to_pylist(), strict=True)) == sorted(
        (symbol, 100.0 + n) for symbol, end in ends for n in range(end)
    )
    table = read_parquet(blocks).read_all()
    assert table["offset"].to_pylist() == [3, 4]
    assert table["value"].to_pylist() == [record.value for record in raw[3:]]
    assert not list(tmp_path.glob("*.parts"))


def test_the_archive_gives_what_the_broker_gave(
    where: dict[str, str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Raw records to the byte; canonical ones made of it anew, of a symbol; what it lacks is told."""
    prefix, folder = where["MDS_TOPIC_PREFIX"], tmp_path / "archive"
    send(where, raw_trades(prefix, 5, 3))
    archive = archiver(folder, where["MDS_KAFKA"], prefix, topics=RAW_TOPICS)
    asyncio.run(a_round(archive))
    where["SINKS_ARCHIVE"] = str(folder)
    broker, again, made = (tmp_path / name for name in ("b.parquet", "a.parquet", "m.csv"))

    assert done(where, "raw.trades", ("file", broker)) == 0
    assert done(where, "raw.trades", ("file", again), archive=True) == 0
    assert done(where, "trades", ("file", made), archive=True, symbols=["SPY"]) == 0

    assert read_parquet(broker).read_all().num_rows == 5
    assert again.read_bytes() == broker.read_bytes()
    assert [(row["raw_offset"], row["price"]) for row in rows_of(made)] == [
        (str(block), f"{100.0 + event}") for block in range(5) for event in range(3)
    ]
    shutil.rmtree(next(folder.glob(f"{RAW_TRADES}/*/partition={SPY}")))
    capfd.readouterr()
    assert done(where, "raw.trades", ("file", tmp_path / "x.csv"), archive=True) == 1
    assert f"{RAW_TRADES}/{SPY}: nothing of it is archived" in capfd.readouterr().err


def test_what_is_deleted_is_told_and_stops_it_unless_allowed(
    where: dict[str, str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A range that begins after it is whole."""
    prefix, path, later = where["MDS_TOPIC_PREFIX"], tmp_path / "bars.csv", tmp_path / "later.csv"
    bars = [
        a_bar(event_time=NINE_THIRTY + n * MINUTE_US, known_from=KNOWN + n * MINUTE_US, raw_offset=n)
        for n in range(6)
    ]
    send(where, outgoing(prefix, bars))
    admin = AdminClient({"bootstrap.servers": where["MDS_KAFKA"]})
    for future in admin.delete_records([TopicPartition(f"{prefix}bars.v1", SPY, 2)]).values():
        future.result(30)
    hole = f"{prefix}bars.v1/{SPY}: offsets 0 to 1 are deleted; whole since {rfc3339(KNOWN + 2 * MINUTE_US)}"

    assert done(where, "bars", ("file", path)) == 1
    assert f"error: {hole}" in capfd.readouterr().err
    assert not path.exists()
    assert done(where, "bars", ("file", path), allow_holes=True) == 0
    assert f"warning: {hole}" in capfd.readouterr().err
    assert done(where, "bars", ("file", later), since=rfc3339(KNOWN + 3 * MINUTE_US)) == 0

    assert [row["raw_offset"] for row in rows_of(path)] == ["2", "3", "4", "5"]
    assert [row["raw_offset"] for row in rows_of(later)] == ["3", "4", "5"]


@pytest.mark.soak
def test_a_file_whose_making_was_killed_is_the_one_made_at_once(
    where: dict[str, str], tmp_path: Path
) -> None:
    """To the byte, though the topic has grown since."""
    sent = outgoing(
        where["MDS_TOPIC_PREFIX"], [a_trade(symbol="SPY", raw_offset=n, price=1.0 + n) for n in range(60_000)]
    )
    send(where, sent)
    whole, path = tmp_path / "whole.parquet", tmp_path / "broken.parquet"
    assert done(where, "trades", ("file", whole)) == 0
    _killed_once(
        where,
        ["--from", "trades", "--into", "file", str(path)],
        lambda: list(tmp_path.glob("broken.parquet.parts/*.part")),
    )
    assert not path.exists()
    send(where, sent[:10])

    assert done(where, "trades", ("file", path)) == 0

    assert path.read_bytes() == whole.read_bytes()
    assert read_parquet(path).read_all().num_rows == len(sent)


def test_topics_of_another_prefix_make_the_same_of_it(where: dict[str, str], kafka_bootstrap: str) -> None:
    """Begun before and gone on with: each record once, in order, and a replay of the copy is a replay of the original."""
    prefix, target = where["MDS_TOPIC_PREFIX"], f"{where['MDS_TOPIC_PREFIX']}copy."
    send(where, [*raw_trades(prefix, 500, 2), *outgoing(prefix, trades(OTHER, 5))])
    request = requested(["raw,trades"], ("prefix", target))
    begun = Copies(kafka_bootstrap, target, request.topics, replay=request.digest)
    begun.prepare(DEFAULT_PARTITIONS, {})
    with LogReader(kafka_bootstrap, "test") as reader:
        for record in records(reader, prefix, Range(RAW_TRADES, SPY, 0, 200)):
            begun.add(record)
    begun.confirm()

    assert replay(System.from_env(where), request, allow_holes=False) == 0

    ours, theirs = (
        list(
            processing.replay(
                processing.from_kafka(kafka_bootstrap, RAW_TOPICS, DEFAULT_PARTITIONS, prefix=each),
                DEFAULT_PARTITIONS,
            )
        )
        for each in (prefix, target)
    )
    assert len(ours) > 1_500
    assert ours == theirs
    with LogReader(kafka_bootstrap, "test") as reader:
        number = partition_of(OTHER, DEFAULT_PARTITIONS)
        originals, copies = (
            [message.value() for message in reader.read(each + TRADES, number, 0)]
            for each in (prefix, target)
        )
    assert len(originals) == 5
    assert originals == copies


def test_a_database_whose_filling_was_killed_is_the_one_filled_at_once(
    where: dict[str, str], postgres_admin: str, databases: list[str]
) -> None:
    """Row by row, and nothing of the replay is left in it."""
    prefix = where["MDS_TOPIC_PREFIX"]
    bars = [
        Outgoing(topic=prefix + RAW_BARS, partition=SPY, key=b"SPY", value=encode(RAW_BARS, a_block(*events)))
        for n in (0, 1, 2, 7, 8, 30)
        for events in [
            [a_bar_event(symbol=s, event_time=NINE_THIRTY + n * MINUTE_US) for s in (TOGETHER, "SPY")]
        ]
    ]
    send(where, [*raw_trades(prefix, 150, 400), *bars])
    where["MDS_POSTGRES_DSN"] = postgres_admin
    whole, broken = databases
    assert done(where, "raw", ("database", whole)) == 0
    dsn = with_database(postgres_admin, broken)

    def stored() -> bool:
        with suppress(asyncpg.PostgresError):
            return bool(asyncio.run(query(dsn, "SELECT FROM sink_offsets WHERE next_offset > 0")))
        return False

    _killed_once(where, ["--from", "raw", "--into", "database", broken], stored)
    assert done(where, "raw", ("database", broken)) == 0

    for view in VIEWS:
        digest = f"SELECT count(*), md5(string_agg(t::text, '|' ORDER BY {', '.join(view.key)})) FROM {view.name} t"  # noqa: S608
        first, second = (
            [tuple(row) for row in asyncio.run(query(with_database(postgres_admin, name), digest))]
            for name in (whole, broken)
        )
        assert (view.name, first) == (view.name, second)
    left = "SELECT (SELECT count(*) FROM sink_offsets) + (SELECT count(*) FROM outbox), to_regclass('replay_plan')"
    assert [tuple(row) for row in asyncio.run(query(dsn, left))] == [(0, None)]
    assert asyncio.run(query(dsn, "SELECT count(*) FROM v_trades"))[0][0] == 60_000
