"""Records of option chains: a slice is all that a vendor says of one root's contracts of one expiry at once.

Most legs differ from one poll to the next, so legs are not versioned one by one. A slice is published only where the vendor's
answer for it is complete: a leg that is absent was absent at the vendor, unless the slice says that strikes were left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from schemas.clocks import Day, EventTime
from schemas.fields import AMOUNT, CLOCK, DAYS, FLAG, INT32, ITEM, KEY, US, VALUE
from schemas.known import Currency, Known, Simulated, Stamp

OptionRight = Literal["C", "P"]
MAX_LEGS = 4_000  # of one slice


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One contract of a slice; what a vendor does not say, or says as a 0 that means nothing, is null."""

    strike: Annotated[float, "exercise price"]
    right: Annotated[OptionRight, "C: call, P: put"]
    bid: Annotated[float | None, "best bid; null: none"] = None
    ask: Annotated[float | None, "best ask; null: none"] = None
    bid_size: Annotated[float | None, "contracts at the bid"] = None
    ask_size: Annotated[float | None, "contracts at the ask"] = None
    quote_time: Annotated[EventTime | None, CLOCK, "the vendor's stamp of bid and ask" + US] = None
    last: Annotated[float | None, "last traded price"] = None
    last_size: Annotated[float | None, "contracts of the last trade"] = None
    last_time: Annotated[EventTime | None, CLOCK, "the vendor's stamp of the last trade" + US] = None
    volume: Annotated[float | None, "contracts traded in the session so far; 0 is said, null is not"] = None
    open_interest: Annotated[float | None, "contracts open at the end of `oi_date`, or of an unknown day"] = (
        None
    )
    oi_date: Annotated[Day | None, "session open_interest is the end of" + DAYS + "; null: not said"] = None
    multiplier: Annotated[float, "shares or units of a contract"] = 100.0
    vendor_iv: Annotated[float | None, "the vendor's implied volatility, a year's, 0.2 for 20 %"] = None
    vendor_delta: Annotated[float | None, "the vendor's greek, in its units"] = None
    vendor_gamma: Annotated[float | None, "the vendor's greek, in its units"] = None
    vendor_theta: Annotated[float | None, "the vendor's greek, in its units"] = None
    vendor_vega: Annotated[float | None, "the vendor's greek, in its units"] = None
    vendor_rho: Annotated[float | None, "the vendor's greek, in its units"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainSlice(Known):
    """One version of a slice; `event_time` is the newest stamp in it: of a quote, a trade or the underlying."""

    symbol: Annotated[str, KEY, "canonical symbol of the underlying; also the record key"]
    event_time: Stamp
    root: Annotated[str, ITEM, "OCC root of its contracts, such as SPXW"]
    expiry: Annotated[Day, ITEM, "the contracts' expiration date, as their names say it" + DAYS]
    underlying_price: Annotated[float | None, AMOUNT, "last price of the underlying beside the legs"] = None
    underlying_bid: Annotated[float | None, AMOUNT, "best bid of the underlying"] = None
    underlying_ask: Annotated[float | None, AMOUNT, "best ask of the underlying"] = None
    underlying_time: Annotated[
        EventTime | None, CLOCK, VALUE, "the vendor's stamp of the underlying" + US
    ] = None
    delay_s: Annotated[int, INT32, VALUE, FLAG, "delay the vendor declares, seconds"] = 0
    currency: Currency = ""
    is_adjusted: Annotated[
        bool, VALUE, FLAG, "the contracts deliver something else than `multiplier` shares"
    ] = False
    is_partial: Annotated[bool, VALUE, FLAG, "strikes far from the money were not asked for"] = False
    simulated: Simulated = False
    legs: Annotated[Sequence[Leg], VALUE, "the contracts, by strike, calls first; none twice"] = ()
