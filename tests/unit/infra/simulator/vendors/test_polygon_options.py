"""Polygon's chain: the recorded shape, pages that add up, filters, what is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from yarl import URL

from infra.simulator.faults.habits import Delayed
from infra.simulator.market.option_book import OptionBook
from infra.simulator.market.view import MarketView
from infra.simulator.vendors.polygon_options import options
from tests.support.option_minutes import dollars, last_rows
from tests.support.simulations import SYNTHETIC_NOW, body, file_bars, frozen_view, seconds

ADDRESS = "http://127.0.0.1:1/polygon/v3/snapshot/options/X"
HALF_PAST_TEN = "2015-12-24T10:30:00-05:00"


@pytest.fixture(scope="module")
def book(market_data: Path) -> OptionBook:
    return OptionBook(seed=1, root=market_data)


def page(
    book: OptionBook, view: MarketView, symbol: str = "GOOG", faults: tuple[Any, ...] = (), **given: str
) -> Any:
    """Return one answer."""
    return body(options(book, view, symbol, given, faults, address=ADDRESS))


def whole(book: OptionBook, view: MarketView, symbol: str = "GOOG", **given: str) -> list[dict[str, Any]]:
    """Return the rows of all pages, each page asked for as the one before says."""
    rows: list[dict[str, Any]] = []
    for _ in range(150):
        found = page(book, view, symbol, **given)
        assert len(found.get("results", ())) <= int(given.get("limit", 250))
        rows += found.get("results", ())
        if "next_url" not in found:
            return rows
        given = {**dict(URL(found["next_url"]).query), "apiKey": "secret"}
        assert "secret" not in found["next_url"]
    raise AssertionError("pages without end")


def test_a_row_has_the_recorded_keys_and_types(book: OptionBook, market_data: Path) -> None:
    """But the fair value, which is of a dearer plan."""
    recorded = orjson.loads(
        (market_data / "vendor_fixtures/polygon/v3_snapshot_options_AAPL.json").read_bytes()
    )
    view = frozen_view(market_data, "2015-12-24T12:30:00-05:00")
    rows = whole(book, view, limit="250")
    ours = next(row for row in rows if len(row) == 9)

    def same(mine: Any, theirs: Any, at: str) -> None:
        if isinstance(theirs, dict):
            assert set(mine) <= set(theirs), at
            assert set(theirs) - set(mine) <= {"fmv"}, at
            for key in mine:
                same(mine[key], theirs[key], f"{at}.{key}")
        elif isinstance(theirs, int | float):
            assert isinstance(mine, int | float), at
        else:
            assert type(mine) is type(theirs), at

    same(ours, recorded["results"][0], "row")
    assert set(page(book, view)) == {"request_id", "results", "status", "next_url"}


def test_half_past_ten_is_the_file(book: OptionBook, market_data: Path) -> None:
    """Every quote, trade and open interest of the day's files up to the minute, in nanoseconds, and the last trade of the shares."""
    view = frozen_view(market_data, HALF_PAST_TEN)
    rows = {row["details"]["ticker"].removeprefix("O:"): row for row in whole(book, view, limit="250")}
    midnight = seconds("2015-12-24", "00:00") * 1_000
    quotes = last_rows(market_data, "quote", "10:30:00")
    held = last_rows(market_data, "openinterest", "10:30:00", lasting_ms=0)
    trades = last_rows(market_data, "trade", "10:30:00")
    (bar,) = (
        b for b in file_bars(market_data, "GOOG", "2015-12-24") if b[0] == seconds("2015-12-24", "10:29")
    )

    assert rows.keys() == quotes.keys()
    for name, (expiry, row) in quotes.items():
        mine = rows[name]
        told = mine["last_quote"]
        assert mine["details"]["expiration_date"].replace("-", "") == expiry
        assert (told["bid"], told["ask"]) == (dollars(row[4]), dollars(row[9]))
        assert told["last_updated"] == (midnight + int(row[0]) + 60_000) * 1_000_000
        assert mine["open_interest"] == (int(held[name][1][1]) if name in held else 0)
        assert mine["underlying_asset"]["price"] == bar[4]
        assert ("last_trade" in mine) == (name in trades)
        if name in trades:
            assert mine["last_trade"]["price"] == dollars(trades[name][1][4])


@pytest.mark.parametrize(
    ("limit", "lowest"), [("1", "170"), ("7", "150"), ("123", "0"), ("124", "0"), ("250", "0")]
)
@pytest.mark.parametrize(
    "order", [{}, {"sort": "expiration_date"}, {"sort": "strike_price", "order": "desc"}]
)
def test_pages_of_any_size_add_up_to_the_whole(limit: str, lowest: str, order: dict[str, str]) -> None:
    """None twice, none lost, in one order."""
    book, view = OptionBook(seed=1), frozen_view(None, SYNTHETIC_NOW)
    given = {"expiration_date.lte": "2026-12-04", "strike_price.gte": lowest, **order}
    together = whole(book, view, "SIM001", limit="250", **given)
    names = [row["details"]["ticker"] for row in whole(book, view, "SIM001", limit=limit, **given)]

    assert len(set(names)) == len(names) > int(limit) or len(names) == 124
    assert names == [row["details"]["ticker"] for row in together]


