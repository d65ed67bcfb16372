"""Option chains over HTTP on a real database: rows, filters, forms, providers, and what is said where there is nothing to say."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import AsyncIterator
from io import StringIO
from threading import Event
from typing import Any

import pytest

from gateway.options.model import priced
from gateway.options.shell import chains
from gateway.options.shell.model_queue import MAX_WAITING
from infra.runtime.clock import WallMarketClock
from tests.support.gateway_rest import Rest, rest
from tests.support.sink_writers import store
from tests.support.told_chains import (
    EXPIRIES,
    SPOT,
    STRIKES,
    a_chain,
    a_chain_slice,
    at,
    hour,
    quoted_legs,
)

CHAIN = "/options/ACME/chain"
WALL = WallMarketClock()


@pytest.fixture
async def acme(database: str) -> AsyncIterator[Rest]:
    """A gateway an hour after ACME's chain was told: polygon's, then yahoo's of two expiries, and an adjusted root of yahoo's."""
    adjusted = a_chain_slice(1.2, 30, root="ACME1", provider="yahoo", is_adjusted=True)
    await store(database, [*a_chain(1, 10), *a_chain(1.1, 20, provider="yahoo", dearer=0.1)[:2], adjusted])
    async with rest(database, market=WALL) as gateway:
        await gateway.complete_before(hour(1.2) + 1)
        yield gateway


async def rows(gateway: Rest, **query: str) -> list[dict[str, Any]]:
    """Return the rows of polygon's chain."""
    body = await gateway.get(CHAIN, **{"provider": "polygon", **query})
    return list(body["data"])


async def test_every_contract_is_a_row_in_order_with_what_was_told_of_it(acme: Rest) -> None:
    """By expiry, strike and right, calls first; prices as stored, the mid between them, volatilities of all."""
    found = await rows(acme)
    wanted = [(day.isoformat(), strike, right) for day in EXPIRIES for strike in STRIKES for right in "CP"]
    assert [(row["expiry"], row["strike"], row["right"]) for row in found] == wanted
    legs = [leg for day in EXPIRIES for leg in quoted_legs(day)]
    for row, leg in zip(found, legs, strict=True):
        assert (row["bid"], row["ask"], row["open_interest"]) == (leg.bid, leg.ask, leg.open_interest)
        assert row["mid"] == pytest.approx((leg.bid + leg.ask) / 2)  # type: ignore[operator]
        assert row["oi_date"] == "2015-12-11"
        assert row["known_from"] == at(1)
    assert found[0]["contract"] == "ACME160115C00080000"
    near = [row for row in found if row["strike"] == SPOT]
    assert all(row["iv_status"] == "ok" and 0.2 < row["iv"] < 0.45 for row in near)
    assert all((row["delta"] > 0) is (row["right"] == "C") for row in near)
    assert "iv_bid" not in found[0]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"expiry": "2016-02-19"}, 18),
        ({"expiry": "2016-02-19,2016-04-15"}, 36),
        ({"min_expiry": "2016-02-19"}, 36),
        ({"max_expiry": "2016-02-18"}, 18),
        ({"min_strike": "95", "max_strike": "105"}, 18),
        ({"right": "P"}, 27),
        ({"moneyness": "0.95,1.05"}, 18),
        ({"root": "ACME"}, 54),
        ({"root": "ACME1"}, 0),
        ({"expiry": "2016-01-15", "right": "C", "min_strike": "119"}, 1),
        ({"limit": "5"}, 5),
    ],
    ids=str,
)
async def test_filters_leave_what_they_name(acme: Rest, query: dict[str, str], count: int) -> None:
    """Both ends of a range are in it, and the rows are those of the whole answer."""
    found = await rows(acme, **query)
    assert len(found) == count
    assert [row for row in await rows(acme) if row in found] == found


