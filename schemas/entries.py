"""Records of entries: what sources say of things that have a name of their own, and may say anew at any time.

An entry's `event_time` is the moment it was said: published where the source tells that, else first seen by us; what it
is about is told by days. Days are of the calendar of whoever speaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from schemas.clocks import Day, EventTime
from schemas.fields import CLOCK, DAYS, ITEM, KEY, US, VALUE
from schemas.known import Currency, Known, Simulated, Stamp

ActionType = Literal[
    "split", "stock_dividend", "cash_dividend", "special_dividend", "return_of_capital",
    "spin_off", "rights", "rename", "merger", "delisting",
]  # fmt: skip
AmountBasis = Literal["as_declared", "split_adjusted", "unknown"]
ActionState = Literal["announced", "confirmed", "cancelled"]
PublishedPrecision = Literal["none", "date", "scheduled", "time"]
Frequency = Literal["D", "W", "BW", "M", "Q", "S", "A"]
Rights = Literal["public", "attribution", "restricted", "unknown"]

PublishedAt = Annotated[
    EventTime | None, CLOCK, VALUE, "the source published it" + US + "; null where nothing says when"
]
Precision = Annotated[
    PublishedPrecision,
    VALUE,
    "what published_at is: none (null), date (the end of that day), scheduled (a table's time), time (the source's own)",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CorporateAction(Known):
    """One version of what a source says of a corporate action; `event_time` is when it was said: published, else first seen."""

    symbol: Annotated[str, KEY, "canonical symbol as of the ex-date; also the record key"]
    event_time: Stamp
    action_id: Annotated[str, ITEM, "the vendor's id, or one made of what names the action"]
    type: Annotated[ActionType, VALUE, "what is done"]
    ex_date: Annotated[Day, VALUE, "first day the price is without it, venue's calendar" + DAYS]
    declared_date: Annotated[Day | None, VALUE, "day it was declared" + DAYS] = None
    record_date: Annotated[Day | None, VALUE, "day whose holders are entitled" + DAYS] = None
    pay_date: Annotated[Day | None, VALUE, "day it is paid, or shares are delivered" + DAYS] = None
    ratio_to: Annotated[float | None, VALUE, "shares after, of `ratio_from` before"] = None
    ratio_from: Annotated[float | None, VALUE, "shares before"] = None
    amount: Annotated[float | None, VALUE, "cash a share, in `currency`"] = None
    price_factor: Annotated[float | None, VALUE, "the vendor's own factor for prices before"] = None
    currency: Currency = ""
    new_symbol: Annotated[str, VALUE, "symbol after a rename or merger, empty where there is none"] = ""
    child_symbol: Annotated[str, VALUE, "symbol of what is spun off, empty where there is none"] = ""
    amount_basis: Annotated[
        AmountBasis, VALUE, "shares the amount is of: as declared, or after later splits"
    ] = "unknown"
    state: Annotated[ActionState, VALUE, "how sure the source is"] = "confirmed"
    published_at: PublishedAt = None
    published_precision: Precision = "none"
    simulated: Simulated = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MacroObservation(Known):
    """One vintage of one period of a macro series; `event_time` is when it was said: published, else first seen."""

    symbol: Annotated[str, KEY, "key of the series, such as FRED:GDPC1; also the record key"]
    event_time: Stamp
    period_start: Annotated[Day, ITEM, "first day of the period" + DAYS]
    vintage_start: Annotated[
        Day | None, ITEM, "first day the source gave this value" + DAYS + "; null without vintages"
    ] = None
    period_end: Annotated[Day, VALUE, "day after the period's last" + DAYS]
    vintage_end: Annotated[
        Day | None, VALUE, "last day the source gave it, inclusive" + DAYS + "; null while it does"
    ] = None
    value: Annotated[float | None, VALUE, "in `units`; null: published as missing"] = None
    published_at: PublishedAt = None
    units: Annotated[str, VALUE, "the source's unit, as it says it"] = ""
    seasonal: Annotated[str, VALUE, "SA, NSA, SAAR or SSA; empty where the source does not say"] = ""
    frequency: Annotated[Frequency, VALUE, "length of a period"]
    rights: Annotated[Rights, VALUE, "who may be given it"] = "unknown"
    published_precision: Precision = "none"
    simulated: Simulated = False
