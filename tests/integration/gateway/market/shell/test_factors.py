"""Macro series beside the bars of a real database: what had been published by the end of each, and who may see it."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.http.access import Access, Key, token_sha256
from gateway.http.moments import parse_moment, rfc3339
from schemas.entries import MacroObservation
from schemas.intervals import DAY_US, HOUR_US
from schemas.streams import Bar
from tests.support.builders import a_bar, an_observation
from tests.support.gateway_rest import Rest, rest

PATH = "/stocks/SPY/history"
DAYS = {"interval": "1d", "start": "2016-10-31", "end": "2016-11-09"}


def us(text: str) -> int:
    """Return a moment."""
    return parse_moment(text, None)


def days() -> list[Bar]:
    """Return the days from Monday to Tuesday of the week after, in summer time and after it."""
    found = []
    for number, day in enumerate((31, 32, 33, 34, 35, 38, 39)):
        date = datetime(2016, 10, 1, tzinfo=UTC) + timedelta(days=day - 1)
        start = us(f"{date:%Y-%m-%d}T0{4 if date.day < 6 or date.month == 10 else 5}:00:00Z")
        changes = {"symbol": "SPY", "interval": "1d", "event_time": start, "raw_offset": number, "index": 0}
        found.append(a_bar(**changes, known_from=start + DAY_US, session="regular"))
    return found


def told(period: str, published: str | None, value: float | None, **changes: Any) -> MacroObservation:
    """Return what was said of a month of the unemployment rate."""
    moment = None if published is None else us(published)
    given: dict[str, Any] = {
        "symbol": "FRED:UNRATE", "provider": "fred", "period_start": us(f"{period}T00:00:00Z") // DAY_US,
        "period_end": us(f"{period}T00:00:00Z") // DAY_US + 30, "value": value, "published_at": moment,
        "published_precision": "none" if moment is None else "time", "vintage_start": None if moment is None else moment // DAY_US,
        "units": "Percent", "rights": "public", "known_from": us("2016-10-01T00:00:00Z") if moment is None else moment + 1,
    }  # fmt: skip
    given["event_time"] = given["known_from"]
    return an_observation(**(given | changes))


RATES = (
    told("2016-08-01", "2016-09-02T12:30:00Z", 4.9),
    told("2016-09-01", "2016-10-07T12:30:00Z", 5.0),
    told("2016-10-01", "2016-11-04T12:30:00Z", 4.9),
    # A revision of an older month, and of the newest one after a close, in the same evening.
    told("2016-09-01", "2016-11-07T12:30:00Z", 4.8),
    told("2016-10-01", "2016-11-07T21:30:00Z", 4.6),
)


async def rows(gateway: Rest, **query: str) -> dict[str, Any]:
    """Return the answer of a history with factors."""
    return await gateway.get(PATH, **{**DAYS, "with": "unemployment", **query})


async def test_each_day_has_what_had_been_published_by_its_close(database: str) -> None:
    """On the day of the release the new value, the evening's revision on the day after; with the rule and the units."""
    async with rest(database) as gateway:
        await gateway.store(*days(), *RATES)
        body = await rows(gateway)
        assert [each["factors"]["unemployment"] for each in body["data"]] == [
            5.0,
            5.0,
            5.0,
            5.0,
            4.9,
            4.9,
            4.6,
        ]
        (about,) = body["meta"]["factors"]
        assert (about["key"], about["units"], about["provider"]) == ("FRED:UNRATE", "Percent", "fred")
        assert (about["first_period"], about["last_period"]) == ("2016-09-01", "2016-10-01")
        assert "official close" in about["rule"]

        text = (await gateway.ask("GET", PATH, params={**DAYS, "with": "unemployment,cpi", "format": "csv"}))[
            2
        ]
        table = list(csv.DictReader(io.StringIO(text)))
        assert [(each["unemployment"], each["cpi"]) for each in table][3:5] == [("5.0", ""), ("4.9", "")]

        pages, token = [], {}
        while True:
            page = await rows(gateway, limit="2", **token)
            pages += page["data"]
            if page["next_page_token"] is None:
                break
            token = {"page_token": page["next_page_token"]}
        assert pages == body["data"]
        status, _, other = await gateway.ask(
            "GET", PATH, params={**DAYS, "limit": "2", "with": "cpi", **token}
        )
        assert (status, other["code"]) == (400, "token_mismatch")


