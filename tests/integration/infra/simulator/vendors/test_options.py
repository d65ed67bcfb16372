"""Routes of option chains over real sockets: keys, crumbs, refusals, pages by their own addresses."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tests.support.simulated_vendor import SYNTHETIC_NOW, Served, Vendor

KEYS = {"APCA-API-KEY-ID": "key", "APCA-API-SECRET-KEY": "secret"}
ALPACA = "/alpaca/v1beta1/options/snapshots/SIM001"
POLYGON = "/polygon/v3/snapshot/options/SIM001"
YAHOO = "/yahoo/v7/finance/options/SIM001"


async def crumb(vendor: Vendor) -> str:
    """Return the crumb of a new cookie."""
    await vendor.get("/yahoo/cookie")
    return (await vendor.get("/yahoo/v1/test/getcrumb"))[1].decode()


async def test_yahoo_wants_cookie_and_crumb(served: Served) -> None:
    """As it does for quotes."""
    async with served(start=SYNTHETIC_NOW, speed="1") as vendor:
        status, content = await vendor.get(YAHOO)
        assert (status, b"Invalid Cookie" in content) == (401, True)
        known = await crumb(vendor)
        status, content = await vendor.get(YAHOO, crumb="wrong")
        assert (status, b"Invalid Crumb" in content) == (401, True)
        found = (await vendor.json(YAHOO, crumb=known))["optionChain"]["result"][0]
        assert len(found["expirationDates"]) == 10
        assert (await vendor.stats())["responses"]["yahoo.options 401"] == 2


async def test_polygons_next_page_is_found_at_its_address(served: Served) -> None:
    """With the key put to it, since the address has none."""
    async with served(start=SYNTHETIC_NOW, speed="1") as vendor:
        assert (await vendor.get(POLYGON))[0] == 401
        page = await vendor.json(POLYGON, apiKey="key", limit=250)
        names = []
        while True:
            names += [row["details"]["ticker"] for row in page["results"]]
            if "next_url" not in page:
                break
            assert page["next_url"].startswith(vendor.url + POLYGON)
            async with vendor.http.get(page["next_url"], headers={"Authorization": "Bearer key"}) as response:
                assert response.status == 200
                page = orjson.loads(await response.read())
        assert len(names) == len(set(names)) == 560


async def test_alpaca_wants_its_headers(served: Served) -> None:
    """And answers what there is."""
    async with served(start=SYNTHETIC_NOW, speed="1") as vendor:
        assert (await vendor.get(ALPACA))[0] == 403
        async with vendor.http.get(vendor.url + ALPACA, headers=KEYS, params={"limit": "1000"}) as response:
            assert len((await response.json())["snapshots"]) == 560


@pytest.mark.parametrize("path", [YAHOO, POLYGON + "?apiKey=key", ALPACA])
async def test_faults_strike_these_too(served: Served, path: str) -> None:
    """A 500 for the symbol."""
    async with served(start=SYNTHETIC_NOW, speed="1") as vendor:
        await vendor.scenario({"match": {"symbol": "SIM001"}, "fault": {"type": "status", "status": 500}})
        async with vendor.http.get(vendor.url + path, headers=KEYS) as response:
            assert response.status == 500


async def test_a_real_chain_moves_with_the_clock(served: Served, market_data: Path) -> None:
    """From half past ten to the close of the half day."""
    async with served(data=market_data, start="2015-12-24T15:30:00Z", speed="1") as vendor:
        known = await crumb(vendor)
        path = YAHOO.replace("SIM001", "GOOG")
        before = (await vendor.json(path, crumb=known))["optionChain"]["result"][0]
        await vendor.clock(market_time=1_450_980_000_000_000)
        after = (await vendor.json(path, crumb=known))["optionChain"]["result"][0]
        assert after["expirationDates"] == before["expirationDates"][1:]
