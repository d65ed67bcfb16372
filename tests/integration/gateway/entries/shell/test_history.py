"""A long series out of a real database, page by page: by index, at a cost that grows with the series alone."""

from __future__ import annotations

from datetime import date
from typing import Any

import orjson
import pytest

from gateway.database.shell.snapshot import Snapshot
from gateway.entries.shell.history import AHEAD, BACK, LAST
from gateway.http.moments import parse_moment
from schemas.clocks import day_of
from schemas.intervals import DAY_US
from sinks.store.shell.session import open_connection
from tests.support.builders import NINE_THIRTY, an_observation
from tests.support.gateway_rest import Rest, rest
from tests.support.plans import scanned_whole
from tests.support.stored_vintages import KEY, KNOWN_BY, stored_vintages

PATH = f"/factors/macro/{KEY}/history"
COUNTS = (400, 800, 1_600)
OTHERS = 40
COMPLETE_BEFORE = "2026-06-01T00:00:00Z"


async def in_pages(gateway: Rest, **query: str) -> list[dict[str, Any]]:
    """Return all rows of a question."""
    rows: list[dict[str, Any]] = []
    while True:
        status, _, body = await gateway.ask("GET", PATH, params=query)
        assert status == 200, body
        rows += body["data"]
        if body["next_page_token"] is None:
            return rows
        query["page_token"] = body["next_page_token"]


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each statement of a snapshot gave."""
    counts: list[int] = []
    begin = Snapshot.__init__

    def counted(snapshot: Snapshot, borrowed: Any) -> None:
        begin(snapshot, borrowed)

        async def fetch(*asked: Any) -> list[Any]:
            rows = await borrowed.fetch(*asked)
            counts.append(len(rows))
            return list(rows)

        snapshot.fetch = fetch

    monkeypatch.setattr(Snapshot, "__init__", counted)
    return counts


@pytest.mark.parametrize("query", [{"revisions": "all"}, {"units": "pc1"}], ids=str)
async def test_twice_the_series_is_twice_the_rows_and_pages_are_the_whole(
    database: str, fetched: list[int], query: dict[str, str]
) -> None:
    """Three vintages a day, in pages of a hundred; each vintage is read a few times at most."""
    read: dict[int, int] = {}
    async with rest(database) as gateway:
        await gateway.complete_before(parse_moment(COMPLETE_BEFORE, None))
        for number in COUNTS:
            await gateway.database.execute("TRUNCATE macro, streams")
            await gateway.database.execute(stored_vintages(periods=number, vintages=3))
            asked = {"as_of": KNOWN_BY, "knowledge": "known", **query}
            whole = await gateway.ask("GET", PATH, params={**asked, "limit": "10000"})
            fetched.clear()
            pages = await in_pages(gateway, **asked, limit="100")
            read[number] = sum(fetched)
            assert orjson.dumps(pages) == orjson.dumps(whole[2]["data"])
            assert len(pages) == (number * 3 if query == {"revisions": "all"} else number)
    bases = sum(380 * 3 * (number // 100 + 1) for number in COUNTS[-1:]) if "units" in query else 0
    assert read[1_600] < 3 * 1_600 * 3 + bases
    assert read[1_600] - read[800] < 2.3 * (read[800] - read[400])


async def test_the_newest_value_is_read_from_the_end(database: str, fetched: list[int]) -> None:
    """Some sixty rows and their bases, however long the series."""
    read = []
    async with rest(database) as gateway:
        await gateway.complete_before(parse_moment(COMPLETE_BEFORE, None))
        for number in COUNTS[1:]:
            await gateway.database.execute("TRUNCATE macro, streams")
            await gateway.database.execute(stored_vintages(periods=number, vintages=3))
            fetched.clear()
            status, _, body = await gateway.ask(
                "GET", "/factors/macro", params={"keys": KEY, "as_of": KNOWN_BY, "units": "chg"}
            )
            assert (status, body["data"][KEY]["period_start"]) == (200, "2025-09-01")
            read.append(sum(fetched))
    assert read[0] == read[1] < 150


async def test_places_of_a_series_are_found_by_index(database: str) -> None:
    """Among forty other series no statement reads a table from end to end."""
    async with open_connection(database) as connection:
        for number in range(OTHERS):
            await connection.execute(stored_vintages(periods=300, vintages=3, key=f"FRED:X{number}"))
        await connection.execute("ANALYZE streams")
        first, last = -100_000, 80_000
        for statement, asked in (
            (AHEAD, ("FRED:X7", 600, first, last)),
            (BACK, ("FRED:X7", 600, first, last)),
            (LAST, ("FRED:X7", 1_800_000_000_000_000, None, first, last)),
        ):
            assert await scanned_whole(connection, statement, *asked) - {"streams"} == set()
        newest = (await connection.fetch(LAST, "FRED:X7", 1_800_000_000_000_000, None, first, last))[0][0]
        ahead = (await connection.fetch(AHEAD, "FRED:X7", 9, newest - 1, last))[0][0]
        assert (await connection.fetch(AHEAD, "FRED:X7", 3, newest - 1, last))[0][0] == newest
        assert ahead is None
        assert (await connection.fetch(BACK, "FRED:X7", 3, first, newest))[0][0] == newest - 1


async def test_what_is_told_between_two_pages_is_on_none_of_them_though_it_was_published_before(
    database: str,
) -> None:
    """By its time of publication it would count; the pages of one answer are of what had been told at the first one."""
    day = day_of(date(2020, 1, 1))

    def told(period: int, value: float, known_from: int, offset: int) -> Any:
        return an_observation(
            symbol=KEY, provider="fred", period_start=day + period, period_end=day + period + 1, value=value, frequency="D",
            vintage_start=day + period, published_at=NINE_THIRTY, published_precision="time", known_from=known_from,
            raw_offset=offset,
        )  # fmt: skip

    async with rest(database) as gateway:
        now = NINE_THIRTY + 10 * DAY_US
        await gateway.complete_before(now)
        await gateway.store(*(told(number, 1.0, NINE_THIRTY, number) for number in range(9)))
        query = {"knowledge": "published", "limit": "4"}
        _, _, first = await gateway.ask("GET", PATH, params=query)
        await gateway.store(*(told(number, 2.0, now + DAY_US, 100 + number) for number in range(9)))
        await gateway.complete_before(now + 2 * DAY_US)
        rest_of_it = await in_pages(gateway, **query, page_token=first["next_page_token"])

        assert [row["value"] for row in (*first["data"], *rest_of_it)] == [1.0] * 9
        assert [row["value"] for row in await in_pages(gateway, **query)] == [2.0] * 9
