"""Backup and restore as docs/OPERATIONS.md has it: its own commands, on machines that hold nothing, and what was answered is answered again."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from infra.embedded.kafka import EmbeddedKafka
from infra.embedded.postgres import EmbeddedPostgres, program_folder
from infra.runtime.kafka.topics import ensure_topics
from infra.runtime.postgres.comparing import VIEWS, ComparedView, Row, Verdict, compare, rows_of, snapshot
from infra.runtime.postgres.migrate import migrate
from schemas.intervals import MINUTE_US
from schemas.topics import RAW_TOPICS
from tests.conftest import READY_WITHIN_S, free_port
from tests.support.archives import a_round, archiver
from tests.support.databases import execute, with_database
from tests.support.eventually import eventually
from tests.support.sink_records import query
from tests.support.system import ROOT, System, system

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif("MDS_DRILL" not in os.environ, reason="minutes: make drill"),
]

SYMBOLS = [f"SIM{number:03}" for number in range(1, 5)]
WITHIN_S = 120.0
SETTINGS = {"MDS_SIMULATOR_SPEED": "60"}  # a bar of every symbol each second
DOCUMENT = ROOT / "docs" / "OPERATIONS.md"
PREFIX = "lost."
# What an operator did; no topic and no archive has it.
DONE_BY_HAND = ("universe_changes", "audit_acts")
ACT = """
INSERT INTO audit_acts (acted_time, actor, act, subject, detail) VALUES (now(), 'drill', 'backfill.enqueue', 'SIM001', '{}')"""
PLACES = {"raw_offset", "idx", "position", "gap_id"}
"""Columns that say where a record lies in the raw log, and what is named by that."""
MINUTES = """
SELECT symbol, count(DISTINCT event_time) AS minutes, extract(epoch FROM max(event_time) - min(event_time)) / 60 + 1 AS span
FROM v_bars WHERE interval = '1m' GROUP BY symbol"""
TWICE = """
SELECT count(*) AS rows FROM (SELECT 1 FROM v_trades GROUP BY stream_id, trade_id, event_time, price, size HAVING count(*) > 1) twice
"""
"""Trades of the simulator have ids of their own."""


def block(heading: str) -> str:
    """Return the commands of the document under a heading of the section on backups."""
    section = DOCUMENT.read_text("utf-8").partition("## Backup and restore")[2].partition("\n## ")[0]
    found = re.search(
        rf"^### {re.escape(heading)}$.*?^```sh deploy\n(.*?)^```$", section, re.MULTILINE | re.DOTALL
    )
    assert found is not None, f"{DOCUMENT.name} has no commands under {heading!r}"
    return found[1]


def run(commands: str, env: dict[str, str], folder: Path) -> str:
    """Run commands as they stand there, in a folder, with our `mds` and the server's own programs on the PATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), str(program_folder()), env["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env=env | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def machine(folder: Path) -> Iterator[tuple[EmbeddedKafka, EmbeddedPostgres]]:
    """A broker and a database in homes that hold nothing."""
    broker = EmbeddedKafka(folder / "k", port=free_port(), controller_port=free_port(), short_lived=True)
    server = EmbeddedPostgres(folder / "p", port=free_port(), durable=False)
    with broker, server:
        broker.wait_ready(READY_WITHIN_S)
        server.wait_ready(READY_WITHIN_S)
        yield broker, server
        broker.kill()


@dataclass(kw_only=True)
class Lost:
    """A system that collected and was stopped: its broker and database, what was saved of it, and what it answered.

    `saved` holds the dump; `archive` all raw records but those of the last moments before the loss.
    """

    running: System
    broker: EmbeddedKafka
    dsn: str
    saved: Path
    archive: Path
    answers: dict[str, Any]

    @property
    def broker_settings(self) -> dict[str, str]:
        """The log it collected into."""
        return {"MDS_KAFKA": self.broker.bootstrap_servers, "MDS_TOPIC_PREFIX": PREFIX}


async def told(running: System, as_of: str) -> dict[str, Any]:
    """Return what REST answers of every symbol as of a moment: minutes, days, and gaps."""
    found = {}
    for symbol in SYMBOLS:
        for path, more in (
            (f"/stocks/{symbol}/intraday", {"start": "2000-01-01", "limit": 5000, "revisions": "all"}),
            ("/gaps", {"symbol": symbol}),
        ):
            status, answer = await running.get(path, as_of=as_of, **more)
            assert status == 200, answer
            found[f"{symbol} {path}"] = [
                {name: value for name, value in each.items() if name not in PLACES} for each in answer["data"]
            ]
    return found


