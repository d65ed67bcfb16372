"""The SQL of the ledger: gaps, what they follow from, and how far each series has come; written like that of market data."""

# ruff: noqa: S608 - put together from constants of this module and its neighbour only
from __future__ import annotations

from gateway.database.rows import bits_of, packed_field
from gateway.database.statements import BARS, stamped
from schemas.records import SERVED_ELSEWHERE
from schemas.streams import BAR_STREAM

# Gaps as they are shown now: filling while a job fetches a part, which is nowhere stored. Few jobs run at once.
_FETCHED = "j.stream = g.stream AND tstzrange(g.from_time, g.to_time) && tstzrange(j.from_time, j.to_time)"
_IS_FILLING = f"EXISTS (SELECT FROM running j WHERE {_FETCHED})"
_PRESENT = (
    f"gaps g WHERE ($3::text IS NULL OR state = $3) AND ($3 IS DISTINCT FROM 'open' OR NOT {_IS_FILLING})"
)
_FILLING = f"(SELECT DISTINCT g.* FROM running j JOIN gaps g ON {_FETCHED}) g WHERE state = 'open' AND $3::text = 'filling'"


def _gaps(found: str, order: str, beyond: str) -> str:
    return f"""
    WITH running AS MATERIALIZED (SELECT stream, from_time, to_time FROM backfill_jobs WHERE state = 'running')
    SELECT gap_id, stream, symbol, provider, interval, from_time, to_time, cause, confidence, generation, expected, detector,
           known_from, CASE WHEN state = 'open' AND {_IS_FILLING} THEN 'filling' ELSE state END AS state
    FROM {found} AND ($1::text[] IS NULL OR interval = ANY ($1)) AND ($2::text IS NULL OR provider = $2)
      AND from_time < $5 AND to_time > $4 AND (from_time, gap_id) {beyond} ($6, $7)
    ORDER BY from_time {order}, gap_id {order} LIMIT $8"""


# $1 intervals or null, $2 provider or null, $3 state or null, overlapping [$4, $5), $6, $7: (from_time, gap_id) of the
# last row of the page before, $8 rows. Blind gaps of all symbols as they are now, in order and backwards; FILLING_GAPS where $3 is filling.
PRESENT_GAPS = _gaps(_PRESENT, "ASC", ">"), _gaps(_PRESENT, "DESC", "<")
FILLING_GAPS = _gaps(_FILLING, "ASC", ">"), _gaps(_FILLING, "DESC", "<")

_OF_GAPS = """symbol = $1 AND known_from <= $4 AND ($5::text[] IS NULL OR interval = ANY ($5))
        AND ($6::text IS NULL OR provider = $6)"""

# $1 symbol, overlapping [$2, $3), $4 as_of, $5 intervals or null, $6 provider or null. What was known of completeness then.
EVIDENCE = f"""
    SELECT kind, stream, symbol, provider, interval, from_time, to_time, cause, expected, detector, job_id, known_from,
           raw_offset, idx AS index
    FROM gap_evidence
    WHERE tstzrange(from_time, to_time) && tstzrange($2, $3) AND {_OF_GAPS}"""

# $1 symbol, $2 as_of: from when on something was told of it then. Without as_of: when the first of it became known.
FIRST_EVIDENCE = """
    SELECT from_time FROM gap_evidence WHERE symbol = $1 AND known_from <= $2 ORDER BY from_time LIMIT 1"""
EVIDENCE_KNOWN = "SELECT min(known_from) FROM gap_evidence WHERE symbol = $1"

# $1 stream_ids. How far their rows reach.
REACHES = """
    SELECT stream_id, start_time, last_seen FROM streams
    WHERE stream_id = ANY ($1::int8[]) AND start_time IS NOT NULL AND last_seen IS NOT NULL"""

_ROUTE = packed_field(BAR_STREAM, "route")
_LIVE_BARS = " UNION ALL ".join(
    f"""
        (SELECT b.event_time FROM {table} b
        WHERE b.stream_id = wanted.stream_id AND b.event_time >= $2 AND b.event_time < $3 AND b.known_from <= $4
          AND (b.flags & {_ROUTE.mask}) <> {bits_of(BAR_STREAM, "route", "backfill")} AND {stamped("b")}
        ORDER BY b.event_time DESC LIMIT 1)"""
    for table in BARS.timed
)

# $1 stream_ids, [$2, $3) event_time, $4 as_of. The newest bar of each that came by no backfill: up to there it is collected.
HORIZONS = f"""
    SELECT wanted.stream_id, max(newest.event_time) AS horizon FROM unnest($1::int8[]) AS wanted(stream_id)
    CROSS JOIN LATERAL ({_LIVE_BARS}) newest GROUP BY wanted.stream_id"""

_STARTS = " UNION ALL ".join(
    f"""
        SELECT b.event_time FROM {table} b
        WHERE b.stream_id = wanted.stream_id AND b.event_time >= $4 AND b.event_time < $5
          AND b.event_time >= wanted.low AND b.event_time < wanted.high AND b.known_from <= $6"""
    for table in BARS.timed
)

# $1 stream_ids, $2 and $3 from and to of each, [$4, $5) all of it, $6 as_of. Bars of which a version was known then.
STORED_STARTS = f"""
    SELECT wanted.stream_id, known.event_time
    FROM unnest($1::int8[], $2::timestamptz[], $3::timestamptz[]) AS wanted(stream_id, low, high)
    CROSS JOIN LATERAL ({_STARTS}) known"""

# $1 its text: where a series is collected; "from here on" leaves out what was served elsewhere. $1 symbol, $2 text, $3 from
# when on: the first gap that is not healed. $1 its number, $2 from when on: the first sessions with bars that did not come.
COLLECTED = f"""
    SELECT lower(stretch) AS from_time, upper(stretch) AS to_time
    FROM (
        SELECT unnest(
            coalesce(range_agg(told) FILTER (WHERE to_time IS NULL), '{{}}')
            - coalesce(range_agg(told) FILTER (WHERE cause = '{SERVED_ELSEWHERE}'), '{{}}')
            + coalesce(range_agg(told) FILTER (WHERE to_time IS NOT NULL AND cause <> '{SERVED_ELSEWHERE}'), '{{}}')
        ) AS stretch
        FROM gap_evidence CROSS JOIN LATERAL (SELECT tstzrange(from_time, to_time) AS told) stretches
        WHERE stream = $1 AND kind = 'collected') merged
    ORDER BY 1"""
FIRST_HOLE = """
    SELECT from_time FROM gaps
    WHERE symbol = $1 AND stream = $2 AND to_time > $3 AND state NOT IN ('filled', 'empty') ORDER BY from_time LIMIT 1"""
FIRST_ABSENCE = """
    SELECT start_time, expected, absent, empty FROM coverage
    WHERE stream_id = $1 AND start_time >= $2 AND absent <> '' ORDER BY start_time LIMIT 4"""
CURSOR = "SELECT start_time, last_seen FROM streams WHERE stream_id = $1 AND last_seen IS NOT NULL"

CURSORS_OF_SYMBOL = """
    SELECT kind, interval, provider FROM streams WHERE symbol = $1 AND last_seen IS NOT NULL
    ORDER BY kind, interval, provider LIMIT 50"""
