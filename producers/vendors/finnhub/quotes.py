"""Finnhub's /quote → a quote event, pure: one symbol a response, all zeros for what it does not know."""

from __future__ import annotations

from pydantic import ValidationError

from producers.vendors.answers import Answer, RejectedValue
from producers.vendors.bar_rows import refused
from producers.vendors.payloads import LAST_EPOCH_S, VendorModel, first_fault
from schemas.errors import InvalidRecord, MalformedPayload, NoData
from schemas.intervals import SECOND_US
from schemas.records import Event


class _Quote(VendorModel):
    c: float
    pc: float | None = None
    t: int


def parse_quote(payload: bytes, *, symbol: str, simulated: bool) -> Answer:
    """Return the quote a response holds; raise NoData for the all-zero one, MalformedPayload naming the field."""
    try:
        quote = _Quote.model_validate_json(payload)
    except ValidationError as error:
        raise MalformedPayload(f"finnhub quote: {first_fault(error)}") from error
    if quote.t == 0:
        raise NoData(f"finnhub has no quote of {symbol}")
    if not 0 < quote.t < LAST_EPOCH_S:
        raise MalformedPayload(f"finnhub quote: t is {quote.t}, which is no unix second")
    values = {"last": quote.c, "previous_close": quote.pc or None}
    refusal = refused({name: value for name, value in values.items() if value is not None})
    if refusal is not None:
        return Answer(rejected=[_rejected(symbol, f"finnhub quote of {symbol}: {refusal}", payload)])
    event: Event = {
        "symbol": symbol,
        "event_time": quote.t * SECOND_US,
        **dict.fromkeys(("bid", "ask", "bid_size", "ask_size", "last_size", "volume")),
        **values,
        "currency": "",
        "market_state": "",
        "delay_s": 0,
        "simulated": simulated,
    }
    return Answer(events=[event])


def _rejected(symbol: str, message: str, payload: bytes) -> RejectedValue:
    return RejectedValue(symbol=symbol, reason=InvalidRecord.reason, message=message[:300], payload=payload)
