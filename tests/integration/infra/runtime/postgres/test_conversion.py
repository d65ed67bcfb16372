"""The conversion of a database of the old layout, on real PostgreSQL: equal, resumable, linear, refused while unfinished."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from infra.runtime.postgres.conversion import WAITING, refuse_half_converted
from infra.runtime.postgres.migrate import DIRECTORY, migrate
from schemas.deriving import columns, content
from schemas.errors import ConfigurationError, StoreUnavailable
from schemas.identity import stream_id_of
from schemas.partitions import partition_of
from schemas.streams import BAR_STREAM, QUOTE_STREAM, TRADE_STREAM, Stream, StreamId
from schemas.topics import DEFAULT_PARTITIONS
from tests.support import old_layout
from tests.support.databases import execute
from tests.support.old_layout import Row, latest, place, said, slot, until_conversion

ROWS = 3_000
SLOT = ["symbol", "provider", "interval", "event_time"]


def shown(stream: Stream, rows: list[Row], *more: str) -> list[tuple[Any, ...]]:
    """Return rows as `said` reads them from a view."""
    names = [*(column.name for column in columns(stream)), *more]
    return sorted((tuple(row.get(name) for name in names) for row in rows), key=repr)


def final_versions(bars: list[Row]) -> dict[tuple[Any, ...], list[Row]]:
    """Return the final versions of each slot in order, counted, without those equal to the one before."""
    found: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in sorted(bars, key=place):
        versions = found[slot(row)]
        if row["final"] and (not versions or _content(row) != _content(versions[-1])):
            versions.append(row | {"revision": len(versions)})
    return {at: versions for at, versions in found.items() if versions}


def said_again(bars: list[Row]) -> int:
    """Return how many final versions only repeat the final one before them, with forming ones in between."""
    finals = sum(row["final"] for row in bars)
    return finals - sum(len(each) for each in final_versions(bars).values())


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
    # not only hidden by the view
    assert len(await said(dsn, "bars_forming", ["stream_id"])) == len(newest_forming(bars))
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
    for stream in old_layout.STREAMS:
        for row in made[stream.name]:
            series_of = StreamId(stream.name, row.get("interval", ""), row["provider"], row["symbol"])
            extent = extents.get((series_of.channel, series_of.provider, series_of.symbol), (None, None))
            partition = partition_of(series_of.symbol, DEFAULT_PARTITIONS)
            found.add((stream_id_of(series_of), *series_of[:4], partition, *extent))
    return sorted(found, key=repr)


async def test_every_row_says_after_the_conversion_what_it_said_before(empty: str, tmp_path: Path) -> None:
    """Versions, forming bars, two providers, intervals, 1962, nulls and other scripts; the rest is dropped."""
    await old_layout.old_database(empty, tmp_path)
    made = await old_layout.fill(empty, ROWS)
    assert any(len(each) > 2 for each in final_versions(made["bars"]).values())
    assert newest_forming(made["bars"])
    assert said_again(made["bars"]) > 20

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
        # A kill may come when all is moved and only the ledger does not say so yet.
        if await _applied(empty) == 7 and await said(
            empty, "pg_class WHERE relname = 'conversion'", ["relname"]
        ):
            with pytest.raises(ConfigurationError, match="mds migrate"):
                await _look(empty)
    else:
        await migrate(empty, folder)

    assert kills > 5
    assert await said(empty, "schema_migrations WHERE sha256 IS NULL", ["name"]) == []
    await _look(empty)
    await check_equal(empty, made)


@pytest.mark.parametrize("table", ["bars", "quotes", "trades"])
async def test_a_batch_and_the_place_it_came_to_are_one_transaction(
    empty: str, tmp_path: Path, table: str
) -> None:
    """Where the place cannot be kept the rows are not kept either."""
    await old_layout.old_database(empty, tmp_path)
    await old_layout.fill(empty, ROWS)
    await until_conversion(empty, tmp_path)
    await execute(empty, "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF NEW.moved > 1000 THEN RAISE 'broken'; END IF; RETURN NEW; END $$")  # fmt: skip
    await execute(
        empty, "CREATE TRIGGER broken BEFORE UPDATE ON conversion FOR EACH ROW EXECUTE FUNCTION broken()"
    )

    with pytest.raises(asyncpg.RaiseError, match="broken"):
        await execute(empty, f"CALL conversion_of_{table}(100)")

    ((moved, *came),) = await said(empty, "conversion", ["moved", *SLOT])
    names = SLOT if table == "bars" else ["symbol", "provider", "''", "event_time"]
    stored = await said(empty, f"v_{table}", names)
    assert 800 < moved <= 1_000
    assert stored
    assert max(stored) <= tuple(came)


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
