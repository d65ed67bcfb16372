"""Alpaca's recorded snapshots become quotes; what is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from producers.vendors.alpaca.quotes import parse_snapshots

BAR = {"t": "2022-01-03T14:30:00Z", "o": 178.26, "h": 178.34, "l": 177.76, "c": 178.3, "v": 60937, "n": 1727, "vw": 178.040511}  # fmt: skip
QUOTE = {"t": "2021-05-03T14:48:07.257820915Z", "ap": 133.43, "as": 7, "bp": 133.42, "bs": 15}


def recorded(market_data: Path, name: str) -> bytes:
    return (market_data / "vendor_fixtures" / "alpaca" / name).read_bytes()


def snapshot(entry: object) -> bytes:
    return json.dumps({"AAPL": entry}).encode()


def test_recorded_snapshots_parse(market_data: Path) -> None:
    """Quote, last trade, volume of the day and previous close, stamped by the trade."""
    answer = parse_snapshots(
        recorded(market_data, "snapshots_multi.json"),
        asked={"AAPL": "AAPL", "MSFT": "MSFT", "INVALID": "INVALID", "NONE": "NONE"},
        simulated=(),
    )

    assert list(answer.missing) == ["INVALID", "NONE"]
    assert not answer.rejected
    assert answer.events[0] == {
        "symbol": "AAPL", "event_time": 1_620_053_286_563_000, "bid": 133.42, "ask": 133.43, "bid_size": 15.0,
        "ask_size": 7.0, "last": 133.4201, "last_size": 145.0, "volume": 25_846_800.0, "previous_close": 131.46,
        "currency": "USD", "market_state": "", "delay_s": 0, "simulated": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param({"latestQuote": QUOTE | {"ap": 0, "bp": 0}, "latestTrade": {"t": QUOTE["t"], "p": 0}}, id="zeros"),
        pytest.param({}, id="empty"),
        pytest.param(None, id="null"),
    ],
)  # fmt: skip
def test_a_quote_of_zeros_is_no_quote(entry: object) -> None:
    """Neither a price of 0 nor nothing at all is published."""
    answer = parse_snapshots(snapshot(entry), asked={"AAPL": "AAPL"}, simulated=())

    assert (list(answer.events), list(answer.missing)) == ([], ["AAPL"])


def test_a_missing_side_is_null() -> None:
    """0 is the vendor's word for nobody there."""
    answer = parse_snapshots(
        snapshot({"latestQuote": QUOTE | {"ap": 0, "as": 0}}), asked={"AAPL": "AAPL"}, simulated={"AAPL"}
    )

    (event,) = answer.events
    assert (event["bid"], event["ask"], event["ask_size"], event["last"]) == (133.42, None, None, None)
    assert event["simulated"]


def test_before_the_days_first_trade_the_daily_bar_is_yesterdays() -> None:
    """Its close is the previous close, and its volume not today's."""
    entry = {
        "latestQuote": QUOTE,
        "dailyBar": BAR | {"t": "2021-04-30T04:00:00Z", "c": 131.46},
        "prevDailyBar": BAR,
    }

    (event,) = parse_snapshots(snapshot(entry), asked={"AAPL": "AAPL"}, simulated=()).events

    assert (event["volume"], event["previous_close"]) == (None, 131.46)


