"""Stretches of streams that a raw block is the whole answer for, with values or without.

A response without values says as much as one with: what is not in the answer does not exist. Only the request can tell
that from "not asked", so whoever backfills writes it into the hints of the last block of an answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.clocks import EventTime
from schemas.errors import InvalidRecord

ANSWERED = "answered"
MAX_ANSWERED = 2_000  # stretches of one block
REMEDY = (
    f"write at most {MAX_ANSWERED} of [symbol, interval, from, to], the times in microseconds and in order"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredStretch:
    """The stretch [from_time, to_time) of one stream, µs; `interval` is empty for quotes and trades."""

    symbol: str
    interval: str
    from_time: EventTime
    to_time: EventTime


def answered_hint(asked: Sequence[AnsweredStretch]) -> dict[str, str]:
    """Return the hints of a block that answers for these stretches."""
    rows = [[each.symbol, each.interval, each.from_time, each.to_time] for each in asked]
    return {ANSWERED: json.dumps(rows, ensure_ascii=False, separators=(",", ":"))} if rows else {}


def answered_of(hints: Mapping[str, str]) -> tuple[AnsweredStretch, ...]:
    """Return the stretches a block answers for; raise InvalidRecord where the hint is none."""
    text = hints.get(ANSWERED)
    if text is None:
        return ()
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRecord(f"hint {ANSWERED} is no JSON: {REMEDY}") from None
    if not isinstance(rows, list) or len(rows) > MAX_ANSWERED:
        raise InvalidRecord(f"hint {ANSWERED} is no list of stretches: {REMEDY}")
    return tuple(map(_asked, rows))


def _asked(row: object) -> AnsweredStretch:
    match row:
        case [str(symbol), str(interval), int(start), int(end)] if 0 < start < end < 1 << 62:
            return AnsweredStretch(
                symbol=symbol, interval=interval, from_time=EventTime(start), to_time=EventTime(end)
            )
    raise InvalidRecord(f"hint {ANSWERED} holds {row!r:.100}: {REMEDY}")
