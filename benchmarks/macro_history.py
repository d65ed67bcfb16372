"""A macro series of 60,000 vintages as it was known at a moment, against the same reads of a table that has no versions.

Run: `python -m benchmarks macro_history`. Both tables hold every vintage, and are turned into the same objects and the same
JSON in the same pages; one vintage in twenty was corrected after the moment asked about, in the one that has versions. The
yardstick over REST is a handler that asks its table for the rows behind the last one, and computes nothing.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import orjson
from aiohttp import web

from benchmarks.measure import RUNS, Row, middle, row
from gateway.database.rows import read_columns, row_reader
from gateway.database.shell.snapshot import YIELD_EVERY_ROWS, Snapshot, Snapshots
from gateway.entries.macro import PeriodValue, value_row
from gateway.entries.shell.history import ToldSeries
from gateway.http.moments import parse_moment
from gateway.http.shell.answers import ROWS_AT_ONCE
from gateway.http.shell.connections import listening
from infra.embedded.postgres import EmbeddedPostgres
from infra.runtime.postgres.errors import Connection, Pool
from infra.runtime.postgres.migrate import migrate
from infra.runtime.postgres.pool import connection, pool
from schemas.clocks import Day, KnowledgeTime
from schemas.entries import MacroObservation
from schemas.partitions import partition_of
from schemas.streams import MACRO_STREAM
from schemas.topics import DEFAULT_PARTITIONS
from schemas.validation import FIRST_DAY, LAST_DAY
from tests.conftest import free_port
from tests.support.gateway_rest import rest
from tests.support.stored_vintages import KEY, KNOWN_BY, stored_vintages

PERIODS, VINTAGES = 20_000, 3
LIMIT = 10_000
COMPLETE_BEFORE = "2026-06-01T00:00:00Z"
# One and a half times the time of the table without versions is the goal, three times the bound: less of a rate.
GOAL, FLOOR = 1 / 1.5, 1 / 3
PARTITION = partition_of(KEY, DEFAULT_PARTITIONS)
UNVERSIONED = f"""
    CREATE TABLE unversioned (LIKE macro);
    INSERT INTO unversioned SELECT * FROM macro WHERE known_from <= '{KNOWN_BY}';
    CREATE UNIQUE INDEX ON unversioned (stream_id, period_start, vintage_start);
