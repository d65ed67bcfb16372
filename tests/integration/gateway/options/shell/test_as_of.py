"""Answers of option chains as of a moment: whatever is told later, the same question has the same answer, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import orjson
import pytest

from infra.runtime.clock import WallMarketClock
from tests.support.gateway_rest import Rest, rest
from tests.support.sink_writers import store
from tests.support.told_chains import (
    EXPIRIES,
    a_chain,
    a_chain_slice,
    a_dividend,
    a_yield,
    at,
    hour,
    known,
    yields,
)  # fmt: skip

DAY = date(2015, 12, 11)
STORY: Sequence[tuple[float, Sequence[Any]]] = (
    (1, a_chain(1, 10)),
    (2, [*a_chain(2, 20, dearer=0.05), *yields(1.9, 20, 0.3, DAY)]),
    (3, [a_chain_slice(3, 30, dearer=0.1), a_dividend(2.9, 30, 0.5)]),
    # the same stamps told again with other prices; a yield and a dividend that are corrected
    (4, [*a_chain(4, 40, dearer=0.2, event_time=hour(2)), *yields(3.9, 40, 4.0, DAY), a_dividend(3.9, 41, 1.5)]),
    (5, [*a_chain(5, 50, provider="yahoo", dearer=0.3), a_dividend(4.9, 50, 1.5, state="cancelled")]),
)  # fmt: skip
LATER: Sequence[Any] = [
    *a_chain(6, 60, dearer=0.4),
    a_chain_slice(6.1, 70, date(2015, 12, 18)),
    *yields(6, 60, 9.0, date(2015, 12, 14)),
    a_dividend(6, 60, 7.0, provider="polygon"),
]
ASKED: Sequence[tuple[str, dict[str, str]]] = (
    ("chain", {}),
    ("chain", {"fields": "contract,iv,iv_bid,iv_ask,known_from,event_id"}),
    ("chain", {"layout": "columns", "status": "ok"}),
    ("chain", {"provider": "polygon", "expiry": EXPIRIES[1].isoformat()}),
    ("metrics", {}),
    ("strategies", {"limit": "5", "width_max": "2"}),
)


async def asked(gateway: Rest, what: str, query: dict[str, str]) -> bytes:
    """Return an answer to its last byte, but for the number of the request."""
    status, _, body = await gateway.ask("GET", f"/options/ACME/{what}", params=query)
    assert status == 200, body
    assert body["meta"].pop("request_id")
    return orjson.dumps(body)


@pytest.fixture
async def answers(database: str) -> dict[tuple[float, int], bytes]:
    """What clients saw at five moments, each while nothing later was stored."""
    seen: dict[tuple[float, int], bytes] = {}
    async with rest(database, market=WallMarketClock()) as gateway:
        for number, records in STORY:
            await store(database, records)
            await gateway.complete_before(hour(number) + 1)
            for place, (what, query) in enumerate(ASKED):
                seen[number, place] = await asked(gateway, what, query)
    return seen


async def test_five_moments_answer_for_ever_as_they_did(
    database: str, answers: dict[tuple[float, int], bytes]
) -> None:
    """After later slices, corrections, yields and dividends, by a gateway that has read nothing before, and by the same again."""
    await store(database, LATER)
    async with rest(database, market=WallMarketClock()) as gateway:
        for _ in range(2):
            for (number, place), before in answers.items():
                what, query = ASKED[place]
                assert await asked(gateway, what, {**query, "as_of": at(number)}) == before, (number, what)


async def test_each_moment_answers_something_else(answers: dict[tuple[float, int], bytes]) -> None:
    """Else the test above would see nothing: each hour brought slices, and the whole chain shows it."""
    said = [orjson.loads(answers[number, 0]) for number, _ in STORY]
    assert len({orjson.dumps(each["data"]) for each in said}) == len(said)
    assert [each["meta"]["provider"] for each in said] == ["polygon"] * 4 + ["yahoo"]
    assert [row["rate_source"] for each in said for row in each["meta"]["inputs"][:1]] == [
        "fallback", "ust_par", "ust_par", "ust_par", "ust_par",
    ]  # fmt: skip
    assert [each["meta"]["row_count"] for each in said] == [54] * 5
    rates = [each["meta"]["inputs"][0]["rate"] for each in said]
    assert rates[1] == pytest.approx(0.003, abs=1e-4)
    assert rates[3] == pytest.approx(0.04, rel=0.05)


async def test_pages_are_the_answer_in_one_piece_while_new_slices_come(database: str) -> None:
    """The first page pins the moment of all that follow, without an `as_of` of the client's as well as with one."""
    columns = "contract,expiry,strike,right,iv,delta,known_from,event_id"
    async with rest(database, market=WallMarketClock()) as gateway:
        await store(database, a_chain(1, 10))
        await gateway.complete_before(hour(1.5))
        _, _, whole = await gateway.ask("GET", "/options/ACME/chain", params={"fields": columns})
        for given in ({}, {"as_of": whole["meta"]["as_of"]}):
            pages: list[Any] = []
            token: dict[str, str] = {}
            for turn in range(20):
                query = {"fields": columns, "limit": "7", **given, **token}
                status, _, body = await gateway.ask("GET", "/options/ACME/chain", params=query)
                assert status == 200, body
                pages += body["data"]
                assert body["meta"]["as_of"] == whole["meta"]["as_of"]
                place = 100 * len(given) + 10 * turn + 100
                await store(database, a_chain(2 + place / 1000, place, dearer=0.5))
                await gateway.complete_before(hour(3))
                if body["next_page_token"] is None:
                    break
                token = {"page_token": body["next_page_token"]}
            assert orjson.dumps(pages) == orjson.dumps(whole["data"])
            await gateway.complete_before(hour(1.5))
        assert len(whole["data"]) == 54


