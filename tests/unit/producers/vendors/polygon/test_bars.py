"""Polygon's recorded aggregates and tickers; a next page that leads elsewhere is never followed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from producers.vendors.polygon.bars import currency_of, parse_aggregates, parse_tickers
from schemas.errors import MalformedPayload, NoData, ProviderRefused, ProviderThrottled, ProviderUnentitled
from schemas.providers.polygon import FACTS

BASE = "https://api.massive.com"
AGGREGATE = {"v": 642646396.0, "vw": 1.469, "o": 1.5032, "c": 1.4604, "h": 1.5064, "l": 1.4489, "t": 1112331600000, "n": 82132}  # fmt: skip


def recorded(market_data: Path, name: str) -> bytes:
    return (market_data / "vendor_fixtures" / "polygon" / name).read_bytes()


def page(**changes: object) -> bytes:
    document = {"ticker": "AAPL", "adjusted": False, "status": "OK", "results": [AGGREGATE]} | changes
    return json.dumps(document).encode()


def parse(payload: bytes, symbol: str = "AAPL"):
    return parse_aggregates(payload, symbol=symbol, base_url=BASE)


@pytest.mark.parametrize(
    ("name", "count"),
    [("v2_aggs_ticker_AAPL_range_1_day_2005-04-01_2005-04-04.json", 2), ("v2_aggs_ticker_AAPL_prev.json", 1)],
)
def test_recorded_aggregates_parse(market_data: Path, name: str, count: int) -> None:
    """Recorded with adjusted=true, and so they are marked."""
    found = parse(recorded(market_data, name))

    assert (len(found.rows), found.following, found.adjustment_state) == (count, "", "split")


def test_a_recorded_aggregate_keeps_every_value(market_data: Path) -> None:
    """Milliseconds become microseconds; vwap and trade count stay."""
    row = parse(recorded(market_data, "v2_aggs_ticker_AAPL_range_1_day_2005-04-01_2005-04-04.json")).rows[0]

    assert row.time == 1_112_331_600_000_000
    assert tuple(row.values) == (1.5032, 1.5064, 1.4489, 1.4604, 642_646_396.0)
    assert (row.vwap, row.trade_count) == (1.469, 82_132)


def test_a_volume_in_e_notation_is_its_number() -> None:
    """Large volumes are floats and may come as 6.4264e+08."""
    payload = page().replace(b"642646396.0", b"6.4264e+08")

    assert parse(payload).rows[0].values[4] == 642_640_000.0


def test_missing_keys_are_unknown() -> None:
    """`vw` and `n` may be missing; so may `results`, which is no data."""
    bare = {name: value for name, value in AGGREGATE.items() if name not in ("vw", "n")}

    assert (parse(page(results=[bare])).rows[0].vwap, parse(page(results=[bare])).rows[0].trade_count) == (
        None,
        None,
    )
    assert parse(b'{"ticker":"AAPL","resultsCount":0,"status":"OK"}').rows == []


def test_a_row_of_another_ticker_costs_the_row() -> None:
    """Each row of some endpoints names its own; so does a stamp that is none cost its row alone."""
    rows = [AGGREGATE | {"T": "AAPL"}, AGGREGATE | {"T": "GIK"}, AGGREGATE | {"t": "x"}, AGGREGATE]

    found = parse(page(results=rows))

    assert (len(found.rows), len(found.rejected)) == (2, 2)
    assert json.loads(found.rejected[0].payload)["T"] == "GIK"


@pytest.mark.parametrize("spelling", [b"1.1123316e+12", b"1112331600000.0"])
def test_a_whole_number_is_whole_however_it_is_spelt(spelling: bytes) -> None:
    """JSON has one kind of number (polygon-io issues 194, 280)."""
    assert parse(page().replace(b"1112331600000", spelling)).rows[0].time == 1_112_331_600_000_000


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/v2/aggs?cursor=x",
        "http://api.massive.com/v2/aggs?cursor=x",
        "https://api.massive.com:8443/v2/aggs",
        "https://api.massive.com@evil.example/",
        "https://user@api.massive.com/",
        "//evil.example/",
        "/v2/aggs?cursor=x",
        "https://api.massive.com:port/",
    ],
)
def test_a_page_elsewhere_is_not_followed(url: str) -> None:
    """The key goes with the request, so only our own origin gets it."""
    with pytest.raises(MalformedPayload, match="next_url"):
        parse(page(next_url=url))


def test_a_page_at_the_same_origin_is() -> None:
    """With or without the default port."""
    for url in (f"{BASE}/v2/aggs?cursor=x", f"{BASE}:443/v2/aggs?cursor=x"):
        assert parse(page(next_url=url)).following == url


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"status": "NOT_AUTHORIZED", "message": "You are not entitled to this data."}, ProviderUnentitled, id="plan"),
        pytest.param({"status": "ERROR", "error": "You've exceeded the maximum requests per minute"}, ProviderThrottled, id="limit"),
        pytest.param({"status": "ERROR", "error": "what"}, ProviderRefused, id="error"),
        pytest.param({"status": "NOT_FOUND"}, NoData, id="not-found"),
    ],
)  # fmt: skip
def test_a_200_that_says_no_is_a_refusal(changes: dict[str, str], expected: type[Exception]) -> None:
    """The status inside the answer counts as one outside does."""
    with pytest.raises(expected):
        parse(page(**changes))


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        pytest.param(b"[]", "polygon aggs", id="a-list"),
        pytest.param(page(ticker="MSFT"), "'MSFT', AAPL was asked for", id="another-ticker"),
        pytest.param(page(results=[AGGREGATE | {"t": 1112331600}]), None, id="seconds"),
        pytest.param(page(results=[AGGREGATE | {"t": 1112331600000 * 10**6}]), "t is no unix time", id="nanoseconds"),
        pytest.param(page(results=[AGGREGATE | {"t": 1.5}]), "t is 1.5", id="a fraction"),
    ],
)  # fmt: skip
def test_malformed_aggregates_name_the_field(payload: bytes, words: str | None) -> None:
    """Seconds are in 1970 and fall out of every window; the rest is malformed."""
    if words is None:
        assert parse(payload).rows[0].time < 2_000_000_000_000
        return
    with pytest.raises(MalformedPayload, match=words):
        parse(payload)


@pytest.mark.parametrize(("status", "delay_s"), [("OK", 0), ("DELAYED", 900)])
def test_a_delayed_plan_says_how_far_its_bars_are_behind(status: str, delay_s: int) -> None:
    """By its status alone, as for its quotes."""
    assert parse(page(status=status)).delay_s == delay_s


def test_recorded_tickers_parse_and_lead_on(market_data: Path) -> None:
    """Two tickers with venue and currency, and the next page at the vendor's own host."""
    found = parse_tickers(recorded(market_data, "v3_reference_tickers.json"), base_url=BASE)

    assert [(row.symbol, row.venue, row.currency) for row in found.listings] == [
        ("A", "XNYS", "USD"),
        ("AA", "XNYS", "USD"),
    ]
    assert found.following.startswith(f"{BASE}/v3/reference/tickers?cursor=")


@pytest.mark.parametrize(
    ("symbol", "ticker", "currency"),
    [
        ("BRK.B", "BRK.B", "USD"),
        ("BTC-USD", "X:BTCUSD", "USD"),
        ("EURGBP=X", "C:EURGBP", "GBP"),
        ("^GSPC", "I:SPX", ""),
    ],
)
def test_other_assets_have_prefixes(symbol: str, ticker: str, currency: str) -> None:
    """And their currency follows from the pair."""
    assert (FACTS.vendor_symbol(symbol), currency_of(ticker)) == (ticker, currency)
