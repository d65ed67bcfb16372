"""Real data through the whole pipeline: every row of the files, none more, on every surface."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from infra.runtime.clock import rfc3339
from schemas.clocks import Day, iso_day
from schemas.partitions import partition_of
from schemas.topics import DEFAULT_PARTITIONS, RAW_TOPICS
from tests.support import oracle
from tests.support.archives import a_round, archiver
from tests.support.loaded_system import DAYS, SPY_TRADES, Loaded
from tests.support.market_files import at, minute_bars, ticks
from tests.support.real_entries import (
    REAL_SERIES,
    stored_dividends,
    stored_vintages_of,
    told_dividends,
    told_vintages,
)
from tests.support.system import ROOT, System

pytestmark = pytest.mark.slow

INTERVAL_MINUTE_US = 60_000_000
GOOG_ABSENT = ["12:08", "12:15", "12:31", "12:44", "12:47", "13:27", "14:03", "14:40"]


@pytest.mark.parametrize(("symbol", "day"), DAYS, ids=lambda value: value)
async def test_every_bar_of_the_file_is_served_and_nothing_else(
    loaded: Loaded, symbol: str, day: str
) -> None:
    """REST, database and WebSocket hold exactly the file's rows."""
    want = minute_bars(loaded.data, symbol, day)
    iso = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    rest = await _pages(loaded.system, f"/stocks/{symbol}/intraday", date=iso, limit=300)
    connection = await asyncpg.connect(loaded.dsn)
    stored = await connection.fetch(
        "SELECT event_time, open, high, low, close, volume, final FROM v_bars_all WHERE symbol = $1", symbol
    )
    await connection.close()
    streamed = loaded.watcher.transcripts[f"bars.1m:best:{symbol}"].records.values()

    assert {row["event_time"]: _values(row) for row in rest} == {
        rfc3339(start): bar for start, bar in want.items()
    }
    assert len(rest) == len(want)
    assert all(row["final"] and row["revision"] == 0 for row in rest)
    low, high = min(want), max(want)
    of_day = [row for row in stored if low <= oracle.micros(row["event_time"]) <= high]
    assert sorted((oracle.micros(row["event_time"]), _values(row)) for row in of_day) == sorted(want.items())
    pushed = [(r["event_time"], _values(r)) for r in streamed if low <= r["event_time"] <= high]
    assert sorted(pushed) == sorted(want.items())


@pytest.mark.parametrize(
    ("symbol", "day", "absent"),
    [
        pytest.param("GOOG", "20151228", GOOG_ABSENT, id="GOOG"),
        pytest.param("GOOG", "20151224", [], id="GOOG half day"),
        pytest.param("SPY", "20131007", [], id="SPY"),
        pytest.param("TWX", "20140606", None, id="TWX"),
    ],
)
async def test_absent_minutes_of_the_session_are_inferred_gaps(
    loaded: Loaded, symbol: str, day: str, absent: list[str] | None
) -> None:
    """Exactly the regular minutes without a trade, and no other, are gaps."""
    bars = minute_bars(loaded.data, symbol, day)
    close = "13:00" if day == "20151224" else "16:00"
    missing = [t for t in range(at(day, "09:30"), at(day, close), INTERVAL_MINUTE_US) if t not in bars]
    if absent is not None:
        assert missing == [at(day, clock) for clock in absent]
    else:
        assert len(missing) == 3
    status, answer = await loaded.system.get("/gaps", symbol=symbol, limit=1000)
    assert status == 200
    gaps = [gap for gap in answer["data"] if gap["interval"] == "1m"]  # type: ignore[attr-defined]
    covered = [
        start
        for gap in gaps
        for start in range(_micros(gap["from_time"]), _micros(gap["to_time"]), INTERVAL_MINUTE_US)
        if at(day, "04:00") <= start < at(day, "20:00")
    ]

    assert sorted(covered) == missing
    assert {(gap["confidence"], gap["state"], gap["cause"]) for gap in gaps} <= {
        ("inferred", "open", "missing_bars")
    }


async def test_every_trade_is_complete_and_in_order_everywhere(loaded: Loaded) -> None:
    """250,601 trades, many alike to the last field, in the topic, the database and at an unconflated client."""
    want = ticks(loaded.data, "SPY", "20131007")
    assert len(want) == SPY_TRADES
    topic = oracle.canonical(
        loaded.bootstrap, loaded.prefix, "trades.v1", partition_of("SPY", DEFAULT_PARTITIONS)
    )
    connection = await asyncpg.connect(loaded.dsn)
    stored = await connection.fetch("SELECT event_time, price, size FROM v_trades ORDER BY raw_offset, idx")
    await connection.close()
    seen = loaded.watcher.transcripts["trades:best:SPY"]

    assert [(t["event_time"], t["price"], t["size"]) for t in topic] == want
    assert [(oracle.micros(t["event_time"]), t["price"], t["size"]) for t in stored] == want
    assert [(t["event_time"], t["price"], t["size"]) for t in seen.records.values()] == want


async def test_the_watching_client_was_whole_all_the_time(loaded: Loaded) -> None:
    """No chain broke, nothing came twice, nothing was lost."""
    for stream, seen in loaded.watcher.transcripts.items():
        assert (stream, seen.breaks, seen.order_kept, seen.losses_told) == (stream, [], True, 0)