async def test_what_counts_is_what_was_known_when_the_slice_was(database: str) -> None:
    """A yield and a dividend that came after a slice change nothing of it; those before it do."""
    async with rest(database, market=WallMarketClock()) as gateway:
        await store(database, [*a_chain(1, 10), *yields(2, 20, 3.0, DAY), a_dividend(2, 20, 2.0)])
        await gateway.complete_before(hour(2.5))
        fresh = {"max_age_s": "86400"}
        before = await asked(gateway, "chain", fresh | {"as_of": at(1)})
        after = orjson.loads(await asked(gateway, "chain", fresh | {"as_of": at(2)}))
        assert after["data"] == orjson.loads(before)["data"]
        await store(database, a_chain(3, 30))
        await gateway.complete_before(hour(3.5))
        now = orjson.loads(await asked(gateway, "chain", {}))
    first = now["meta"]["inputs"][0]
    assert (first["rate_source"], first["dividend_approx"]) == ("ust_par", True)
    assert first["rate"] == pytest.approx(0.03, rel=0.02)
    assert now["data"] != after["data"]


async def test_a_curve_of_a_day_counts_with_two_tenors(database: str) -> None:
    """One alone says nothing of a slope; the older day's curve counts until then."""
    lone = a_yield(2, 30, "3M", 5.0, date(2015, 12, 14))
    async with rest(database, market=WallMarketClock()) as gateway:
        await store(database, [*yields(0.5, 20, 3.0, DAY), lone, *a_chain(2.5, 40)])
        await gateway.complete_before(hour(3))
        body = orjson.loads(await asked(gateway, "metrics", {}))
    assert body["meta"]["inputs"][0]["rate"] == pytest.approx(0.03, rel=0.02)


async def test_an_expiry_is_listed_until_its_day_is_over(database: str) -> None:
    """By the newest stamp of the chain, not by the hour it is asked at."""
    week = 24 * 7
    async with rest(database, market=WallMarketClock()) as gateway:
        near = a_chain_slice(1, 10, date(2015, 12, 18))
        await store(database, [near, a_chain_slice(1, 11)])
        # the Friday itself, and the Monday after it
        friday = known(24 * 4 + 1, 20)["known_from"]
        await store(database, [a_chain_slice(24 * 4 + 1, 20)], [a_chain_slice(week + 1, 30)])
        await gateway.complete_before(hour(week + 2))
        found = []
        for number in (1, 24 * 4 + 1, week + 1):
            body = orjson.loads(await asked(gateway, "metrics", {"as_of": at(number)}))
            found.append([row["expiry"] for row in body["data"]["term_structure"]])
    assert friday == hour(24 * 4 + 1)
    both, one = ["2015-12-18", "2016-01-15"], ["2016-01-15"]
    assert found == [both, both, one]
