"""The conversion of a database of the old layout, on real PostgreSQL: equal, resumable, linear, refused while unfinished."""

# ruff: noqa: S608 - table names of this file only

from __future__ import annotations

import asyncio
import random
import re
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from infra.runtime.postgres.conversion import WAITING, refuse_half_converted
from infra.runtime.postgres.files import statements
from infra.runtime.postgres.migrate import DIRECTORY, migrate
from infra.runtime.postgres.pool import connection, pool
from producers.collecting.shell.starting import read_cursors
from schemas.deriving import columns, content
from schemas.errors import ConfigurationError, StoreUnavailable
from schemas.identity import stream_id_of
from schemas.partitions import murmur2, partition_of
from schemas.streams import BAR_STREAM, QUOTE_STREAM, STREAMS, TRADE_STREAM, Stream, StreamId
from schemas.tables import compared, packed
from schemas.topics import partition_count
from sinks.store.shell.session import open_connection
from tests.support import old_layout
from tests.support.databases import execute, with_database
from tests.support.old_layout import Row, latest, place, said, slot

CONVERSION = next(DIRECTORY.glob("0008_*.sql"))
ROWS = 3_000
PROCEDURES = (
    "conversion_of_series()",
    "conversion_of_bars(%s)",
    "conversion_of_quotes(%s)",
    "conversion_of_trades(%s)",
)


