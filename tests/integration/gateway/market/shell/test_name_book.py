"""Renames as they were known: from when on they count, what they wait for, and what they cost."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest

from gateway.database.statements import LATEST_BARS_ASCENDING, RENAMES
from gateway.http.moments import rfc3339
from gateway.market.shell.name_book import SETTLE_US
from infra.runtime.clock import WallMarketClock
from schemas.intervals import MINUTE_US
from schemas.partitions import partition_of
from schemas.topics import BARS, DEFAULT_PARTITIONS
from tests.support.eventually import eventually
from tests.support.gateway_rest import Rest, rest, rows_of
from tests.support.renamed_shares import CHAIN, JUNE, WHOLE, closes, few, path, rename
from tests.support.split_shares import a_day, moment, real_days

LATE = rename("FB", "META", "2014-06-11", known=moment("2014-06-12"))
BARS_OF_FOUR = (
    *few("FB", "09", "10", price=1.0), *few("XA", "09", "10", price=1.0), *few("META", "09", "11", price=2.0),
    *few("XD", "09", "11", price=2.0), rename("XA", "XD", "2014-06-11", known=moment("2014-05-01")),
)  # fmt: skip


async def closes_at(gateway: Rest, symbol: str, as_of: int, **more: Any) -> list[float]:
    """Return the closes of an answer of a moment."""
    return (await closes(gateway, symbol, as_of=rfc3339(as_of), **more))[0]


async def test_a_rename_counts_from_its_day_on_and_once_it_was_known(database: str) -> None:
    """On the wall's market; what was published with its ex-date counts from then, though it was told since."""
    async with rest(database, market=WallMarketClock()) as gateway:
        await gateway.store(*BARS_OF_FOUR, LATE)
        at = partial(closes_at, gateway)
        assert await at("XD", moment("2014-06-10", 23.9)) == [2.0]
        assert await at("XD", moment("2014-06-11", 0)) == [1.0, 1.0]
        assert await at("XD", moment("2014-06-11", 18)) == [1.0, 1.0, 2.0]
        assert await at("META", moment("2014-06-12") + SETTLE_US - 1) == [2.0, 2.0]
        assert await at("META", moment("2014-06-12") + SETTLE_US) == [1.0, 1.0, 2.0]
        published = {"adjustment": "raw", "knowledge": "published"}
        assert await at("META", moment("2014-06-11", 18), **published) == [1.0, 1.0, 2.0]
        assert await at("META", moment("2014-06-10", 18), **published) == [2.0]


async def test_an_answer_of_before_stays_to_the_byte(database: str) -> None:
    """Tag and all: before a rename was told, before it was taken back."""
    before = JUNE | {"as_of": rfc3339(moment("2014-06-11", 18))}
    taken_back = replace(LATE, known_from=moment("2014-06-13"), event_time=moment("2014-06-13"), state="cancelled")  # fmt: skip
    found: list[Any] = []
    for told in (BARS_OF_FOUR, (LATE,), (replace(taken_back, raw_offset=9),)):
        async with rest(database, market=WallMarketClock()) as gateway:
            await gateway.store(*told)
            _, headers, answer = await gateway.ask("GET", path("META"), params=before)
            del answer["meta"]["request_id"]
            found.append((orjson.dumps(answer), headers["ETag"], "immutable" in headers["Cache-Control"]))
    assert found[0] == found[1] == found[2]
    assert found[0][2]
    async with rest(database, market=WallMarketClock()) as gateway:
        assert await closes_at(gateway, "META", moment("2014-06-12", 20)) == [1.0, 1.0, 2.0]
        assert await closes_at(gateway, "META", moment("2014-06-13", 20)) == [2.0, 2.0]


async def test_an_answer_is_as_complete_as_all_it_is_read_from(database: str) -> None:
    """The lower moment of the partitions of both names; of the old one alone nothing of the new is waited for."""
    behind = moment("2022-01-03")
    place = partition_of("XD", DEFAULT_PARTITIONS)
    async with rest(database) as gateway:
        await gateway.store(*CHAIN)
        await gateway.database.execute(
            "UPDATE watermarks SET complete_before = to_timestamp($1) WHERE topic = $2 AND partition = $3",
            behind / 1e6, BARS, place,
        )  # fmt: skip
        await eventually(lambda: gateway.watermarks.through((BARS,), (place,)) == behind - 1, within_s=10)
        moments = {
            symbol: (await gateway.get(path(symbol), **JUNE))["meta"]["as_of"]
            for symbol in ("XA", "XD", "XC")
        }
        assert moments["XC"] == moments["XD"] == rfc3339(behind - 1)
        assert moments["XA"] > rfc3339(behind)
        own = await gateway.get(path("XC"), **JUNE, names="own")
        new = await gateway.get(path("XC"), **JUNE | {"start": "2014-06-06"})
        assert own["meta"]["as_of"] == new["meta"]["as_of"] == moments["XA"]
        query = JUNE | {"as_of": rfc3339(behind)}
        status, _, problem = await gateway.ask("GET", path("XC"), params=query)
        assert (status, problem["code"]) == (503, "not_yet_complete")


