"""The SQL of market data, every part of it a constant of this module; that of statistics is in gateway/operations.

The point-in-time condition is always `known_from <= $as_of`; every statement reads one snapshot.

`sources` walks the providers of a symbol by index probes: the primary keys begin (symbol, provider, ...), and a
condition on event_time alone would read all of a symbol's rows.
"""

# ruff: noqa: S608 - put together from constants of this module only
from __future__ import annotations

from gateway.database.versions import BAR_COLUMNS, VALUE_STREAMS
from schemas.deriving import columns, newest_table
from schemas.streams import STREAMS, Stream

WATERMARKS = "SELECT topic, partition, complete_before FROM watermarks"

WATERMARK = "SELECT complete_before FROM watermarks WHERE topic = $1 AND partition = $2"

_BAR = ", ".join(f"{{0}}.{column.name}" for column in BAR_COLUMNS)

_BAR_SOURCES = """
    RECURSIVE sources(provider) AS (
        SELECT coalesce($5, (SELECT min(c.provider) FROM bars_current c WHERE c.symbol = $1))
        UNION ALL
        SELECT (SELECT min(c.provider) FROM bars_current c WHERE c.symbol = $1 AND c.provider > s.provider)
        FROM sources s WHERE s.provider IS NOT NULL AND $5 IS NULL
    )"""

# Best of all leaves shadow polls out; a provider asked for by name is shown whole.
_CURRENT_COUNTS = "(c.known_from <= $6 AND ($5 IS NOT NULL OR c.route <> 'shadow'))"

_OLDER_VERSION = f"""
    SELECT {_BAR.format("b")},
           (SELECT count(*) FROM bars v
            WHERE v.symbol = $1 AND v.provider = b.provider AND v.interval = $2 AND v.event_time = b.event_time
              AND (v.known_from, v.raw_offset, v.idx) < (b.known_from, b.raw_offset, b.idx))::integer AS revision
    FROM bars b
    WHERE b.symbol = $1 AND b.provider = c.provider AND b.interval = $2 AND b.event_time = c.event_time
      AND b.known_from <= $6 AND ($5 IS NOT NULL OR b.route <> 'shadow')
    ORDER BY b.known_from DESC, b.raw_offset DESC, b.idx DESC LIMIT 1"""

# The version is chosen per row, so the scan keeps the index order and LIMIT ends it.
_OF_ONE_PROVIDER = f"""
    SELECT version.*
    FROM bars_current c CROSS JOIN LATERAL (
        SELECT {_BAR.format("c")}, c.revision WHERE {_CURRENT_COUNTS}
        UNION ALL
        SELECT * FROM ({_OLDER_VERSION}) older WHERE NOT {_CURRENT_COUNTS}
    ) version
    WHERE c.symbol = $1 AND c.provider = s.provider AND c.interval = $2 AND c.event_time >= $3 AND c.event_time < $4
      AND ($8::text[] IS NULL OR version.session = ANY ($8))
    ORDER BY c.event_time {{0}} LIMIT $7"""

_LATEST_BARS = f"""
    WITH {_BAR_SOURCES}
    SELECT DISTINCT ON (bar.event_time) bar.*
    FROM sources s CROSS JOIN LATERAL ({_OF_ONE_PROVIDER}) bar
    WHERE s.provider IS NOT NULL
    ORDER BY bar.event_time {{0}}, bar.raw_offset DESC, bar.idx DESC
    LIMIT $7"""

# $1 symbol, $2 interval, [$3, $4) event_time, $5 provider or null, $6 as_of, $7 rows, $8 sessions or null.
# The newest version known by then of each key: bars_current where that is it, else the one before in bars; then
# per event_time the highest position.
LATEST_BARS_ASCENDING = _LATEST_BARS.format("ASC")
LATEST_BARS_DESCENDING = _LATEST_BARS.format("DESC")

