"""The moment a value was true, the trading day it belongs to, and how much it is worth now."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from gateway.database.versions import Value
from schemas.calendar.expected_bars import DAILY
from schemas.calendar.sessions import Calendar
from schemas.calendar.trading_days import TradingSession
from schemas.clocks import EventTime, MarketTime
from schemas.intervals import DAY_US, MINUTE_US, SECOND_US, slot_us
from schemas.providers.built_in import BUILT_IN
from schemas.streams import Bar, Quote, Session, Trade

State = Literal["live", "delayed", "stale", "closed", "unknown"]
Kind = Literal["trade", "quote", "bar"]

KIND: Mapping[type, Kind] = {Trade: "trade", Quote: "quote", Bar: "bar"}
CADENCE_US = {
    "trade": 20 * SECOND_US,
    "quote": 20 * SECOND_US,
    "bar": MINUTE_US,
}  # how often a new value is normal
MISSED_CADENCES = 3
TRANSPORT_US = 15 * SECOND_US  # vendor, poll and pipeline, wall time
CLOSED_DAYS = (5, 40)  # a market is looked at so far back for the day a moment after hours belongs to


def trading_day(moment: int, calendar: Calendar) -> TradingSession | None:
    """Return the trading day a moment belongs to: what is stamped between two of them belongs to the one before."""
    day = calendar.session_at(moment)
    for days in CLOSED_DAYS if day is None else ():
        if past := list(calendar.sessions(moment - days * DAY_US, moment)):
            return past[-1]
    return day


def true_at(interval: str, start: EventTime, calendar: Calendar) -> int:
    """Return when the close of a bar was true (µs): at its end, that of a day at its session's."""
    if interval == DAILY and (session := calendar.session_at(start)) is not None:
        return session.close
    return start + slot_us(interval)


def value_time(value: Value, now: MarketTime, calendar: Calendar) -> int:
    """Return when the price of a value was true (µs): that of a bar while it forms now."""
    if not isinstance(value, Bar):
        return value.event_time
    return max(value.event_time, min(true_at(value.interval, value.event_time, calendar), now))


def delay_s(value: Value, quote: Quote | None, calendar: Calendar, *, wall_market: bool) -> int:
    """Return how late the feed of a value is: as it says itself, or as its provider's `quote` of the same moment or later does.

    Else by how late the value came, as far as its provider declares: on a simulated market nothing tells that.
    """
    if isinstance(value, Quote):
        return value.delay_s
    if quote is not None and quote.event_time >= value.event_time:
        return quote.delay_s
    facts = BUILT_IN.get(value.provider)
    if facts is None or not wall_market:
        return 0
    start = value.event_time
    true = true_at(value.interval, start, calendar) if isinstance(value, Bar) else start
    late_s = (value.received_time - true - TRANSPORT_US) // SECOND_US
    return max(0, min(late_s, facts.delay_s))


def state_of(*, kind: Kind, age_us: int, delay_s: int, session: Session | None, speed: float) -> State:
    """Return the state of a value that is `age_us` old; `session` is the part of the trading day it is now, None unknown."""
    if session == "closed":
        return "closed"
    fresh = age_us <= stale_after_us(kind, delay_s, speed)
    if not fresh and session is None:
        return "unknown"  # dead feed or closed market: nobody told the market's hours
    if not fresh:
        # Outside the regular session most instruments do not trade: the value is the last close, not a dead feed.
        return "stale" if session == "regular" else "closed"
    return "delayed" if delay_s > 0 else "live"


def session_until(moment: int, calendar: Calendar) -> float:
    """Return until when (µs) a market surely stays in the part of the trading day it is in at `moment`; infinity: for ever."""
    if calendar.horizon is None or calendar.known_from is None:
        return math.inf
    looked_us = moment + CLOSED_DAYS[-1] * DAY_US
    ends = [looked_us, *(end for end in (calendar.known_from, calendar.horizon) if end > moment)]
    if (day := calendar.session_at(moment)) is not None:
        ends.append(day.stretch_at(moment)[2])
    days = calendar.sessions(moment, looked_us)
    return min(*ends, next((day.pre_open for day in days if day.pre_open > moment), looked_us))


def stale_after_us(kind: Kind, delay_s: int, speed: float) -> float:
    """Return the age beyond which a value is stale; without end where market time is not paced."""
    return MISSED_CADENCES * CADENCE_US[kind] + TRANSPORT_US * max(speed, 1.0) + delay_s * SECOND_US
