"""Stretches of streams that a raw block is the whole answer for, with values or without.

A response without values says as much as one with: what is not in the answer does not exist. Only the request can tell
that from "not asked", so whoever backfills writes it into the hints of the last block of an answer. A stretch that will
never be answered is said in the same way, in a block without values: who was asked has to say why.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from schemas.clocks import EventTime
from schemas.errors import InvalidRecord

ANSWERED = "answered"
GIVEN_UP = "given_up"
MAX_CAUSE_CHARACTERS = 60
MAX_ANSWERED = 2_000  # stretches of one block
REMEDY = (
    f"write at most {MAX_ANSWERED} of [symbol, interval, from, to], the times in microseconds and in order; of what is "
    f"given up the cause after them, of 1 to {MAX_CAUSE_CHARACTERS} characters"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredStretch:
    """The stretch [from_time, to_time) of one stream, µs; `interval` is empty for quotes and trades.

    `given_up` is the cause, a word, where it is no answer: that its provider will never give one.
    """

    symbol: str
    interval: str
    from_time: EventTime
    to_time: EventTime
    given_up: str = ""


def answered_hint(asked: Sequence[AnsweredStretch]) -> dict[str, str]:
    """Return the hints of a block that answers for these stretches, or says that some of them are given up."""
    rows = [(each, [each.symbol, each.interval, each.from_time, each.to_time]) for each in asked]
    answered = [row for each, row in rows if not each.given_up]
    given_up = [[*row, each.given_up] for each, row in rows if each.given_up]
    said = {ANSWERED: answered, GIVEN_UP: given_up}
    return {
        name: json.dumps(found, ensure_ascii=False, separators=(",", ":"))
        for name, found in said.items()
        if found
    }


def answered_of(hints: Mapping[str, str]) -> tuple[AnsweredStretch, ...]:
    """Return the stretches a block answers for, then those given up; raise InvalidRecord where a hint is none."""
    return (*map(_asked, _rows(hints, ANSWERED)), *map(_given_up, _rows(hints, GIVEN_UP)))


def _rows(hints: Mapping[str, str], name: str) -> Sequence[object]:
    text = hints.get(name)
    if text is None:
        return ()
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRecord(f"hint {name} is no JSON: {REMEDY}") from None
    if not isinstance(rows, list) or len(rows) > MAX_ANSWERED:
        raise InvalidRecord(f"hint {name} is no list of stretches: {REMEDY}")
    return rows


def _asked(row: object, name: str = ANSWERED) -> AnsweredStretch:
    match row:
        case [str(symbol), str(interval), int(start), int(end)] if 0 < start < end < 1 << 62:
            return AnsweredStretch(
                symbol=symbol, interval=interval, from_time=EventTime(start), to_time=EventTime(end)
            )
    raise InvalidRecord(f"hint {name} holds {row!r:.100}: {REMEDY}")


def _given_up(row: object) -> AnsweredStretch:
    match row:
        case [*stretch, str(cause)] if 0 < len(cause) <= MAX_CAUSE_CHARACTERS:
            return replace(_asked(stretch, GIVEN_UP), given_up=cause)
    raise InvalidRecord(f"hint {GIVEN_UP} holds {row!r:.100}: {REMEDY}")
