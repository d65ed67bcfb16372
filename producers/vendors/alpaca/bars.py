"""Alpaca's answers → bars, the list of assets, and what its refusals mean; pure. Times are RFC 3339 with nanoseconds."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from producers.vendors.answers import ListingPage, VendorListing
from producers.vendors.bar_rows import BarPage, BarRow, bar_rows
from producers.vendors.payloads import VendorModel, first_fault, rfc3339_us
from producers.vendors.refusals import meaning
from schemas.errors import MalformedPayload, MarketDataError, ProviderUnentitled, UnknownSymbol
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


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenPart:
    """One symbol's bars of which none can be read, why, and the first of them."""

    fault: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class BarsPage:
    """One page of the bars of several symbols, by our symbol; `following` leads to the next, empty on the last."""

    parts: Mapping[str, BarPage | BrokenPart]
    following: str = ""
    delay_s: int = 0


@dataclass(frozen=True, slots=True)
class FeedBehind:
    """Nothing of what is asked for is old enough for a plan that is `late_s` behind."""

    late_s: int


class FeedNotIncluded(ProviderUnentitled):
    """The plan lacks the newest data and has the same with a delay."""


ASSETS = TypeAdapter(list[_Asset])


def vendor_symbol(symbol: str) -> str:
    """Return what Alpaca's stock endpoints call `symbol`; raise UnknownSymbol for what is no US stock."""
    name = FACTS.vendor_symbol(symbol)
    if "/" in name:
        raise UnknownSymbol(f"alpaca's stock endpoints do not know {symbol}; take another provider for it")
    return name


def spelt(symbols: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield (the vendor's symbol, ours) of those the vendor can be asked about."""
    for symbol in symbols:
        try:
            yield vendor_symbol(symbol), symbol
        except UnknownSymbol:
            continue


def parse_bars(payload: bytes, *, symbol: str) -> BarPage:
    """Return the bars of one page, none where the vendor has none; raise MalformedPayload naming the field."""
    page = parse_bars_of(payload, asked={vendor_symbol(symbol): symbol})
    part = page.parts[symbol]
    if isinstance(part, BrokenPart):
        raise MalformedPayload(part.fault)
    return replace(part, following=page.following)


def parse_bars_of(payload: bytes, *, asked: Mapping[str, str]) -> BarsPage:
    """Return the bars of one page by symbol; `asked` maps the vendor's symbol to ours.

    What is wrong with one symbol's bars is that one's; raises MalformedPayload where the page as a whole is no answer.
    """
    try:
        page = _Bars.model_validate_json(payload)
    except ValidationError as error:
        raise MalformedPayload(f"alpaca bars: {first_fault(error)}") from error
    given = page.bars or {}
    others = [name for name in given if name not in asked]
    if others:
        whose = next(iter(asked)) if len(asked) == 1 else f"others, {len(asked)} of them,"
        raise MalformedPayload(
            f"alpaca bars: bars holds {others[0][:32]!r}, {whose} {'was' if len(asked) == 1 else 'were'} asked for"
        )
    parts: dict[str, BarPage | BrokenPart] = {}
    for name, symbol in asked.items():
        entries = given.get(name) or []
        try:
            rows, unplaced = bar_rows(symbol, entries, _row)
        except MalformedPayload as error:
            parts[symbol] = BrokenPart(fault=str(error), payload=repr(entries[0]).encode())
        else:
            parts[symbol] = BarPage(rows=rows, rejected=unplaced)
    return BarsPage(parts=parts, following=page.next_page_token or "")


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
