"""Option chains as our log tells them, hour by hour: small ones of a share at 100, and GOOG's real one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from math import exp, sqrt
from pathlib import Path
from typing import Any

from gateway.http.moments import rfc3339
from schemas.chain_slices import ChainSlice, Leg
from schemas.clocks import KnowledgeTime, day_of
from schemas.entries import CorporateAction, MacroObservation
from schemas.intervals import HOUR_US, MINUTE_US
from tests.support.builders import an_action, an_observation
from tests.support.option_slices import goog_records

OPENED_US = int(datetime(2015, 12, 14, 14, 30, tzinfo=UTC).timestamp()) * 1_000_000  # a Monday's session
EXPIRIES = (date(2016, 1, 15), date(2016, 2, 19), date(2016, 4, 15))
STRIKES = (80.0, 85.0, 90.0, 95.0, 100.0, 105.0, 110.0, 115.0, 120.0)
SPOT, RATE, VOLATILITY = 100.0, 0.02, 0.3


def hour(number: float) -> KnowledgeTime:
    """Return an hour (µs) of our log: from the opening on, in steps of an hour."""
    return KnowledgeTime(OPENED_US + int(number * HOUR_US))


def at(number: float) -> str:
    """Return an hour of our log as text."""
    return rfc3339(hour(number))


def known(number: float, place: int, **said: Any) -> dict[str, Any]:
    """Return what is said of when something became known, and of its place in our log, a minute after its stamp."""
    moment = hour(number)
    told = {"event_time": moment - MINUTE_US, "received_time": moment, "known_from": moment}
    return {"raw_offset": place, "index": 0, "route": "primary", **told, **said}


def quoted_legs(
    expiry: date, *, dearer: float = 0.0, spot: float = SPOT, strikes: Sequence[float] = STRIKES
) -> list[Leg]:
    """Return a call and a put at each strike, that differ as parity wants; time values fall away from the money like a bell."""
    years = (expiry - date(2015, 12, 14)).days / 365.0
    forward, width = spot * exp(RATE * years), spot * VOLATILITY * sqrt(years)
    found = []
    for strike in strikes:
        worth = 0.4 * width * exp(-0.5 * ((strike - forward) / (1.3 * width)) ** 2) + dearer
        for right, inside in (("C", forward - strike), ("P", strike - forward)):
            mid = max(inside, 0.0) * exp(-RATE * years) + worth
            quote = {"bid": round(mid - 0.02, 4), "ask": round(mid + 0.02, 4)}
            interest = {"open_interest": 10.0 + strike, "oi_date": day_of(date(2015, 12, 11)), "volume": 3.0}
            found.append(Leg(strike=strike, right=right, **quote, **interest))  # type: ignore[arg-type]
    return found


def a_chain_slice(
    number: float, place: int, expiry: date = EXPIRIES[0], *, dearer: float = 0.0, **said: Any
) -> ChainSlice:
    """Return a slice of ACME's chain that became known at an hour of our log."""
    fields: dict[str, Any] = {
        "symbol": "ACME", "provider": "polygon", "root": "ACME", "expiry": day_of(expiry), "underlying_bid": SPOT - 0.01,
        "underlying_ask": SPOT + 0.01, "underlying_time": hour(number) - MINUTE_US, "currency": "USD",
    }  # fmt: skip
    legs = said["legs"] if "legs" in said else quoted_legs(expiry, dearer=dearer)
    return ChainSlice(**(fields | known(number, place) | said | {"legs": legs}))


def a_chain(number: float, place: int, *, dearer: float = 0.0, **said: Any) -> list[ChainSlice]:
    """Return slices of all expiries, in places of our log one after the other."""
    return [
        a_chain_slice(number, place + index, expiry, dearer=dearer, **said)
        for index, expiry in enumerate(EXPIRIES)
    ]


def a_yield(number: float, place: int, tenor: str, percent: float, day: date) -> MacroObservation:
    """Return a par yield of a day as it became known at an hour of our log."""
    start = day_of(day)
    told = known(number, place, provider="treasury", event_time=hour(number))
    period = {"period_start": start, "period_end": start + 1, "frequency": "D", "units": "Percent"}
    return an_observation(
        symbol=f"UST:{tenor}", value=percent, vintage_start=None, vintage_end=None, **period, **told
    )


def yields(number: float, place: int, percent: float, day: date) -> list[MacroObservation]:
    """Return a curve that is level."""
    return [
        a_yield(number, place + index, tenor, percent, day) for index, tenor in enumerate(("1M", "3M", "1Y"))
    ]


def a_dividend(
    number: float, place: int, amount: float, ex_date: date = date(2016, 1, 4), **said: Any
) -> CorporateAction:
    """Return a cash dividend of ACME as it became known at an hour of our log."""
    told = known(number, place, provider="yahoo", event_time=hour(number))
    named = {
        "symbol": "ACME",
        "action_id": "d-1",
        "type": "cash_dividend",
        "ratio_to": None,
        "ratio_from": None,
    }
    return an_action(
        **(told | named | {"ex_date": day_of(ex_date), "amount": amount, "currency": "USD"} | said)
    )


def goog_chain(data: Path, **said: Any) -> Iterator[ChainSlice]:
    """Yield the records of GOOG's real chain."""
    for record in goog_records(data):
        legs: Sequence[Any] = record["legs"]
        yield ChainSlice(**(record | {"legs": [Leg(**each) for each in legs]} | said))
