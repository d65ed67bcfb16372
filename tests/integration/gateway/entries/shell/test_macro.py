"""Macro series on a real database: real vintages as they were published and known, changes within one, pages, rights."""

from __future__ import annotations

import csv
import gzip
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.http.access import Access, Key, token_sha256
from gateway.http.moments import rfc3339
from schemas.clocks import day_of
from schemas.entries import MacroObservation
from schemas.intervals import DAY_US
from tests.support.builders import NINE_THIRTY, an_observation
from tests.support.gateway_rest import Rest, rest

VINTAGES = "macro/us_macro_vintages.csv.gz"
FREQUENCIES = {"GDPC1": "Q", "PAYEMS": "M", "UNRATE": "M", "CPIAUCSL": "M"}
FOREVER = "9999-12-31"


def a_day(text: str) -> int:
    """Return the days since 1970 of an ISO date."""
    return day_of(date.fromisoformat(text))


def vintages(data: Path, series: str) -> list[MacroObservation]:
    """Return the real vintages of a series, published at the end of their first day, UTC, and known to us then."""
    with gzip.open(data / VINTAGES, "rt") as file:
        rows = [row for row in csv.DictReader(file) if row["series_id"] == series]
    told = []
    for number, row in enumerate(rows):
        first = date.fromisoformat(row["date"])
        months = 3 if FREQUENCIES[series] == "Q" else 1
        begin = first.replace(month=first.month - 2) if months == 3 else first
        end = (begin.replace(day=1) + timedelta(days=31 * months)).replace(day=1)
        published = (a_day(row["realtime_start"]) + 1) * DAY_US - 1
        told.append(
            an_observation(
                symbol=f"FRED:{series}",
                provider="fred",
                period_start=day_of(begin),
                period_end=day_of(end),
                vintage_start=a_day(row["realtime_start"]),
                vintage_end=None if row["realtime_end"] == FOREVER else a_day(row["realtime_end"]),
                value=float(row["value"]),
                published_at=published,
                published_precision="date",
                event_time=published,
                known_from=published,
                received_time=published,
                frequency=FREQUENCIES[series],
                raw_offset=number,
                index=0,
            )
        )
    return sorted(told, key=lambda each: each.known_from)


async def history(gateway: Rest, key: str, **query: str) -> list[dict[str, Any]]:
    """Return the rows of a series' history."""
    status, _, body = await gateway.ask("GET", f"/factors/macro/{key}/history", params=query)
    assert status == 200, body
    return list(body["data"])


async def test_a_quarter_is_what_had_been_published_of_it(database: str, market_data: Path) -> None:
    """GDP of 2016Q2 in its three prints, and their growth at an annual rate, each within its own vintage."""
    async with rest(database) as gateway:
        await gateway.store(*vintages(market_data, "GDPC1"))
        asked = {"start": "2016-04-01", "end": "2016-07-01"}
        for day, value, growth in (
            ("2016-07-30", 16575.1, 1.218),
            ("2016-08-27", 16570.2, 1.099),
            ("2016-09-30", 16583.1, 1.414),
        ):
            as_of = f"{day}T00:00:00Z"
            for knowledge in ("known", "published"):
                given = {**asked, "as_of": as_of, "knowledge": knowledge}
                (row,) = await history(gateway, "gdp_real", **given)
                assert (row["value"], row["period_start"], row["period_end"]) == (
                    value,
                    "2016-04-01",
                    "2016-07-01",
                )
                (row,) = await history(gateway, "FRED:GDPC1", units="pca", **given)
                assert round(row["value"], 3) == growth
        every = await history(gateway, "gdp_real", revisions="all", **asked)
        assert [row["value"] for row in every][:3] == [16575.1, 16570.2, 16583.1]
        assert [
            round(row["value"], 3)
            for row in await history(gateway, "gdp_real", revisions="all", units="pca", **asked)
        ][:3] == [1.218, 1.099, 1.414]


async def test_a_change_is_of_one_vintage(database: str, market_data: Path) -> None:
    """Payrolls of October 2016: +161, then +142; the first print less the first print of September, +205, is never said."""
    async with rest(database) as gateway:
        await gateway.store(*vintages(market_data, "PAYEMS"))
        asked = {"start": "2016-10-01", "end": "2016-11-01", "units": "chg"}
        (first,) = await history(gateway, "payrolls", as_of="2016-11-05T00:00:00Z", **asked)
        (second,) = await history(gateway, "payrolls", as_of="2016-12-03T00:00:00Z", **asked)
        (print_,) = await history(gateway, "payrolls", revisions="first", **asked)
        assert [each["value"] for each in (first, second, print_)] == [161, 142, 161]


