"""Alpaca's kinds of actions, each by its documented example, and the day that counts."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from producers.vendors.action_rows import ActionPage, action_events, action_origin
from producers.vendors.alpaca.actions import KINDS, parse_actions
from producers.vendors.answers import ActionsRequest, Answer
from schemas.clocks import Day, WallTime, day_of, iso_day
from schemas.errors import MalformedPayload
from tests.support.vendors.alpaca import ACTIONS, EXAMPLES

ASKED = {"AAA": "AAA"}
NOW = WallTime(1_795_363_230_000_000)


def parse(**kinds: list[Any]) -> ActionPage:
    """Return the page that lists entries by kind."""
    return parse_actions(
        json.dumps({"corporate_actions": kinds, "next_page_token": None}).encode(), asked=ASKED
    )


def events(page: ActionPage) -> Answer:
    """Return what is made of a page."""
    asked = ActionsRequest(symbols=["AAA"], first=Day(0), last=day_of(date(2199, 1, 1)))
    return action_events(page.rows, action_origin("alpaca", asked, basis="as_declared"), NOW)


# type, ex-date, ratio, amount, new symbol, child symbol
MEANT = {
    "forward_splits": ("split", "2024-03-12", (2.0, 1.0), None, "", ""),
    "reverse_splits": ("split", "2024-03-14", (1.0, 50.0), None, "", ""),
    "unit_splits": ("merger", "2024-03-01", (1.0, 1.0), None, "AAB", "AAAW"),
    "cash_dividends": ("cash_dividend", "2024-03-04", (None, None), 0.125, "", ""),
    "stock_dividends": ("stock_dividend", "2024-03-19", (1.05, 1.0), None, "", ""),
    "spin_offs": ("spin_off", "2024-03-15", (1.0, 19.35), None, "", "SPUN"),
    "cash_mergers": ("merger", "2024-03-18", (None, None), 5.37, "", ""),
    "stock_mergers": ("merger", "2024-03-20", (0.895, 1.0), None, "BBB", ""),
    "stock_and_cash_mergers": ("merger", "2024-03-18", (0.7733, 1.0), 7.8, "BBB", ""),
    "redemptions": ("delisting", "2024-03-13", (None, None), 0.141134, "", ""),
    "name_changes": ("rename", "2024-03-15", (None, None), None, "ZZZ", ""),
    "worthless_removals": ("delisting", "2024-03-19", (None, None), None, "", ""),
    "rights_distributions": ("rights", "2024-03-18", (1.0, 1.0), None, "", "AAA.RTWI"),
    "reorganizations": ("merger", "2024-03-19", (1.0, 2.0), 1.5, "NEW1", ""),
    "capital_gains_distributions": ("special_dividend", "2024-03-19", (None, None), 0.25, "", ""),
}


@pytest.mark.parametrize("kind", MEANT)
def test_a_kind_is_read_as_what_it_is(kind: str) -> None:
    """All but partial calls, which leave the price alone; rights of a Sunday are of the Monday."""
    (event,) = events(parse(**{kind: [EXAMPLES[kind]]})).events

    ratio = (event["ratio_to"], event["ratio_from"])
    assert (
        event["type"], iso_day(event["ex_date"]), ratio, event["amount"], event["new_symbol"], event["child_symbol"],
    ) == MEANT[kind]  # fmt: skip
    assert (event["action_id"], event["published_at"], event["currency"]) == (EXAMPLES[kind]["id"], None, "")


def test_every_kind_has_an_example() -> None:
    """And partial calls are none of them; together they make one page."""
    assert set(MEANT) == set(KINDS)
    page = parse_actions(ACTIONS, asked=ASKED)
    assert (len(page.rows), page.rejected) == (len(KINDS), [])
    assert parse(partial_calls=[EXAMPLES["partial_calls"]]) == ActionPage(rows=[], rejected=[])


def test_the_day_of_payment_never_counts() -> None:
    """Of a split without an ex-date the day it is processed does, of a dividend nothing."""
    split, paid = dict(EXAMPLES["forward_splits"]), dict(EXAMPLES["cash_dividends"])
    del split["ex_date"], paid["ex_date"]
    answer = events(parse(forward_splits=[split], cash_dividends=[paid]))

    (event,), (refused,) = answer.events, answer.rejected
    assert iso_day(event["ex_date"]) == split["process_date"]
    assert iso_day(event["pay_date"]) == "2024-03-11"
    assert "ex_date is missing" in refused.message


def test_dividends_of_kinds() -> None:
    """Special, and a return of capital, and in a currency."""
    entry = EXAMPLES["cash_dividends"]
    special = entry | {"id": "1", "special": True, "currency": "CAD"}
    returned = entry | {"id": "2", "sub_type": "return_of_capital"}
    found = events(parse(cash_dividends=[special, returned])).events

    assert [(event["type"], event["currency"]) for event in found] == [
        ("special_dividend", "CAD"), ("return_of_capital", ""),
    ]  # fmt: skip


def test_an_unknown_kind_and_another_symbol_cost_themselves() -> None:
    """A merger is its acquiree's: that it names who was asked for is no fault."""
    other = EXAMPLES["forward_splits"] | {"symbol": "OTHER"}
    acquired = EXAMPLES["stock_mergers"] | {"acquiree_symbol": "CCC", "acquirer_symbol": "AAA"}
    page = parse(tokenizations=[{"symbol": "AAA"}], forward_splits=[other, 7], stock_mergers=[acquired])

    assert not page.rows
    assert [(refused.symbol, refused.message.split(": ")[1]) for refused in page.rejected] == [
        ("AAA", "tokenizations"), ("", "forward_splits"), ("", "forward_splits"),
    ]  # fmt: skip
    assert "a kind that is not known" in page.rejected[0].message


def test_a_reorganization_into_several_has_no_ratio() -> None:
    """No single one holds."""
    several = EXAMPLES["reorganizations"]["stock_movements"] * 2
    (event,) = events(
        parse(reorganizations=[EXAMPLES["reorganizations"] | {"stock_movements": several}])
    ).events

    assert (event["ratio_to"], event["new_symbol"], event["amount"]) == (None, "", 1.5)


@pytest.mark.parametrize(
    "payload",
    [b"", b"{}", b'{"corporate_actions": []}', b'{"corporate_actions":{"spin_offs":{}}}', ACTIONS[:-20]],
)
def test_a_page_that_is_none_is_malformed(payload: bytes) -> None:
    """A truncated one is nothing at all."""
    with pytest.raises(MalformedPayload, match="alpaca actions"):
        parse_actions(payload, asked=ASKED)


def test_the_token_leads_on() -> None:
    """Null on the last page, whose object may be empty."""
    page = parse_actions(b'{"corporate_actions":{},"next_page_token":"more"}', asked=ASKED)

    assert (page.following, page.rows) == ("more", [])