# As above, but every version known by then; $9..$11: (event_time, raw_offset, idx) of the last row of the page before.
ALL_BARS = f"""
    SELECT * FROM (
        SELECT {_BAR.format("b")},
               (row_number() OVER (PARTITION BY b.provider, b.event_time
                                   ORDER BY b.known_from, b.raw_offset, b.idx) - 1)::integer AS revision
        FROM bars b
        WHERE b.symbol = $1 AND b.interval = $2 AND b.event_time >= $3 AND b.event_time < $4
          AND ($5::text IS NULL OR b.provider = $5) AND b.known_from <= $6
    ) version
    WHERE ($5::text IS NOT NULL OR version.route <> 'shadow') AND ($8::text[] IS NULL OR version.session = ANY ($8))
      AND (version.event_time, version.raw_offset, version.idx) > ($9, $10, $11)
    ORDER BY version.event_time, version.raw_offset, version.idx
    LIMIT $7"""

# $1 symbol, $2 interval, $3 provider or null, $4 as_of; per provider the first and the newest bar known by then.
BAR_EDGES = f"""
    WITH {_BAR_SOURCES.replace("$5", "$3")}
    SELECT first.event_time AS oldest, last.event_time AS newest, last.final
    FROM sources s
    CROSS JOIN LATERAL (
        SELECT b.event_time FROM bars b
        WHERE b.symbol = $1 AND b.provider = s.provider AND b.interval = $2 AND b.known_from <= $4
          AND ($3 IS NOT NULL OR b.route <> 'shadow')
        ORDER BY b.event_time LIMIT 1) first
    CROSS JOIN LATERAL (
        SELECT b.event_time, b.final FROM bars b
        WHERE b.symbol = $1 AND b.provider = s.provider AND b.interval = $2 AND b.known_from <= $4
          AND ($3 IS NOT NULL OR b.route <> 'shadow')
        ORDER BY b.event_time DESC, b.known_from DESC, b.raw_offset DESC, b.idx DESC LIMIT 1) last
    WHERE s.provider IS NOT NULL"""

FIRST_KNOWN = f"""
    WITH {_BAR_SOURCES}
    SELECT min(first.known_from)
    FROM sources s CROSS JOIN unnest($2::text[]) AS wanted(interval) CROSS JOIN LATERAL (
        SELECT min(b.known_from) AS known_from FROM bars b
        WHERE b.symbol = $1 AND b.provider = s.provider AND b.interval = wanted.interval
          AND b.event_time >= $3 AND b.event_time < $4) first
    WHERE s.provider IS NOT NULL"""

PROVIDERS = """
    WITH RECURSIVE sources(provider) AS (
        SELECT min(c.provider) FROM bars_current c WHERE c.symbol = $1
        UNION ALL
        SELECT (SELECT min(c.provider) FROM bars_current c WHERE c.symbol = $1 AND c.provider > s.provider)
        FROM sources s WHERE s.provider IS NOT NULL
    )
    SELECT provider FROM sources WHERE provider IS NOT NULL"""


def _first(table: str) -> str:
    # In the order of the primary key: an EXISTS would be planned as a scan of the whole table.
    return f"(SELECT true FROM {table} x WHERE x.symbol = wanted.symbol ORDER BY x.provider LIMIT 1)"


KNOWN_SYMBOLS = f"""
    SELECT wanted.symbol FROM unnest($1::text[]) AS wanted(symbol)
    WHERE coalesce({", ".join(_first(newest_table(stream) or stream.name) for stream in STREAMS)},
        (SELECT true FROM universe_changes u WHERE u.symbol = wanted.symbol ORDER BY u.version DESC LIMIT 1))"""


def _sources(table: str) -> str:
    return f"""
    RECURSIVE sources(symbol, provider) AS (
        SELECT w.symbol, coalesce($2, (SELECT min(x.provider) FROM {table} x WHERE x.symbol = w.symbol))
        FROM unnest($1::text[]) AS w(symbol)
        UNION ALL
        SELECT s.symbol,
               (SELECT min(x.provider) FROM {table} x WHERE x.symbol = s.symbol AND x.provider > s.provider)
        FROM sources s WHERE s.provider IS NOT NULL AND $2 IS NULL
    )"""


