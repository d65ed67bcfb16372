"""Polygon's (Massive's) answers: aggregates → bars, and the list of tickers; pure.

Stamps are milliseconds; keys are missing rather than null.
"""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from producers.vendors.answers import ListingPage, VendorListing
from producers.vendors.bar_rows import BarPage, BarRow, bar_rows
from producers.vendors.payloads import VendorModel, checked_us, first_fault, whole
from producers.vendors.refusals import meaning
from schemas.errors import MalformedPayload, MarketDataError
from schemas.providers.polygon import FACTS

DELAYED = "DELAYED"  # the status of plans that are fifteen minutes behind
SAID_NO = ("ERROR", "NOT_AUTHORIZED", "NOT_FOUND")
PAIR_PREFIXES, INDEX_PREFIX = ("X:", "C:"), "I:"
HTTP_PORTS = {"http": 80, "https": 443}


class Said(VendorModel):
    """Words every answer may hold beside, or instead of, its results."""

    status: str | None = None
    error: str | None = None
    message: str | None = None


class _Aggregates(Said):
    ticker: str | None = None
    adjusted: bool | None = None
    results: list[Any] | None = None
    next_url: str | None = Field(default=None, alias="next_url")


class _Ticker(VendorModel):
    ticker: str
    name: str | None = None
    market: str | None = None
    primary_exchange: str | None = Field(default=None, alias="primary_exchange")
    currency_name: str | None = Field(default=None, alias="currency_name")


class _Tickers(Said):
    results: list[_Ticker] | None = None
    next_url: str | None = Field(default=None, alias="next_url")


def currency_of(ticker: str) -> str:
    """Return the currency a ticker is priced in: the second of a pair, none for an index, else US dollars."""
    if ticker.startswith(PAIR_PREFIXES):
        return ticker[-3:]
    return "" if ticker.startswith(INDEX_PREFIX) else "USD"


def parse_aggregates(payload: bytes, *, symbol: str, base_url: str) -> BarPage:
    """Return the bars of one page, none where `results` is missing; raise MalformedPayload naming the field.

    The next page's address is only taken where it leads to the origin of `base_url`.
    """
    try:
        page = _Aggregates.model_validate_json(payload)
    except ValidationError as error:
        raise MalformedPayload(f"polygon aggs: {first_fault(error)}") from error
    raise_refusal(page, symbol)
    asked = FACTS.vendor_symbol(symbol)
    if page.ticker not in (None, asked):
        raise MalformedPayload(f"polygon aggs: ticker is {page.ticker[:32]!r}, {asked} was asked for")
    rows, unplaced = bar_rows(symbol, page.results or (), partial(_row, asked))
    return BarPage(
        rows=rows,
        rejected=unplaced,
        following=following_address(page.next_url, base_url),
        adjustment_state="split" if page.adjusted else "raw",
        delay_s=delay_s(page),
    )


def _row(asked: str, bar: Any) -> BarRow:
    if bar.get("T") not in (None, asked):
        raise MalformedPayload(f"polygon aggs: T is {bar['T']!r:.40}, {asked} was asked for")
    time = checked_us(whole(bar["t"], "polygon aggs: t"), "ms", "polygon aggs: t")
    values = tuple(bar.get(name) for name in "ohlcv")
    return BarRow(time=time, values=values, vwap=bar.get("vw"), trade_count=bar.get("n"))


def parse_tickers(payload: bytes, *, base_url: str) -> ListingPage:
    """Return one page of the list of tickers; raise MalformedPayload naming the field."""
    try:
        page = _Tickers.model_validate_json(payload)
    except ValidationError as error:
        raise MalformedPayload(f"polygon tickers: {first_fault(error)}") from error
    raise_refusal(page, "the list of tickers")
    listings = tuple(
        VendorListing(
            symbol=row.ticker,
            name=row.name or "",
            kind=row.market or "",
            venue=row.primary_exchange or "",
            currency=(row.currency_name or "").upper(),
        )
        for row in page.results or ()
    )
    return ListingPage(listings=listings, following=following_address(page.next_url, base_url))


def following_address(next_url: str | None, base_url: str) -> str:
    """Return the next page's address, empty on the last; our key goes with it, so it must lead to the same origin."""
    if not next_url:
        return ""
    try:
        given, ours = urlsplit(next_url), urlsplit(base_url)
        same = (given.scheme, given.hostname, given.port or HTTP_PORTS.get(given.scheme)) == (
            *(ours.scheme, ours.hostname, ours.port or HTTP_PORTS.get(ours.scheme)),
        )
    except ValueError:
        same = False
    if not same or "@" in given.netloc:
        raise MalformedPayload("polygon: next_url leads away from the base URL; it is not followed")
    return next_url


def refusal(status: int, payload: bytes, about: str) -> MarketDataError:
    """Return what a 4xx answer about `about` means."""
    try:
        said = Said.model_validate_json(payload)
        words = (said.status, said.error, said.message)
    except ValidationError:
        words = (payload[:200].decode("utf-8", "replace"), None, None)
    return meaning(FACTS, status, words, about=about)


def delay_s(said: Said) -> int:
    """Return how many seconds an answer is behind, by its status."""
    return FACTS.delay_s if said.status == DELAYED else 0


def raise_refusal(said: Said, about: str) -> None:
    """Raise what a 200 means that says no after all; return where it does not."""
    if said.status in SAID_NO:
        status = 404 if said.status == "NOT_FOUND" else 200
        raise meaning(FACTS, status, (said.status, said.error, said.message), about=about)
