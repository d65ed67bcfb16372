"""Yahoo over real sockets: days of charts, cookies and crumbs."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.simulated_vendor import (
    NEW_YORK,
    SYNTHETIC_NOW,
    Served,
    chart_of,
)


def minute_rows(data: Path, symbol: str, day: str) -> list[tuple[Any, ...]]:
    """Return (seconds, open, high, low, close, volume) of a minute file."""
    midnight = datetime.fromisoformat(day).replace(tzinfo=NEW_YORK)
    with zipfile.ZipFile(data / "equity_minute" / symbol / f"{day.replace('-', '')}_trade.zip") as archive:
        text = archive.read(archive.namelist()[0]).decode("ascii")
    return [
        (
            int((midnight + timedelta(milliseconds=int(r[0]))).timestamp()),
            *(float(f"{price[:-4]}.{price[-4:]}") for price in r[1:5]),
            int(r[5]),
        )
        for r in csv.reader(io.StringIO(text))
    ]


@pytest.mark.parametrize(("symbol", "day"), [("spy", "2013-10-07"), ("goog", "2015-12-24")])
async def test_a_day_over_http_equals_its_file(
    served: Served, market_data: Path, symbol: str, day: str
) -> None:
    """Every row once and exact, none added, through a real socket."""
    rows = minute_rows(market_data, symbol, day)
    start = rows[0][0] - rows[0][0] % 86_400
    async with served(data=market_data) as vendor:
        window = {"interval": "1m", "period1": start, "period2": start + 108_000, "includePrePost": "true"}
        assert await chart_of(vendor, symbol.upper(), **window) == rows


async def test_a_quote_needs_cookie_and_crumb(served: Served) -> None:
    """Without a cookie, with a wrong crumb, then the way it is meant to be."""
    async with served(start=SYNTHETIC_NOW, speed="1") as vendor:
        quote = "/yahoo/v7/finance/quote"
        status, content = await vendor.get(quote, symbols="SIM001", crumb="x")
        assert (status, orjson.loads(content)["finance"]["error"]["description"]) == (401, "Invalid Cookie")
        assert (await vendor.get("/yahoo/cookie"))[0] == 404
        status, crumb = await vendor.get("/yahoo/v1/test/getcrumb")
        assert (status, len(crumb)) == (200, 11)
        status, content = await vendor.get(quote, symbols="SIM001", crumb="Too Many Requests")
        assert (status, orjson.loads(content)["finance"]["error"]) == (
            401,
            {"code": "Unauthorized", "description": "Invalid Crumb"},
        )
        document = await vendor.json(quote, symbols="SIM001,NOPE,SIM002", crumb=crumb.decode())
        assert [row["symbol"] for row in document["quoteResponse"]["result"]] == ["SIM001", "SIM002"]
