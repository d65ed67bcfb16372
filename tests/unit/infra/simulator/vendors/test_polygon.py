"""Polygon's formats: absolute next pages, missing keys, floats for volumes."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest
from yarl import URL

from infra.simulator.market.view import MarketView
from infra.simulator.vendors.polygon import aggregates, tickers
from tests.support.simulations import SYNTHETIC_NOW, body, file_bars, frozen_view

ADDRESS = "http://127.0.0.1:1/polygon/v2/aggs/ticker/SPY/range/1/minute/0/1"
DAY = {"ticker": "SPY", "multiplier": "1", "timespan": "minute", "from": "2013-10-07", "to": "2013-10-07"}


@lru_cache(maxsize=2)
def view_of(data: Path | None, now: str) -> MarketView:
    """Return a market that does not move; its files are read once for all pages."""
    return frozen_view(data, now)


def asked(data: Path | None, now: str = "2013-10-12T12:00:00Z", **changes: str):
    return body(aggregates(view_of(data, now), {**DAY, **changes}, (), address=ADDRESS))


def test_a_day_is_the_file(market_data: Path) -> None:
    """From midnight to midnight in New York, in milliseconds, volumes as floats."""
    document = asked(market_data)

    rows = [(r["t"] // 1000, r["o"], r["h"], r["l"], r["c"], r["v"]) for r in document["results"]]
    assert rows == file_bars(market_data, "SPY", "2013-10-07")
    assert all(isinstance(row["v"], float) for row in document["results"])
    assert (document["queryCount"], document["resultsCount"], document["status"]) == (828, 828, "OK")


@pytest.mark.parametrize(("multiplier", "timespan"), [("1", "minute"), ("5", "minute"), ("30", "minute")])
def test_pages_join_to_the_whole(multiplier: str, timespan: str, market_data: Path) -> None:
    """The limit counts minutes scanned; no bar is cut in two; the next page's address is absolute and has no key."""
    given = {"multiplier": multiplier, "timespan": timespan}
    whole = asked(market_data, **given)["results"]
    rows, query = [], {"limit": "100"}
    for _ in range(100):
        page = asked(market_data, **given, **query)
        rows += page["results"]
        if "next_url" not in page:
            break
        assert page["next_url"].startswith(ADDRESS + "?cursor=")
        query = dict(URL(page["next_url"]).query)

    assert rows == whole


def test_nothing_has_no_results_key(market_data: Path) -> None:
    """A week-end and an unknown ticker answer 200 with a count of 0."""
    for changes in ({"from": "2013-10-05", "to": "2013-10-06"}, {"ticker": "NOPE"}):
        document = asked(market_data, **changes)
        assert document["resultsCount"] == 0
        assert "results" not in document


@pytest.mark.parametrize(
    "changes",
    [{"timespan": "fortnight"}, {"multiplier": "0"}, {"from": "soon"}, {"limit": "50001"}, {"cursor": "!"}, {"from": "2013-10-08"}],
)  # fmt: skip
def test_wrong_parameters_are_refused(changes: dict[str, str]) -> None:
    """400 with the vendor's kind of error."""
    reply = aggregates(frozen_view(None, SYNTHETIC_NOW), {**DAY, **changes}, (), address=ADDRESS)

    assert reply.status == 400
    assert body(reply)["status"] == "ERROR"


def test_tickers_come_in_pages() -> None:
    """In alphabetical order, each once."""
    view, query, found = frozen_view(None, SYNTHETIC_NOW), {"limit": "7"}, []
    for _ in range(3):
        page = body(tickers(view, query, address="http://a/b"))
        found += [row["ticker"] for row in page["results"]]
        query = dict(URL(page.get("next_url", "http://a/b")).query)

    assert found == sorted(listing.symbol for listing in view.market.listings())
    assert not query