@pytest.fixture
async def empty(postgres_admin: str) -> AsyncIterator[str]:
    """DSN of a database of this test alone with nothing in it."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    await execute(postgres_admin, f"CREATE DATABASE {name}")
    yield with_database(postgres_admin, name)
    await execute(postgres_admin, f"DROP DATABASE {name} WITH (FORCE)")


def shown(stream: Stream, rows: list[Row], *more: str) -> list[tuple[Any, ...]]:
    """Return rows as `said` reads them from a view."""
    names = [*(column.name for column in columns(stream)), *more]
    return sorted((tuple(row[name] for name in names) for row in rows), key=repr)


def final_versions(bars: list[Row]) -> dict[tuple[Any, ...], list[Row]]:
    """Return the final versions of each slot in order, counted, without those equal to the one before."""
    found: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in sorted(bars, key=place):
        versions = found[slot(row)]
        if row["final"] and (not versions or _content(row) != _content(versions[-1])):
            versions.append(row | {"revision": len(versions)})
    return {at: versions for at, versions in found.items() if versions}


def _content(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in content(BAR_STREAM))


def newest_forming(bars: list[Row]) -> list[Row]:
    """Return the newest forming bar of each series whose slot has no final one."""
    newest = latest([row for row in bars if not row["final"]])
    ended = final_versions(bars)
    return [row for row in newest if slot(row) not in ended]


async def check_equal(dsn: str, made: dict[str, list[Row]]) -> None:
    """Compare what the views say with what was stored in the old layout."""
    bars, quotes, trades = (made[stream.name] for stream in (BAR_STREAM, QUOTE_STREAM, TRADE_STREAM))
    versions = final_versions(bars)

    async def view(name: str, stream: Stream, *more: str) -> list[tuple[Any, ...]]:
        return await said(dsn, name, [*(column.name for column in columns(stream)), *more])

    assert await view("v_quotes", QUOTE_STREAM) == shown(QUOTE_STREAM, quotes)
    assert await view("v_quotes_latest", QUOTE_STREAM) == shown(QUOTE_STREAM, latest(quotes))
    assert await view("v_trades", TRADE_STREAM) == shown(TRADE_STREAM, trades)
    current = [each[-1] for each in versions.values()]
    assert await view("v_bars", BAR_STREAM, "revision") == shown(BAR_STREAM, current, "revision")
    every = [row for each in versions.values() for row in each]
    assert await view("v_bars_all", BAR_STREAM, "revision") == shown(BAR_STREAM, every, "revision")
    assert await view("v_bars_forming", BAR_STREAM) == shown(BAR_STREAM, newest_forming(bars))
    assert await said(dsn, "streams", STREAM_COLUMNS) == expected_streams(made)


STREAM_COLUMNS = [
    "stream_id",
    "kind",
    "interval",
    "provider",
    "symbol",
    "partition",
    "start_time",
    "last_seen",
]


def expected_streams(made: dict[str, list[Row]]) -> list[tuple[Any, ...]]:
    """Return the rows of `streams`: of each series that has rows, with its extent where a cursor said one."""
    extents = {
        (row["channel"], row["provider"], row["symbol"]): (row["start_time"], row["last_seen"])
        for row in old_layout.cursors(made)
    }
    found = set()
    for stream in STREAMS:
        for row in made[stream.name]:
            series_of = StreamId(stream.name, row.get("interval", ""), row["provider"], row["symbol"])
            extent = extents.get((series_of.channel, series_of.provider, series_of.symbol), (None, None))
            partition = partition_of(series_of.symbol, partition_count())
            found.add((stream_id_of(series_of), *series_of[:4], partition, *extent))
    return sorted(found, key=repr)


async def test_every_row_says_after_the_conversion_what_it_said_before(empty: str, tmp_path: Path) -> None:
    """Versions, forming bars, two providers, intervals, 1962, nulls and other scripts; the rest is dropped."""
    await old_layout.old_database(empty, tmp_path)
    made = await old_layout.fill(empty, ROWS)
    assert any(len(each) > 2 for each in final_versions(made["bars"]).values())
    assert newest_forming(made["bars"])

    assert "0008_pre_convert_rows" in await migrate(empty)

    await check_equal(empty, made)
    left = await said(empty, "pg_class", ["relname::text"])
    assert not {("conversion",), *((name,) for name in WAITING)} & set(left)
    assert not [
        name for (name,) in await said(empty, "pg_proc", ["proname::text"]) if name.startswith("conversion")
    ]


async def test_killed_at_any_moment_it_goes_on_and_nothing_is_stored_twice(
    empty: str, tmp_path: Path
) -> None:
    """Each time the services refuse the database and say what goes on; in the end all is equal."""
    await old_layout.old_database(empty, tmp_path)
    made = await old_layout.fill(empty, ROWS)
    folder = tmp_path / "small batches"
    folder.mkdir()
    for file in DIRECTORY.glob("[0-9]*.sql"):
        (folder / file.name).write_text(file.read_text("utf-8").replace("(20000)", "(2)"), "utf-8")
    dice, kills = random.Random(5), 0

    for _ in range(200):
        running = asyncio.ensure_future(migrate(empty, folder))
        await asyncio.sleep(dice.uniform(0.02, 0.15))  # the moment is to be a random one
        await _terminate(empty)
        try:
            await running
            break
        except StoreUnavailable as error:
            assert "run `mds migrate` again" in str(error)
            kills += 1
        if await _applied(empty) >= 7:
            with pytest.raises(ConfigurationError, match="mds migrate"):
                await _look(empty)
    else:
        await migrate(empty, folder)

    assert kills > 5
    await _look(empty)
    await check_equal(empty, made)


async def _terminate(dsn: str) -> None:
    await execute(
        dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'mds-migrate'"
    )  # fmt: skip


async def _applied(dsn: str) -> int:
    return len(await said(dsn, "schema_migrations", ["name"]))


async def _look(dsn: str) -> None:
    opened = await asyncpg.connect(dsn)
    try:
        await refuse_half_converted(opened)
    finally:
        await opened.close()


async def _until_conversion(dsn: str, folder: Path) -> list[str]:
    """Bring the database to where the conversion begins, its procedures made; return the statements left."""
    for file in DIRECTORY.glob("[0-9]*.sql"):
        if file.name < CONVERSION.name:
            (folder / file.name).write_text(file.read_text("utf-8"), "utf-8")
    await migrate(dsn, folder)
    before, call, after = CONVERSION.read_text("utf-8").partition("CALL conversion_of_all(20000);")
    for statement in statements(before):
        await execute(dsn, statement)
    return list(statements(call + after))


async def test_services_refuse_a_half_converted_database(empty: str, tmp_path: Path) -> None:
    """Each says what waits and which command goes on: sink, gateway, and a producer that asks how far it had come."""
    await old_layout.old_database(empty, tmp_path)
    await old_layout.fill(empty, 50)
    await _until_conversion(empty, tmp_path)
    await execute(empty, "CALL conversion_of_series()")

    with pytest.raises(ConfigurationError, match=r"old_bars.*run `mds migrate`"):
        async with open_connection(empty):
            pass
    async with pool(empty, service="gateway", refuse_unfinished=True) as opened:
        with pytest.raises(ConfigurationError, match=r"old_bars.*run `mds migrate`"):
            async with connection(opened, within_s=5):
                pass
    with pytest.raises(ConfigurationError, match=r"old_bars.*run `mds migrate`"):
        await read_cursors(empty, [StreamId("bars", "1m", "yahoo", "AAPL")])

    await migrate(empty)
    async with open_connection(empty):
        pass


async def test_batches_are_read_by_the_old_key_and_time_grows_with_the_rows(
    empty: str, tmp_path: Path
) -> None:
    """No scan of a whole table, and a row is read as often whatever the size."""
    await old_layout.old_database(empty, tmp_path)
    await old_layout.fill(empty, ROWS)
    await _until_conversion(empty, tmp_path)
    opened = await asyncpg.connect(empty)
    try:
        await opened.execute("SELECT pg_stat_force_next_flush()")
        await opened.execute("SELECT pg_stat_reset()")
        for table in ("bars", "quotes", "trades"):
            # up to the drop, which takes the figures with it
            await opened.execute(f"CREATE TABLE keeps_{table} ()")
            await opened.execute(f"CREATE VIEW keeps_{table}_view AS SELECT count(*) FROM old_{table}")
            with pytest.raises(asyncpg.DependentObjectsStillExistError):
                await opened.execute(f"CALL conversion_of_{table}(100)")
            await opened.execute("SELECT pg_stat_force_next_flush()")
            scans = await opened.fetchrow(
                f"SELECT seq_scan, idx_tup_fetch, idx_scan FROM pg_stat_user_tables WHERE relname = 'old_{table}'"
            )
            moved = await opened.fetchval(f"SELECT moved FROM conversion WHERE source = 'old_{table}'")

            assert scans is not None
            assert scans["seq_scan"] == 0
            assert moved > ROWS / 2
            assert scans["idx_tup_fetch"] <= 3 * moved
    finally:
        await opened.close()


@pytest.mark.parametrize("size", [1_000])
async def test_time_is_linear(postgres_admin: str, tmp_path: Path, size: int) -> None:
    """n, 2n and 4n rows: four times the rows take no more than six times the time."""
    seconds = []
    for factor in (4, 8, 16):
        name, folder = f"t_{uuid.uuid4().hex[:12]}", tmp_path / str(factor)
        folder.mkdir()
        await execute(postgres_admin, f"CREATE DATABASE {name}")
        dsn = with_database(postgres_admin, name)
        await old_layout.old_database(dsn, folder)
        await old_layout.fill(dsn, size * factor)
        await _until_conversion(dsn, folder)
        began = time.perf_counter()
        await execute(dsn, "CALL conversion_of_all(500)")
        seconds.append(time.perf_counter() - began)
        await execute(postgres_admin, f"DROP DATABASE {name} WITH (FORCE)")
    print(seconds)

    assert seconds[2] < 6 * seconds[0] + 1


def packing(stream: Stream) -> str:
    """Return the SQL that packs the flags of an old row, from the declaration."""
    parts = []
    for each in packed(stream):
        symbols = ", ".join(f"'{symbol}'" for symbol in each.symbols)
        ordinal = f"(array_position(ARRAY[{symbols}], ?.{each.name}) - 1)"
        parts.append(f"({ordinal if each.symbols else f'?.{each.name}::integer'} << {each.shift})")
    return f"({' | '.join(parts)})::smallint"


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_flags_are_packed_and_contents_compared_as_declared(stream: Stream) -> None:
    """The SQL was written by hand; it says what the declaration says."""
    text = re.sub(r"\s+", " ", CONVERSION.read_text("utf-8"))
    plain = re.sub(r"\b[a-z]\.", "?.", text)

    assert packing(stream) in plain
    if stream is BAR_STREAM:
        names, mask = compared(stream)
        assert f"ROW({', '.join(f'c.{name}' for name in names)}, c.flags & {mask})" in text


async def test_the_partition_of_a_symbol_is_kafkas(empty: str, tmp_path: Path) -> None:
    """Of every length modulo four, and of bytes above 127; among four where nothing else is known."""
    await old_layout.old_database(empty, tmp_path)
    await _until_conversion(empty, tmp_path)
    names = ["", "A", "AB", "ABC", "ABCD", "ABCDE", "日経225", "Å" * 9, "^GSPC", "BRK.B", "x" * 255]
    opened = await asyncpg.connect(empty)
    try:
        for name in names:
            found = await opened.fetchrow(
                "SELECT conversion_murmur2(convert_to($1, 'UTF8')), conversion_partition($1)", name
            )
            assert found is not None
            assert tuple(found) == (murmur2(name.encode()), partition_of(name, partition_count()))
    finally:
        await opened.close()
