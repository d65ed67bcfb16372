"""Option chains over HTTP of what is stored: nothing at all, too little, something missing, and a real chain whole."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from gateway.http.moments import rfc3339
from infra.runtime.clock import WallMarketClock
from schemas.clocks import day_of
from schemas.intervals import DAY_US, HOUR_US
from tests.support.builders import a_quote, an_evidence
from tests.support.gateway_rest import rest
from tests.support.option_slices import GOOG_CLOSE, us
from tests.support.sink_writers import store
from tests.support.told_chains import (
    EXPIRIES,
    a_chain,
    a_chain_slice,
    a_dividend,
    at,
    goog_chain,
    hour,
    known,
    yields,
)

CHAIN = "/options/ACME/chain"
WALL = WallMarketClock()


async def test_there_is_a_word_for_every_kind_of_nothing(database: str) -> None:
    """A symbol nobody knows, one without options, a moment before all that is known, and one before all that is kept."""
    quote = a_quote(symbol="PLAIN", **known(1, 5))
    async with rest(database, market=WALL) as gateway:
        await store(database, [*a_chain(1, 10), quote])
        await gateway.complete_before(hour(1) + 1)
        for what in ("chain", "metrics", "strategies"):
            for symbol, wanted in (("NOPE", "unknown_symbol"), ("PLAIN", "no_options")):
                status, _, body = await gateway.ask("GET", f"/options/{symbol}/{what}")
                assert (status, body["code"]) == (404, wanted)
            early = await gateway.get(f"/options/ACME/{what}", as_of=at(0.5))
            assert early["meta"]["as_of_floor"] == at(1)
            assert early["meta"]["provider"] is None
            assert early["data"] == [] or early["data"]["term_structure"] == []
            # an expiry is not wrong where nothing is listed yet
            await gateway.get(f"/options/ACME/{what}", as_of=at(0.5), expiry="2016-02-19")


async def test_before_what_is_kept_there_is_no_answer(database: str) -> None:
    """What is left of it would look like one; later moments are answered."""
    async with rest(database, market=WALL) as gateway:
        await store(database, a_chain(1, 10))
        await gateway.complete_before(hour(2))
        await gateway.database.execute(
            "INSERT INTO retention_floors VALUES ('options', '2015-12-14 15:00 UTC')"
        )
        status, _, body = await gateway.ask("GET", CHAIN, params={"as_of": at(0.25)})
        assert (status, body["code"], body["errors"][0]["param"]) == (410, "not_kept", "as_of")
        assert len((await gateway.get(CHAIN, as_of=at(1)))["data"]) == 54


async def test_a_chain_nobody_told_of_for_long_is_not_listed_any_more(database: str) -> None:
    """Empty two months later, and as it was when it was told."""
    async with rest(database, market=WALL) as gateway:
        await store(database, a_chain(1, 10))
        later = hour(1) + 60 * DAY_US
        await gateway.complete_before(later)
        now = await gateway.get(CHAIN)
        assert (now["data"], now["meta"]["as_of_floor"]) == ([], at(1))
        assert len((await gateway.get(CHAIN, as_of=at(1)))["data"]) == 54


async def test_our_own_quote_stands_in_for_an_underlying_that_was_not_told(database: str) -> None:
    """One within a minute of the slice, known by then; a later one is as if it were not."""
    lacking = {"underlying_bid": None, "underlying_ask": None, "underlying_time": None}
    known_then = a_quote(symbol="ACME", bid=99.99, ask=100.01, **known(1, 5))
    late = a_quote(symbol="ACME", bid=149.99, ask=150.01, **known(1, 6, known_from=hour(1.5)))
    async with rest(database, market=WALL) as gateway:
        await store(
            database, [known_then, late, *a_chain(1, 10, **lacking), *a_chain(2, 20, dearer=0.1, **lacking)]
        )
        await gateway.complete_before(hour(2) + 1)
        then = await gateway.get(CHAIN, as_of=at(1))
        said = then["meta"]["underlying"]
        assert (said["source"], said["price"]) == ("quote", pytest.approx(100.0))
        assert then["meta"]["status_counts"] == {"ok": 54}
        now = await gateway.get(CHAIN)
        assert now["meta"]["underlying"]["source"] == "none"
        assert now["meta"]["status_counts"] == {"no_underlying": 54}


async def test_gaps_of_the_chain_are_told(database: str) -> None:
    """Those of the provider that answers, of the time its slices are of; of quotes there may be others."""
    span: dict[str, Any] = {
        "symbol": "ACME", "interval": "", "from_time": hour(0.5), "to_time": hour(1.4), "known_from": hour(1.5),
    }  # fmt: skip
    streams = [("options", "polygon"), ("options", "yahoo"), ("quotes", "polygon")]
    told = [
        an_evidence(**span, stream=f"{kind}:{provider}:ACME", provider=provider, raw_offset=place)
        for place, (kind, provider) in enumerate(streams, 20)
    ]
    async with rest(database, market=WALL) as gateway:
        await store(database, a_chain(1, 10), told)
        await gateway.complete_before(hour(2))
        body = await gateway.get("/options/ACME/metrics")
        before = await gateway.get("/options/ACME/metrics", as_of=at(1))
    assert [gap["stream"] for gap in body["meta"]["gaps"]] == ["options:polygon:ACME"]
    assert before["meta"]["gaps"] == []


async def test_a_real_chain_is_served_whole(database: str, market_data: Path) -> None:
    """GOOG of 2015-12-24 as its minute quotes say it: in one piece, in pages, and priced where there are two sides."""
    made = list(goog_chain(market_data))
    moment = made[0].known_from
    async with rest(database, market=WALL) as gateway:
        await store(database, made)
        await gateway.complete_before(moment + HOUR_US)
        query = {"as_of": rfc3339(moment), "limit": "5000"}
        whole = await gateway.get("/options/GOOG/chain", **query)
        pages: list[Any] = []
        token: dict[str, str] = {}
        while True:
            page = await gateway.get("/options/GOOG/chain", as_of=rfc3339(moment), limit="700", **token)
            pages += page["data"]
            if page["next_page_token"] is None:
                break
            token = {"page_token": page["next_page_token"]}
    assert pages == whole["data"]
    legs = {
        (date.fromordinal(record.expiry + 719_163).isoformat(), leg.strike, leg.right): (leg.bid, leg.ask)
        for record in made
        for leg in record.legs
    }
    assert {(row["expiry"], row["strike"], row["right"]): (row["bid"], row["ask"]) for row in pages} == legs
    assert {row["expiry"] for row in whole["meta"]["inputs"]} == {expiry for expiry, _, _ in legs}
    assert sum(whole["meta"]["status_counts"].values()) == len(legs)
    assert whole["meta"]["status_counts"]["ok"] > 1_000
    assert whole["meta"]["underlying"]["price"] == pytest.approx(748.24)
    assert whole["meta"]["underlying"]["time"] == rfc3339(us(GOOG_CLOSE))
    assert day_of(GOOG_CLOSE.date()) <= min(record.expiry for record in made)


async def test_a_slice_says_the_same_whatever_stands_beside_it_later(database: str) -> None:
    """Six days on it stands beside a newer one, whose own days reach less far back for yields and dividends."""
    week = 1 + 24 * 6
    told = [
        a_chain_slice(1, 10, EXPIRIES[1]), a_chain_slice(week, 20, EXPIRIES[2]), *yields(0.5, 30, 3.0, date(2015, 12, 5)),
        a_dividend(0.1, 40, 2.5, date(2016, 1, 4)),
    ]  # fmt: skip
    async with rest(database, market=WALL) as gateway:
        await store(database, told)
        # it turned out to have been long ago: within three months of the old slice, not of the new one
        await store(database, [a_dividend(0.5, 41, 2.5, date(2015, 9, 16))])
        await gateway.complete_before(hour(week + 1))
        alone = await gateway.get(CHAIN, as_of=at(2), max_age_s="864000")
        beside = await gateway.get(CHAIN, as_of=at(week + 0.5), max_age_s="864000")

    assert beside["data"][: len(alone["data"])] == alone["data"]
    assert beside["meta"]["inputs"][:1] == alone["meta"]["inputs"]
    assert [row["rate_source"] for row in beside["meta"]["inputs"]] == ["ust_par", "fallback"]
    assert {row["iv_status"] for row in alone["data"]} >= {"ok"}
