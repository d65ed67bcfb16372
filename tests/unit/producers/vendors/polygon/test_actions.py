"""Polygon's splits and dividends, in the form of today and in the older one."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from producers.vendors.action_rows import ActionPage, action_events, action_origin
from producers.vendors.answers import ActionsRequest, Answer
from producers.vendors.polygon.actions import parse_dividends, parse_splits
from schemas.clocks import Day, WallTime, day_of, iso_day
from schemas.errors import MalformedPayload, ProviderUnentitled
from schemas.providers.polygon import FACTS
from tests.support.vendors.polygon import DIVIDENDS, SPLITS

BASE = FACTS.base_url
ASKED = {"AAPL": "AAPL", "GOOG": "GOOG", "BRK.B": "BRK.B"}
NOW = WallTime(1_795_363_230_000_000)


def events(page: ActionPage) -> Answer:
    """Return what is made of a page."""
    asked = ActionsRequest(symbols=list(ASKED.values()), first=Day(0), last=day_of(date(2199, 1, 1)))
    return action_events(page.rows, action_origin("polygon", asked, basis="as_declared"), NOW)


def page_of(*entries: object, **more: Any) -> bytes:
    """Return a page that holds entries."""
    return json.dumps({"status": "OK", "results": list(entries), **more}).encode()


def test_the_recorded_splits_parse(market_data: Path) -> None:
    """Of the older form: `split_to` shares for `split_from`, without ids; those of others cost themselves."""
    path = market_data / "vendor_fixtures" / "polygon" / "v3_reference_splits.json"
    page = parse_splits(path.read_bytes(), asked=ASKED, base_url=BASE)

    (event,) = events(page).events
    assert (event["symbol"], iso_day(event["ex_date"])) == ("GOOG", "2022-07-18")
    assert (event["type"], event["ratio_to"], event["ratio_from"]) == ("split", 20.0, 1.0)
    assert page.rejected
    assert all("was not asked for" in refused.message for refused in page.rejected)


def test_the_documented_dividend_parses() -> None:
    """With the vendor's id and its day of declaration; its cumulated factor is not kept."""
    (event,) = events(parse_dividends(DIVIDENDS, asked=ASKED, base_url=BASE)).events

    assert event["action_id"] == "Ed2c9da60abda1e3f0e99a43f6465863c137b671e1f5cd3f833d1fcb4f4eb27fe"
    assert (event["type"], event["amount"], event["currency"]) == ("cash_dividend", 0.26, "USD")
    assert (event["amount_basis"], event["price_factor"]) == ("as_declared", None)
    assert (iso_day(event["declared_date"]), event["published_precision"]) == ("2025-07-31", "date")


def test_a_split_of_today_has_its_kind_and_id() -> None:
    """Forward, reverse, and stock dividend."""
    kinds = [
        {"adjustment_type": kind, "id": kind, "ticker": "AAPL", "execution_date": "2020-08-31", "split_from": 1, "split_to": 4}
        for kind in ("forward_split", "reverse_split", "stock_dividend", "tracking_stock", 7)
    ]  # fmt: skip
    page = parse_splits(page_of(*kinds), asked=ASKED, base_url=BASE)

    assert [(event["type"], event["action_id"]) for event in events(page).events] == [
        ("split", "forward_split"), ("split", "reverse_split"), ("stock_dividend", "stock_dividend"),
    ]  # fmt: skip
    assert ["'tracking_stock'" in refused.message for refused in page.rejected] == [True, False]
    assert len(events(parse_splits(SPLITS, asked=ASKED, base_url=BASE)).events) == 1


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"distribution_type": "recurring"}, "cash_dividend"), ({"distribution_type": "special"}, "special_dividend"),
        ({"dividend_type": "CD"}, "cash_dividend"), ({"dividend_type": "SC"}, "special_dividend"),
        ({"dividend_type": "LT"}, "special_dividend"), ({}, "cash_dividend"),
    ],
)  # fmt: skip
def test_kinds_of_dividends(given: dict[str, str], kind: str) -> None:
    """In the words of both forms."""
    entry = {"ticker": "AAPL", "cash_amount": 0.26, "ex_dividend_date": "2025-08-11", **given}
    (event,) = events(parse_dividends(page_of(entry), asked=ASKED, base_url=BASE)).events

    assert event["type"] == kind


def test_the_next_page_is_one_of_the_same_origin() -> None:
    """And nothing else is followed."""
    page = parse_splits(page_of(next_url=f"{BASE}/stocks/v1/splits?cursor=1"), asked=ASKED, base_url=BASE)
    assert page.following == f"{BASE}/stocks/v1/splits?cursor=1"
    with pytest.raises(MalformedPayload, match="leads away"):
        parse_splits(page_of(next_url="https://elsewhere.example/"), asked=ASKED, base_url=BASE)


@pytest.mark.parametrize("payload", [b"", b"[]", b'{"results": {}}', SPLITS[:-20]])
def test_a_page_that_is_none_is_malformed(payload: bytes) -> None:
    """A truncated one is nothing at all."""
    for parse in (parse_splits, parse_dividends):
        with pytest.raises(MalformedPayload, match=r"polygon (splits|dividends)"):
            parse(payload, asked=ASKED, base_url=BASE)


def test_a_refusal_inside_a_200_is_one() -> None:
    """As with its other answers; entries that are no objects cost themselves."""
    with pytest.raises(ProviderUnentitled):
        parse_splits(b'{"status":"NOT_AUTHORIZED","message":"upgrade your plan"}', asked=ASKED, base_url=BASE)
    assert len(parse_splits(page_of(None, 7, [], {}), asked=ASKED, base_url=BASE).rejected) == 4
