"""Alpaca's chain: the file's rows, pages that add up, feeds, what is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.simulator.faults.habits import IexPlan, ShortPages
from infra.simulator.market.option_book import OptionBook
from infra.simulator.market.view import MarketView
from infra.simulator.vendors.alpaca_options import options
from tests.support.option_minutes import dollars, last_rows
from tests.support.simulations import SYNTHETIC_NOW, body, frozen_view


@pytest.fixture(scope="module")
def book(market_data: Path) -> OptionBook:
    return OptionBook(seed=1, root=market_data)


def page(
    book: OptionBook, view: MarketView, symbol: str = "GOOG", faults: tuple[Any, ...] = (), **given: str
) -> Any:
    """Return one answer."""
    return body(options(book, view, symbol, given, faults))


def whole(book: OptionBook, view: MarketView, symbol: str = "GOOG", **given: str) -> list[tuple[str, Any]]:
    """Return the contracts of all pages."""
    rows: list[tuple[str, Any]] = []
    for _ in range(150):
        found = page(book, view, symbol, **given)
        assert set(found) == {"next_page_token", "snapshots"}
        rows += found["snapshots"].items()
        if found["next_page_token"] is None:
            return rows
        given = {**given, "page_token": found["next_page_token"]}
    raise AssertionError("pages without end")


def clock_of(stamp: str) -> str:
    """Return HH:MM in New York of a stamp of winter."""
    return f"{int(stamp[11:13]) - 5:02d}{stamp[13:16]}"


@pytest.mark.parametrize(("feed", "clock"), [("opra", "10:30:00"), ("indicative", "10:15:00")])
def test_a_feed_is_the_file_at_its_moment(book: OptionBook, market_data: Path, feed: str, clock: str) -> None:
    """The free one is a quarter of an hour late: all of it, trades too."""
    rows = dict(whole(book, frozen_view(market_data, "2015-12-24T10:30:00-05:00"), feed=feed, limit="1000"))
    quotes, trades = (last_rows(market_data, kind, clock) for kind in ("quote", "trade"))

    assert rows.keys() == quotes.keys()
    for name, (_, row) in quotes.items():
        told = rows[name]["latestQuote"]
        assert (told["bp"], told["ap"]) == (dollars(row[4]), dollars(row[9]))
        assert (told["bs"], told["as"]) == (int(row[5]) if row[4] else 0, int(row[10]) if row[9] else 0)
        minute = int(row[0]) // 60_000 + 1
        assert clock_of(told["t"]) == f"{minute // 60:02d}:{minute % 60:02d}"
        assert ("latestTrade" in rows[name]) == (name in trades)
        if name in trades:
            assert rows[name]["latestTrade"]["p"] == dollars(trades[name][1][4])
            assert isinstance(rows[name]["latestTrade"]["c"], str)


@pytest.mark.parametrize(("limit", "lowest"), [("1", 170), ("7", 150), ("123", 0), ("124", 0), ("1000", 0)])
def test_pages_of_any_size_add_up_to_the_whole(limit: str, lowest: int) -> None:
    """By name, none twice, none lost."""
    book, view = OptionBook(seed=1), frozen_view(None, SYNTHETIC_NOW)
    given = {"expiration_date_lte": "2026-12-04", "strike_price_gte": str(lowest)}
    names = [name for name, _ in whole(book, view, "SIM001", limit=limit, **given)]
    every = [name for name, _ in whole(book, view, "SIM001", limit="1000")]

    assert names == sorted(set(names))
    assert names == [name for name in every if name[4:10] <= "261204" and int(name[11:]) >= lowest * 1_000]
    assert len(names) > int(limit) or len(names) == 124


def test_filters_keep_what_they_say() -> None:
    """Both ends in."""
    book, view = OptionBook(seed=1), frozen_view(None, SYNTHETIC_NOW)
    given = {
        "strike_price_gte": "140",
        "strike_price_lte": "150",
        "type": "call",
        "expiration_date_gte": "2027-01-01",
    }
    some = {name for name, _ in whole(book, view, "SIM001", **given)}
    every = {name for name, _ in whole(book, view, "SIM001", limit="1000")}

    wanted = {n for n in every if n[4:10] >= "270101" and n[10] == "C" and 140_000 <= int(n[11:]) <= 150_000}
    assert some == wanted
    assert wanted
    assert whole(book, view, "SIM001", root_symbol="OTHER") == []


def test_what_cannot_be_known_has_no_key(book: OptionBook, market_data: Path) -> None:
    """Neither volatility nor greeks without two sides; of open interest not a word."""
    rows = [
        row for _, row in whole(book, frozen_view(market_data, "2015-12-24T10:30:00-05:00"), limit="1000")
    ]
    one_sided = [row for row in rows if 0 in (row["latestQuote"]["bp"], row["latestQuote"]["ap"])]

    assert one_sided
    assert not any({"greeks", "impliedVolatility"} & set(row) for row in one_sided)
    priced = [row for row in rows if "greeks" in row]
    assert all("impliedVolatility" in row for row in priced)
    assert all(set(row["greeks"]) == {"delta", "gamma", "rho", "theta", "vega"} for row in priced)
    assert not any("open" in key.lower() for row in rows for key in row)


@pytest.mark.parametrize("symbol", ["NOPE", "SIM12345"])
def test_where_there_is_nothing_the_chain_is_empty(symbol: str) -> None:
    """A symbol nobody knows, and one without options."""
    found = page(OptionBook(seed=1), frozen_view(None, SYNTHETIC_NOW), symbol)

    assert found == {"next_page_token": None, "snapshots": {}}


def test_a_plan_without_opra_is_refused_it_and_shown_the_late_feed() -> None:
    """Without a feed asked for it is the late one."""
    book, view, plan = OptionBook(seed=1), frozen_view(None, SYNTHETIC_NOW), (IexPlan(type="iex_plan"),)

    assert options(book, view, "SIM001", {"feed": "opra"}, plan).status == 403
    late = page(book, view, "SIM001", feed="indicative")
    assert page(book, view, "SIM001", plan) == late
    assert page(book, view, "SIM001") == page(book, view, "SIM001", feed="opra") != late


def test_a_page_may_be_shorter_than_asked_for() -> None:
    """As the scenario says; the token goes on behind it."""
    found = page(
        OptionBook(seed=1),
        frozen_view(None, SYNTHETIC_NOW),
        "SIM001",
        (ShortPages(type="short_pages", rows=3),),
    )

    assert len(found["snapshots"]) == 3
    assert found["next_page_token"]


@pytest.mark.parametrize(
    ("symbol", "given"),
    [
        ("SIM001", {"limit": "1001"}),
        ("SIM001", {"limit": "0"}),
        ("SIM001", {"page_token": "!"}),
        ("SIM001", {"page_token": "bm9uZQ=="}),
        ("SIM001", {"feed": "sip"}),
        ("SIM001", {"strike_price_gte": "much"}),
        ("SIM001", {"type": "both"}),
        ("A-B", {}),
    ],
)
def test_wrong_parameters_are_refused(symbol: str, given: dict[str, str]) -> None:
    """With a message."""
    reply = options(OptionBook(seed=1), frozen_view(None, SYNTHETIC_NOW), symbol, given, ())

    assert reply.status == 400
    assert body(reply)["message"]
