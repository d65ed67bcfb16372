"""Yahoo's option chains → rows of legs, pure: /v7/finance/options, one expiry a response, beside a quote of the underlying.

Legs have the stamp of their last trade and none of bid and ask, which are 0 out of hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from pydantic import ValidationError

from producers.vendors.answers import RejectedValue
from producers.vendors.option_rows import NO_UNDERLYING, ChainPage, LegRow, UnderlyingQuote, leg_rows
from producers.vendors.payloads import VendorModel, checked_us, first_fault, whole
from producers.vendors.values import rejected
from producers.vendors.yahoo.bars import SIMULATED_EXCHANGE, asked_symbol, said_no
from producers.vendors.yahoo.quotes import quote_of
from schemas.clocks import Day, EventTime
from schemas.errors import (
    InvalidRecord,
    MalformedPayload,
    MarketDataError,
    NoData,
    ProviderBanned,
    UnknownSymbol,
)
from schemas.intervals import DAY_US
from schemas.providers.yahoo import FACTS
from schemas.records import Event
from schemas.symbols.occ import STANDARD_MULTIPLIER

PLACE = "yahoo options"
REGULAR = "REGULAR"
MULTIPLIERS = {REGULAR: STANDARD_MULTIPLIER, "MINI": 10}
SIDES = (("calls", "C"), ("puts", "P"))


class _Said(VendorModel):
    code: str | None = None
    description: str | None = None


class _Result(VendorModel):
    underlying_symbol: str | None = None
    expiration_dates: list[Any] | None = None
    quote: Any = None
    options: list[Any] | None = None


class _Chain(VendorModel):
    result: list[_Result] | None = None
    error: _Said | None = None


class _ChainDocument(VendorModel):
    option_chain: _Chain


class _Refusal(VendorModel):
    option_chain: _Chain | None = None
    finance: _Chain | None = None


class _Side(VendorModel):
    calls: list[Any] | None = None
    puts: list[Any] | None = None


def parse_chain(payload: bytes, *, symbol: str) -> ChainPage:
    """Return the contracts of a response, none for an expiry that is not listed.

    What is wrong with the underlying's quote costs that alone. Raises NoData for a symbol without options, UnknownSymbol, and
    MalformedPayload naming the field that is wrong.
    """
    result = _result(payload, symbol)
    underlying, delay_s, faults = _underlying(symbol, result.quote)
    rows: list[LegRow] = []
    for listed in result.options or ():
        try:
            side = _Side.model_validate(listed)
        except ValidationError as error:
            raise MalformedPayload(f"{PLACE}: {symbol}: options: {first_fault(error)}") from error
        for name, right in SIDES:
            read = partial(_row, right, underlying, delay_s)
            found, refused = leg_rows(PLACE, symbol, getattr(side, name) or (), read)
            rows += found
            faults += refused
    simulated = isinstance(result.quote, dict) and result.quote.get("exchange") == SIMULATED_EXCHANGE
    return ChainPage(rows=rows, rejected=faults, simulated=simulated)


def parse_expiries(payload: bytes, *, symbol: str) -> Sequence[Day]:
    """Return the days on which options of a symbol expire, ascending; raises as `parse_chain`."""
    result = _result(payload, symbol)
    return sorted({_expiry(stamp, "expirationDates") for stamp in result.expiration_dates or ()})


def refusal(status: int, payload: bytes, symbol: str) -> MarketDataError:
    """Return what a 4xx answer means."""
    if status == 403:
        return ProviderBanned(FACTS.name, FACTS.words.ban_s)
    try:
        document = _Refusal.model_validate_json(payload)
    except ValidationError:
        return said_no("", symbol, status=status)
    said = document.option_chain or document.finance
    error = said.error if said is not None else None
    return said_no(f"{error.code}: {error.description}" if error else "", symbol, status=status)


def _result(payload: bytes, symbol: str) -> _Result:
    try:
        chain = _ChainDocument.model_validate_json(payload).option_chain
    except ValidationError as error:
        raise MalformedPayload(f"{PLACE}: {first_fault(error)}") from error
    if chain.error is not None:
        raise said_no(f"{chain.error.code}: {chain.error.description}", symbol, status=200)
    if not chain.result:
        raise UnknownSymbol(f"yahoo has no option chain of {symbol}; check its spelling in the configuration")
    result = chain.result[0]
    name = result.underlying_symbol
    if name is not None and asked_symbol(name, {FACTS.vendor_symbol(symbol): symbol}) != symbol:
        raise MalformedPayload(f"{PLACE}: underlyingSymbol is {name[:32]!r}, {symbol} was asked for")
    if result.expiration_dates == []:
        raise NoData(f"yahoo has no options of {symbol}; take it out of the stream of options")
    return result


def _underlying(symbol: str, quote: object) -> tuple[UnderlyingQuote, int, list[RejectedValue]]:
    """Return the underlying's prices, how many seconds they are delayed, and what is wrong with them."""
    if quote is None:
        return NO_UNDERLYING, 0, []
    try:
        event = quote_of(symbol, quote)
    except (InvalidRecord, MalformedPayload) as error:
        fault = InvalidRecord(f"{PLACE}: {symbol}: the underlying's quote: {error}")
        return NO_UNDERLYING, 0, [rejected(symbol, fault, quote)]
    return (NO_UNDERLYING, 0, []) if event is None else (_prices(event), event["delay_s"], [])


def _prices(event: Event) -> UnderlyingQuote:
    # An index may stand at zero or below, and then nobody trades options on it.
    price, bid, ask = (
        value if value and value > 0 else None for value in map(event.get, ("last", "bid", "ask"))
    )
    return UnderlyingQuote(price=price, bid=bid, ask=ask, time=event["event_time"])


def _row(right: str, underlying: UnderlyingQuote, delay_s: int, entry: Any) -> LegRow:
    size = entry.get("contractSize", REGULAR)
    expiry, traded = entry.get("expiration"), entry.get("lastTradeDate")
    currency = entry.get("currency")
    return LegRow(
        name=entry["contractSymbol"],
        entry=entry,
        strike=entry.get("strike"),
        right=right,
        expiry=None if expiry is None else _expiry(expiry, "expiration"),
        given={
            "bid": entry.get("bid"),
            "ask": entry.get("ask"),
            "last": entry.get("lastPrice"),
            "volume": entry.get("volume"),
            "open_interest": entry.get("openInterest"),
            "multiplier": MULTIPLIERS.get(size, STANDARD_MULTIPLIER),
            "vendor_iv": entry.get("impliedVolatility"),
        },
        last_time=_second(traded, "lastTradeDate") if traded else None,
        currency=currency if isinstance(currency, str) else "",
        is_nonstandard=size != REGULAR,
        underlying=underlying,
        delay_s=delay_s,
    )


def _second(stamp: object, place: str) -> EventTime:
    return checked_us(whole(stamp, f"{PLACE}: {place}"), "s", f"{PLACE}: {place}")


def _expiry(stamp: object, place: str) -> Day:
    """Return the day of an expiry, which Yahoo gives as the second it begins at in UTC."""
    return Day(_second(stamp, place) // DAY_US)
