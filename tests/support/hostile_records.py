"""Records that no service of ours wrote: truncated, foreign, oversized, random and empty values of every topic we consume."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from schemas.records import DeadLetter
from schemas.topics import BARS, EVIDENCE, PROGRESS, QUOTES, RAW_BARS, RAW_QUOTES, RAW_TRADES, TRADES, dead
from schemas.wire import codec
from tests.support.builders import (
    a_bar,
    a_bar_event,
    a_block,
    a_quote,
    a_quote_event,
    a_trade,
    a_trade_event,
    an_evidence,
)

SYMBOL = "SIM001"
NOON = 1_790_000_040_000_000 - 1_790_000_040_000_000 % 60_000_000  # a whole minute in 2026, µs
OVERSIZED = 1_500_000  # below the broker's limit, above ours
GOOD: Mapping[str, Callable[[], Any]] = {
    RAW_QUOTES: lambda: a_block(a_quote_event(symbol=SYMBOL, event_time=NOON + 1)),
    RAW_TRADES: lambda: a_block(a_trade_event(symbol=SYMBOL, event_time=NOON + 2)),
    RAW_BARS: lambda: a_block(a_bar_event(symbol=SYMBOL, event_time=NOON)),
    QUOTES: lambda: a_quote(symbol=SYMBOL, event_time=NOON + 3, raw_offset=10_000),
    TRADES: lambda: a_trade(symbol=SYMBOL, event_time=NOON + 4, raw_offset=10_000),
    BARS: lambda: a_bar(symbol=SYMBOL, event_time=NOON + 60_000_000, raw_offset=10_000),
    EVIDENCE: lambda: an_evidence(
        symbol=SYMBOL, stream=f"bars.1m:yahoo:{SYMBOL}", from_time=NOON - 120_000_000, to_time=NOON - 60_000_000
    ),
}  # fmt: skip
"""By topic a record that is as it should be; of progress there is none that would harm nobody."""


def valid(topic: str) -> bytes:
    """Return the value of a good record; of progress the beginning of one."""
    return codec.encode(topic, GOOD[topic]()) if topic in GOOD else b"\0\0\0\0\x08" + bytes(8)


@cache
def poison(topic: str) -> Mapping[bytes, str]:
    """Return hostile values and the reason each must be refused with; the same ones for ever."""
    good = valid(topic)
    foreign = codec.encode(
        dead(BARS), DeadLetter(stage="x", reason="x", message="x", topic="x", known_from=1, payload=b"")
    )
    return {
        good[: len(good) // 2]: "malformed",
        foreign: "unknown_schema",
        good[:5] + b"\0" * OVERSIZED: "oversized",
        random.Random(topic).randbytes(300): "malformed",
        b"": "malformed",
    }


POISONED = (*GOOD, PROGRESS)


def is_poison(topic: str, value: bytes | None) -> bool:
    """Whether a value is one of these."""
    return topic in POISONED and (value or b"") in poison(topic)