async def test_without_a_provider_the_one_that_told_last_answers(acme: Rest) -> None:
    """Never a mixture: its two expiries, not the third of the other's; adjusted contracts are counted, and shown when asked for."""
    last = await acme.get(CHAIN)
    assert (last["meta"]["provider"], last["meta"]["row_count"]) == ("yahoo", 36)
    assert last["meta"]["adjusted_excluded"] == 18
    with_all = await acme.get(CHAIN, adjusted="include", root="ACME1")
    assert {row["iv_status"] for row in with_all["data"]} == {"adjusted_deliverable"}
    before = await acme.get(CHAIN, as_of=at(1))
    assert (before["meta"]["provider"], before["meta"]["row_count"]) == ("polygon", 54)
    status, _, body = await acme.ask("GET", CHAIN, params={"provider": "alpaca"})
    assert (status, body["code"]) == (404, "no_options")
    assert "alpaca" in body["detail"]


async def test_columns_and_csv_hold_the_values_of_the_rows(acme: Rest) -> None:
    """A list a column, and a table with empty cells for null; with the columns asked for."""
    names = "contract,expiry,strike,iv_bid,iv_ask,vendor_iv"
    found = await rows(acme, fields=names)
    by_column = await acme.get(CHAIN, provider="polygon", fields=names, layout="columns")
    assert list(by_column["data"]) == names.split(",")
    assert by_column["data"] == {name: [row[name] for row in found] for name in names.split(",")}
    query = {"provider": "polygon", "fields": names, "format": "csv"}
    status, headers, text = await acme.ask("GET", CHAIN, params=query)
    assert status == 200
    assert headers["X-As-Of"] == at(1.2)
    table = list(csv.DictReader(StringIO(text)))
    assert [(row["contract"], float(row["strike"]), row["vendor_iv"]) for row in table] == [
        (row["contract"], row["strike"], "") for row in found
    ]
    assert [float(row["iv_bid"]) for row in table if row["iv_bid"]] == [
        row["iv_bid"] for row in found if row["iv_bid"] is not None
    ]
    assert all(row["iv_bid"] < row["iv_ask"] for row in found if row["iv_bid"] and row["iv_ask"])


async def test_figures_and_strategies_are_of_the_chain(acme: Rest) -> None:
    """A term a listed expiry; of rows no more than asked for, the best first, each leg a contract of the chain."""
    figures = await acme.get("/options/ACME/metrics", provider="polygon")
    terms = figures["data"]["term_structure"]
    assert [term["expiry"] for term in terms] == [day.isoformat() for day in EXPIRIES]
    assert all(0.2 < term["atm_iv"] < 0.45 and term["pcr"]["oi"] == 1.0 for term in terms)
    assert figures["data"]["spot"] == pytest.approx(SPOT)
    one = await acme.get("/options/ACME/metrics", provider="polygon", expiry="2016-02-19")
    assert one["data"]["term_structure"] == terms[1:2]
    found = await acme.get("/options/ACME/strategies", provider="polygon", limit="7", view="bullish")
    names = {row["contract"] for row in await rows(acme)}
    assert len(found["data"]) == 7
    assert found["disclaimer"]
    assert {leg["contract"] for row in found["data"] for leg in row["legs"]} <= names
    scores = [row["score"] for row in found["data"]]
    assert scores == sorted(scores, reverse=True)


async def test_an_answer_as_of_a_moment_is_not_sent_twice(acme: Rest) -> None:
    """Its tag is of the content: another moment with other slices has another. Another model would say other things: it may change."""
    for what in ("chain", "metrics", "strategies"):
        path, query = f"/options/ACME/{what}", {"as_of": at(1)}
        _, headers, _ = await acme.ask("GET", path, params=query)
        assert "immutable" not in headers["Cache-Control"]
        tag = {"If-None-Match": headers["ETag"]}
        assert (await acme.ask("GET", path, params=query, headers=tag))[0] == 304
        status, later, _ = await acme.ask("GET", path, headers=tag)
        assert (status, later["ETag"] == headers["ETag"]) == (200, False)


