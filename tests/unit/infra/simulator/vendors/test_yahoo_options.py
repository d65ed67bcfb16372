"""Yahoo's chain: the recorded shape, one expiry an answer, zeros outside trading."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from infra.simulator.faults.scenario import ZeroQuote
from infra.simulator.market.option_book import OptionBook
from infra.simulator.market.view import MarketView
from infra.simulator.vendors.yahoo_options import options
from infra.simulator.vendors.yahoo_quote import quotes
from tests.support.option_minutes import dollars, last_rows
from tests.support.simulations import SYNTHETIC_NOW, body, frozen_view

NO_VOL = 1.0000000000000003e-05


@pytest.fixture(scope="module")
def book(market_data: Path) -> OptionBook:
    return OptionBook(seed=1, root=market_data)


def result(book: OptionBook, view: MarketView, symbol: str = "GOOG", date: str = "") -> Any:
    """Return the one result of an answer."""
    document = body(options(book, view, symbol, date, ()))["optionChain"]
    assert document["error"] is None
    (found,) = document["result"]
    return found


def legs(found: Any) -> list[dict[str, Any]]:
    """Return calls and puts of an answer."""
    (expiry,) = found["options"]
    return [*expiry["calls"], *expiry["puts"]]


def test_the_shape_is_the_recorded_one(book: OptionBook, market_data: Path) -> None:
    """Before the open, as it was recorded: no key that Yahoo has not, each with its type."""
    path = market_data / "vendor_fixtures" / "yahoo" / "options-AAPL.json"
    (theirs,) = orjson.loads(path.read_bytes())["body"]["optionChain"]["result"]
    ours = result(book, frozen_view(market_data, "2015-12-24T09:00:00-05:00"))

    assert list(ours) == list(theirs)
    assert set(ours["quote"]) <= set(theirs["quote"])
    assert list(ours["options"][0]) == list(theirs["options"][0])
    order = list(theirs["options"][0]["calls"][1])
    for leg in legs(ours):
        assert [key for key in order if key in leg] == list(leg)
        for key, value in leg.items():
            numbers = isinstance(value, int | float) and isinstance(
                theirs["options"][0]["calls"][1][key], int | float
            )
            assert numbers or type(value) is type(theirs["options"][0]["calls"][1][key]), key


def test_before_the_open_nearly_all_is_zero(book: OptionBook, market_data: Path) -> None:
    """Bid, ask and open interest; in the money the volatility is the placeholder, out of it a half and its halves."""
    rows = legs(result(book, frozen_view(market_data, "2015-12-24T09:00:00-05:00")))
    recorded = {NO_VOL, 0.500005, 0.2500075, 0.12500875, 0.062509375, 0.0312596875, 0.015634843750000002}

    assert len(rows) == 176
    assert all(row["bid"] == row["ask"] == 0 for row in rows)
    assert all(row["openInterest"] == 0 for row in rows[1:])
    assert all(row["impliedVolatility"] == NO_VOL for row in rows if row["inTheMoney"])
    told = {row["impliedVolatility"] for row in rows}
    assert {NO_VOL, 0.500005, 0.2500075} <= told
    assert sum(row["impliedVolatility"] in recorded for row in rows) > 170


def test_every_expiry_by_its_date_is_the_file(book: OptionBook, market_data: Path) -> None:
    """At half past ten: all contracts once, and each with its row's quote and the interest of the morning."""
    view = frozen_view(market_data, "2015-12-24T10:30:00-05:00")
    nearest = result(book, view)
    quoted, held = (
        last_rows(market_data, "quote", "10:30:00"),
        last_rows(market_data, "openinterest", "10:30:00", lasting_ms=0),
    )
    found: dict[str, dict[str, Any]] = {}
    for epoch in nearest["expirationDates"]:
        answer = result(book, view, date=str(epoch))
        day = datetime.fromtimestamp(epoch, UTC)
        assert (day.hour, day.minute) == (0, 0)
        assert answer["options"][0]["expirationDate"] == epoch
        assert answer["strikes"] == sorted({leg["strike"] for leg in legs(answer)})
        assert {leg["expiration"] for leg in legs(answer)} == {epoch}
        found |= {leg["contractSymbol"]: leg for leg in legs(answer)}

    assert legs(nearest) == legs(result(book, view, date=str(nearest["expirationDates"][0])))
    assert found.keys() == quoted.keys()
    for name, (_, row) in quoted.items():
        leg = found[name]
        assert (leg["bid"], leg["ask"]) == (dollars(row[4]), dollars(row[9]))
        assert leg["openInterest"] == (int(held[name][1][1]) if name in held else 0)
        assert ("volume" in leg) == (leg["lastPrice"] != 0) == ("lastTradeDate" in leg)