async def complete(running: System) -> str:
    """Return the moment up to which all is complete, for which bars, corrections and gaps are told."""
    moments = []
    for symbol in SYMBOLS:
        status, answer = await running.get(f"/stocks/{symbol}/intraday")
        assert status == 200 and len(answer["data"]) > 5, answer
        moments.append(str(answer["meta"]["as_of"]))
    return min(moments)


async def started(running: System, *names: str) -> None:
    """Start services one after the other and wait until they are ready."""
    for name in names:
        running.start(name)
    await running.ready(*names)


async def has_gaps(dsn: str) -> bool:
    """Whether a stretch that nobody watched is in the ledger, of trades among others."""
    (row,) = await query(
        dsn, "SELECT count(*) AS gaps FROM v_gaps WHERE confidence = 'proven' AND stream LIKE 'trades:%'"
    )
    return bool(row["gaps"] >= len(SYMBOLS))


async def settled(dsn: str) -> None:
    """Wait until the sink has stored all that is known by now."""
    (now,) = await query(dsn, "SELECT clock_timestamp() AS moment")

    async def is_past() -> bool:
        (row,) = await query(dsn, "SELECT min(complete_before) AS complete FROM watermarks")
        return row["complete"] is not None and bool(row["complete"] > now["moment"])

    await eventually(is_past, within_s=WITHIN_S, every_s=0.5)


async def market_passes(running: System, minutes: int) -> None:
    """Wait until the market is so many minutes further."""

    async def market_time() -> int:
        async with (
            aiohttp.ClientSession() as session,
            session.get(running.simulator_url + "/simulator/clock") as answer,
        ):
            return int((await answer.json())["market_time"])

    until = await market_time() + minutes * MINUTE_US

    async def has_passed() -> bool:
        return await market_time() >= until

    await eventually(has_passed, within_s=WITHIN_S)


async def stretch(running: System, dsn: str) -> None:
    """Collect; let producers be away for some minutes of the market; collect on."""
    await started(running, "producers")
    await eventually(partial(complete, running), within_s=WITHIN_S, every_s=0.5)
    running.terminate("producers")
    await market_passes(running, 4)
    await started(running, "producers")
    await eventually(partial(has_gaps, dsn), within_s=WITHIN_S, every_s=0.5)


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory, server_home: Path) -> Iterator[Lost]:
    """A system with bars, trades, quotes, gaps and acts by hand; saved while it ran, then stopped a while later."""
    folder = tmp_path_factory.mktemp("lost")
    with machine(server_home / "first") as (broker, server):
        asyncio.run(migrate(server.dsn))
        ensure_topics(broker.bootstrap_servers, prefix=PREFIX)
        with system(
            bootstrap=broker.bootstrap_servers, dsn=server.dsn, prefix=PREFIX, folder=folder, symbols=SYMBOLS, settings=SETTINGS
        ) as running:  # fmt: skip
            running.env["SINKS_ARCHIVE"] = str(folder / "archive")
            asyncio.run(started(running, "simulator", "sinks", "stream_processors", "gateway"))
            asyncio.run(stretch(running, server.dsn))
            run("mds universe set SIM001 --tier T1 --note kept", running.env, folder)
            asyncio.run(execute(server.dsn, ACT))
            as_of = asyncio.run(eventually(partial(complete, running), within_s=WITHIN_S))
            answers = asyncio.run(told(running, as_of)) | {"as_of": as_of}
            asyncio.run(archived(running, broker.bootstrap_servers))
            run(block("Backup"), running.env, folder)
            asyncio.run(grown(server.dsn))
            running.terminate("producers")
            asyncio.run(settled(server.dsn))
            for name in ("gateway", "stream_processors", "sinks"):
                running.terminate(name)
            yield Lost(
                running=running, broker=broker, dsn=server.dsn, saved=folder, archive=folder / "archive", answers=answers
            )  # fmt: skip


async def archived(running: System, bootstrap: str) -> None:
    """Archive what the raw topics have, as if its hour were over."""
    archive = Path(running.env["SINKS_ARCHIVE"])
    await a_round(archiver(archive, bootstrap, PREFIX, topics=RAW_TOPICS))


