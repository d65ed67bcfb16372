"""Whether a value can be acted on: live, delayed, stale, halted or closed.

Silence only counts against a value while its market is open, and only beyond what its source's cadence explains.
All times are market time in µs; `speed` is market seconds per wall second.
"""

from __future__ import annotations

from typing import Literal

from schemas.intervals import MINUTE_US, SECOND_US
from schemas.records import Session

State = Literal["live", "delayed", "stale", "halted", "closed"]
Kind = Literal["trade", "quote", "bar"]

CADENCE_US = {
    "trade": 20 * SECOND_US,
    "quote": 20 * SECOND_US,
    "bar": MINUTE_US,
}  # how often a new value is normal
MISSED_CADENCES = 3
TRANSPORT_US = 15 * SECOND_US  # vendor, poll and pipeline, wall time
HALTED = frozenset({"HALTED", "HALT", "SUSPENDED", "PAUSED"})


def state_of(
    *, kind: Kind, age_us: int, delay_s: int, market_state: str, session: Session, speed: float
) -> State:
    """Return the state of a value that is `age_us` old; `session` is the part of the trading day it is now."""
    if market_state.upper() in HALTED:
        return "halted"
    if session == "closed":
        return "closed"
    fresh = age_us <= stale_after_us(kind, delay_s, speed)
    if not fresh:
        # Outside the regular session most instruments do not trade: the value is the last close, not a dead feed.
        return "stale" if session == "regular" else "closed"
    return "delayed" if delay_s > 0 else "live"


def stale_after_us(kind: Kind, delay_s: int, speed: float) -> float:
    """Return the age beyond which a value is stale; without end where market time is not paced."""
    return MISSED_CADENCES * CADENCE_US[kind] + TRANSPORT_US * max(speed, 1.0) + delay_s * SECOND_US
