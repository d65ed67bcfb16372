"""Shares under several names: Apple's real days under two of them, and a chain of three that others bear before and since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from schemas.entries import CorporateAction
from schemas.intervals import HOUR_US
from tests.support.corporate_actions import day, told
from tests.support.gateway_rest import Rest, rows_of
from tests.support.split_shares import a_day, file_actions, moment, real_days

OLD, NEW, WHOLE = "AAPA", "AAPH", "AAPL"  # of three partitions
JUNE = {"start": "2014-06-01", "end": "2014-07-01"}


def path(symbol: str, endpoint: str = "history") -> str:
    """Return the path of a symbol."""
    return f"/stocks/{symbol}/{endpoint}"


def rename(old: str, new: str, ex: str, **values: Any) -> CorporateAction:
    """Return a rename that was known a week before, by default."""
    known = {"known": moment(ex) - 7 * 24 * HOUR_US, "action_id": f"{old}:{new}"}
    return told("rename", ex, **({"symbol": old, "new_symbol": new} | known | values))


def under_two_names(data: Path, ex: str) -> list[Any]:
    """Return Apple's real days and actions as they are, and again under one name before a day and another since.

    Beside them what another company is told of: the new symbol before, the old one since, at prices nobody paid.
    """
    bars, actions = real_days(data, "2013-06-03", "2014-12-31"), file_actions(data)
    first = moment(ex, 0)
    split_up = [replace(bar, symbol=OLD if bar.event_time < first else NEW) for bar in bars]
    strange = [
        replace(bar, symbol=NEW if bar.event_time < first else OLD, open=1.0, high=1.0, low=1.0, close=1.0)
        for bar in bars
    ]
    named = [replace(each, symbol=OLD if each.ex_date < day(ex) else NEW) for each in actions]
    wrong = [
        replace(each, symbol=NEW if each.ex_date < day(ex) else OLD, action_id=f"strange {each.action_id}")
        for each in actions
    ]
    return [*bars, *actions, *split_up, *strange, *named, *wrong, rename(OLD, NEW, ex)]


async def said(gateway: Rest, symbol: str, query: Mapping[str, str]) -> tuple[list[Any], Any, str | None]:
    """Return the rows of an answer, or the lines of a table, what it says of them, and the token of the next page."""
    status, headers, body = await gateway.ask("GET", path(symbol), params=query)
    assert status == 200, body
    if query.get("format") == "csv":
        return body.splitlines(), headers, headers.get("X-Next-Page-Token")
    return body["data"], body["meta"], body["next_page_token"]


def few(symbol: str, *days: str, price: float) -> list[Any]:
    """Return bars of some days in June, all at one price."""
    return [a_day(f"2014-06-{each}", price, symbol=symbol) for each in days]


async def closes(gateway: Rest, symbol: str, **query: Any) -> tuple[list[float], list[str]]:
    """Return the closes of an answer, and the names it is of."""
    answer = await gateway.get(path(symbol), **(JUNE | query))
    names = [f"{each['from']} {each['symbol']} {each['to']}" for each in answer["meta"].get("names", ())]
    return rows_of(answer, "close"), names


CHAIN = (
    *few("XA", "02", "03", "04", price=1.0), *few("XD", "03", "04", "05", "06", price=2.0),
    *few("XC", "02", "05", "06", "09", price=3.0), rename("XA", "XD", "2014-06-04"), rename("XD", "XC", "2014-06-06"),
)  # fmt: skip
