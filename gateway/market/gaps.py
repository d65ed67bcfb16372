"""Gaps as REST shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from gateway.http.columns import TEXT, TIME, WHOLE, Column, words_of
from gateway.http.moments import rfc3339
from schemas.clocks import EventTime
from schemas.records import GAP_STATE_RANK, Confidence

GAP_COLUMNS = (
    Column("gap_id", TEXT, "Id of the gap; its end may still move."),
    Column("stream", TEXT, "channel:provider:symbol of what is missing."),
    Column("symbol", TEXT, "The symbol."),
    Column("provider", TEXT, "Whose records are missing."),
    Column("interval", TEXT, "Length of the bars; empty for quotes and trades."),
    Column("from_time", TIME, "Begin of the hole, inclusive.", "UTC"),
    Column("to_time", TIME, "End of the hole, exclusive.", "UTC"),
    Column("cause", TEXT, "What brought it about."),
    Column("confidence", words_of(get_args(Confidence)), "Whether something is certainly missing."),
    Column("state", words_of(tuple(GAP_STATE_RANK)), "What became of it."),
    Column("generation", WHOLE, "How often it was found anew."),
    Column("expected", WHOLE, "Records that should lie in it; 0: unknown.", "records"),
    Column("detector", TEXT, "Who found it."),
    Column("known_from", TIME, "When this state of it was known.", "UTC"),
)
_TIMES = frozenset(column.name for column in GAP_COLUMNS if column.schema is TIME)


def gap_row(gap: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON row of a gap whose times are µs."""
    return {name: rfc3339(value) if name in _TIMES else value for name, value in gap.items()}


def last_contiguous(last_seen: EventTime, hole: EventTime | None) -> EventTime:
    """Return how far a stream is whole: to its first unhealed gap, else to the last event seen."""
    return last_seen if hole is None else min(hole, last_seen)
