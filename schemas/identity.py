"""Names of things: which stream, which gap, which revision, and whether two values are the same value."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from struct import pack

NAME_BYTES = 8  # 64 bits
STREAM_LETTERS = {"quotes.v1": "q", "trades.v1": "t", "bars.v1": "b"}

QUOTE_CONTENT = (
    "bid", "ask", "bid_size", "ask_size", "last", "last_size", "volume", "previous_close",
    "currency", "market_state", "delay_s",
)  # fmt: skip
BAR_CONTENT = (
    "open", "high", "low", "close", "volume", "vwap", "trade_count", "final",
    "session", "adjustment_state", "currency",
)  # fmt: skip


def stream_name(channel: str, provider: str, symbol: str) -> str:
    """Return `channel:provider:symbol`, the name of a stream in gaps, REST and WebSocket."""
    return f"{channel}:{provider}:{symbol}"


def bars_channel(interval: str) -> str:
    """Return the channel of bars of one interval, such as `bars.1m`."""
    return f"bars.{interval}"


def event_id(topic: str, symbol: str, event_time: int, partition: int, raw_offset: int, index: int) -> str:
    """Return the id of one revision: its position in our log in the clear, then a hash that binds the rest.

    The position makes the id resolvable without an index; the hash makes a wrong or foreign id detectable.
    """
    position = pack(">qiqi", event_time, partition, raw_offset, index)
    digest = blake2b(f"{topic}\0{symbol}\0".encode() + position, digest_size=NAME_BYTES).hexdigest()
    return f"{STREAM_LETTERS[topic]}{partition}.{raw_offset}.{index}.{digest}"


def gap_id(stream: str, from_time: int) -> str:
    """Return the id of the gap of `stream` that begins at `from_time` (µs); its end may still move."""
    return blake2b(f"{stream}\0{from_time}".encode(), digest_size=NAME_BYTES).hexdigest()


def quote_content(event: Mapping[str, object]) -> int:
    """Return a signed 64-bit hash of what a quote says, without its clocks and origin."""
    return _content(tuple(event.get(name) for name in QUOTE_CONTENT))


def bar_content(event: Mapping[str, object]) -> int:
    """Return a signed 64-bit hash of what a bar says, without its clocks and origin."""
    return _content(tuple(event.get(name) for name in BAR_CONTENT))


def _content(values: tuple[object, ...]) -> int:
    # repr of a double is its shortest exact decimal, so equal values hash equally in every process
    # (Python's own hash() is salted for text and would not).
    return int.from_bytes(blake2b(repr(values).encode(), digest_size=NAME_BYTES).digest(), "big", signed=True)