async def test_pages_are_one_answer_whatever_is_told_meanwhile(database: str) -> None:
    """A rename that was published before, and is told of between two pages, is none of theirs."""
    query = JUNE | {"adjustment": "raw", "knowledge": "published", "limit": "2"}
    begun = moment("2022-06-01")
    async with rest(database) as gateway:
        await gateway.complete_before(begun)
        await gateway.store(*CHAIN)
        answer = await gateway.get(path("XC"), **query)
        names = answer["meta"]["names"]
        found = rows_of(answer, "close")
        late = rename("XZ", "XA", "2014-06-03", known=begun + 1, published_at=moment("2014-06-01"))
        await gateway.store(late, *few("XZ", "02", price=9.0))
        await gateway.complete_before(begun + SETTLE_US + 2)
        while answer["next_page_token"] is not None:
            answer = await gateway.get(path("XC"), **query, page_token=answer["next_page_token"])
            assert answer["meta"]["names"] == names
            found += rows_of(answer, "close")
        assert found == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]
        anew = await gateway.get(path("XC"), **query)
        assert rows_of(anew, "close") == [9.0, 1.0]


async def test_what_two_sources_tell_is_never_called_immutable(database: str) -> None:
    """Their order is the configuration's; of one source it is."""
    query = JUNE | {"as_of": rfc3339(moment("2021-01-04"))}
    second = rename("XD", "XC", "2014-06-09", provider="other")
    async with rest(database) as gateway:
        await gateway.store(*CHAIN)
        _, headers, _ = await gateway.ask("GET", path("XC"), params=query)
        assert "immutable" in headers["Cache-Control"]
    async with rest(database) as gateway:
        await gateway.store(second)
        _, headers, body = await gateway.ask("GET", path("XC"), params=query)
        assert "immutable" not in headers["Cache-Control"]
        assert body["meta"]["names"][-1]["from"] == "2014-06-06"


async def test_a_symbol_that_was_never_renamed_costs_what_it_did(
    database: str, market_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No statement more, not a byte else; one that was renamed one statement a name and page, however many rows it has."""
    asked: list[str] = []
    fetch = asyncpg.Connection.fetch

    async def counted(self: Any, query: str, *args: Any, **options: Any) -> Any:
        asked.append(query)
        return await fetch(self, query, *args, **options)

    minutes = [a_day("2014-06-05", 2.0, symbol="XD", interval="1m", event_time=moment("2014-06-05", 10) + n * MINUTE_US) for n in range(60)]  # fmt: skip
    async with rest(database) as gateway:
        plain = real_days(market_data, "2014-06-02", "2014-06-30")
        await gateway.store(*plain, *CHAIN, *minutes)
        await gateway.get(path("SPY"), **JUNE, limit="9")
        monkeypatch.setattr(asyncpg.Connection, "fetch", counted)

        async def statements(symbol: str, endpoint: str = "history", **query: str) -> list[str]:
            asked.clear()
            await gateway.get(path(symbol, endpoint), **JUNE, **query)
            return [each for each in asked if "streams s" in each]

        for more in ({}, {"adjustment": "all", "basis": "2014-06-30"}):
            assert await statements(WHOLE, **more) == await statements(WHOLE, names="own", **more)
        bodies = [
            (await gateway.ask("GET", path(WHOLE), params=JUNE | each))[2] for each in ({"names": "own"}, {})
        ]
        for each in bodies:
            del each["meta"]["request_id"]
        assert orjson.dumps(bodies[0]) == orjson.dumps(bodies[1])
        counts = [
            (await statements("XC", "intraday", limit=limit)).count(LATEST_BARS_ASCENDING)
            for limit in ("15", "30", "60")
        ]
        assert counts == [2, 2, 3]
        assert RENAMES not in asked