def test_the_shares_stand_beside_as_their_own_quote(book: OptionBook, market_data: Path) -> None:
    """The same object."""
    view = frozen_view(market_data, "2015-12-24T10:30:00-05:00")
    (own,) = body(quotes(view, ["GOOG"]))["quoteResponse"]["result"]

    assert result(book, view)["quote"] == own


def test_a_date_no_contract_ends_on_is_answered_with_nothing_in_it(
    market_data: Path, book: OptionBook
) -> None:
    """As recorded: no strikes, empty sides, and the dates there are."""
    found = result(book, frozen_view(market_data, "2015-12-24T10:30:00-05:00"), date="1646092800")

    assert found["strikes"] == []
    assert found["options"] == [
        {"expirationDate": 1646092800, "hasMiniOptions": False, "calls": [], "puts": []}
    ]
    assert len(found["expirationDates"]) == 12


def test_an_expiry_leaves_the_dates_at_the_close_of_its_half_day(book: OptionBook, market_data: Path) -> None:
    """One o'clock; what is left keeps its last quotes for the evening."""
    before, after = (
        result(book, frozen_view(market_data, f"2015-12-24T{at}-05:00")) for at in ("12:59:59", "13:00:00")
    )

    assert after["expirationDates"] == before["expirationDates"][1:]
    assert any(leg["bid"] for leg in legs(after))
    assert not any(
        leg["bid"] for leg in legs(result(book, frozen_view(market_data, "2015-12-24T20:30:00-05:00")))[1:]
    )


def test_a_symbol_without_options_has_a_quote_and_no_dates() -> None:
    """As recorded of a fund; one that nobody knows has no result at all."""
    book, view = OptionBook(seed=1), frozen_view(None, SYNTHETIC_NOW)
    found = result(book, view, "SIM12345")

    assert (found["expirationDates"], found["strikes"], found["options"]) == ([], [], [])
    assert found["quote"]["symbol"] == "SIM12345"
    assert body(options(book, view, "NOPE", "", ()))["optionChain"] == {"result": [], "error": None}


def test_a_date_that_is_none_is_refused() -> None:
    """With the vendor's error."""
    reply = options(OptionBook(seed=1), frozen_view(None, SYNTHETIC_NOW), "SIM001", "2026-12-04", ())

    assert reply.status == 400
    assert body(reply)["optionChain"]["error"]["code"] == "Bad Request"


def test_whole_strikes_have_no_decimals() -> None:
    """Others do."""
    strikes = result(OptionBook(seed=1), frozen_view(None, SYNTHETIC_NOW), "SIM001")["strikes"]

    assert {type(strike) for strike in strikes} == {int, float}
    assert all(isinstance(strike, int) == (strike % 1 == 0) for strike in strikes)


def test_a_scenario_may_zero_a_chain() -> None:
    """Contracts stay; neither quotes nor trades do."""
    reply = options(
        OptionBook(seed=1), frozen_view(None, SYNTHETIC_NOW), "SIM001", "", (ZeroQuote(type="zero_quote"),)
    )
    (found,) = body(reply)["optionChain"]["result"]

    assert len(legs(found)) == 62
    assert all(leg["bid"] == leg["ask"] == leg["lastPrice"] == 0 for leg in legs(found))
