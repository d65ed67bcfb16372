"""Polygon's (Massive's) option chain snapshots → rows of legs, pure: 250 contracts a page, stamped in nanoseconds.

Of contracts nobody quotes, `last_quote`, `last_trade`, `greeks` and `implied_volatility` are missing or empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import Any

from pydantic import Field, ValidationError

from producers.vendors.answers import RejectedValue
from producers.vendors.option_rows import NO_UNDERLYING, ChainPage, LegRow, UnderlyingQuote, inner, leg_rows
from producers.vendors.option_values import premium
from producers.vendors.payloads import checked_us, first_fault, whole
from producers.vendors.polygon.bars import DELAYED, Said, delay_s, following_address, raise_refusal
from producers.vendors.values import rejected
from schemas.clocks import Day, EventTime, day_of
from schemas.errors import InvalidRecord, MalformedPayload
from schemas.providers.polygon import FACTS

PLACE = "polygon options"
CURRENCY = "USD"
QUOTED, TRADED = f"{PLACE}: last_quote.last_updated", f"{PLACE}: last_trade.sip_timestamp"
COUNTED, STAMPED = f"{PLACE}: day.last_updated", f"{PLACE}: underlying_asset.last_updated"
PARTS = ("details", "last_quote", "last_trade", "day", "greeks", "underlying_asset")
RIGHTS = {"call": "C", "put": "P"}


class _Chain(Said):
    results: list[Any] | None = None
    next_url: str | None = Field(default=None, alias="next_url")


def parse_chain(payload: bytes, *, symbol: str, base_url: str) -> ChainPage:
    """Return the contracts of one page, none where `results` is missing; raise MalformedPayload naming the field.

    The next page's address is only taken where it leads to the origin of `base_url`.
    """
    try:
        page = _Chain.model_validate_json(payload)
    except ValidationError as error:
        raise MalformedPayload(f"{PLACE}: {first_fault(error)}") from error
    raise_refusal(page, f"the options of {symbol}")
    faults: dict[str, RejectedValue] = {}
    read = partial(_row, symbol, delay_s(page), faults)
    rows, refused = leg_rows(PLACE, symbol, page.results or (), read)
    following = following_address(page.next_url, base_url)
    return ChainPage(rows=rows, rejected=[*refused, *faults.values()], following=following)


def _row(symbol: str, page_delay_s: int, faults: dict[str, RejectedValue], entry: Any) -> LegRow:
    """Return the leg of one contract; what is wrong with its underlying costs that alone and is put into `faults`, once."""
    details, quote, trade, day, greeks, beside = (inner(entry, name, PLACE) for name in PARTS)
    try:
        underlying = _underlying(beside)
    except (InvalidRecord, MalformedPayload) as error:
        fault = InvalidRecord(f"{PLACE}: {symbol}: {error}")
        faults.setdefault(str(fault), rejected(symbol, fault, beside))
        underlying = NO_UNDERLYING
    is_delayed = DELAYED in (quote.get("timeframe"), trade.get("timeframe"), beside.get("timeframe"))
    return LegRow(
        name=details["ticker"],
        entry=entry,
        strike=details.get("strike_price"),
        right=_right(details.get("contract_type")),
        expiry=_expiry(details.get("expiration_date")),
        given=_given(entry, details, quote, trade, day, greeks),
        quote_time=_moment(quote.get("last_updated"), QUOTED),
        last_time=_moment(trade.get("sip_timestamp"), TRADED),
        counted=_moment(day.get("last_updated"), COUNTED),
        currency=CURRENCY,
        is_nonstandard=bool(details.get("additional_underlyings")),
        underlying=underlying,
        delay_s=FACTS.delay_s if is_delayed else page_delay_s,
    )


def _given(entry: Mapping[str, Any], *parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of a leg, under their names."""
    details, quote, trade, day, greeks = parts
    return {
        "bid": quote.get("bid"),
        "ask": quote.get("ask"),
        "bid_size": quote.get("bid_size"),
        "ask_size": quote.get("ask_size"),
        "last": trade.get("price"),
        "last_size": trade.get("size"),
        "volume": day.get("volume"),
        "open_interest": entry.get("open_interest"),
        "multiplier": details.get("shares_per_contract"),
        "vendor_iv": entry.get("implied_volatility"),
        **{f"vendor_{greek}": value for greek, value in greeks.items()},
    }


def _underlying(beside: Mapping[str, Any]) -> UnderlyingQuote:
    # An index has a `value` where a share has a `price`.
    price = premium("underlying_price", beside.get("price", beside.get("value")))
    time = _moment(beside.get("last_updated"), STAMPED)
    return UnderlyingQuote(price=price, time=time)


def _moment(stamp: object, place: str) -> EventTime | None:
    return checked_us(whole(stamp, place), "ns", place) if stamp else None


def _right(kind: object) -> str | None:
    if kind is None:
        return None
    right = RIGHTS.get(kind) if isinstance(kind, str) else None
    if right is None:
        raise MalformedPayload(f"{PLACE}: contract_type is {kind!r:.40}; call and put are known")
    return right


def _expiry(text: object) -> Day | None:
    if text is None:
        return None
    try:
        return day_of(date.fromisoformat(text))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise MalformedPayload(
            f"{PLACE}: expiration_date is {text!r:.40}, which is no date, as 2023-06-16"
        ) from None
