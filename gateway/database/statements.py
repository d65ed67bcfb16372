"""The SQL of market data, every part of it a constant of this module; that of the ledger is in ledger_statements.

The point-in-time condition is always `known_from <= as_of`; every statement reads one snapshot.

A symbol's series are found in `streams`. Tables that are cut by time are read series by series, each LATERAL in the
order of its primary key, so that a LIMIT ends it; and never without both ends of the time, given as parameters: with
them the planner opens only the partitions that can hold an answer.
"""

# ruff: noqa: S608 - put together from constants of this module only
from __future__ import annotations

from collections.abc import Mapping

from gateway.database.rows import bits_of, packed_field, read_columns
from gateway.database.versions import VALUE_STREAMS
from schemas.deriving import TableColumn
from schemas.intervals import AHEAD_US
from schemas.streams import ACTION_STREAM, BAR_STREAM, TRADE_STREAM, Stream
from schemas.tables import tables

WATERMARKS = "SELECT topic, partition, complete_before FROM watermarks"

WATERMARK = "SELECT complete_before FROM watermarks WHERE topic = $1 AND partition = $2"


# $1 kinds. Nothing before it is kept any more of one of them.
KEPT_FROM = "SELECT max(floor) FROM retention_floors WHERE kind = ANY ($1::text[])"


def _columns(stream: Stream, row: str) -> str:
    return ", ".join(_read(column, row) for column in read_columns(stream))


def _read(column: TableColumn, row: str) -> str:
    if column.type == "date":  # days as integers, as everywhere here
        return f"({row}.{column.name} - DATE '1970-01-01') AS {column.name}"
    return f"{row}.{column.name}"


def _not_shadow(stream: Stream, row: str) -> str:
    route = packed_field(stream, "route")
    return f"({row}.flags & {route.mask}) <> {bits_of(stream, 'route', 'shadow')}"


def stamped(row: str) -> str:
    """Return the condition that a row's stamp may be believed."""
    # A stamp further ahead of its knowledge than clocks differ is suspect: never the newest of anything.
    return f"{row}.event_time <= {row}.known_from + interval '{AHEAD_US} us'"


def _priced(stream: Stream, row: str) -> str:
    if stream is not TRADE_STREAM:
        return ""
    return f" AND NOT coalesce(string_to_array({row}.conditions, ',') && string_to_array(wanted.unpriced, ','), false)"


BARS = tables(BAR_STREAM)
SESSION = packed_field(BAR_STREAM, "session")
_IN_SESSION = f"($8::int2[] IS NULL OR ({{0}}.flags & {SESSION.mask}) = ANY ($8))"
_OF_SYMBOL = "s.symbol = $1 AND s.kind = 'bars'"


def _counts(row: str) -> str:
    # Best of all leaves shadow polls out; a provider asked for by name is shown whole.
    return f"({row}.known_from <= $6 AND ($5::text IS NOT NULL OR {_not_shadow(BAR_STREAM, row)}))"


def _in_span(row: str) -> str:
    return f"{row}.stream_id = s.stream_id AND {row}.event_time >= $3 AND {row}.event_time < $4"


_OLDER_VERSION = f"""
    SELECT {_columns(BAR_STREAM, "o")} FROM {BARS.superseded} o
    WHERE {_in_span("o")} AND o.event_time = c.event_time AND {_counts("o")}
    ORDER BY o.position DESC LIMIT 1"""

# The version is chosen per row, so the scan keeps the index order and LIMIT ends it. A first version has none before it:
# of a million bars that were imported after the moment asked about, a million would be looked for.
_OF_ONE_SERIES = f"""
    SELECT s.provider, version.*
    FROM {BARS.versions} c CROSS JOIN LATERAL (
        SELECT {_columns(BAR_STREAM, "c")} WHERE {_counts("c")}
        UNION ALL
        SELECT * FROM ({_OLDER_VERSION}) older WHERE c.revision > 0 AND NOT {_counts("c")}
    ) version
    WHERE {_in_span("c")} AND {_IN_SESSION.format("version")}
    ORDER BY c.event_time {{0}} LIMIT $7"""

_LATEST_BARS = f"""
    SELECT DISTINCT ON (bar.event_time) bar.*
    FROM streams s CROSS JOIN LATERAL ({_OF_ONE_SERIES}) bar
    WHERE {_OF_SYMBOL} AND s.interval = $2 AND ($5::text IS NULL OR s.provider = $5)
    ORDER BY bar.event_time {{0}}, bar.position DESC
    LIMIT $7"""