async def grown(dsn: str) -> None:
    """Wait until more was stored of every symbol than there is now."""
    (before,) = await query(dsn, "SELECT max(event_time) AS newest FROM v_bars")
    after = "SELECT count(DISTINCT symbol) AS symbols FROM v_bars WHERE interval = '1m' AND event_time > $1"

    async def has_grown() -> bool:
        (row,) = await query(dsn, after, before["newest"] + timedelta(minutes=2))
        return bool(row["symbols"] == len(SYMBOLS))

    await eventually(has_grown, within_s=WITHIN_S, every_s=0.5)


def judged(_: ComparedView, ours: Row | None, theirs: Row | None) -> Verdict:
    """Every row counts."""
    return "same" if ours == theirs else "different"


async def differences(dsn: str, other: str) -> list[str]:
    """Return what two databases say differently, by their public views and the tables of acts by hand."""
    async with snapshot(dsn) as ours, snapshot(other) as theirs:
        found = [await compare(view, rows_of(ours, view), rows_of(theirs, view), judged) for view in VIEWS]
    told = [line for each in found for line in each.lines("lost", "restored")]
    assert (
        sum(
            each.same
            for each in found
            if each.view.name in ("v_bars", "v_trades", "v_gaps", "v_gap_evidence")
        )
        > 0
    )
    for table in DONE_BY_HAND:
        statement = f"SELECT * FROM {table} ORDER BY 1, 2"  # noqa: S608 - names above
        if list(map(dict, await query(dsn, statement))) != list(map(dict, await query(other, statement))):
            told.append(table)
    return told


async def same(dsn: str, other: str) -> bool:
    """Whether two databases say the same, row for row."""
    told = await differences(dsn, other)
    assert told == [], told[:3]
    return True


def test_a_lost_database_is_restored_and_the_log_brings_what_came_since(lost: Lost, open_path: Path) -> None:
    """The dump answers as before; sinks go on from the positions in it, until every row is there, in the same place, once."""
    running = lost.running
    with EmbeddedPostgres(open_path / "p", port=free_port(), durable=False) as server:
        server.wait_ready(READY_WITHIN_S)
        running.env |= lost.broker_settings | {"MDS_POSTGRES_DSN": server.dsn}
        run(block("The database is lost"), running.env, lost.saved)
        short = asyncio.run(differences(lost.dsn, server.dsn))
        asyncio.run(started(running, "gateway"))
        assert asyncio.run(told(running, lost.answers["as_of"])) == without(lost.answers, "as_of")

        asyncio.run(started(running, "sinks", "stream_processors"))
        asyncio.run(eventually(partial(same, lost.dsn, server.dsn), within_s=WITHIN_S, every_s=1.0))
        asyncio.run(started(running, "producers"))
        asyncio.run(grown(server.dsn))
        asyncio.run(eventually(partial(whole, server.dsn), within_s=WITHIN_S, every_s=1.0))
        said = run("mds rebuild --verify", running.env, lost.saved)
        for name in ("producers", "gateway", "stream_processors", "sinks"):
            running.terminate(name)

    assert short, "nothing was stored between the backup and the loss"
    assert "database = topics" in said


def without(answers: dict[str, Any], name: str) -> dict[str, Any]:
    """Return all answers but one."""
    return {each: value for each, value in answers.items() if each != name}


async def whole(dsn: str) -> bool:
    """Whether no minute of bars is missing between the first and the last, and no trade is there twice."""
    rows = await query(dsn, MINUTES)
    assert len(rows) >= len(SYMBOLS)
    assert all(row["minutes"] == row["span"] for row in rows), [dict(row) for row in rows]
    (twice,) = await query(dsn, TWICE)
    assert twice["rows"] == 0
    return True


ROWS = {
    name: f"SELECT {columns} FROM {name} WHERE known_from <= $1 ORDER BY {columns}"  # noqa: S608 - names written here
    for name, columns in {
        "v_bars_all": "symbol, interval, provider, event_time, known_from, received_time, open, high, low, close, volume, final, revision, route",
        "v_trades": "symbol, provider, event_time, known_from, received_time, price, size, trade_id, conditions, venue",
        "v_quotes": "symbol, provider, event_time, known_from, received_time, bid, ask, last, volume",
        "v_gap_evidence": "stream, kind, from_time, to_time, known_from, cause, expected, detector",
    }.items()
}
"""What is known of the market, without its places in the log, up to a moment."""
UNTOLD = """
SELECT t.symbol, t.event_time FROM unnest($1::text[], $2::timestamptz[]) t(symbol, event_time) WHERE NOT EXISTS (
    SELECT FROM v_gaps g WHERE g.symbol = t.symbol AND g.stream LIKE 'trades:%' AND g.confidence = 'proven'
        AND t.event_time >= g.from_time AND t.event_time < g.to_time)"""
