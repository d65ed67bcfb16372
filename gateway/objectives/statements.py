"""Statements of the objectives; $n parameters only, times are µs both ways."""

from __future__ import annotations

# $1 the last series of the page before, $2 rows
SERIES = """
    SELECT stream_id, kind, interval, provider, symbol, start_time, last_seen FROM streams
    WHERE stream_id > $1 AND last_seen IS NOT NULL ORDER BY stream_id LIMIT $2
"""
# $1 symbols
SERIES_OF_SYMBOLS = """
    SELECT stream_id, kind, interval, provider, symbol, start_time, last_seen FROM streams
    WHERE symbol = ANY($1::text[]) AND last_seen IS NOT NULL
"""
# $1 the last symbol of the page before, $2 symbols: by steps along the index, however many series each has
SYMBOLS = """
    WITH RECURSIVE each AS (
        (SELECT symbol, 1 AS number FROM streams WHERE symbol > $1 ORDER BY symbol LIMIT 1)
        UNION ALL
        SELECT following.symbol, each.number + 1 FROM each CROSS JOIN LATERAL (
            SELECT x.symbol FROM streams x WHERE x.symbol > each.symbol ORDER BY x.symbol LIMIT 1) following
        WHERE each.number < $2
    )
    SELECT symbol FROM each
"""
# $1 numbers of series, $2 from when on of each, $3 until when: sessions with bars that did not come
COVERAGE = """
    SELECT s.stream_id, c.start_time, c.expected, c.absent, c.empty FROM unnest($1::bigint[], $2::timestamptz[]) s(stream_id, low)
    CROSS JOIN LATERAL (
        SELECT * FROM coverage x WHERE x.stream_id = s.stream_id AND x.start_time >= s.low AND x.start_time < $3
        ORDER BY x.start_time OFFSET 0
    ) c
"""
# $1 and $2 end and id of the last gap of the page before, $3 rows: gaps whose values are neither stored nor proved absent
OPEN_HOLES = """
    SELECT gap_id, stream, from_time, to_time, state, cause FROM gaps
    WHERE (to_time, gap_id) > ($1, $2) AND state IN ('open', 'filling', 'unrecoverable')
    ORDER BY to_time, gap_id LIMIT $3
"""
# $1 series by name, $2 and $3 from when until when
HOLES = """
    SELECT g.stream, g.from_time, g.to_time, g.state, g.cause FROM unnest($1::text[]) s(stream)
    CROSS JOIN LATERAL (
        SELECT * FROM gaps x
        WHERE x.stream = s.stream AND tstzrange(x.from_time, x.to_time) && tstzrange($2, $3) AND x.state <> 'empty' OFFSET 0
    ) g
"""
# $1 series by name, $2 and $3 from when until when: what backfill jobs wait for or fetch
UNDER_WAY = """
    SELECT j.stream, j.from_time, j.to_time FROM unnest($1::text[]) s(stream)
    CROSS JOIN LATERAL (
        SELECT x.stream, x.from_time, x.to_time FROM backfill_jobs x
        WHERE x.stream = s.stream AND x.state IN ('queued', 'waiting', 'running') AND x.from_time < $3 AND x.to_time > $2 OFFSET 0
    ) j
"""
# A job is held while its provider cannot be asked, or refuses: that is no delay of the queue.
_HELD = """EXISTS (SELECT FROM provider_health h WHERE h.capability = replace(split_part(j.stream, ':', 1), '.', ':')
        AND h.provider = j.provider AND h.observed_time BETWEEN j.enqueued_time AND {until} AND NOT h.usable)"""