async def test_the_newest_of_some_series_at_once(database: str, market_data: Path) -> None:
    """By the names asked for; what nobody was told of is among the missing, with the reason."""
    async with rest(database) as gateway:
        await gateway.store(*vintages(market_data, "UNRATE"), *vintages(market_data, "CPIAUCSL"))
        query = {"keys": "unemployment,cpi,FRED:GDPC1", "as_of": "2016-11-10T00:00:00Z"}
        status, headers, body = await gateway.ask("GET", "/factors/macro", params=query)
        assert (status, "immutable" in headers["Cache-Control"]) == (200, False)
        rate = body["data"]["unemployment"]
        assert (rate["value"], rate["period_start"], rate["previous"]["value"], rate["key"]) == (
            4.9,
            "2016-10-01",
            5.0,
            "FRED:UNRATE",
        )
        assert round(rate["change"], 6) == -0.1
        assert rate["staleness_days"] == 9
        assert list(body["missing"]) == ["FRED:GDPC1"]
        assert rate["simulated"] is False
        _, _, everything = await gateway.ask("GET", "/factors/macro", params={"as_of": query["as_of"]})
        assert list(everything["data"]) == ["FRED:CPIAUCSL", "FRED:UNRATE"], (
            "nothing is configured: what is stored"
        )
        later = query | {"as_of": "2017-01-28T00:00:00Z"}
        _, _, body = await gateway.ask("GET", "/factors/macro", params=later | {"units": "pc1"})
        assert body["data"]["unemployment"]["status"] == "ok"
        (row,) = await history(
            gateway, "cpi", start="2016-10-01", end="2016-11-01", units="pc1", as_of="2016-11-18T00:00:00Z"
        )
        assert round(row["value"], 5) == 1.64489


async def test_what_its_owner_keeps_is_given_to_keys_that_may_pass_it_on(database: str) -> None:
    """By name it is refused, in a list it is among the missing with the reason; others are given all the same."""
    keys = [
        Key(id=name, sha256=token_sha256(name), scopes=frozenset(scopes))
        for name, scopes in (("plain", ["read"]), ("may", ["read", "redistribute"]))
    ]
    owned = an_observation(
        symbol="FRED:VIXCLS", rights="restricted", published_at=NINE_THIRTY, published_precision="time"
    )
    async with rest(database, access=Access(keys, required=True)) as gateway:
        await gateway.store(an_observation(published_at=NINE_THIRTY, published_precision="time"), owned)
        found = {}
        for name in ("plain", "may"):
            headers = {"Authorization": f"Bearer {name}"}
            for path in ("/factors/macro?keys=vix", "/factors/macro/vix/history", "/factors/macro"):
                status, _, body = await gateway.ask("GET", path, headers=headers)
                found[name, path] = (status, list(body["missing"]) if "missing" in body else body.get("code"))
    assert found == {
        ("plain", "/factors/macro?keys=vix"): (403, "forbidden"),
        ("plain", "/factors/macro/vix/history"): (403, "forbidden"),
        ("plain", "/factors/macro"): (200, ["FRED:VIXCLS"]),
        ("may", "/factors/macro?keys=vix"): (200, []),
        ("may", "/factors/macro/vix/history"): (200, None),
        ("may", "/factors/macro"): (200, []),
    }


@pytest.mark.parametrize("revisions", ["latest", "first", "all"])
async def test_pages_of_a_history_are_the_answer_in_one_piece(
    database: str, market_data: Path, revisions: str
) -> None:
    """Whatever is told between two pages."""
    told = vintages(market_data, "UNRATE")
    async with rest(database) as gateway:
        cut = told[len(told) * 3 // 4].known_from
        await gateway.store(*(each for each in told if each.known_from <= cut))
        query = {
            "revisions": revisions,
            "as_of": rfc3339(cut),
            "knowledge": "known",
            "units": "chg",
        }
        whole, pages, token, late = (
            await history(gateway, "unemployment", **query),
            [],
            {},
            iter([each for each in told if each.known_from > cut]),
        )
        while True:
            _, _, body = await gateway.ask(
                "GET", "/factors/macro/unemployment/history", params={**query, "limit": "11", **token}
            )
            pages += body["data"]
            if (one := next(late, None)) is not None:
                await gateway.store(one)
            if body["next_page_token"] is None:
                break
            token = {"page_token": body["next_page_token"]}
        assert orjson.dumps(pages) == orjson.dumps(whole)
        assert len(whole) > 11


@pytest.mark.parametrize(
    ("path", "query", "param", "said"),
    [
        ("/factors/macro", {"keys": "cpii"}, "keys", "did you mean cpi"),
        ("/factors/macro", {"keys": "cpi", "units": "percent"}, "units", "lin"),
        ("/factors/macro", {"keys": ",".join(f"FRED:X{n}" for n in range(51))}, "keys", "50 at most"),
        ("/factors/macro/FREDD:GDP/history", {}, "key", "did you mean FRED:GDPC1"),
        ("/factors/macro/cpi/history", {"revisions": "newest"}, "revisions", "latest"),
        ("/factors/macro/cpi/history", {"start": "2016-02-30"}, "start", "2016-02-30"),
    ],
    ids=str,
)
async def test_what_is_asked_wrongly_is_named(
    database: str, path: str, query: dict[str, str], param: str, said: str
) -> None:
    """The parameter, and what would be right."""
    async with rest(database) as gateway:
        await gateway.store(an_observation())
        status, _, body = await gateway.ask("GET", path, params=query)
        assert status == 422
        (error,) = body["errors"]
        assert error["param"] == param
        assert said in error["detail"]