_NOT_SHADOW = "($2 IS NOT NULL OR x.route <> 'shadow')"
_NEWEST = "ORDER BY x.event_time DESC, x.known_from DESC, x.raw_offset DESC, x.idx DESC LIMIT 1"
_TYPES = {column.name: column.type for stream in VALUE_STREAMS for column in columns(stream)}


def _newest_of(stream: Stream) -> str:
    """Select the newest value of each provider, with the columns of all value streams; what is not its own is null."""
    own = {column.name for column in columns(stream)}
    read = ", ".join(
        f"x.{name}" if name in own else f"NULL::{kind} AS {name}" for name, kind in _TYPES.items()
    )
    of_minute = " AND x.interval = '1m'" if stream.by_interval else ""
    # A series of slots has too many rows to walk its providers in: the newest versions are fewer.
    walked = newest_table(stream) if stream.versions == "slots" else stream.name
    return f"""
    (WITH {_sources(walked)}
    SELECT '{stream.name}' AS stream, v.* FROM sources s CROSS JOIN LATERAL (
        SELECT {read}
        FROM {stream.name} x WHERE x.symbol = s.symbol AND x.provider = s.provider{of_minute} AND x.known_from <= $3
          AND x.event_time <= $4 AND {_NOT_SHADOW} {_NEWEST}) v)"""


# $1 symbols, $2 provider or null, $3 as_of, $4 no later event_time. One row per symbol, provider and stream.
NEWEST_VALUES = " UNION ALL ".join(_newest_of(stream) for stream in VALUE_STREAMS)

# $1 symbol or null, $2 intervals or null, $3 provider or null, $4 state or null, overlapping [$5, $6), $7 known by,
# $8, $9: (from_time, gap_id) of the last row of the page before, $10 rows.
_GAPS = """
    SELECT gap_id, stream, symbol, provider, interval, from_time, to_time, cause, confidence, state, generation,
           expected, detector, known_from
    FROM gaps
    WHERE ($1::text IS NULL OR symbol = $1) AND ($2::text[] IS NULL OR interval = ANY ($2))
      AND ($3::text IS NULL OR provider = $3) AND ($4::text IS NULL OR state = $4)
      AND from_time < $6 AND to_time > $5 AND known_from <= $7 AND (from_time, gap_id) {0} ($8, $9)
    ORDER BY from_time {1}, gap_id {1} LIMIT $10"""
GAPS_ASCENDING = _GAPS.format(">", "ASC")
GAPS_DESCENDING = _GAPS.format("<", "DESC")

CURSOR = """
    SELECT c.start_time, c.last_seen, c.partition,
           (SELECT min(g.from_time) FROM gaps g WHERE g.stream = $4 AND g.state NOT IN ('filled', 'empty')) AS hole
    FROM cursors c WHERE c.channel = $1 AND c.provider = $2 AND c.symbol = $3"""

CURSORS_OF_SYMBOL = (
    "SELECT channel, provider FROM cursors WHERE symbol = $1 ORDER BY channel, provider LIMIT 50"
)

# $1 symbols, $2 providers and $3 days' opens, one of each per row; $4 as_of. The last regular close before each open.
PREVIOUS_CLOSES = """
    SELECT wanted.symbol, bar.close
    FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS wanted(symbol, provider, opens)
    CROSS JOIN LATERAL (
        SELECT b.close FROM bars b
        WHERE b.symbol = wanted.symbol AND b.provider = wanted.provider AND b.interval = '1m'
          AND b.event_time < wanted.opens AND b.event_time >= wanted.opens - interval '10 days'
          AND b.session = 'regular' AND b.known_from <= $4
        ORDER BY b.event_time DESC, b.known_from DESC, b.raw_offset DESC, b.idx DESC LIMIT 1) bar"""
