"""Gaps as REST shows them."""

from __future__ import annotations

from typing import Any, get_args

from gateway.database.cursors import SeriesCursor
from gateway.http.columns import TEXT, TIME, WHOLE, Column, words_of
from gateway.http.moments import rfc3339
from schemas.records import GAP_STATE_RANK, Confidence, Gap

MAX_RANGES = 1_000  # of one cursor
GAP_COLUMNS = (
    Column("gap_id", TEXT, "Id of the gap: of its stream and its begin."),
    Column("stream", TEXT, "channel:provider:symbol of what is missing."),
    Column("symbol", TEXT, "The symbol."),
    Column("provider", TEXT, "Whose records are missing."),
    Column("interval", TEXT, "Length of the bars; empty for quotes and trades."),
    Column("from_time", TIME, "Begin of the hole, inclusive.", "UTC"),
    Column("to_time", TIME, "End of the hole, exclusive.", "UTC"),
    Column("cause", TEXT, "What brought it about."),
    Column(
        "confidence",
        words_of(get_args(Confidence)),
        "proven: nobody watched; inferred: bars did not come though watched.",
    ),
    Column("state", words_of(tuple(GAP_STATE_RANK)), "What became of it."),
    Column("generation", WHOLE, "How often it was found anew."),
    Column("expected", WHOLE, "Records that should lie in it; 0: unknown.", "records"),
    Column("detector", TEXT, "Who found it."),
    Column("known_from", TIME, "When what makes it a gap was known.", "UTC"),
)
_TIMES = frozenset(column.name for column in GAP_COLUMNS if column.schema is TIME)


def gap_row(gap: Gap) -> dict[str, Any]:
    """Return the JSON row of a gap."""
    said = ((column.name, getattr(gap, column.name)) for column in GAP_COLUMNS)
    return {name: rfc3339(value) if name in _TIMES else value for name, value in said}


def cursor_row(cursor: SeriesCursor) -> dict[str, Any]:
    """Return the JSON members of a cursor; of many ranges the newest."""
    row: dict[str, Any] = {
        "start_time": rfc3339(cursor.start_time),
        "last_seen": rfc3339(cursor.last_seen),
        "last_contiguous": rfc3339(cursor.last_contiguous),
        "collected": [
            {"from_time": rfc3339(low), "to_time": rfc3339(high)}
            for low, high in cursor.collected[-MAX_RANGES:]
        ],
    }
    return row | ({"collected_truncated": True} if len(cursor.collected) > MAX_RANGES else {})
