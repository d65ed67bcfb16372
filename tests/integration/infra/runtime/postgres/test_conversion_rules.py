"""Rules of the conversion of the old layout: refused while unfinished, read by index, linear, as the declarations say."""

# ruff: noqa: S608 - table names of this file only

from __future__ import annotations

import re
import time
import uuid
from pathlib import Path

import asyncpg
import pytest

from infra.runtime.postgres.migrate import migrate
from infra.runtime.postgres.pool import connection, pool
from producers.collecting.shell.starting import read_cursors
from schemas.errors import ConfigurationError
from schemas.partitions import murmur2, partition_of
from schemas.streams import BAR_STREAM, Stream, StreamId
from schemas.tables import compared, packed
from schemas.topics import DEFAULT_PARTITIONS
from sinks.store.shell.session import open_connection
from tests.support import old_layout
from tests.support.databases import execute, with_database
from tests.support.old_layout import CONVERSION, until_conversion

ROWS = 3_000


async def test_services_refuse_a_half_converted_database(empty: str, tmp_path: Path) -> None:
    """Each says what waits and which command goes on: sink, gateway, and a producer that asks how far it had come."""
    await old_layout.old_database(empty, tmp_path)
    await old_layout.fill(empty, 50)
    await until_conversion(empty, tmp_path)
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
    await until_conversion(empty, tmp_path)
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
        await until_conversion(dsn, folder)
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


@pytest.mark.parametrize("stream", old_layout.STREAMS, ids=lambda stream: stream.name)
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
    await until_conversion(empty, tmp_path)
    names = ["", "A", "AB", "ABC", "ABCD", "ABCDE", "日経225", "Å" * 9, "^GSPC", "BRK.B", "x" * 255]
    opened = await asyncpg.connect(empty)
    try:
        for name in names:
            found = await opened.fetchrow(
                "SELECT conversion_murmur2(convert_to($1, 'UTF8')), conversion_partition($1)", name
            )
            assert found is not None
            assert tuple(found) == (murmur2(name.encode()), partition_of(name, DEFAULT_PARTITIONS))
    finally:
        await opened.close()
