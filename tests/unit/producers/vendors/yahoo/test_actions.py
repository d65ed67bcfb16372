"""Yahoo's chart events: recorded dividends and splits, days of the venue, kinds nobody knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from producers.vendors.action_rows import ActionPage, action_events, action_origin
from producers.vendors.answers import ActionsRequest, Answer
from producers.vendors.yahoo.actions import parse_events
from schemas.calendar.sessions import calendar_of
from schemas.clocks import Day, WallTime, iso_day
from schemas.errors import MalformedPayload, NoData, UnknownSymbol

NOW = WallTime(1_795_363_230_000_000)


def events(page: ActionPage, symbol: str = "AAPL") -> Answer:
    """Return what is made of a page."""
    asked = ActionsRequest(symbols=[symbol], first=Day(-10_000), last=Day(30_000))
    return action_events(page.rows, action_origin("yahoo", asked, basis="unknown"), NOW)


def parse(payload: bytes, symbol: str = "AAPL") -> ActionPage:
    """Return the page of a chart."""
    return parse_events(payload, symbol=symbol, calendar=calendar_of(symbol))


def chart(events: object, symbol: str = "AAPL", **meta: Any) -> bytes:
    """Return a chart without rows."""
    result = {"meta": {"symbol": symbol, "currency": "USD", **meta}, "events": events}
    return json.dumps({"chart": {"result": [result], "error": None}}).encode()


def recorded(market_data: Path, name: str) -> bytes:
    """Return the body of a recorded exchange."""
    path = market_data / "vendor_fixtures" / "yahoo" / f"{name}.json"
    return json.dumps(json.loads(path.read_text("utf-8"))["body"]).encode()


def test_apples_recorded_split_and_dividend(market_data: Path) -> None:
    """On their ex-dates in New York; nothing says when they were declared, or in whose shares the amount is."""
    found = events(parse(recorded(market_data, "chart-AAPL-2020-08-31-to-2020-11-07"))).events

    shown = [
        (e["type"], iso_day(e["ex_date"]), e["ratio_to"], e["ratio_from"], e["amount"], e["currency"])
        for e in found
    ]
    assert shown == [
        ("split", "2020-08-31", 4.0, 1.0, None, ""),
        ("cash_dividend", "2020-11-06", None, None, 0.205, "USD"),
    ]  # fmt: skip
    assert {(e["event_time"], e["published_precision"], e["state"]) for e in found} == {
        (NOW, "none", "confirmed")
    }
    assert found[1]["amount_basis"] == "unknown"


def test_microsofts_recorded_year(market_data: Path) -> None:
    """Four payments."""
    name = "historical-via-chart-MSFT-dividends-2021-02-01-to-2022-01-31.csv"
    found = events(parse(recorded(market_data, name), "MSFT"), "MSFT").events

    assert [(iso_day(event["ex_date"]), event["amount"]) for event in found] == [
        ("2021-02-17", 0.56), ("2021-05-19", 0.56), ("2021-08-18", 0.56), ("2021-11-17", 0.62),
    ]  # fmt: skip


def test_a_chart_without_events_has_none(market_data: Path) -> None:
    """Bitcoin pays nothing."""
    assert parse(recorded(market_data, "chart-BTC-USD-2020-01-01-to-2020-01-03"), "BTC-USD") == ActionPage(
        rows=[], rejected=[]
    )


def test_history_goes_back_beyond_the_epoch() -> None:
    """Coca-Cola paid in 1962."""
    page = parse(chart({"dividends": {"-246015000": {"amount": 0.0016, "date": -246_015_000}}}, "KO"), "KO")

    assert [iso_day(event["ex_date"]) for event in events(page, "KO").events] == ["1962-03-16"]


def test_a_simulated_exchange_is_said() -> None:
    """The one place where the format can."""
    page = parse(
        chart({"dividends": {"1": {"amount": 1, "date": 1_700_000_000}}}, "SIM001", exchangeName="SIM"),
        "SIM001",
    )

    assert events(page, "SIM001").events[0]["simulated"] is True


@pytest.mark.parametrize(
    "entry", [7, None, [], {"date": "soon", "amount": 1}, {"date": 1e30, "amount": 1}, {"date": 10**15}]
)
def test_a_bad_event_costs_itself(entry: object) -> None:
    """One without a day, too."""
    good = {"amount": 0.205, "date": 1_604_673_000}
    page = parse(chart({"dividends": {"1": entry, "2": good, "3": {"amount": 1}}}))
    answer = events(page)

    assert len(answer.events) == 1
    assert len(answer.rejected) + len(page.rejected) == 2


def test_a_kind_nobody_knows_is_named() -> None:
    """Funds have capital gains, which are not asked for."""
    (refused,) = parse(chart({"capitalGains": {"1": {"amount": 1, "date": 1}}})).rejected

    assert "'capitalGains' is a kind that is not known" in refused.message


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"{}", chart({"splits": []}), chart({}, "MSFT"), chart({"splits": {}})[:-5]]
)
def test_a_chart_that_is_none_is_malformed(payload: bytes) -> None:
    """Another symbol's, too."""
    with pytest.raises(MalformedPayload, match="yahoo events"):
        parse(payload)


def test_refusals_are_those_of_charts() -> None:
    """Said inside a 200."""
    for words, expected in (
        ("No data found, symbol may be delisted", UnknownSymbol),
        ("Data doesn't exist", NoData),
    ):
        error = {"code": "Not Found", "description": words}
        with pytest.raises(expected):
            parse(json.dumps({"chart": {"result": None, "error": error}}).encode())
    with pytest.raises(NoData):
        parse(b'{"chart": {"result": [], "error": null}}')
