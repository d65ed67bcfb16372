"""A database of the layout before compact rows, filled with rows as sinks stored them then, and what it says."""

# ruff: noqa: S608 - table names of this file only

from __future__ import annotations

import random
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg

from infra.runtime.postgres.codec import register_times
from infra.runtime.postgres.files import statements
from infra.runtime.postgres.migrate import DIRECTORY, migrate
from schemas.deriving import columns, content
from schemas.partitions import partition_of
from schemas.streams import BAR_STREAM, QUOTE_STREAM, TRADE_STREAM, Stream
from schemas.topics import DEFAULT_PARTITIONS
from tests.support.databases import execute

STREAMS = (QUOTE_STREAM, TRADE_STREAM, BAR_STREAM)  # those there were
CONVERSION = next(DIRECTORY.glob("0008_*.sql"))
LAST_OLD = 6  # number of the last migration of that layout
SYMBOLS = ("AAPL", "MSFT", "BRK.B", "日経", "ÅÄÖ.ST", "^GSPC", "EURUSD=X")
PROVIDERS = ("yahoo", "finnhub")
INTERVALS = ("1m", "1h", "1d")
ORIGINS_US = (-235_526_400_000_000, 1_381_152_600_000_000, 1_764_288_000_000_000)  # 1962, 2013, 2025
STEP_US = 200_000_000_000  # over two days: partitions of many days and months
AMOUNTS = (1.5, 2.25, 0.1, 1e-9, 123_456.789, 7.0)
Row = dict[str, Any]


async def old_database(dsn: str, folder: Path) -> None:
    """Give an empty database the tables of the old layout."""
    for file in sorted(DIRECTORY.glob("[0-9]*.sql")):
        if int(file.name[:4]) <= LAST_OLD:
            shutil.copy(file, folder)
    await migrate(dsn, folder)


def value_of(stream: Stream, name: str, dice: random.Random) -> Any:
    """Return a value of a declared column that is no key, clock or place."""
    column = next(each for each in columns(stream) if each.name == name)
    if column.nullable and dice.random() < 0.3:
        return None
    texts = {
        "session": ("pre", "regular", "post", "closed"),
        "adjustment_state": ("raw", "split", "all"),
        "route": ("primary", "shadow", "backfill"),
        "currency": ("USD", "", "¥en"),
    }
    kinds: Mapping[str, tuple[Any, ...]] = {
        "text": texts.get(name, ("", "a,b", "naïve ✓")), "float8": AMOUNTS, "int8": (0, 17, 2**40),
        "int4": (0, 900), "bool": (True, False),
    }  # fmt: skip
    return dice.choice(kinds[column.type])


def rows(stream: Stream, count: int, seed: int, moments: int) -> list[Row]:
    """Return about `count` rows of a stream as sinks would have stored them: equal neighbours of a slot are one.

    No column was a day then.
    """
    dice = random.Random(seed)
    made, offset = [], 0
    said_before: dict[tuple[Any, ...], Row] = {}
    while len(made) < count:
        offset += dice.randint(1, 3)
        event_time = dice.choice(ORIGINS_US) + dice.randrange(moments) * STEP_US
        row: Row = {
            column.name: value_of(stream, column.name, dice)
            for column in columns(stream)
            if column.type not in ("timestamptz", "date")
            and column.name not in ("raw_offset", "idx", "interval")
        }
        row |= {
            "symbol": dice.choice(SYMBOLS), "provider": dice.choice(PROVIDERS), "event_time": event_time,
            "received_time": event_time + dice.randrange(10**9), "known_from": 1_764_300_000_000_000 + offset * 1_000,
            "raw_offset": offset, "idx": dice.choice((0, 1, 4_999, 65_535)),
        }  # fmt: skip
        if stream.by_interval:
            row["interval"] = dice.choice(INTERVALS)
        # said again, perhaps of the other kind: final or forming
        if slot(row) in said_before and dice.random() < 0.5:
            row |= {name: said_before[slot(row)][name] for name in content(stream) if name != "final"}
        said_before[slot(row)] = row
        made.append(row)
    return list(_new_versions(stream, made))


