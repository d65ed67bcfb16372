"""The SQL of option chains: which slices are the newest of a symbol's roots and expiries as of a moment, and the slices themselves.

A slice is found by its root and expiry, the newest known by then, whatever its stamp: a newer poll counts even where the vendor's
stamps are older. Roots and expiries are found by skipping through the index, never by reading what was said of them.
"""

# ruff: noqa: S608 - put together from constants of this module only
from __future__ import annotations

from gateway.database.rows import bits_of, packed_field, read_columns
from schemas.deriving import TableColumn
from schemas.streams import MACRO_STREAM, OPTION_STREAM, QUOTE_STREAM
from schemas.tables import tables

SLICES = tables(OPTION_STREAM).versions
QUOTES, YIELD_VINTAGES = tables(QUOTE_STREAM).versions, tables(MACRO_STREAM).versions
_QUOTE_ROUTE = packed_field(QUOTE_STREAM, "route")
MAX_QUOTES = 100  # beside one slice: of a provider's two minutes
_ROUTE = packed_field(OPTION_STREAM, "route")
_FIRST = "DATE '1970-01-01'"
_IN_TIME = "o.event_time >= $3 AND o.event_time < $4"

_LISTED = f"""
    WITH RECURSIVE listed AS (
        SELECT s.provider, o.* FROM streams s CROSS JOIN LATERAL (
            SELECT o.stream_id, o.root, o.expiry FROM {SLICES} o WHERE o.stream_id = s.stream_id AND {_IN_TIME}
            ORDER BY o.root, o.expiry LIMIT 1) o
        WHERE s.symbol = $1 AND s.kind = '{OPTION_STREAM.name}' AND ($2::text IS NULL OR s.provider = $2)
        UNION ALL
        SELECT l.provider, o.* FROM listed l CROSS JOIN LATERAL (
            SELECT o.stream_id, o.root, o.expiry FROM {SLICES} o
            WHERE o.stream_id = l.stream_id AND (o.root, o.expiry) > (l.root, l.expiry) AND {_IN_TIME}
            ORDER BY o.root, o.expiry LIMIT 1) o
    )"""
_COUNTS = (
    f"($2::text IS NOT NULL OR (o.flags & {_ROUTE.mask}) <> {bits_of(OPTION_STREAM, 'route', 'shadow')})"
)
_SAME_ENTRY = f"o.stream_id = l.stream_id AND o.root = l.root AND o.expiry = l.expiry AND {_IN_TIME}"

# $1 symbol, $2 provider or null (then no shadow counts), [$3, $4) event_time, whole months, so that nothing of a partition that is
# opened is left out; $5 as_of: of each root and expiry the place of its newest slice known by then.
NEWEST_SLICES = f"""{_LISTED}
    SELECT l.provider, l.stream_id, l.root, l.expiry - {_FIRST} AS expiry, newest.* FROM listed l CROSS JOIN LATERAL (
        SELECT o.event_time, o.position, o.known_from FROM {SLICES} o WHERE {_SAME_ENTRY} AND o.known_from <= $5
          AND {_COUNTS}
        ORDER BY o.known_from DESC, o.position DESC LIMIT 1) newest
    ORDER BY l.provider, expiry, l.root"""

# $1 to $4 as above, $5 moments and $6 event_times, one of each a session: as of each moment the places of the newest slices known by then and stamped
# before that time, with the number of the moment. `lacks` says whether a slice has no price of its underlying.
NEWEST_AT_MOMENTS = f"""{_LISTED}
    SELECT asked.number, l.provider, l.stream_id, l.root, l.expiry - {_FIRST} AS expiry, newest.*
    FROM unnest($5::timestamptz[], $6::timestamptz[]) WITH ORDINALITY asked (known_by, stamped_before, number)
    CROSS JOIN listed l CROSS JOIN LATERAL (
        SELECT o.event_time, o.position, o.known_from, o.flags, o.underlying_price IS NULL AND o.underlying_bid IS NULL AS lacks
        FROM {SLICES} o WHERE {_SAME_ENTRY} AND o.known_from <= asked.known_by AND o.event_time < asked.stamped_before
          AND {_COUNTS}
        ORDER BY o.known_from DESC, o.position DESC LIMIT 1) newest
    ORDER BY asked.number, l.provider, expiry, l.root"""

