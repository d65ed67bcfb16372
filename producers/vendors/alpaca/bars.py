"""Alpaca's answers → bars, the list of assets, and what its refusals mean; pure. Times are RFC 3339 with nanoseconds."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from producers.vendors.answers import ListingPage, VendorListing
from producers.vendors.bar_rows import BarPage, BarRow, bar_rows
from producers.vendors.payloads import VendorModel, first_fault, rfc3339_us
from producers.vendors.refusals import meaning
from schemas.errors import MalformedPayload, MarketDataError, UnknownSymbol
from schemas.providers.alpaca import FACTS

CURRENCY = "USD"
WORD = re.compile(r"[A-Z0-9]+(?:\.[A-Z0-9]+)*")
RECENT_SIP = "recent sip"  # a free plan asked for the newest consolidated data


class _Bars(VendorModel):
    bars: dict[str, list[Any] | None] | None
    next_page_token: str | None = Field(default=None, alias="next_page_token")


class _Asset(VendorModel):
    symbol: str
    name: str | None = None
    kind: str | None = Field(default=None, alias="class")
    exchange: str | None = None


class _Refusal(VendorModel):
    message: str | None = None


ASSETS = TypeAdapter(list[_Asset])


def vendor_symbol(symbol: str) -> str:
    """Return what Alpaca's stock endpoints call `symbol`; raise UnknownSymbol for what is no US stock."""
    name = FACTS.vendor_symbol(symbol)
    if "/" in name:
        raise UnknownSymbol(f"alpaca's stock endpoints do not know {symbol}; take another provider for it")
    return name


def parse_bars(payload: bytes, *, symbol: str) -> BarPage:
    """Return the bars of one page, none where the vendor has none; raise MalformedPayload naming the field."""
    try:
        page = _Bars.model_validate_json(payload)
    except ValidationError as error:
        raise MalformedPayload(f"alpaca bars: {first_fault(error)}") from error
    asked, given = vendor_symbol(symbol), page.bars or {}
    others = [name for name in given if name != asked]
    if others:
        raise MalformedPayload(f"alpaca bars: bars holds {others[0][:32]!r}, {asked} was asked for")
    rows, unplaced = bar_rows(symbol, given.get(asked) or (), _row)
    return BarPage(rows=rows, rejected=unplaced, following=page.next_page_token or "")


def _row(bar: Any) -> BarRow:
    values = tuple(bar.get(name) for name in "ohlcv")
    time = rfc3339_us(bar["t"], "alpaca bars: t")
    return BarRow(time=time, values=values, vwap=bar.get("vw"), trade_count=bar.get("n"))


def parse_assets(payload: bytes) -> ListingPage:
    """Return the assets a response lists; raise MalformedPayload naming the field."""
    try:
        assets = ASSETS.validate_json(payload)
    except ValidationError as error:
        raise MalformedPayload(f"alpaca assets: {first_fault(error)}") from error
    return ListingPage(
        listings=tuple(
            VendorListing(
                symbol=asset.symbol,
                name=asset.name or "",
                kind=asset.kind or "",
                venue=asset.exchange or "",
                currency=CURRENCY,
            )
            for asset in assets
        )
    )


def named(payload: bytes, names: Collection[str]) -> frozenset[str]:
    """Return which of the symbols asked for a refusal names, as in `invalid symbol: ABC1`."""
    return frozenset(WORD.findall(_words(payload) or "")) & frozenset(names)


def needs_another_feed(payload: bytes) -> bool:
    """Whether a 403 says that the plan lacks the newest consolidated data, which another feed has."""
    return RECENT_SIP in (_words(payload) or "").lower()


def refusal(status: int, payload: bytes, about: str) -> MarketDataError:
    """Return what a 4xx answer about `about` means."""
    return meaning(FACTS, status, (_words(payload),), about=about)


def _words(payload: bytes) -> str | None:
    try:
        return _Refusal.model_validate_json(payload).message
    except ValidationError:
        return payload[:200].decode("utf-8", "replace")  # the vendor's edge speaks plain text