def _new_versions(stream: Stream, made: list[Row]) -> Iterator[Row]:
    current: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for row in made:
        said = tuple(row[name] for name in content(stream))
        if said and current.get(slot(row)) == said:
            continue
        current[slot(row)] = said
        yield row


def slot(row: Row) -> tuple[Any, ...]:
    """Return the slot of a row."""
    return row["symbol"], row["provider"], row.get("interval", ""), row["event_time"]


def series(row: Row) -> tuple[Any, ...]:
    """Return the series of a row."""
    return slot(row)[:3]


def place(row: Row) -> tuple[int, int]:
    """Return the place of a row in our log."""
    return row["raw_offset"], row["idx"]


async def fill(dsn: str, count: int, *, seed: int = 1, moments: int = 10) -> dict[str, list[Row]]:
    """Store about `count` rows of each stream with what belonged to them, and return them by stream."""
    made = {stream.name: rows(stream, count, seed + index, moments) for index, stream in enumerate(STREAMS)}
    connection = await asyncpg.connect(dsn)
    await register_times(connection)
    try:
        for stream in STREAMS:
            await _copy(connection, stream.name, made[stream.name])
        newest = {slot(row): row | {"revision": 0} for row in made[BAR_STREAM.name]}
        await _copy(connection, "bars_current", list(newest.values()))
        await _copy(connection, "quotes_latest", latest(made[QUOTE_STREAM.name]))
        await _copy(connection, "cursors", cursors(made))
    finally:
        await connection.close()
    return made


def latest(quotes: list[Row]) -> list[Row]:
    """Return the newest quote of each series."""
    newest: dict[tuple[Any, ...], Row] = {}
    for row in sorted(quotes, key=lambda row: (row["event_time"], place(row))):
        newest[series(row)] = row
    return list(newest.values())


def cursors(made: Mapping[str, list[Row]]) -> list[Row]:
    """Return the cursor of every series that has one: of bars only final ones count."""
    seen: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for name, stored in made.items():
        for row in stored:
            if row.get("final", True):
                channel = f"{name}.{row['interval']}" if "interval" in row else name
                seen[channel, row["provider"], row["symbol"]].append(row["event_time"])
    return [
        {
            "channel": channel, "provider": provider, "symbol": symbol, "start_time": min(times),
            "last_seen": max(times), "partition": partition_of(symbol, DEFAULT_PARTITIONS),
        }
        for (channel, provider, symbol), times in seen.items()
    ]  # fmt: skip


async def _copy(connection: asyncpg.Connection[Any], table: str, stored: list[Row]) -> None:
    names = list(stored[0])
    await connection.copy_records_to_table(
        table, records=[tuple(row[name] for name in names) for row in stored], columns=names
    )


async def said(dsn: str, view: str, names: list[str]) -> list[tuple[Any, ...]]:
    """Return the named columns of all rows of a view, sorted, times as µs."""
    connection = await asyncpg.connect(dsn)
    await register_times(connection)
    try:
        found = await connection.fetch(f"SELECT {', '.join(names)} FROM {view}")
    finally:
        await connection.close()
    return sorted((tuple(row) for row in found), key=repr)


async def until_conversion(dsn: str, folder: Path) -> list[str]:
    """Bring the database to where the conversion begins, its procedures made; return the statements left."""
    for file in DIRECTORY.glob("[0-9]*.sql"):
        if file.name < CONVERSION.name:
            (folder / file.name).write_text(file.read_text("utf-8"), "utf-8")
    await migrate(dsn, folder)
    before, call, after = CONVERSION.read_text("utf-8").partition("CALL conversion_of_all(20000);")
    for statement in statements(before):
        await execute(dsn, statement)
    return list(statements(call + after))
