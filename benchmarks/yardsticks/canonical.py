"""The work of every yardstick on one block: decode it, and give each event its canonical fields. No state, no rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from schemas.topics import QUOTES, RAW_QUOTES
from schemas.wire.codec import decode_block, encode_value


def canonical_quotes(value: bytes, offset: int, known_from: int) -> Iterator[dict[str, Any]]:
    """Yield the canonical quotes of a raw block."""
    block = decode_block(RAW_QUOTES, value)
    for index, event in enumerate(block.events):
        yield {
            **event,
            "provider": block.provider,
            "route": block.route,
            "received_time": block.received_time,
            "known_from": known_from,
            "raw_offset": offset,
            "index": index,
        }


def encode_quote(quote: dict[str, Any]) -> bytes:
    """Return the framed bytes of a canonical quote."""
    return encode_value(QUOTES, quote)
