"""Yahoo's quote answers → quote events, pure: /v7/finance/quote, many symbols a response."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from producers.vendors.answers import Answer, RejectedValue
from producers.vendors.bar_rows import refused
from producers.vendors.payloads import LAST_EPOCH_S, VendorModel, first_fault
from producers.vendors.yahoo.bars import SIMULATED_EXCHANGE, asked_symbol
from schemas.errors import InvalidRecord, MalformedPayload, PermanentError, ProviderRefused
from schemas.intervals import SECOND_US
from schemas.records import Event

MARKET_STATES = {
    "PREPRE": "closed",
    "PRE": "pre",
    "REGULAR": "regular",
    "POST": "post",
    "POSTPOST": "closed",
    "CLOSED": "closed",
}
LONGEST_DELAY_S = 86_400


class _Error(VendorModel):
    code: str | None = None
    description: str | None = None


class _QuoteResponse(VendorModel):
    result: list[Any] | None = None
    error: _Error | None = None


class _QuoteDocument(VendorModel):
    quote_response: _QuoteResponse


class _Quote(VendorModel):
    symbol: str
    quote_type: str | None = None
    currency: str | None = None
    exchange: str | None = None
    market_state: str | None = None
    exchange_data_delayed_by: float | None = None
    bid: float | None = None
    ask: float | None = None
    bid_size: float | None = None
    ask_size: float | None = None
    regular_market_price: float | None = None
    regular_market_time: int | None = None
    pre_market_price: float | None = None
    pre_market_time: int | None = None
    post_market_price: float | None = None
    post_market_time: int | None = None
    regular_market_volume: float | None = None
    regular_market_previous_close: float | None = None


def parse_quotes(payload: bytes, *, asked: Mapping[str, str]) -> Answer:
    """Return one quote per symbol in the vendor's order; `asked` maps the vendor's symbol to ours.

    A quote that cannot be used is rejected alone; symbols the vendor leaves out are `missing`. Raises
    MalformedPayload naming the field when the response as a whole cannot be used.
    """
    try:
        response = _QuoteDocument.model_validate_json(payload).quote_response
    except ValidationError as error:
        raise MalformedPayload(f"yahoo quote: {first_fault(error)}") from error
    if response.error is not None:
        raise ProviderRefused(
            f"yahoo refused the quotes: {response.error.code}: {response.error.description}"
        )
    events: dict[str, Event] = {}
    rejected: list[RejectedValue] = []
    for entry in response.result or ():
        name = entry.get("symbol") if isinstance(entry, dict) else None
        symbol = asked_symbol(name, asked) if isinstance(name, str) else ""
        try:
            quote = _Quote.model_validate(entry)
            if symbol and quote.quote_type != "NONE":
                events[symbol] = _quote_event(symbol, quote)
        except ValidationError as error:
            fault = MalformedPayload(f"yahoo quote: {first_fault(error)}")
            rejected.append(_rejected(symbol, fault, entry))
        except (MalformedPayload, InvalidRecord) as error:
            rejected.append(_rejected(symbol, error, entry))
    answered = {*events, *(entry.symbol for entry in rejected)}
    return Answer(
        events=list(events.values()),
        rejected=rejected,
        missing=[symbol for symbol in asked.values() if symbol not in answered],
    )


def _quote_event(symbol: str, quote: _Quote) -> Event:
    # The keys of pre- and post-market exist only while they say something, so the newest stamp is the last trade.
    stamped = [
        (time_s, price)
        for time_s, price in (
            (quote.regular_market_time, quote.regular_market_price),
            (quote.pre_market_time, quote.pre_market_price),
            (quote.post_market_time, quote.post_market_price),
        )
        if time_s is not None and price is not None
    ]
    if not stamped:
        raise MalformedPayload(f"yahoo quote: {symbol} has no regularMarketTime with a regularMarketPrice")
    time_s, last = max(stamped)
    if not 0 < time_s < LAST_EPOCH_S:
        raise MalformedPayload(f"yahoo quote: {symbol} is stamped {time_s}, which is no unix second")
    values = {
        "bid": quote.bid or None,  # 0 is Yahoo's way of saying that nobody bids
        "ask": quote.ask or None,
        "bid_size": quote.bid_size if quote.bid else None,
        "ask_size": quote.ask_size if quote.ask else None,
        "last": last,
        "last_size": None,
        "volume": quote.regular_market_volume,
        "previous_close": quote.regular_market_previous_close,
    }
    checked = {**values, "exchangeDataDelayedBy": quote.exchange_data_delayed_by}
    refusal = refused({name: value for name, value in checked.items() if value is not None})
    if refusal is not None:
        raise InvalidRecord(f"yahoo quote: {symbol}: {refusal}")
    return {
        "symbol": symbol,
        "event_time": time_s * SECOND_US,
        **values,
        "currency": quote.currency or "",
        "market_state": MARKET_STATES.get(quote.market_state or "", ""),
        "delay_s": int(min((quote.exchange_data_delayed_by or 0) * 60, LONGEST_DELAY_S)),
        "simulated": quote.exchange == SIMULATED_EXCHANGE,
    }


def _rejected(symbol: str, fault: PermanentError, entry: object) -> RejectedValue:
    return RejectedValue(
        symbol=symbol, reason=fault.reason, message=str(fault), payload=json.dumps(entry).encode()
    )