TRADES = "SELECT symbol, event_time, trade_id FROM v_trades"


def test_a_lost_machine_is_restored_from_archive_and_dump(lost: Lost, open_path: Path) -> None:
    """The dump alone is refused; under another prefix rows and answers are as before, and what was not archived is fetched or told."""
    running = lost.running
    with machine(open_path) as (broker, server):
        running.env |= {
            "MDS_KAFKA": broker.bootstrap_servers, "MDS_TOPIC_PREFIX": "", "MDS_POSTGRES_DSN": server.dsn,
        }  # fmt: skip
        asyncio.run(refused(running, lost, server.dsn))
        run(block("Everything is lost"), running.env, lost.saved)
        running.env |= {"MDS_TOPIC_PREFIX": "restored."}
        asyncio.run(started(running, "sinks", "stream_processors", "gateway"))
        asyncio.run(eventually(partial(answered, running, lost), within_s=WITHIN_S, every_s=1.0))
        asyncio.run(known(lost, server.dsn))
        asyncio.run(execute(server.dsn, ACT))
        asyncio.run(started(running, "producers"))
        asyncio.run(grown(server.dsn))
        asyncio.run(eventually(partial(whole, server.dsn), within_s=WITHIN_S, every_s=1.0))
        asyncio.run(eventually(partial(all_told, lost, server.dsn), within_s=WITHIN_S, every_s=1.0))
        said = run("mds rebuild --verify", running.env, lost.saved)
        acts = asyncio.run(query(server.dsn, "SELECT act_id FROM audit_acts ORDER BY act_id"))
        members = run("mds universe export", running.env, lost.saved)
        for name in ("producers", "gateway", "stream_processors", "sinks"):
            running.terminate(name)

    assert "database = topics" in said
    assert len(acts) > 1
    assert "SIM001,T1" in members


async def refused(running: System, lost: Lost, dsn: str) -> None:
    """Let a sink go on with the dump and a broker that is not its own: it stores nothing, and says why."""
    await execute(dsn, "CREATE DATABASE copied")
    copied = {**running.env, "MDS_POSTGRES_DSN": with_database(dsn, "copied")}
    run(f"mds topics apply --partitions 4\n{block('The database is lost')}", copied, lost.saved)
    running.own["sinks"] = {"MDS_POSTGRES_DSN": copied["MDS_POSTGRES_DSN"]}
    running.start("sinks")

    async def tells() -> bool:
        url = f"http://127.0.0.1:{running.ports['sinks']}/readyz"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            told = await answer.text()
        assert answer.status == 503 and "is another topic than the one stored so far" in told, told
        return True

    await eventually(tells, within_s=WITHIN_S, every_s=0.5)
    running.terminate("sinks")
    del running.own["sinks"]


async def answered(running: System, lost: Lost) -> bool:
    """Whether all is answered that was."""
    assert await told(running, lost.answers["as_of"]) == without(lost.answers, "as_of")
    return True


async def known(lost: Lost, dsn: str) -> None:
    """Compare all rows known by the moment that was remembered, without their places."""
    moment = datetime.fromisoformat(lost.answers["as_of"])
    for name, statement in ROWS.items():
        ours = [tuple(row) for row in await query(lost.dsn, statement, moment)]
        theirs = [tuple(row) for row in await query(dsn, statement, moment)]
        assert ours, name
        assert ours == theirs, (name, set(ours) ^ set(theirs))


async def all_told(lost: Lost, dsn: str) -> bool:
    """Whether each trade that the lost system had, and this one has not, lies in a gap that this one tells."""
    here = {tuple(row) for row in await query(dsn, TRADES)}
    gone = [tuple(row) for row in await query(lost.dsn, TRADES) if tuple(row) not in here]
    assert gone, "no trade was collected after the archive's end"
    rows = await query(dsn, UNTOLD, [symbol for symbol, _, _ in gone], [moment for _, moment, _ in gone])
    assert not rows, f"{len(rows)} of {len(gone)}: {rows[:3]}"
    return True