def test_a_contract_that_ends_between_two_pages_takes_none_with_it() -> None:
    """The cursor names the contract behind which the next page begins."""
    book = OptionBook(seed=1)
    before, after = frozen_view(None, "2026-11-27T23:59:59Z"), frozen_view(None, "2026-11-28T00:00:00Z")
    first = page(book, before, "SIM001", limit="100")
    rest = whole(book, after, "SIM001", **dict(URL(first["next_url"]).query))
    names = [row["details"]["ticker"] for row in first["results"] + rest]

    assert len(names) == len(set(names))
    assert {row["details"]["ticker"] for row in whole(book, after, "SIM001", limit="250")} <= set(names)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"expiration_date": "2026-12-04"}, lambda day, *_: day == "2026-12-04"),
        ({"expiration_date.gte": "2026-12-04", "expiration_date.lt": "2027-01-15"}, lambda day, *_: "2026-12-04" <= day < "2027-01-15"),
        ({"strike_price.gte": "140", "strike_price.lte": "150"}, lambda _day, strike, _right: 140 <= strike <= 150),
        ({"strike_price": "150", "contract_type": "put"}, lambda _day, strike, right: (strike, right) == (150, "put")),
    ],
)  # fmt: skip
def test_filters_keep_what_they_say(given: dict[str, str], kept: Any) -> None:
    """On every page."""
    book, view = OptionBook(seed=1), frozen_view(None, SYNTHETIC_NOW)

    def details(rows: list[dict[str, Any]]) -> list[tuple[str, float, str]]:
        told = (row["details"] for row in rows)
        return [(d["expiration_date"], d["strike_price"], d["contract_type"]) for d in told]

    every = details(whole(book, view, "SIM001", limit="250"))
    some = details(whole(book, view, "SIM001", limit="31", **given))
    assert some == [each for each in every if kept(*each)]
    assert 0 < len(some) < len(every)


def test_what_cannot_be_known_has_no_key(book: OptionBook, market_data: Path) -> None:
    """No volatility without two sides, no quote before the open; rho never."""
    rows = whole(book, frozen_view(market_data, HALF_PAST_TEN), limit="250")
    without = [row for row in rows if row["last_quote"]["bid"] == 0 or row["last_quote"]["ask"] == 0]
    early = whole(book, frozen_view(market_data, "2015-12-24T09:00:00-05:00"), limit="250")

    assert without
    assert all(row["greeks"] == {} and "implied_volatility" not in row for row in without)
    assert any(row["greeks"] == {} for row in rows if row not in without)
    full = [row for row in rows if row["greeks"]]
    assert all(set(row["greeks"]) == {"delta", "gamma", "theta", "vega"} for row in full)
    assert all(0.05 < row["implied_volatility"] < 8.0 for row in full)
    assert len(full) > 1_000
    assert early
    assert all("last_quote" not in row and "last_trade" not in row and row["day"] == {} for row in early)


@pytest.mark.parametrize("symbol", ["NOPE", "SIM12345"])
def test_where_there_is_nothing_there_are_no_results(symbol: str) -> None:
    """A symbol nobody knows, and one without options: 200 and no list."""
    found = page(OptionBook(seed=1), frozen_view(None, SYNTHETIC_NOW), symbol)

    assert found["status"] == "OK"
    assert "results" not in found
    assert "next_url" not in found


def test_the_default_page_holds_ten() -> None:
    """By ticker."""
    rows = page(OptionBook(seed=1), frozen_view(None, SYNTHETIC_NOW), "SIM001")["results"]
    names = [row["details"]["ticker"] for row in rows]

    assert len(names) == 10
    assert names == sorted(names)


def test_an_adjusted_contract_says_on_how_many_shares_it_is() -> None:
    """Beside standard ones of the same expiry."""
    rows = whole(OptionBook(seed=1), frozen_view(None, SYNTHETIC_NOW), "SIM002", limit="250")
    shares = {(row["details"]["ticker"][:-15], row["details"]["shares_per_contract"]) for row in rows}

    assert shares == {("O:SIMC", 100), ("O:SIMC1", 10)}


def test_a_late_feed_says_so() -> None:
    """In its status and in each row."""
    faults = (Delayed(type="delayed", by_s=900.0),)
    found = page(OptionBook(seed=1), frozen_view(None, SYNTHETIC_NOW), "SIM001", faults)

    assert found["status"] == "DELAYED"
    assert {row["last_quote"]["timeframe"] for row in found["results"]} == {"DELAYED"}


@pytest.mark.parametrize(
    "given",
    [
        {"limit": "251"},
        {"limit": "0"},
        {"cursor": "!"},
        {"cursor": "YXA9bm9uc2Vuc2U"},
        {"sort": "volume"},
        {"order": "up"},
        {"strike_price.gte": "nan"},
        {"expiration_date.lte": "soon"},
        {"contract_type": "both"},
    ],
)
def test_wrong_parameters_are_refused(given: dict[str, str]) -> None:
    """In the vendor's form."""
    assert page(OptionBook(seed=1), frozen_view(None, SYNTHETIC_NOW), "SIM001", **given)["status"] == "ERROR"