# $1 symbol, $2 interval, [$3, $4) event_time, $5 provider or null, $6 as_of, $7 rows, $8 bits of sessions or null.
# The newest version known by then of each key: the current one where that is it, else the newest superseded one; then
# per event_time the highest position. Each row begins with its provider.
LATEST_BARS_ASCENDING = _LATEST_BARS.format("ASC")
LATEST_BARS_DESCENDING = _LATEST_BARS.format("DESC")


def _versions_of(table: str) -> str:
    return f"""
        (SELECT {_columns(BAR_STREAM, "v")} FROM {table} v
        WHERE {_in_span("v")} AND {_counts("v")} AND {_IN_SESSION.format("v")}
          AND (v.event_time, v.position) > ($9, $10::int8)
        ORDER BY v.event_time, v.position LIMIT $7)"""


# As above, but every version known by then; $9, $10: (event_time, position) of the last row of the page before.
ALL_BARS = f"""
    SELECT s.provider, version.*
    FROM streams s CROSS JOIN LATERAL ({" UNION ALL ".join(map(_versions_of, BARS.timed))}) version
    WHERE {_OF_SYMBOL} AND s.interval = $2 AND ($5::text IS NULL OR s.provider = $5)
    ORDER BY version.event_time, version.position
    LIMIT $7"""


def _newest_before(table: str) -> str:
    return f"""
        (SELECT {_columns(BAR_STREAM, "v")} FROM {table} v
        WHERE {_in_span("v")} AND {_counts("v")} AND v.position <= $7
        ORDER BY v.position DESC LIMIT 1)"""


# $1 symbol, $2 interval, [$3, $4) the event_time of one bar, $5 provider or null, $6 as_of, $7 position: of each provider
# the newest version of that bar up to there.
VERSIONS_BEFORE = f"""
    SELECT DISTINCT ON (s.provider) s.provider, version.*
    FROM streams s CROSS JOIN LATERAL ({" UNION ALL ".join(map(_newest_before, BARS.timed))}) version
    WHERE {_OF_SYMBOL} AND s.interval = $2 AND ($5::text IS NULL OR s.provider = $5)
    ORDER BY s.provider, version.position DESC"""


def _edge(order: str) -> str:
    ends = " UNION ALL ".join(
        f"(SELECT v.event_time FROM {table} v WHERE {_in_span('v')} AND {_counts('v')} AND {stamped('v')}"
        f" ORDER BY v.event_time {order} LIMIT 1)"
        for table in BARS.timed
    )
    return f"(SELECT e.event_time FROM ({ends}) e ORDER BY e.event_time {order} LIMIT 1)"


# $1 symbol, $2 interval, [$3, $4) event_time, $5 provider or null, $6 as_of; the first and the newest bar known by then.
BAR_EDGES = f"""
    SELECT min(first.event_time) AS oldest, max(last.event_time) AS newest
    FROM streams s CROSS JOIN LATERAL {_edge("ASC")} first CROSS JOIN LATERAL {_edge("DESC")} last
    WHERE {_OF_SYMBOL} AND s.interval = $2 AND ($5::text IS NULL OR s.provider = $5)"""


def _known(condition: str, order: str) -> str:
    rows = " UNION ALL ".join(
        f"(SELECT v.known_from FROM {table} v WHERE {_in_span('v')} AND {condition} {order} LIMIT 1)"
        for table in BARS.timed
    )
    return f"""
    SELECT min(known.known_from)
    FROM streams s CROSS JOIN LATERAL ({rows}) known
    WHERE {_OF_SYMBOL} AND s.interval = ANY ($2) AND ($5::text IS NULL OR s.provider = $5)"""


# $1 symbol, $2 intervals, [$3, $4) event_time, $5 provider or null. When the earliest bar of each series became known; and,
# with $6 a moment, when any one that became known before it did: by the index on knowledge, which no other order has.
EARLIEST_KNOWN = _known("true", "ORDER BY v.event_time")
KNOWN_BEFORE = _known("v.known_from < $6", "")

# $1 symbol. Whose bars of it are stored, and of which intervals.
SOURCES = f"SELECT s.provider, s.interval FROM streams s WHERE {_OF_SYMBOL}"

# In the order of an index: an EXISTS would be planned as a scan of the whole table.
KNOWN_SYMBOLS = """
    SELECT wanted.symbol FROM unnest($1::text[]) AS wanted(symbol)
    WHERE coalesce(
        (SELECT true FROM streams s WHERE s.symbol = wanted.symbol ORDER BY s.kind, s.interval, s.provider LIMIT 1),
        (SELECT true FROM universe_changes u WHERE u.symbol = wanted.symbol ORDER BY u.version DESC LIMIT 1))"""

# $1 symbols, $2 provider or null, $3 intervals of what has one. The series that newest values and closes may be of.
SERIES = """
    SELECT s.stream_id, s.kind AS name, s.interval, s.provider, s.symbol, s.start_time, s.last_seen FROM streams s
    WHERE s.symbol = ANY ($1::text[]) AND (s.interval = '' OR s.interval = ANY ($3::text[])) AND ($2::text IS NULL OR s.provider = $2)"""


