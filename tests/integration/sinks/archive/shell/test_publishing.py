"""Publishing days from a real database: what history answers with, once, and again only after corrections."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from arro3.core import DataType
from arro3.io import read_parquet

from gateway.http.moments import aware, rfc3339
from schemas.archive.datasets import Dataset, Publication
from schemas.archive.manifest import MANIFEST
from schemas.intervals import DAY_US, MINUTE_US
from schemas.streams import BAR_STREAM, QUOTE_STREAM, TRADE_STREAM, Bar
from sinks.archive.publishing import NotYet
from sinks.archive.shell.disk import Disk
from sinks.archive.shell.publishing import publish
from tests.support.archive_files import published_rows
from tests.support.builders import NINE_THIRTY, a_bar, a_quote, a_trade
from tests.support.gateway_rest import rest

MINUTES = Dataset(stream=BAR_STREAM, interval="1m")
DISK = Disk(keep_free_bytes=0)
DAY = date(2013, 10, 7)
MIDNIGHT = NINE_THIRTY - NINE_THIRTY % DAY_US
SYMBOLS, PROVIDERS = ("SPY", "BRK.B", "ZVZZT"), ("yahoo", "finnhub")
KNOWN_US = MIDNIGHT + 3 * DAY_US  # everything of the day is known by then


def names_in(root: Path) -> list[str]:
    """Return what lies in a folder."""
    return sorted(path.name for path in root.iterdir())


async def published(
    root: Path, database: str, dataset: Dataset = MINUTES, day: date = DAY
) -> Publication | NotYet | None:
    """Publish a day."""
    return await publish(root, dataset, day, dsn=database, disk=DISK)


def versions(seed: int, *, starts: Sequence[int], known_us: int, first_offset: int) -> list[Bar]:
    """Return versions of bars of several symbols, providers and routes, each known a little later than the one before."""
    rng, bars = random.Random(seed), []
    for number, start in enumerate(starts):
        for symbol in SYMBOLS:
            for _ in range(rng.randrange(1, 4)):
                offset = first_offset + len(bars)
                bars.append(
                    a_bar(
                        symbol=symbol, provider=rng.choice(PROVIDERS), event_time=start, close=167.3 + number + rng.random() / 10,
                        high=400.0, route=rng.choice(("primary", "primary", "backfill", "shadow")),
                        known_from=known_us + len(bars), raw_offset=offset, trade_count=rng.choice((None, 7)),
                    )
                )  # fmt: skip
    return bars


async def test_a_published_day_is_what_history_answers_as_of_the_same_moment(
    database: str, tmp_path: Path
) -> None:
    """Of every symbol, whoever sold it, with its revisions; and nothing of the days beside it."""
    starts = [
        MIDNIGHT - MINUTE_US,
        MIDNIGHT,
        NINE_THIRTY,
        NINE_THIRTY + MINUTE_US,
        MIDNIGHT + DAY_US - MINUTE_US,
        MIDNIGHT + DAY_US,
    ]
    async with rest(database) as gateway:
        known = versions(7, starts=starts, known_us=KNOWN_US, first_offset=0)
        late = versions(8, starts=starts, known_us=KNOWN_US + 1_000, first_offset=1_000)
        await gateway.store(*known, *late)
        await gateway.complete_before(KNOWN_US + 900)
        line = await published(tmp_path, database)

        assert isinstance(line, Publication)
        assert line.as_of_us == KNOWN_US + 899
        rows = published_rows(tmp_path / MINUTES.folder / line.path)
        assert len(rows) == line.rows
        expected: list[tuple[Any, ...]] = []
        for symbol in sorted(SYMBOLS):
            answer = await gateway.get(
                f"/stocks/{symbol}/history", interval="1m", start=rfc3339(MIDNIGHT), end=rfc3339(MIDNIGHT + DAY_US),
                as_of=rfc3339(line.as_of_us), session="all",
            )  # fmt: skip
            expected += [
                (symbol, row["event_time"], row["close"], row["provider"], row["revision"], row.get("trade_count"), row["known_from"])
                for row in answer["data"]
            ]  # fmt: skip
        assert expected
        assert [
            (r["symbol"], rfc3339(r["event_time"]), r["close"], r["provider"], r["revision"], r["trade_count"], rfc3339(r["known_from"]))
            for r in rows
        ] == expected  # fmt: skip


async def test_only_what_is_new_is_published_again_and_beside_what_was(database: str, tmp_path: Path) -> None:
    """Nothing new, nothing written; a correction of that day alone makes a file, and the first stays byte for byte."""
    async with rest(database) as gateway:
        await gateway.store(
            a_bar(known_from=KNOWN_US),
            a_bar(event_time=NINE_THIRTY + DAY_US, known_from=KNOWN_US, raw_offset=8),
        )
        await gateway.complete_before(KNOWN_US + 10)
        first = await published(tmp_path, database)
        assert isinstance(first, Publication)
        content = (tmp_path / MINUTES.folder / first.path).read_bytes()
        manifest = (tmp_path / MINUTES.folder / MANIFEST).read_bytes()

        assert await published(tmp_path, database) is None
        await gateway.complete_before(KNOWN_US + 100)
        await gateway.store(
            a_bar(event_time=NINE_THIRTY + DAY_US, close=167.4, known_from=KNOWN_US + 50, raw_offset=9)
        )
        await gateway.store(a_bar(close=167.45, known_from=KNOWN_US + 60, raw_offset=10, route="shadow"))
        assert await published(tmp_path, database) is None
        assert (tmp_path / MINUTES.folder / MANIFEST).read_bytes() == manifest

        await gateway.store(a_bar(close=167.5, known_from=KNOWN_US + 70, raw_offset=11))
        second = await published(tmp_path, database)
        assert isinstance(second, Publication)
        assert second.as_of_us == KNOWN_US + 99
        assert (tmp_path / MINUTES.folder / first.path).read_bytes() == content
        assert [row["close"] for row in published_rows(tmp_path / MINUTES.folder / second.path)] == [167.5]
        assert await published(tmp_path, database) is None


async def test_a_day_waits_for_every_partition(database: str, tmp_path: Path) -> None:
    """Of its own topic; one that is behind says how far it is."""
    async with rest(database) as gateway:
        await gateway.store(a_bar())
        await gateway.complete_before(MIDNIGHT + DAY_US + 1)
        await gateway.database.execute(
            "UPDATE watermarks SET complete_before = $1 WHERE partition = 2 AND topic = 'bars.v1'",
            aware(MIDNIGHT + DAY_US),
        )
        verdict = await published(tmp_path, database)
        assert isinstance(verdict, NotYet)
        assert "complete through 2013-10-07T23:59:59.999999" in verdict.problem
        assert names_in(tmp_path) == []
        await gateway.database.execute("DELETE FROM watermarks WHERE partition = 2 AND topic = 'bars.v1'")
        verdict = await published(tmp_path, database)
        assert isinstance(verdict, NotYet) and "[2]" in verdict.problem
        assert isinstance(await published(tmp_path, database, Dataset(stream=TRADE_STREAM)), Publication)


async def test_a_day_that_retention_cut_into_is_not_published(database: str, tmp_path: Path) -> None:
    """What is left of it would look like the whole."""
    async with rest(database) as gateway:
        await gateway.store(a_bar())
        await gateway.database.execute("INSERT INTO retention_floors VALUES ('bars', $1)", aware(NINE_THIRTY))
        verdict = await published(tmp_path, database)
        assert isinstance(verdict, NotYet) and "not whole any more" in verdict.problem
        assert isinstance(await published(tmp_path, database, day=DAY + timedelta(1)), Publication)


@pytest.mark.parametrize("count", [0, 1, 12_345])
async def test_trades_and_quotes_are_published_row_by_row(database: str, tmp_path: Path, count: int) -> None:
    """Every one that was known then, in the order of time; a day without any is a file without rows."""
    trades, quotes = Dataset(stream=TRADE_STREAM), Dataset(stream=QUOTE_STREAM)
    async with rest(database) as gateway:
        await gateway.store(
            *(a_trade(event_time=NINE_THIRTY + n // 2, size=float(n + 1), raw_offset=n, known_from=KNOWN_US + n) for n in range(count)),
            *(a_quote(event_time=NINE_THIRTY + n, bid=100 + n / 1_000, raw_offset=n, known_from=KNOWN_US + n) for n in range(count // 9)),
        )  # fmt: skip
        await gateway.complete_before(KNOWN_US + max(1, count - 5))
        for dataset, expected in ((trades, min(count, max(1, count - 5))), (quotes, count // 9)):
            line = await published(tmp_path, database, dataset)
            assert isinstance(line, Publication)
            rows = published_rows(tmp_path / dataset.folder / line.path)
            assert (line.rows, [row["raw_offset"] for row in rows]) == (expected, list(range(expected)))
            assert line.path.endswith(f"/{dataset.stream.name}.parquet")


async def test_a_published_day_is_served_with_the_archive(database: str, tmp_path: Path) -> None:
    """Listed by its day, and read from the gateway by any reader of Parquet."""
    async with rest(database, archive=tmp_path) as gateway:
        await gateway.store(a_bar())
        line = await published(tmp_path, database)
        assert isinstance(line, Publication)
        (named,) = (await gateway.get("/archive", day="2013-10-07"))["data"]
        (file,) = named["files"]
        assert (file["path"], file["as_of"]) == (f"{MINUTES.folder}/{line.path}", rfc3339(line.as_of_us))
        async with gateway.session.get(f"{gateway.url}/archive/{file['path']}") as response:
            copy = tmp_path / "copy"
            copy.write_bytes(await response.read())
        table = read_parquet(copy).read_all()
        assert table["symbol"].to_pylist() == ["SPY"]
        assert table["event_time"].cast(DataType.int64()).to_pylist() == [NINE_THIRTY]