async def test_every_dividend_and_vintage_of_the_files_is_served_and_nothing_else(loaded: Loaded) -> None:
    """Database and REST hold exactly what the files say, by pages."""
    paid, said = told_dividends(loaded.data), told_vintages(loaded.data)
    stored = await stored_dividends(loaded.dsn)
    assert [ex_date for ex_date, _ in stored] == list(paid)
    assert dict(stored) == pytest.approx(paid, abs=1e-4)
    assert await stored_vintages_of(loaded.dsn) == said

    rows = await _pages(loaded.system, "/stocks/SPY/actions", knowledge="known", revisions="all", limit=50)
    assert [(row["ex_date"], row["amount"]) for row in rows] == [
        (iso_day(Day(ex_date)), amount) for ex_date, amount in stored
    ]
    for key in REAL_SERIES:
        rows = await _pages(
            loaded.system, f"/factors/macro/{key}/history", knowledge="known", revisions="all", limit=50
        )
        assert [(row["period_start"], row["vintage_start"], row["value"]) for row in rows] == [
            (iso_day(Day(period)), iso_day(Day(start)), value)
            for each, period, start, _, value in said
            if each == key
        ]


@pytest.mark.parametrize("raw_topic", RAW_TOPICS)
async def test_topics_and_tables_hold_what_the_raw_log_holds(loaded: Loaded, raw_topic: str) -> None:
    """By the naive model over the raw topic: each version exactly once, with its own known_from."""
    want = oracle.expected(loaded.bootstrap, loaded.prefix, raw_topic)

    assert oracle.canonical_agrees(loaded.bootstrap, loaded.prefix, raw_topic, want) == ""
    difference = await oracle.database_agrees(
        loaded.dsn, raw_topic, want, lambda s: partition_of(s, DEFAULT_PARTITIONS)
    )
    assert difference == ""


@pytest.mark.parametrize("source", ["broker", pytest.param("archive", marks=pytest.mark.soak)])
async def test_a_replay_into_an_empty_database_gives_identical_rows(
    loaded: Loaded, postgres_admin: str, database: str, source: str, tmp_path: Path
) -> None:
    """The raw log alone rebuilds everything, known_from and position included; so do the files it was archived to."""
    python = sys.executable
    read = f"{python} -m stream_processors replay --bootstrap {loaded.bootstrap} --prefix {loaded.prefix}"
    if source == "archive":
        archive = archiver(tmp_path, loaded.bootstrap, loaded.prefix, topics=RAW_TOPICS, file_bytes=4_000_000)
        await a_round(archive)
        files = f"{python} -m sinks archive --path {tmp_path} cat"
        read = f"{files} | {python} -m stream_processors replay --partitions {DEFAULT_PARTITIONS}"
    script = f"{read} | {python} -m sinks replay --partitions {DEFAULT_PARTITIONS}"
    done = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-o", "pipefail", "-c", script],
        cwd=ROOT,
        env=loaded.system.env | {"SINKS_REPLAY_DSN": database},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for table, key in (
        ("v_bars_all", "stream_id, event_time, position"),
        ("v_bars", "stream_id, event_time"),
        ("v_bars_forming", "stream_id"),
        ("v_trades", "stream_id, event_time, position"),
        ("v_quotes", "stream_id, event_time, position"),
        ("v_quotes_latest", "stream_id"),
        ("v_actions", "stream_id, event_time, position"),
        ("v_macro", "stream_id, event_time, position"),
        ("v_streams", "stream_id"),
        ("v_gap_evidence", "stream, from_time, raw_offset, idx"),
        ("v_gaps", "gap_id"),
        ("v_coverage", "stream_id, start_time"),
    ):
        digest = f"SELECT count(*), md5(string_agg(t::text, E'\\n' ORDER BY {key})) FROM {table} t"  # noqa: S608
        live, again = [await _one(dsn, digest) for dsn in (loaded.dsn, database)]
        assert (table, *again) == (table, *live)


async def test_the_database_is_proven_to_be_the_topics_while_everything_runs(
    loaded: Loaded, tmp_path: Path
) -> None:
    """`mds rebuild --verify` beside the services: every row of every view."""
    command = [sys.executable, "-m", "infra.cli", "rebuild", "--verify"]
    env = loaded.system.env | {"MDS_HOME": str(tmp_path), "MDS_POSTGRES_DSN": loaded.dsn}
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=280, check=False
    )

    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert f"v_trades: {SPY_TRADES:,} rows alike, 0 not" in done.stdout
    assert "database = topics" in done.stdout


async def _one(dsn: str, statement: str) -> tuple[Any, ...]:
    connection = await asyncpg.connect(dsn)
    try:
        return tuple(await connection.fetchrow(statement) or ())
    finally:
        await connection.close()


async def _pages(running: System, path: str, **parameters: object) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    while True:
        status, answer = await running.get(path, **parameters)
        assert status == 200, answer
        rows.extend(answer["data"])  # type: ignore[arg-type]
        token = answer["next_page_token"]
        if not token:
            return rows
        parameters["page_token"] = token


def _values(row: Any) -> tuple[float, ...]:
    return tuple(float(row[name]) for name in ("open", "high", "low", "close", "volume"))


def _micros(text: str) -> int:

    return oracle.micros(datetime.fromisoformat(text))