def _newest_kept(stream: Stream) -> str:
    return f"""
        SELECT x.stream_id, {_columns(stream, "x")} FROM {tables(stream).newest} x
        WHERE x.stream_id = ANY ($1::int8[]) AND ($2::bool OR {_not_shadow(stream, "x")}) AND {stamped("x")}"""


# $1 stream_ids, $2 whether shadow polls count. What is kept as the newest of a series: of bars the one forming.
NEWEST_KEPT: Mapping[str, str] = {
    stream.name: _newest_kept(stream) for stream in VALUE_STREAMS if tables(stream).newest
}


def _newest_of(stream: Stream) -> str:
    newest = "ORDER BY {0}.event_time DESC, {0}.position DESC LIMIT 1"
    of_tables = " UNION ALL ".join(
        f"""
        (SELECT {_columns(stream, "x")} FROM {table} x
        WHERE x.stream_id = wanted.stream_id AND x.event_time >= $2 AND x.event_time < $3 AND x.known_from <= $4
          AND ($5::bool OR {_not_shadow(stream, "x")}) AND {stamped("x")}{_priced(stream, "x")} {newest.format("x")})"""
        for table in tables(stream).timed
    )
    return f"""
    SELECT wanted.stream_id, newest.* FROM unnest($1::int8[], $6::text[]) AS wanted(stream_id, unpriced)
    CROSS JOIN LATERAL (SELECT v.* FROM ({of_tables}) v {newest.format("v")}) newest"""


# $1 stream_ids, [$2, $3) event_time, $4 as_of, $5 whether shadow polls count, $6 of each series the conditions, comma separated,
# of trades that are none at the price of their moment. The newest row of each series known then that may be a price.
NEWEST_OF: Mapping[str, str] = {stream.name: _newest_of(stream) for stream in VALUE_STREAMS}


_REGULAR = bits_of(BAR_STREAM, "session", "regular")
_ADJUSTMENT = packed_field(BAR_STREAM, "adjustment_state")
_WITH_DIVIDENDS = bits_of(BAR_STREAM, "adjustment_state", "all")
_CLOSES = " UNION ALL ".join(
    f"""
        (SELECT b.close, b.event_time, b.position, b.currency FROM {table} b
        WHERE b.stream_id = wanted.stream_id AND b.event_time >= $4 AND b.event_time < $5 AND b.event_time < wanted.opens
          AND (wanted.daily OR (b.flags & {SESSION.mask}) = {_REGULAR})
          AND (b.flags & {_ADJUSTMENT.mask}) <> {_WITH_DIVIDENDS}
          AND b.known_from <= $6 AND ($7::bool OR {_not_shadow(BAR_STREAM, "b")}) AND {stamped("b")}
        ORDER BY b.event_time DESC, b.position DESC LIMIT 1)"""
    for table in BARS.timed
)

# $1 stream_ids, $2 whether of days and $3 opens of the days asked about, one of each per row; [$4, $5) event_time to look in,
# $6 as_of, $7 whether shadow polls count. The last regular close of each series before that open: it is a price of its day,
# which one less its dividends is not.
PREVIOUS_CLOSES = f"""
    SELECT wanted.stream_id, bar.close, bar.event_time, bar.currency
    FROM unnest($1::int8[], $2::bool[], $3::timestamptz[]) AS wanted(stream_id, daily, opens)
    CROSS JOIN LATERAL (
        SELECT v.close, v.event_time, v.currency FROM ({_CLOSES}) v ORDER BY v.event_time DESC, v.position DESC LIMIT 1) bar"""


_TYPE = packed_field(ACTION_STREAM, "type")

# Known since $1 or later, after the row ($2 known_from, $3 stream_id, $4 position), $5 rows: renames of all symbols, every version, by the
# order they became known in; $1 alone finds them by the index on knowledge. A row begins with its provider and ends with its symbol.
RENAMES = f"""
    SELECT s.provider, {_columns(ACTION_STREAM, "v")}, v.stream_id, s.symbol
    FROM {tables(ACTION_STREAM).versions} v JOIN streams s USING (stream_id)
    WHERE v.known_from >= $1 AND (v.known_from, v.stream_id, v.position) > ($2, $3::int8, $4::int8)
      AND v.new_symbol <> '' AND (v.flags & {_TYPE.mask}) = {bits_of(ACTION_STREAM, "type", "rename")} AND {_not_shadow(ACTION_STREAM, "v")}
    ORDER BY v.known_from, v.stream_id, v.position LIMIT $5"""