# What somebody's clock put into the future happened at no time that is known: until then it is in no window.
# $1 when each window begins (wall time, the longest first), $2 now, $3 how long a job may take, s: T0 jobs that ended in it
DRAINED = f"""
    SELECT w.low, count(*) FILTER (WHERE NOT d.held) AS total, count(*) FILTER (WHERE d.late AND NOT d.held) AS late,
        count(*) FILTER (WHERE d.held) AS held
    FROM (
        SELECT e.finished_time, e.late, e.attempts > 1 OR e.late AND e.was_held AS held FROM (
            SELECT j.finished_time, j.attempts, o.late, CASE WHEN o.late THEN {_HELD.format(until="j.finished_time")} END AS was_held
            FROM backfill_jobs j
            CROSS JOIN LATERAL (SELECT j.finished_time > j.enqueued_time + make_interval(secs => $3::float8) AS late) o
            WHERE j.tier = 'T0' AND j.finished_time IS NOT NULL AND j.finished_time > ($1::timestamptz[])[1]
                AND j.finished_time <= $2
        ) e
    ) d JOIN unnest($1::timestamptz[]) w(low) ON d.finished_time > w.low GROUP BY w.low
"""  # noqa: S608 - two texts of this module, nothing of a request
# $1 now (wall time), $2 how long a job may take, s: T0 jobs that are not over
WAITING = f"""
    SELECT count(*) AS waiting, count(*) FILTER (WHERE d.late AND NOT d.held) AS late, count(*) FILTER (WHERE d.held) AS held,
        min(d.enqueued_time) FILTER (WHERE NOT d.held) AS oldest,
        (array_agg(d.job_id ORDER BY d.enqueued_time) FILTER (WHERE d.late AND NOT d.held))[1:5] AS jobs
    FROM (
        SELECT e.*, e.state = 'waiting' OR e.attempts > 1 OR e.late AND e.was_held AS held FROM (
            SELECT j.job_id, j.enqueued_time, j.state, j.attempts, o.late,
                CASE WHEN o.late THEN {_HELD.format(until="$1::timestamptz")} END AS was_held
            FROM backfill_jobs j
            CROSS JOIN LATERAL (SELECT j.enqueued_time < $1::timestamptz - make_interval(secs => $2::float8) AS late) o
            WHERE j.tier = 'T0' AND j.state IN ('queued', 'waiting', 'running')
        ) e
    ) d
"""  # noqa: S608 - as above
# $1 and $2 the first and the last day (UTC)
BANS = """
    SELECT provider, endpoint, day::text AS day, ban_count, reason FROM provider_budgets
    WHERE day BETWEEN ($1::timestamptz AT TIME ZONE 'UTC')::date AND ($2::timestamptz AT TIME ZONE 'UTC')::date
    ORDER BY ban_count DESC, provider, endpoint, day
"""
MEMBERS = "SELECT symbol, tier, streams FROM universe"
# $1 who measured, $2 when, $3 messages, $4 those that took too long, $5 how many fell into each bucket
ADD_SAMPLE = """
    INSERT INTO slo_samples (source, observed_time, total, slow, counts) VALUES ($1, $2, $3, $4, $5::bigint[])
    ON CONFLICT DO NOTHING
"""
# $1 what was measured before it, $2 and what after it: by a clock that was wrong
FORGET_SAMPLES = "DELETE FROM slo_samples WHERE observed_time < $1 OR observed_time > $2"
# $1 when each window begins (wall time, the longest first), $2 now
SAMPLES = """
    SELECT w.low, s.source, sum(s.total)::bigint AS total, sum(s.slow)::bigint AS slow
    FROM (SELECT * FROM slo_samples WHERE observed_time > ($1::timestamptz[])[1] AND observed_time <= $2) s
    JOIN unnest($1::timestamptz[]) w(low) ON s.observed_time > w.low GROUP BY w.low, s.source
"""
# $1 from when on, $2 now
BUCKETS = """
    SELECT e.bucket - 1 AS bucket, sum(e.count)::bigint AS count
    FROM slo_samples s CROSS JOIN LATERAL unnest(s.counts) WITH ORDINALITY e(count, bucket)
    WHERE s.observed_time > $1 AND s.observed_time <= $2 GROUP BY e.bucket
"""