"""
SHOWN = ", ".join(
    f"v.{column.name} - DATE '1970-01-01'" if column.type == "date" else f"v.{column.name}"
    for column in read_columns(MACRO_STREAM)
)
PLAIN = f"""
    SELECT s.provider, {SHOWN} FROM streams s JOIN unversioned v USING (stream_id) WHERE s.symbol = $1 AND s.kind = 'macro'
    AND (v.period_start, v.vintage_start) > (DATE '1970-01-01' + $2::integer, DATE '1970-01-01' + $3::integer)
    ORDER BY v.period_start, v.vintage_start LIMIT $4"""
READ = row_reader(MACRO_STREAM, MacroObservation)


async def _plain(borrowed: Connection, after: tuple[int, int], limit: int) -> list[MacroObservation]:
    rows, found = await borrowed.fetch(PLAIN, KEY, *after, limit), list[MacroObservation]()
    for begin in range(0, len(rows), YIELD_EVERY_ROWS):
        found += [READ(each, KEY, each[0]) for each in rows[begin : begin + YIELD_EVERY_ROWS]]
        await asyncio.sleep(0)
    return found


def _handler(opened: Pool) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        after = int(request.query["period"]), int(request.query["vintage"])
        async with connection(opened, within_s=60.0) as borrowed:
            found = await _plain(borrowed, after, LIMIT)
        pieces = []
        for begin in range(0, len(found), ROWS_AT_ONCE):
            some = [
                PeriodValue(observation=each, moment=each.event_time, value=each.value, status="ok")
                for each in found[begin : begin + ROWS_AT_ONCE]
            ]
            pieces.append(orjson.dumps([value_row(each, PARTITION) for each in some])[1:-1])
            await asyncio.sleep(0)
        last = {"period": found[-1].period_start, "vintage": found[-1].vintage_start} if found else None
        body = b'{"data":[' + b",".join(pieces) + b'],"last":' + orjson.dumps(last) + b"}"
        return web.Response(body=body, content_type="application/json")

    return answer


async def _nobody(_: float) -> None:
    """Send nobody away."""


def _got(url: str) -> tuple[int, dict[str, object]]:
    """Return how many rows an answer has, and what it says besides."""
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - of loopback
        body = orjson.loads(answer.read())
    return len(body["data"]), body


def _served(url: str) -> int:
    """Read the history page by page and return how many rows it has."""
    asked, count = (
        f"{url}/factors/macro/{KEY}/history?revisions=all&knowledge=known&as_of={KNOWN_BY}&limit={LIMIT}",
        0,
    )
    token: object = None
    while True:
        rows, body = _got(asked + (f"&page_token={token}" if token else ""))
        count, token = count + rows, body["next_page_token"]
        if not token:
            return count


def _served_plainly(url: str) -> int:
    """Read the table without versions page by page and return how many rows it has."""
    count, last = 0, {"period": FIRST_DAY, "vintage": FIRST_DAY}
    while last:
        rows, body = _got(f"{url}/?period={last['period']}&vintage={last['vintage']}")
        count += rows
        last = body["last"]  # type: ignore[assignment]
    return count


async def _rate(work: Awaitable[int]) -> float:
    """Return rows a second; all of them must come."""
    began_s = time.perf_counter()
    found = await work
    if found != PERIODS * VINTAGES:
        raise RuntimeError(f"{found} rows, not {PERIODS * VINTAGES}")
    return found / (time.perf_counter() - began_s)


async def _read_versions(snapshot: Snapshot) -> int:
    by = KnowledgeTime(parse_moment(KNOWN_BY, None))
    return len(await ToldSeries(snapshot=snapshot, key=KEY, by=by).told(Day(FIRST_DAY), Day(LAST_DAY)))


async def _read_plain(borrowed: Connection) -> int:
    return len(await _plain(borrowed, (FIRST_DAY, FIRST_DAY), PERIODS * VINTAGES))


async def _tables(opened: Pool) -> Row:
    then, plain = [], []
    for _ in range(RUNS + 1):
        async with Snapshots(opened, concurrent=1).snapshot() as snapshot:
            then.append(await _rate(_read_versions(snapshot)))
        async with connection(opened, within_s=60.0) as borrowed:
            plain.append(await _rate(_read_plain(borrowed)))
    # The first one of each fills caches.
    return row(
        f"{PERIODS * VINTAGES:,} vintages of a series out of the table, as_of",
        middle(then[1:]), "rows/s", yardstick=middle(plain[1:]), goal=GOAL, floor=FLOOR,
    )  # fmt: skip


async def measure(dsn: str) -> list[Row]:
    """Measure both tables in turns, read by the gateway's own code and asked for over REST."""
    filling = await asyncpg.connect(dsn)
    await filling.execute(stored_vintages(periods=PERIODS, vintages=VINTAGES))
    await filling.execute(UNVERSIONED)
    await filling.execute("VACUUM ANALYZE")
    await filling.close()
    async with pool(dsn, service="bench", size=2) as opened, rest(dsn) as gateway:
        await gateway.complete_before(parse_moment(COMPLETE_BEFORE, None))
        rows = [await _tables(opened)]
        app = web.Application()
        app.router.add_get("/", _handler(opened))
        async with listening(app, "127.0.0.1", 0, _nobody) as port:
            served, plain = [], []
            for _ in range(RUNS + 1):
                served.append(await _rate(asyncio.to_thread(_served, gateway.url)))
                plain.append(await _rate(asyncio.to_thread(_served_plainly, f"http://127.0.0.1:{port}")))
    rows.append(
        row(
            f"{PERIODS * VINTAGES:,} vintages over REST in pages of {LIMIT:,}, as_of",
            middle(served[1:]), "rows/s", yardstick=middle(plain[1:]), goal=GOAL, floor=FLOOR,
        )
    )  # fmt: skip
    return rows


def run() -> list[Row]:
    """Return the measurements as rows of benchmarks/results.json."""
    with (
        tempfile.TemporaryDirectory(prefix="mds-bench-") as folder,
        EmbeddedPostgres(Path(folder), port=free_port()) as database,
    ):
        asyncio.run(migrate(database.dsn))
        return asyncio.run(measure(database.dsn))