async def test_an_expiry_that_is_not_listed_is_told_with_the_nearest_three(acme: Rest) -> None:
    """Of all that is asked for, the first that is wrong."""
    for what in ("chain", "metrics", "strategies"):
        query = {"expiry": "2016-02-19,2016-02-26", "provider": "polygon"}
        status, _, body = await acme.ask("GET", f"/options/ACME/{what}", params=query)
        assert (status, body["code"]) == (404, "unknown_expiry")
        assert "2016-02-26" in body["detail"]
        assert "2016-01-15, 2016-02-19, 2016-04-15" in body["detail"]


@pytest.mark.parametrize(
    ("what", "query", "param", "code"),
    [
        ("chain", {"expiry": "2016-13-01"}, "expiry", "not_a_date"),
        ("chain", {"expiry": "2016-02-19", "min_expiry": "2016-01-01"}, "expiry", "conflict"),
        ("chain", {"min_strike": "110", "max_strike": "90"}, "max_strike", "inverted_range"),
        ("chain", {"min_strike": "nan"}, "min_strike", "out_of_range"),
        ("chain", {"moneyness": "1.2"}, "moneyness", "not_a_list"),
        ("chain", {"right": "call"}, "right", "not_a_choice"),
        ("chain", {"root": "acme"}, "root", "not_a_symbol"),
        ("chain", {"fields": "iv,ivv"}, "fields", "not_a_choice"),
        ("chain", {"limit": "5001"}, "limit", "out_of_range"),
        ("chain", {"format": "csv", "layout": "columns"}, "layout", "conflict"),
        ("chain", {"as_of": "2100-01-01T00:00:00Z"}, "as_of", "in_future"),
        ("metrics", {"strike": "5"}, "strike", "unknown_parameter"),
        ("metrics", {"provider": "Ya!"}, "provider", "not_a_provider"),
        ("strategies", {"view": "up"}, "view", "not_a_choice"),
        ("strategies", {"types": "long_call,long_cal"}, "types", "not_a_choice"),
        ("strategies", {"min_pop": "1.5"}, "min_pop", "out_of_range"),
        ("strategies", {"legs_max": "0"}, "legs_max", "out_of_range"),
    ],
    ids=str,
)
async def test_what_is_asked_wrongly_is_named(
    acme: Rest, what: str, query: dict[str, str], param: str, code: str
) -> None:
    """The parameter, and what would be right."""
    status, _, body = await acme.ask("GET", f"/options/ACME/{what}", params=query)
    assert status == 422, body
    assert [(each["param"], each["code"]) for each in body["errors"]] == [(param, code)]


async def test_a_token_of_another_question_is_refused(acme: Rest) -> None:
    """It belongs to one path and all its parameters."""
    body = await acme.get(CHAIN, limit="5")
    token = {"page_token": body["next_page_token"]}
    status, _, said = await acme.ask("GET", CHAIN, params={"limit": "5", "right": "C", **token})
    assert (status, said["code"]) == (400, "token_mismatch")


async def test_a_queue_that_is_full_says_when_to_come_again(
    acme: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more than may wait is refused at once, all others are answered in the end."""
    free = Event()

    def slow(*given: Any, **named: Any) -> Any:
        free.wait(30.0)
        return priced(*given, **named)

    monkeypatch.setattr(chains, "priced", slow)
    asked = [asyncio.create_task(acme.ask("GET", CHAIN)) for _ in range(MAX_WAITING + 1)]
    try:
        done, _ = await asyncio.wait(asked, timeout=20.0, return_when=asyncio.FIRST_COMPLETED)
    finally:
        free.set()
    ((status, headers, body),) = [task.result() for task in done]
    assert (status, body["code"], headers["Retry-After"]) == (503, "overloaded", "1")
    answers = await asyncio.gather(*asked)
    assert sorted(answer[0] for answer in answers) == [200] * MAX_WAITING + [503]