# $1 symbol, $2 provider or null, [$3, $4) event_time: when the first slice became known; null where none ever did.
FIRST_SLICE = f"""{_LISTED}
    SELECT min(first.known_from) FROM listed l CROSS JOIN LATERAL (
        SELECT o.known_from FROM {SLICES} o WHERE {_SAME_ENTRY} ORDER BY o.known_from, o.position LIMIT 1) first"""


def _read(column: TableColumn) -> str:
    if column.type == "date":  # days as integers, as everywhere here
        return f"(o.{column.name} - {_FIRST}) AS {column.name}"
    if column.type == "char[]":  # a letter a leg
        return f"array_to_string(o.{column.name}, '') AS {column.name}"
    return f"o.{column.name}"


_UNREAD = ("leg_vendor_delta", "leg_vendor_gamma", "leg_vendor_theta", "leg_vendor_vega", "leg_vendor_rho")
COLUMNS = tuple(column for column in read_columns(OPTION_STREAM) if column.name not in _UNREAD)

# What a volatility follows from.
PRICED_FIELDS = ("strike", "right", "bid", "ask", "quote_time", "multiplier")
_PRICED = tuple(
    column
    for column in COLUMNS
    if not column.name.startswith("leg_") or column.name.removeprefix("leg_") in PRICED_FIELDS
)

# $1 stream_ids, $2 event_times and $3 positions of slices, one of each a row; all of them lie in [$4, $5).
_AT_PLACES = f"""
    FROM unnest($1::int8[], $2::timestamptz[], $3::int8[]) wanted (stream_id, event_time, position)
    JOIN {SLICES} o ON o.stream_id = wanted.stream_id AND o.event_time = wanted.event_time AND o.position = wanted.position
      AND {_IN_TIME.replace("$4", "$5").replace("$3", "$4")}"""
SLICES_AT = f"""
    SELECT wanted.stream_id, {", ".join(map(_read, COLUMNS))}{_AT_PLACES}"""
QUOTES_OF_SLICES_AT = f"""
    SELECT wanted.stream_id, {", ".join(map(_read, _PRICED))}{_AT_PLACES}"""

# $1 symbol, $2 event_times and $3 known_froms, one of each a row, and $4 how far from it (µs): quotes of about those moments, known by
# then; all of them lie in [$5, $6).
QUOTES_BESIDE = f"""
    SELECT DISTINCT s.provider, q.event_time, q.known_from, q.position, q.bid, q.ask, q.last
    FROM unnest($2::timestamptz[], $3::timestamptz[]) wanted (event_time, known_from)
    CROSS JOIN streams s CROSS JOIN LATERAL (
        SELECT v.* FROM {QUOTES} v WHERE v.stream_id = s.stream_id AND v.known_from <= wanted.known_from
          AND v.event_time >= wanted.event_time - $4::bigint * interval '1 us'
          AND v.event_time <= wanted.event_time + $4::bigint * interval '1 us'
          AND v.event_time >= $5 AND v.event_time < $6
          AND (v.flags & {_QUOTE_ROUTE.mask}) <> {bits_of(QUOTE_STREAM, "route", "shadow")}
        ORDER BY v.event_time DESC, v.position DESC LIMIT {MAX_QUOTES}) q
    WHERE s.symbol = $1 AND s.kind = '{QUOTE_STREAM.name}'"""

# $1 keys of series, [$2, $3] days, $4 as_of: every vintage of those days known by then.
YIELDS = f"""
    SELECT s.symbol, m.period_start - {_FIRST} AS day, m.value, m.known_from, m.position
    FROM streams s JOIN {YIELD_VINTAGES} m USING (stream_id)
    WHERE s.symbol = ANY ($1::text[]) AND s.kind = '{MACRO_STREAM.name}' AND m.known_from <= $4
      AND m.period_start BETWEEN {_FIRST} + $2::integer AND {_FIRST} + $3::integer
    ORDER BY m.known_from, m.position"""
