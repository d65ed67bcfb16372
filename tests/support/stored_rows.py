"""A record as its row is stored, written out one field after another: what the columns of a whole batch must equal."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from schemas.streams import Stream
from schemas.tables import packed, stored_columns


def stored_row(stream: Stream, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a decoded record by name; times stay µs."""
    interval = f".{record['interval']}" if stream.by_interval else ""
    name = f"{stream.name}{interval}:{record['provider']}:{record['symbol']}"
    flags = 0
    for each in packed(stream):
        value = record[each.name]
        flags += (each.symbols.index(value) if each.symbols else int(value)) * 2**each.shift
    row = {
        "stream_id": int.from_bytes(sha256(name.encode()).digest()[:8], "big", signed=True),
        "position": record["raw_offset"] * 65_536 + record["index"],
        "flags": flags,
        "revision": 0,
    }
    return {c.name: row[c.name] if c.name in row else _said(record, c.source) for c in stored_columns(stream)}


def _said(record: Mapping[str, Any], source: str) -> Any:
    name, _, member = source.partition(".")
    return [each[member] for each in record[name]] if member else record[name]
