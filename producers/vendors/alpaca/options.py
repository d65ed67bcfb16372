"""Alpaca's option snapshots → rows of legs, pure: contracts by name, 1,000 a page, without underlying and open interest."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from pydantic import Field, ValidationError

from producers.vendors.alpaca.bars import CURRENCY
from producers.vendors.alpaca.quotes import UNSET
from producers.vendors.option_rows import ChainPage, LegRow, inner, leg_rows
from producers.vendors.payloads import VendorModel, first_fault, rfc3339_us
from schemas.clocks import EventTime
from schemas.errors import MalformedPayload

PLACE = "alpaca options"
PARTS = ("latestQuote", "latestTrade", "greeks", "dailyBar")


class _Chain(VendorModel):
    snapshots: dict[str, Any] | None
    next_page_token: str | None = Field(default=None, alias="next_page_token")


def parse_chain(payload: bytes, *, symbol: str, delay_s: int = 0) -> ChainPage:
    """Return the contracts of one page of a feed that is `delay_s` behind; raise MalformedPayload naming the field."""
    try:
        page = _Chain.model_validate_json(payload)
    except ValidationError as error:
        raise MalformedPayload(f"{PLACE}: {first_fault(error)}") from error
    named = [{name: snapshot} for name, snapshot in (page.snapshots or {}).items()]
    rows, refused = leg_rows(PLACE, symbol, named, partial(_row, delay_s))
    return ChainPage(rows=rows, rejected=refused, following=page.next_page_token or "")


def _row(delay_s: int, entry: Mapping[str, Any]) -> LegRow:
    ((name, snapshot),) = entry.items()
    quote, trade, greeks, day = (inner(snapshot, part, PLACE) for part in PARTS)
    return LegRow(
        name=name,
        entry=entry,
        given={
            "bid": quote.get("bp"),
            "ask": quote.get("ap"),
            "bid_size": quote.get("bs"),
            "ask_size": quote.get("as"),
            "last": trade.get("p"),
            "last_size": trade.get("s"),
            "volume": day.get("v"),
            "vendor_iv": snapshot.get("impliedVolatility"),
            **{f"vendor_{greek}": value for greek, value in greeks.items()},
        },
        quote_time=_moment(quote, "latestQuote.t"),
        last_time=_moment(trade, "latestTrade.t"),
        counted=_moment(day, "dailyBar.t"),
        currency=CURRENCY,
        delay_s=delay_s,
    )


def _moment(part: Mapping[str, Any], place: str) -> EventTime | None:
    stamp = part.get("t")
    if stamp is None or stamp == UNSET:
        return None
    if not isinstance(stamp, str):
        raise MalformedPayload(f"{PLACE}: {place} is {stamp!r:.40}, which is no RFC 3339 time")
    return rfc3339_us(stamp, f"{PLACE}: {place}")
