"""Polygon's snapshots become quotes: recordings, zeros before the open, delayed plans."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from producers.vendors.polygon.quotes import parse_snapshots
from schemas.errors import MalformedPayload, ProviderUnentitled

STAMP_NS = 1_651_251_948_407_646_487
ENTRY = {
    "ticker": "AAPL",
    "lastQuote": {"P": 159.99, "S": 5, "p": 159.98, "s": 3, "t": STAMP_NS},
    "lastTrade": {"p": 159.97, "s": 200, "t": STAMP_NS - 5_000},
    "day": {"c": 160.3, "v": 100},
    "prevDay": {"c": 163.64},
}


def parse(*entries: object, status: str = "OK", **changes: object):
    payload = json.dumps({"status": status, "tickers": list(entries)} | changes).encode()
    return parse_snapshots(payload, asked={"AAPL": "AAPL"}, simulated=())


def test_the_recorded_snapshot_parses(market_data: Path) -> None:
    """P and S are the ask, p and s the bid; nanoseconds become microseconds."""
    name = "v2_snapshot_locale_us_markets_stocks_tickers_AAPL.json"
    payload = (market_data / "vendor_fixtures" / "polygon" / name).read_bytes()

    (event,) = parse_snapshots(payload, asked={"AAPL": "AAPL"}, simulated=()).events

    assert event == {
        "symbol": "AAPL", "event_time": 1_651_251_948_294_080, "bid": 159.98, "ask": 159.99, "bid_size": 3.0,
        "ask_size": 5.0, "last": 159.99, "last_size": 200.0, "volume": 68_840_127.0, "previous_close": 163.64,
        "currency": "USD", "market_state": "", "simulated": False, "delay_s": 0,
    }  # fmt: skip


def test_the_recorded_list_of_snapshots_parses(market_data: Path) -> None:
    """Of all tickers only those asked for are taken; a ticker that is not there is missing."""
    name = "v2_snapshot_locale_us_markets_stocks_tickers_index.json"
    payload = (market_data / "vendor_fixtures" / "polygon" / name).read_bytes()
    ticker = json.loads(payload)["tickers"][0]["ticker"]

    answer = parse_snapshots(payload, asked={ticker: ticker, "NOPE": "NOPE"}, simulated={ticker})

    (event,) = answer.events
    assert (event["bid"], event["ask"], event["simulated"]) == (20.5, 20.6, True)
    assert list(answer.missing) == ["NOPE"]


def test_a_delayed_plan_says_so() -> None:
    """Fifteen minutes are on every quote of it."""
    assert [event["delay_s"] for event in parse(ENTRY, status="DELAYED").events] == [900]


def test_before_the_open_the_day_is_zeros() -> None:
    """Neither its volume nor its price is one."""
    (event,) = parse(ENTRY | {"day": {"c": 0, "v": 0}, "lastTrade": None}).events

    assert (event["volume"], event["last"], event["bid"]) == (None, None, 159.98)
    assert event["previous_close"] == 163.64


def test_a_trade_of_yesterday_is_of_yesterday_beside_a_book_of_now() -> None:
    """And a book of yesterday is not beside a trade of now; without a trade the day's price has no clock of its own."""
    day_ns = 86_400 * 10**9
    old = ENTRY["lastTrade"] | {"t": STAMP_NS - day_ns}  # type: ignore[operator]
    late = ENTRY["lastTrade"] | {"t": STAMP_NS + day_ns}  # type: ignore[operator]
    (quiet,), (crossed,), (untraded,) = (
        parse(ENTRY | {"lastTrade": trade}).events for trade in (old, late, None)
    )

    assert (quiet["event_time"], quiet["last"], quiet["bid"]) == (
        (STAMP_NS - day_ns) // 1_000,
        159.97,
        159.98,
    )
    assert (crossed["event_time"], crossed["last"], crossed["bid"]) == (
        (STAMP_NS + day_ns) // 1_000,
        159.97,
        None,
    )
    assert (untraded["event_time"], untraded["last"]) == (STAMP_NS // 1_000, None)


def test_a_plan_without_quotes_has_the_day() -> None:
    """Then the day's close so far is the last price, stamped with the snapshot's update."""
    (event,) = parse({"ticker": "AAPL", "updated": STAMP_NS, "day": {"c": 160.3, "v": 100}}).events

    assert (event["last"], event["bid"], event["event_time"]) == (160.3, None, STAMP_NS // 1_000)


@pytest.mark.parametrize(
    "entry",
    [
        {"ticker": "AAPL"},
        {
            "ticker": "AAPL",
            "updated": 0,
            "lastQuote": {"P": 0, "p": 0, "t": 0},
            "lastTrade": {"p": 0, "t": 0},
        },
        {"ticker": "AAPL", "day": {"c": 0}, "lastTrade": {}, "lastQuote": None},
    ],
)
def test_zeros_are_no_quote(entry: object) -> None:
    """Nothing is published of a symbol the vendor says nothing about."""
    assert (list(parse(entry).events), list(parse(entry).missing)) == ([], ["AAPL"])


@pytest.mark.parametrize("entry", [ENTRY | {"lastTrade": {"p": -1, "t": STAMP_NS}}, ENTRY | {"lastTrade": {"p": 1, "t": 5 * 10**22}}, ENTRY | {"day": 5}, {"ticker": "AAPL", "lastQuote": {"P": 5}}, {"ticker": "AAPL", "lastTrade": {"p": 5}}])  # fmt: skip
def test_one_bad_snapshot_costs_one_quote(entry: object) -> None:
    """It is rejected with its bytes."""
    answer = parse(entry)

    assert not answer.events
    assert json.loads(answer.rejected[0].payload) == entry
    assert not answer.missing


def test_a_plan_without_snapshots_says_so() -> None:
    """Whatever the HTTP status was."""
    with pytest.raises(ProviderUnentitled):
        parse(status="NOT_AUTHORIZED", message="You are not entitled to this data.")
    with pytest.raises(MalformedPayload, match="polygon snapshot"):
        parse_snapshots(b"[", asked={}, simulated=())


def test_a_trade_at_another_price_than_its_moments_is_no_last() -> None:
    """By its conditions; nor does the day's price, which may be of it, stand in."""
    trades = [ENTRY["lastTrade"] | {"c": codes} for codes in ([52, 41], [12.0, 37], None)]  # type: ignore[operator]

    assert [parse(ENTRY | {"lastTrade": trade}).events[0]["last"] for trade in trades] == [
        None,
        159.97,
        159.97,
    ]