async def test_a_question_about_the_past_is_answered_by_what_was_known_then(database: str) -> None:
    """As known it never changes, whatever comes; as published it takes in what was told later."""
    late = told("2016-11-01", "2016-11-03T12:30:00Z", 1.0, known_from=us("2016-12-01T00:00:00Z"))
    then = rfc3339(us("2016-11-10T00:00:00Z"))
    async with rest(database) as gateway:
        await gateway.store(*days(), *RATES)
        known = {"as_of": then, "knowledge": "known"}
        status, headers, before = await gateway.ask(
            "GET", PATH, params={**DAYS, "with": "unemployment", **known}
        )
        assert (status, "immutable" in headers["Cache-Control"]) == (200, True)
        await gateway.store(late)
        assert (await rows(gateway, **known))["data"] == before["data"]
        status, headers, published = await gateway.ask(
            "GET", PATH, params={**DAYS, "with": "unemployment", "as_of": then, "knowledge": "published"}
        )
        assert (status, "immutable" in headers["Cache-Control"]) == (200, False)
        assert [each["factors"]["unemployment"] for each in published["data"]][2:5] == [5.0, 1.0, 1.0]


async def test_minutes_have_it_from_the_end_of_the_bar_on_that_was_open_then(database: str) -> None:
    """A release at 08:30 is in the bar that ends with it; the bar before has the older value."""
    start = us("2016-11-04T11:30:00Z")
    bars = [
        a_bar(symbol="SPY", interval="1h", event_time=start + n * HOUR_US, raw_offset=n, session="pre", known_from=start + DAY_US)
        for n in range(2)
    ]  # fmt: skip
    exact = told("2016-10-01", "2016-11-04T12:30:00Z", 4.9)
    async with rest(database) as gateway:
        await gateway.store(*bars, RATES[1], exact)
        query = {"interval": "1h", "date": "2016-11-04", "with": "FRED:UNRATE"}
        body = await gateway.get("/stocks/SPY/intraday", **query)
        assert [each["factors"]["FRED:UNRATE"] for each in body["data"]] == [4.9, 4.9]
        query["with"] = "unemployment"
        await gateway.store(told("2016-11-01", "2016-11-04T12:30:00.000001Z", 3.0))
        body = await gateway.get("/stocks/SPY/intraday", **query)
        assert [each["factors"]["unemployment"] for each in body["data"]] == [4.9, 3.0]


async def test_what_its_owner_keeps_is_given_to_keys_that_may_pass_it_on(database: str) -> None:
    """Also where somebody who may has just asked the same."""
    keys = [
        Key(id=name, sha256=token_sha256(name), scopes=frozenset(scopes))
        for name, scopes in (("plain", ["read"]), ("may", ["read", "redistribute"]))
    ]
    owned = told("2016-10-01", "2016-11-01T12:30:00Z", 17.0, symbol="FRED:VIXCLS", rights="restricted")
    async with rest(database, access=Access(keys, required=True)) as gateway:
        await gateway.store(*days(), owned)
        found = []
        for name in ("may", "plain", "may"):
            status, _, body = await gateway.ask(
                "GET", PATH, params={**DAYS, "with": "vix"}, headers={"Authorization": f"Bearer {name}"}
            )
            found.append((status, body.get("code")))
        assert found == [(200, None), (403, "forbidden"), (200, None)]
        status, _, body = await gateway.ask(
            "GET", PATH, params={**DAYS, "with": "vixx"}, headers={"Authorization": "Bearer may"}
        )
        assert (status, body["errors"][0]["param"]) == (422, "with")
