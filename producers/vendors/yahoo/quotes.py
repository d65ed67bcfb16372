"""Yahoo's quote answers → quote events, pure: /v7/finance/quote, many symbols a response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from producers.vendors.answers import Answer, RejectedValue
from producers.vendors.payloads import LAST_EPOCH_S, VendorModel, Whole, first_fault
from producers.vendors.values import price, quote_values, rejected, size
from producers.vendors.yahoo.bars import SIMULATED_EXCHANGE, asked_symbol
from schemas.errors import InvalidRecord, MalformedPayload, ProviderRefused
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
    exchange_data_delayed_by: Any = None
    bid: Any = None
    ask: Any = None
    bid_size: Any = None
    ask_size: Any = None
    regular_market_price: Any = None
    regular_market_time: Whole | None = None
    pre_market_price: Any = None
    pre_market_time: Whole | None = None
    post_market_price: Any = None
    post_market_time: Whole | None = None
    regular_market_volume: Any = None
    regular_market_previous_close: Any = None


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
    refused: list[RejectedValue] = []
    for entry in response.result or ():
        name = entry.get("symbol") if isinstance(entry, dict) else None
        symbol = asked_symbol(name, asked) if isinstance(name, str) else ""
        try:
            event = quote_of(symbol, entry)
            if event is not None:
                events[symbol] = event
        except (MalformedPayload, InvalidRecord) as error:
            refused.append(rejected(symbol, error, entry))
    answered = {*events, *(entry.symbol for entry in refused)}
    return Answer(
        events=list(events.values()),
        rejected=refused,
        missing=[symbol for symbol in asked.values() if symbol not in answered],
    )


def quote_of(symbol: str, entry: object) -> Event | None:
    """Return the quote of one entry, None where it has no price or is of no symbol asked for.

    Raises MalformedPayload and InvalidRecord naming the field that is wrong.
    """
    try:
        quote = _Quote.model_validate(entry)
    except ValidationError as error:
        raise MalformedPayload(f"yahoo quote: {first_fault(error)}") from error
    return _quote_event(symbol, quote) if symbol and quote.quote_type != "NONE" else None


def _quote_event(symbol: str, quote: _Quote) -> Event | None:
    """Return the quote of an entry, None where it has no price: Yahoo has stubs of symbols it lost (yahoo-finance2 issue 636)."""
    try:
        traded = _newest_trade(symbol, quote)
        if traded is None:
            return None
        time_s, last, is_pre_market = traded
        # The keys of the regular session are still those of the last one: its close is the one before, its volume is over.
        previous, volume = quote.regular_market_previous_close, quote.regular_market_volume
        if is_pre_market:
            previous, volume = quote.regular_market_price, None
        values = quote_values(
            symbol,
            {
                "bid": quote.bid,
                "ask": quote.ask,
                "bid_size": quote.bid_size,
                "ask_size": quote.ask_size,
                "last": last,
                "volume": volume,
                "previous_close": previous,
            },
        )
        delay_min = size("exchangeDataDelayedBy", quote.exchange_data_delayed_by) or 0
    except InvalidRecord as error:
        raise InvalidRecord(f"yahoo quote: {symbol}: {error}") from None
    if values is None:
        return None
    return {
        "symbol": symbol,
        "event_time": time_s * SECOND_US,
        **values,
        "currency": quote.currency or "",
        "market_state": MARKET_STATES.get(quote.market_state or "", ""),
        "delay_s": int(min(delay_min * 60, LONGEST_DELAY_S)),
        "simulated": quote.exchange == SIMULATED_EXCHANGE,
    }


def _newest_trade(symbol: str, quote: _Quote) -> tuple[int, float, bool] | None:
    """Return stamp, price and whether it is of the pre-market; None where no price is given, or only 0 in its place.

    The keys of pre- and post-market exist only while they say something, so the newest stamp is the last trade.
    """
    given = (
        (quote.regular_market_time, quote.regular_market_price, False),
        (quote.pre_market_time, quote.pre_market_price, True),
        (quote.post_market_time, quote.post_market_price, False),
    )
    trades = [(time_s, price("a last price", said, symbol), is_pre) for time_s, said, is_pre in given]
    priced = [(time_s, last, is_pre) for time_s, last, is_pre in trades if last is not None]
    if not priced:
        return None
    stamped = [(time_s, last, is_pre) for time_s, last, is_pre in priced if time_s is not None]
    if not stamped:
        raise InvalidRecord("no regularMarketTime stands beside a regularMarketPrice")
    time_s, last, is_pre_market = max(stamped)
    if not 0 < time_s < LAST_EPOCH_S:
        raise InvalidRecord(f"its stamp is {time_s}, which is no unix second")
    return time_s, last, is_pre_market
