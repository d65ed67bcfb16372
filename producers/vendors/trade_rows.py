"""Trades of a vendor's socket frame → trade events: what a price and a size may be, and how frames are told apart."""

from __future__ import annotations

from hashlib import blake2b
from math import isfinite
from typing import Any

from schemas.clocks import EventTime
from schemas.records import Event
from schemas.symbols.instruments import may_be_negative

HASH_BYTES = 8
MAX_CONDITIONS_CHARACTERS = 256


def frame_hash(payload: bytes) -> int:
    """Return a signed 64-bit hash of a frame's bytes."""
    return int.from_bytes(blake2b(payload, digest_size=HASH_BYTES).digest(), "big", signed=True)


def trade_event(
    symbol: str,
    event_time: EventTime,
    price: Any,
    size: Any,
    *,
    sequence: int,
    digest: int,
    conditions: str = "",
    simulated: bool = False,
) -> Event:
    """Return the event of one trade; raise ValueError naming what cannot be.

    `sequence` is the ordinal of its frame on the connection, `digest` the hash of the frame's bytes: whoever reads
    the raw topic can tell a repeated frame from equal trades.
    """
    if type(price) not in (float, int) or type(size) not in (float, int):
        raise ValueError("price or size is not a number")
    if not (isfinite(price) and isfinite(size) and size >= 0 and (price > 0 or may_be_negative(symbol))):
        raise ValueError(
            f"price is {price!r:.40} and size is {size!r:.40}; both are finite, a price above 0, a size never below"
        )
    if len(conditions) > MAX_CONDITIONS_CHARACTERS or not conditions.isprintable():
        raise ValueError("its conditions hold no condition codes")
    return {
        "symbol": symbol,
        "event_time": event_time,
        "price": float(price),
        "size": float(size),
        "trade_id": None,
        "conditions": conditions,
        "venue": "",
        "simulated": simulated,
        "frame_sequence": sequence,
        "frame_hash": digest,
    }
