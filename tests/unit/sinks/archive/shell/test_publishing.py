"""Publishing without a database: rows pass from the loop to the thread that writes them, whole or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from schemas.archive.datasets import Dataset, Publication
from schemas.errors import StoreUnavailable
from schemas.streams import TRADE_STREAM
from sinks.archive import publishing as statements
from sinks.archive.shell import publishing
from sinks.archive.shell.disk import Disk
from tests.support.archive_files import published_rows

TRADES = Dataset(stream=TRADE_STREAM)
DAY = date(2025, 11, 28)
_, END = statements.span_of(DAY)
DISK = Disk(keep_free_bytes=0)


@dataclass
class FakeCursor:
    """Gives rows, so many at a time; after `fails_after` of them the server is gone."""

    rows: list[tuple[Any, ...]]
    fails_after: int | None

    async def fetch(self, count: int) -> list[tuple[Any, ...]]:
        """Return the next rows."""
        if self.fails_after is not None and not self.fails_after:
            raise StoreUnavailable("the server is gone")
        self.fails_after = None if self.fails_after is None else self.fails_after - 1
        some, self.rows = self.rows[:count], self.rows[count:]
        return some


@dataclass
class FakeConnection:
    """A database with one day of trades of some symbols."""

    symbols: int
    rows_each: int
    fails_after: int | None = None
    asked: list[int] = field(default_factory=list)
    is_changed: bool = True
    through: int = END + 5

    async def fetch(self, statement: str, *_: Any) -> list[dict[str, Any]]:
        """Return watermarks or symbols."""
        if statement == statements.MARKS:
            return [{"partition": number, "complete_before": self.through + number} for number in range(2)]
        return [{"symbol": f"S{number:04d}"} for number in range(self.symbols)]

    async def fetchval(self, statement: str, *_: Any) -> Any:
        """Return how many partitions there are, no floor, and whether something changed."""
        if statement == statements.PARTITIONS:
            return 2
        return None if statement == statements.FLOOR else self.is_changed

    async def cursor(self, _: str, symbols: list[str], *__: Any) -> FakeCursor:
        """Return the rows of some symbols."""
        self.asked.append(len(symbols))
        values = {"text": "x", "int8": 7, "int4": 3, "float8": 1.5, "bool": False, "timestamptz": END - 1}
        rows = [
            tuple(symbol if c.name == "symbol" else values[c.type] for c in TRADES.columns)
            for symbol in symbols
            for _ in range(self.rows_each)
        ]
        return FakeCursor(rows, self.fails_after)


async def publish(monkeypatch: pytest.MonkeyPatch, root: Path, database: FakeConnection) -> Any:
    """Publish the day of a database."""

    @asynccontextmanager
    async def snapshot(_: str) -> AsyncIterator[FakeConnection]:
        yield database

    monkeypatch.setattr(publishing, "_snapshot", snapshot)
    return await publishing.publish(root, TRADES, DAY, dsn="", disk=DISK)


def written(root: Path) -> list[str]:
    """Return the files of a publication, unfinished ones too."""
    return [str(path) for path in root.rglob("*") if path.suffix in (".parquet", ".tmp", ".jsonl")]


@pytest.mark.parametrize(("symbols", "rows_each"), [(0, 0), (1, 1), (49, 1), (120, 3), (3, 7_000)])
async def test_every_row_arrives_in_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, symbols: int, rows_each: int
) -> None:
    """However many there are, of fifty symbols at once."""
    database = FakeConnection(symbols, rows_each)

    line = await publish(monkeypatch, tmp_path, database)

    assert isinstance(line, Publication)
    assert (line.rows, line.as_of_us) == (symbols * rows_each, END + 4)
    found = [row["symbol"] for row in published_rows(tmp_path / TRADES.folder / line.path)]
    assert found == [f"S{number:04d}" for number in range(symbols) for _ in range(rows_each)]
    assert sum(database.asked) == symbols
    assert all(count <= 50 for count in database.asked)


@pytest.mark.parametrize("after", [0, 1, 2])
async def test_a_database_that_goes_away_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, after: int
) -> None:
    """Its error comes out, and the next time the day is published."""
    with pytest.raises(StoreUnavailable, match="is gone"):
        await publish(monkeypatch, tmp_path, FakeConnection(3, 7_000, fails_after=after))

    assert written(tmp_path) == []
    assert isinstance(await publish(monkeypatch, tmp_path, FakeConnection(3, 2)), Publication)


async def test_what_did_not_change_is_not_published_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nor what is known no further, whatever is said to have changed."""
    assert isinstance(await publish(monkeypatch, tmp_path, FakeConnection(1, 1)), Publication)

    later = FakeConnection(1, 1, is_changed=False, through=END + 90)
    assert await publish(monkeypatch, tmp_path, later) is None
    assert await publish(monkeypatch, tmp_path, FakeConnection(1, 2)) is None
    changed = await publish(monkeypatch, tmp_path, FakeConnection(1, 2, through=END + 90))
    assert isinstance(changed, Publication)
    assert [name.rpartition("/")[2] for name in written(tmp_path)].count("trades.parquet") == 2
