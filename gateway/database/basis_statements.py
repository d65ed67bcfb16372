"""The SQL that the adjustment of bars needs beside the bars: prices around ex-dates, and what was said of a bar before a split.

As in statements: known by $n, from one snapshot, and never without both ends of the time as parameters.
"""

# ruff: noqa: S608 - put together from constants of this module only
from __future__ import annotations

from gateway.database.rows import bits_of, packed_field, read_columns
from gateway.database.statements import BARS, SESSION
from gateway.database.versions import MINUTE
from schemas.calendar.expected_bars import DAILY
from schemas.streams import BAR_STREAM

_ROUTE = packed_field(BAR_STREAM, "route")
_REGULAR = bits_of(BAR_STREAM, "session", "regular")


def _columns(row: str) -> str:
    return ", ".join(f"{row}.{column.name}" for column in read_columns(BAR_STREAM))


def _shown() -> str:
    """Return what is read of the row `bar`: days as integers."""
    return ", ".join(
        f"bar.{column.name} - DATE '1970-01-01'" if column.type == "date" else f"bar.{column.name}"
        for column in read_columns(BAR_STREAM)
    )


def _counts(row: str) -> str:
    shadow = bits_of(BAR_STREAM, "route", "shadow")
    return f"{row}.known_from <= $8 AND ({row}.flags & {_ROUTE.mask}) <> {shadow}"


def _of_series(row: str) -> str:
    return f"{row}.stream_id = s.stream_id AND {row}.event_time >= $6 AND {row}.event_time < $7"


def _edge(order: str, is_first: str) -> str:
    older = f"""
        SELECT {_columns("o")} FROM {BARS.superseded} o
        WHERE {_of_series("o")} AND o.event_time = c.event_time AND {_counts("o")} ORDER BY o.position DESC LIMIT 1"""
    return f"""
        (SELECT {_columns("version")}, {is_first} AS is_first
        FROM {BARS.versions} c CROSS JOIN LATERAL (
            SELECT {_columns("c")} WHERE {_counts("c")}
            UNION ALL SELECT * FROM ({older}) older WHERE c.revision > 0 AND NOT ({_counts("c")})
        ) version
        WHERE {_of_series("c")} AND c.event_time >= span.low AND c.event_time < span.high
          AND (s.interval = '{DAILY}' OR (version.flags & {SESSION.mask}) = {_REGULAR})
        ORDER BY c.event_time {order} LIMIT 1)"""


# $1 symbols, [$2, $3) the venue's days and [$4, $5) their regular sessions, one of each per row; [$6, $7) the time all of them lie in,
# $8 as_of. Of each series of days and of minutes the first and the last regular bar of each day, the newest version known by then:
# its provider, the bar, whether it is the first, its interval, the number of the row, from 1.
EDGES_OF_DAYS = f"""
    SELECT s.provider, {_shown()}, bar.is_first, s.interval, wanted.place
    FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[])
        WITH ORDINALITY AS wanted(symbol, begins, ends, opens, closes, place)
    JOIN streams s ON s.symbol = wanted.symbol AND s.kind = 'bars' AND s.interval IN ('{DAILY}', '{MINUTE}')
    CROSS JOIN LATERAL (
        SELECT CASE WHEN s.interval = '{DAILY}' THEN wanted.begins ELSE wanted.opens END AS low,
            CASE WHEN s.interval = '{DAILY}' THEN wanted.ends ELSE wanted.closes END AS high
    ) span
    CROSS JOIN LATERAL ({_edge("ASC", "true")} UNION ALL {_edge("DESC", "false")}) bar"""

# $1 symbol, $2 interval, [$3, $4) event_time; $5 providers, $6 event_times, $7 positions of versions and $8 moments, one of each per row.
# The newest version before each that was received before the moment: its provider, the bar, the number of the row, from 1.
TOLD_BEFORE = f"""
    SELECT s.provider, {_shown()}, wanted.place
    FROM unnest($5::text[], $6::timestamptz[], $7::int8[], $8::timestamptz[])
        WITH ORDINALITY AS wanted(provider, event_time, position, moment, place)
    JOIN streams s ON s.symbol = $1 AND s.kind = 'bars' AND s.interval = $2 AND s.provider = wanted.provider
    CROSS JOIN LATERAL (
        SELECT {_columns("o")} FROM {BARS.superseded} o
        WHERE o.stream_id = s.stream_id AND o.event_time >= $3 AND o.event_time < $4 AND o.event_time = wanted.event_time
          AND o.position < wanted.position AND o.received_time < wanted.moment
        ORDER BY o.position DESC LIMIT 1) bar"""