def test_an_old_trade_is_as_old_as_it_is_beside_a_book_of_now() -> None:
    """Of August in December: neither it nor the day it was made in is the book's (oscmcompany/fund PR 1062)."""
    entry = {
        "latestTrade": {"t": "2024-08-14T18:02:11.1Z", "p": 0.21, "s": 100},
        "latestQuote": {"t": "2024-12-02T15:30:00Z", "ap": 0.06, "as": 5, "bp": 0.04, "bs": 3},
        "dailyBar": BAR | {"t": "2024-08-14T04:00:00Z", "c": 0.21, "v": 300},
        "prevDailyBar": BAR | {"t": "2024-08-13T04:00:00Z", "c": 0.2},
    }

    (event,) = parse_snapshots(snapshot(entry), asked={"AAPL": "AAPL"}, simulated=()).events
    (book,) = parse_snapshots(
        snapshot(entry | {"latestTrade": {"t": "2024-08-14T18:02:11.1Z", "p": 0}}),
        asked={"AAPL": "AAPL"},
        simulated=(),
    ).events

    assert (event["event_time"], event["last"], event["bid"]) == (1_723_658_531_100_000, 0.21, 0.04)
    assert (event["volume"], event["previous_close"]) == (300.0, 0.2)
    assert (book["event_time"], book["last"], book["volume"]) == (1_733_153_400_000_000, None, None)
    assert book["previous_close"] == 0.21


@pytest.mark.parametrize(
    "entry",
    [{"latestQuote": QUOTE | {"bp": -1}}, {"latestQuote": {"t": 5}}, {"latestTrade": {"p": 3}}, "text"],
)
def test_one_bad_quote_costs_one_quote(entry: object) -> None:
    """It is rejected with its bytes, the others are kept."""
    payload = json.dumps({"BAD": entry, "AAPL": {"latestQuote": QUOTE}}).encode()

    answer = parse_snapshots(payload, asked={"BAD": "BAD", "AAPL": "AAPL"}, simulated=())

    assert [event["symbol"] for event in answer.events] == ["AAPL"]
    assert json.loads(answer.rejected[0].payload) == entry


def test_a_trade_at_another_price_than_its_moments_is_no_last() -> None:
    """Derivatively priced: the book stands alone by its own stamp."""
    trade = {"t": QUOTE["t"], "p": 140.0, "s": 1000, "c": ["@", "4"]}
    entries = [
        {"latestTrade": trade | {"c": codes}, "latestQuote": QUOTE}
        for codes in (["@", "4"], ["@", "T"], None)
    ]
    events = [
        parse_snapshots(snapshot(each), asked={"AAPL": "AAPL"}, simulated=()).events[0] for each in entries
    ]

    assert [(event["last"], event["last_size"]) for event in events] == [
        (None, None),
        (140.0, 1000.0),
        (140.0, 1000.0),
    ]


UNSET = "0001-01-01T00:00:00Z"  # the time of nothing, as the vendor's language spells it


def test_parts_that_are_unset_are_parts_that_are_missing() -> None:
    """A trade stands without a book, a book without a trade, both without their days; nothing at all is no quote and no fault."""
    trade, book = {"t": "2024-07-02T14:00:00.5Z", "p": 61.5, "s": 3}, {"t": "2024-07-02T14:00:02Z", "bp": 61.25, "bs": 2}  # fmt: skip
    no_trade, no_book = {"t": UNSET, "p": 0, "s": 0}, {"t": UNSET, "ap": 0, "bp": 0, "as": 0, "bs": 0}
    no_day = {"t": UNSET, "o": 0, "h": 0, "l": 0, "c": 0, "v": 0}
    entries = {
        "KO": {"latestTrade": trade, "latestQuote": no_book, "dailyBar": no_day, "prevDailyBar": no_day},
        "PEP": {"latestTrade": no_trade, "latestQuote": book, "dailyBar": no_day},
        "MO": {"latestTrade": no_trade, "latestQuote": no_book, "dailyBar": no_day},
    }
    answer = parse_snapshots(
        json.dumps(entries).encode(), asked={name: name for name in entries}, simulated=()
    )

    assert [(event["symbol"], event["last"], event["bid"]) for event in answer.events] == [
        ("KO", 61.5, None), ("PEP", None, 61.25),
    ]  # fmt: skip
    assert {event[name] for event in answer.events for name in ("volume", "previous_close")} == {None}
    assert (list(answer.rejected), list(answer.missing)) == ([], ["MO"])
