"""Finnhub's /quote → a quote event, pure: one symbol a response, all zeros for what it does not know."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from producers.vendors.answers import Answer
from producers.vendors.payloads import LAST_EPOCH_S, VendorModel, Whole, first_fault
from producers.vendors.values import quote_values, rejected
from schemas.errors import InvalidRecord, MalformedPayload, NoData
from schemas.intervals import SECOND_US
from schemas.records import Event

SAID_OF_NOTHING = (b"[]", b"{}", b"null")  # Finnhub-API issue 179: of a symbol it does not carry


class _Quote(VendorModel):
    c: Any
    pc: Any = None
    t: Whole | None


def parse_quote(payload: bytes, *, symbol: str, simulated: bool) -> Answer:
    """Return the quote a response holds; raise NoData for one without a price, MalformedPayload naming the field."""
    if payload.strip() in SAID_OF_NOTHING:
        raise NoData(f"finnhub has no quote of {symbol}")
    try:
        quote = _Quote.model_validate_json(payload)
    except ValidationError as error:
        raise MalformedPayload(f"finnhub quote: {first_fault(error)}") from error
    try:
        values = quote_values(symbol, {"last": quote.c, "previous_close": quote.pc})
    except InvalidRecord as error:
        fault = InvalidRecord(f"finnhub quote of {symbol}: {error}")
        return Answer(rejected=[rejected(symbol, fault, payload)])
    if values is None or not quote.t:
        raise NoData(f"finnhub has no quote of {symbol}")
    if not 0 < quote.t < LAST_EPOCH_S:
        raise MalformedPayload(f"finnhub quote: t is {quote.t}, which is no unix second")
    event: Event = {
        "symbol": symbol,
        "event_time": quote.t * SECOND_US,
        **values,
        "currency": "",
        "market_state": "",
        "delay_s": 0,
        "simulated": simulated,
    }
    return Answer(events=[event])
