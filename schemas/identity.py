"""Names of things: which series, which gap, and which revision."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b, sha256
from struct import pack

from schemas.errors import InvalidRecord
from schemas.streams import STREAMS, StreamId, StreamName

NAME_BYTES = 8  # 64 bits
LETTERS = {stream.topic: stream.letter for stream in STREAMS}


def stream_name(channel: str, provider: str, symbol: str) -> str:
    """Return `channel:provider:symbol`, the name of a stream in gaps, REST and WebSocket."""
    return f"{channel}:{provider}:{symbol}"


def stream_text(stream: StreamId) -> str:
    """Return `channel:provider:symbol`, what a series is called in gaps, REST and WebSocket."""
    return f"{stream.channel}:{stream.provider}:{stream.symbol}"


def stream_of(text: str) -> StreamId:
    """Return the series that `channel:provider:symbol` calls; raise InvalidRecord where it is of none declared."""
    channel, _, series = text.partition(":")
    provider, _, symbol = series.partition(":")
    declared = declared_in(channel)
    if declared is not None and provider and symbol:
        return StreamId(*declared, provider, symbol)
    raise InvalidRecord(
        f"{text!r} names no series: write channel:provider:symbol, such as bars.1m:yahoo:AAPL"
    )


@lru_cache(maxsize=131_072)
def stream_id_of(stream: StreamId) -> int:
    """Return the number rows of a series carry, 64 bits with a sign: the same in every database, known without asking.

    The SQL function of this name gives the same (infra/migrations).
    """
    digest = sha256(stream_text(stream).encode()).digest()
    return int.from_bytes(digest[:NAME_BYTES], "big", signed=True)


@lru_cache(maxsize=256)
def declared_in(channel: str) -> tuple[StreamName, str] | None:
    """Return the stream and the interval of a channel such as `bars.1m`; None where no declared stream has it."""
    name, dot, interval = channel.partition(".")
    declared = next((stream for stream in STREAMS if stream.name == name), None)
    if declared is None or declared.by_interval != bool(interval) or bool(dot) != bool(interval):
        return None
    return declared.name, interval


def event_id(topic: str, symbol: str, event_time: int, partition: int, raw_offset: int, index: int) -> str:
    """Return the id of one revision: its position in our log in the clear, then a hash that binds the rest.

    The position makes the id resolvable without an index; the hash makes a wrong or foreign id detectable.
    """
    position = pack(">qiqi", event_time, partition, raw_offset, index)
    digest = blake2b(f"{topic}\0{symbol}\0".encode() + position, digest_size=NAME_BYTES).hexdigest()
    return f"{LETTERS[topic]}{partition}.{raw_offset}.{index}.{digest}"


def gap_id(stream: str, from_time: int) -> str:
    """Return the id of the gap of `stream` that begins at `from_time` (µs); its end may still move."""
    return blake2b(f"{stream}\0{from_time}".encode(), digest_size=NAME_BYTES).hexdigest()
