"""One verdict for all vendors: kept, nothing there, or refused alone; and each price under its own clock."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from producers.vendors.answers import BarsRequest, PollWindow
from producers.vendors.values import (
    has_sizes,
    price,
    quote_values,
    rejected,
    size,
    snapshot_values,
    under_its_clock,
)
from schemas.calendar.sessions import calendar_of
from schemas.errors import InvalidRecord
from schemas.intervals import MINUTE_US, SECOND_US
from schemas.providers.built_in import BUILT_IN
from tests.support.vendor_payloads import NINE_THIRTY_S
from tests.support.vendors.bar_answers import ANSWERS
from tests.support.vendors.sheet import LONG_AFTER_US

T = NINE_THIRTY_S
GOOD = (T + 60, (10.0, 11.0, 9.0, 10.5, 100))
NAN, INF = float("nan"), float("inf")
EVERYBODY = sorted(name for name, facts in BUILT_IN.items() if facts.capabilities.intervals)


def judged(vendor: str, *values: Any, symbol: str = "SPY") -> tuple[int, int]:
    """Return how many bars of one of these values are kept and refused; a good one beside it always is kept."""
    asked = BarsRequest(
        symbol=symbol, interval="1m", window=PollWindow(start=0, end=LONG_AFTER_US), now=LONG_AFTER_US, calendar=calendar_of(symbol)
    )  # fmt: skip
    answer = ANSWERS[vendor]([(T, values), GOOD], asked)
    assert (T + 60) * SECOND_US in [event["event_time"] for event in answer.events]
    return len(answer.events) - 1, len(answer.rejected)


KEPT, NOTHING, REFUSED = (1, 0), (0, 0), (0, 1)


@pytest.mark.parametrize("vendor", EVERYBODY)
@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        pytest.param((1.0, 2.0, 0.5, 1.5, 7), KEPT, id="whole"),
        pytest.param((1, 2, 1, 2, 0), KEPT, id="no volume"),
        pytest.param((1, 2, 1, 2, 1.2e5), KEPT, id="a volume in e notation"),
        pytest.param((None, None, None, None, None), NOTHING, id="nothing"),
        pytest.param((None, None, None, None, 0), NOTHING, id="nothing and no volume"),
        pytest.param((0, 0, 0, 0, 0), NOTHING, id="zeros"),
        pytest.param((0.0, 0.0, 0.0, 0.0, 1200), REFUSED, id="zeros with a volume"),
        pytest.param((0.678, 0.678, 0.0, 0.678, 3), REFUSED, id="the low is 0"),
        pytest.param((9.9, 10.0, 0.0, 0.0, 100), REFUSED, id="low and close are 0"),
        pytest.param((1, 2, 1, None, 5), REFUSED, id="no close"),
        pytest.param((1, 2, 1, 2, None), REFUSED, id="no volume said"),
        pytest.param((1, 2, 1, "2", 5), REFUSED, id="text"),
        pytest.param((1, True, 1, 1, 5), REFUSED, id="a truth"),
        pytest.param((1, 2, -1, 2, 5), REFUSED, id="negative"),
        pytest.param((1, 2, 1, 2, -5), REFUSED, id="a negative volume"),
        pytest.param((1, INF, 1, 2, 5), REFUSED, id="infinite"),
        pytest.param((1, 2, NAN, 2, 5), REFUSED, id="not a number"),
        pytest.param((1, 10**400, 1, 2, 5), REFUSED, id="beyond every float"),
        pytest.param(([], 2, 1, 2, 5), REFUSED, id="a list"),
    ],
)
def test_a_bar_is_judged_alike_whoever_sends_it(
    vendor: str, values: Sequence[Any], verdict: tuple[int, int]
) -> None:
    """A bad row costs the row and is seen; 0 is how vendors say that a price is missing (yfinance issues 315, 2361)."""
    assert judged(vendor, *values) == verdict


@pytest.mark.parametrize("vendor", ["yahoo", "finnhub"])
@pytest.mark.parametrize(
    ("symbol", "values", "verdict"),
    [
        pytest.param("^IRX", (-0.105, -0.05, -0.11, -0.105, 0), KEPT, id="a rate below zero"),
        pytest.param("^IRX", (0.01, 0.02, 0.0, 0.0, None), KEPT, id="a rate of zero, and no volume"),
        pytest.param("^TNX", (None, 1, 1, 1, 0), REFUSED, id="no open"),
        pytest.param("EURUSD=X", (1.1, 1.2, 1.0, 1.1, None), KEPT, id="pairs have no volume"),
        pytest.param("EURUSD=X", (1.1, 1.2, 0.0, 1.1, 0), REFUSED, id="a pair at 0"),
        pytest.param("BTC-USD", (1.1, 1.2, -1.0, 1.1, 1), REFUSED, id="a coin below zero"),
    ],
)
def test_what_may_be_negative_follows_from_what_it_is(
    vendor: str, symbol: str, values: Sequence[Any], verdict: tuple[int, int]
) -> None:
    """^IRX stood at -0.105 on 2020-03-26; no share, coin or currency ever does."""
    assert judged(vendor, *values, symbol=symbol) == verdict


@pytest.mark.parametrize("vendor", ["yahoo", "finnhub", "polygon"])
def test_an_index_is_one_at_every_vendor_that_has_indices(vendor: str) -> None:
    """The class decides, not the vendor: below zero, at zero, and without a volume."""
    assert judged(vendor, -0.25, -0.2, -0.5, -0.3, None, symbol="^VIX") == KEPT
    assert judged(vendor, 0.01, 0.02, 0.0, 0.0, 0, symbol="^GSPC") == KEPT
    assert judged(vendor, None, 1, 1, 1, 0, symbol="^GSPC") == REFUSED


@pytest.mark.parametrize("vendor", ["yahoo", "finnhub", "polygon"])
def test_a_stamp_is_whole_however_it_is_spelt(vendor: str) -> None:
    """JSON has one kind of number (polygon-io issues 194, 280): 1381152600.0 is a second."""
    asked = BarsRequest(
        symbol="SPY", interval="1m", window=PollWindow(start=0, end=LONG_AFTER_US), now=LONG_AFTER_US, calendar=calendar_of("SPY")
    )  # fmt: skip
    answer = ANSWERS[vendor]([(float(T), (1, 2, 1, 2, 7.5e2)), GOOD], asked)  # type: ignore[list-item]

    assert [(event["event_time"] // SECOND_US, event["volume"]) for event in answer.events] == [
        (T, 750.0),
        (T + 60, 100.0),
    ]


def test_prices_and_sizes_one_by_one() -> None:
    """A missing one is None; only an index may stand at zero."""
    assert (price("last", 0, "SPY"), price("last", 0, "^IRX"), price("last", None, "^IRX")) == (
        None,
        0.0,
        None,
    )
    assert (size("volume", 0), size("volume", None)) == (0.0, None)
    assert [has_sizes(symbol) for symbol in ("SPY", "^GSPC", "EURUSD=X", "BTC-USD", "what?")] == [
        True, False, False, True, True,
    ]  # fmt: skip
    with pytest.raises(InvalidRecord, match="bid is -1"):
        price("bid", -1, "SPY")
    with pytest.raises(InvalidRecord, match="never negative"):
        size("volume", -1)


def test_a_quote_of_zeros_is_none_and_a_size_needs_its_price() -> None:
    """Whatever else it says: a volume alone is no price."""
    assert quote_values("SPY", {"bid": 0, "ask": 0.0, "last": None, "bid_size": 5, "volume": 100}) is None

    values = quote_values("SPY", {"bid": 0, "bid_size": 5, "last": 3, "last_size": 1, "previous_close": 0})

    assert values is not None
    assert (values["bid"], values["bid_size"], values["last"], values["last_size"]) == (None, None, 3.0, 1.0)
    assert values["previous_close"] is None


@pytest.mark.parametrize(
    ("traded", "quoted", "moment", "book"),
    [
        pytest.param(100, 100 + 9 * MINUTE_US, 100, True, id="an old trade beside a book of now"),
        pytest.param(10 * MINUTE_US, 9 * MINUTE_US, 10 * MINUTE_US, True, id="a book of the same minute"),
        pytest.param(10 * MINUTE_US, 9 * MINUTE_US - 1, 10 * MINUTE_US, False, id="an old book beside a trade of now"),
        pytest.param(7, None, 7, True, id="a trade alone"),
    ],
)  # fmt: skip
def test_a_price_is_as_old_as_its_trade(traded: int, quoted: int | None, moment: int, *, book: bool) -> None:
    """A trade of August was live in December by the stamp of the book beside it (Alpaca-API issue 267)."""
    values = dict.fromkeys(("bid", "ask", "bid_size", "ask_size"), 2.0) | {"last": 1.0}

    found, kept = under_its_clock(values, traded, quoted)

    assert (found, kept["last"], kept["bid"]) == (moment, 1.0, 2.0 if book else None)


def test_a_book_alone_is_stamped_by_its_quote() -> None:
    """There is no trade to be as old as."""
    assert under_its_clock({"last": None, "bid": 1.0}, 5, 9) == (9, {"last": None, "bid": 1.0})


def test_what_is_rejected_keeps_its_bytes() -> None:
    """As they came, where they are all that came."""
    fault = InvalidRecord("no price")

    assert rejected("SPY", fault, b"{").payload == b"{"
    assert json.loads(rejected("SPY", fault, {"c": -1}).payload) == {"c": -1}


def test_a_snapshot_is_true_at_the_stamp_of_what_it_says() -> None:
    """Without a price it says nothing; a price without a stamp is no value of any moment."""
    book = {"bid": 9.75, "bid_size": 300}

    assert snapshot_values("SPY", {"bid": 0, "ask": None}, 7, 8) is None
    moment, values = snapshot_values("SPY", book, 7, 8) or (0, {})
    assert (moment, values["bid"], values["last"]) == (8, 9.75, None)
    assert (snapshot_values("SPY", book | {"last": 9.5}, 7, 8) or (0,))[0] == 7
    with pytest.raises(InvalidRecord, match="no stamp"):
        snapshot_values("SPY", book | {"last": 9.5}, None, 8)
