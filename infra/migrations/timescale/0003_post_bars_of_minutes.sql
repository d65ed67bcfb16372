-- Bars of 5 and of 30 minutes, kept ready. An hour is two halves: sessions begin on the half hour, so hours are joined
-- by who reads. Every series is aggregated, since a row does not know its interval; those of minutes are read.
-- flags & 255 is what may not differ within a bar: final, session, adjustment_state, simulated. Bits 1792 are the route.
CREATE MATERIALIZED VIEW bars_5m WITH (timescaledb.continuous, timescaledb.materialized_only = true,
    timescaledb.create_group_indexes = false, timescaledb.chunk_interval = '7 days') AS
    SELECT stream_id, time_bucket(INTERVAL '5 minutes', event_time) AS event_time, (flags & 255)::smallint AS flags,
        currency, first(open, event_time) AS open, max(high) AS high, min(low) AS low, last(close, event_time) AS close,
        sum(volume) AS volume, count(*) AS minutes, count(*) FILTER (WHERE (flags & 1792) = 256) AS shadows,
        max(known_from) AS known_from, max(position) AS position
    FROM bars GROUP BY 1, 2, 3, 4 WITH NO DATA;
CREATE MATERIALIZED VIEW bars_30m WITH (timescaledb.continuous, timescaledb.materialized_only = true,
    timescaledb.create_group_indexes = false, timescaledb.chunk_interval = '7 days') AS
    SELECT stream_id, time_bucket(INTERVAL '30 minutes', event_time) AS event_time, flags, currency,
        first(open, event_time) AS open, max(high) AS high, min(low) AS low, last(close, event_time) AS close,
        sum(volume) AS volume, sum(minutes)::bigint AS minutes, sum(shadows)::bigint AS shadows,
        max(known_from) AS known_from, max(position) AS position
    FROM bars_5m GROUP BY 1, 2, 3, 4 WITH NO DATA;
CREATE INDEX bars_5m_of_a_stream ON bars_5m (stream_id, event_time);
CREATE INDEX bars_30m_of_a_stream ON bars_30m (stream_id, event_time);

-- A late row is in its aggregate after the next refresh that reaches back to it; until then readers take the rows. A
-- day is refreshed in one transaction: bucket by bucket a month would take thousands.
SELECT add_continuous_aggregate_policy('bars_5m', start_offset => INTERVAL '30 days', end_offset => INTERVAL '10 minutes',
    schedule_interval => INTERVAL '5 minutes', buckets_per_batch => 288);
SELECT add_continuous_aggregate_policy('bars_30m', start_offset => INTERVAL '30 days', end_offset => INTERVAL '1 hour',
    schedule_interval => INTERVAL '30 minutes', buckets_per_batch => 48);
ALTER MATERIALIZED VIEW bars_5m SET (timescaledb.compress, timescaledb.compress_segmentby = 'stream_id',
    timescaledb.compress_orderby = 'event_time, flags, currency');
ALTER MATERIALIZED VIEW bars_30m SET (timescaledb.compress, timescaledb.compress_segmentby = 'stream_id',
    timescaledb.compress_orderby = 'event_time, flags, currency');
SELECT add_compression_policy(name::regclass, INTERVAL '45 days') FROM unnest(ARRAY['bars_5m', 'bars_30m']) name;

-- Stretches in which rows changed after they were aggregated. One transaction writes a row and says so here.
CREATE FUNCTION changed_since_refresh(aggregate text) RETURNS TABLE (low timestamptz, high timestamptz)
    LANGUAGE sql STABLE AS $$
    WITH RECURSIVE beneath AS (
        SELECT a.mat_hypertable_id, a.raw_hypertable_id FROM _timescaledb_catalog.continuous_agg a
            WHERE a.user_view_schema = current_schema() AND a.user_view_name = aggregate
        UNION ALL
        SELECT a.mat_hypertable_id, a.raw_hypertable_id FROM beneath b
            JOIN _timescaledb_catalog.continuous_agg a ON a.mat_hypertable_id = b.raw_hypertable_id
    ),
    changed AS (
        SELECT l.lowest_modified_value AS low, l.greatest_modified_value AS high
            FROM beneath b JOIN _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log l
            ON l.hypertable_id = b.raw_hypertable_id
        UNION ALL
        SELECT l.lowest_modified_value, l.greatest_modified_value
            FROM beneath b JOIN _timescaledb_catalog.continuous_aggs_materialization_invalidation_log l
            ON l.materialization_id = b.mat_hypertable_id
    )
    SELECT _timescaledb_functions.to_timestamp(c.low), _timescaledb_functions.to_timestamp(c.high) FROM changed c
$$;

-- Bars of 5m or 30m of a symbol's minutes that begin within [from_time, to_time), each of what was known at as_of. An
-- aggregate answers where it is whole, knew nothing later, and nothing changed beneath it; else the rows do. So the
-- answer is the one the rows alone would give.
CREATE FUNCTION bars_of_minutes(symbol text, provider text, "interval" text, from_time timestamptz, to_time timestamptz,
    as_of timestamptz) RETURNS TABLE (event_time timestamptz, flags smallint, currency text, open double precision,
    high double precision, low double precision, close double precision, volume double precision, minutes bigint,
    shadows bigint, known_from timestamptz, "position" bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    width interval := CASE "interval" WHEN '5m' THEN INTERVAL '5 minutes' WHEN '30m' THEN INTERVAL '30 minutes' END;
    whole integer := extract(epoch FROM width) / 60;
BEGIN
    IF width IS NULL THEN
        RAISE EXCEPTION 'bars of minutes are kept as 5m and 30m, not as %', "interval" USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY EXECUTE format($query$
        WITH changed AS MATERIALIZED (SELECT * FROM changed_since_refresh(%1$L)),
        ready AS MATERIALIZED (
            SELECT a.* FROM %1$I a
            WHERE a.stream_id = $1 AND a.event_time >= $2 AND a.event_time < $3 AND a.known_from <= $4 AND a.minutes = $5
              AND NOT EXISTS (SELECT FROM changed c WHERE c.low < a.event_time + $6 AND c.high >= a.event_time)
        ),
        stretches AS (
            SELECT lag(edge.event_time + $6, 1, $2) OVER (ORDER BY edge.event_time) AS starts, edge.event_time AS ends
            FROM (SELECT r.event_time FROM ready r UNION ALL SELECT $3) edge
        ),
        known AS (
            SELECT version.* FROM stretches s CROSS JOIN LATERAL (
                SELECT DISTINCT ON (r.event_time) r.* FROM (
                    SELECT * FROM bars b
                        WHERE b.stream_id = $1 AND b.event_time >= s.starts AND b.event_time < s.ends AND b.known_from <= $4
                    UNION ALL
                    SELECT * FROM bars_superseded b
                        WHERE b.stream_id = $1 AND b.event_time >= s.starts AND b.event_time < s.ends AND b.known_from <= $4
                ) r ORDER BY r.event_time, r.position DESC
            ) version WHERE s.starts < s.ends
        )
        SELECT event_time, flags, currency, open, high, low, close, volume, minutes, shadows, known_from, position FROM ready
        UNION ALL
        SELECT time_bucket($6, event_time), (flags & 255)::smallint, currency, first(open, event_time), max(high), min(low),
            last(close, event_time), sum(volume), count(*), count(*) FILTER (WHERE (flags & 1792) = 256), max(known_from),
            max(position)
        FROM known GROUP BY 1, 2, 3
        ORDER BY 1, 2, 3
    $query$, 'bars_' || "interval")
    USING stream_id_of('bars', '1m', provider, symbol), time_bucket(width, from_time + width - INTERVAL '1 microsecond'),
        time_bucket(width, to_time + width - INTERVAL '1 microsecond'), as_of, whole, width;
END $$;
REVOKE EXECUTE ON FUNCTION bars_of_minutes FROM PUBLIC;
DO $$
BEGIN
    GRANT EXECUTE ON FUNCTION bars_of_minutes TO mds_reader;
EXCEPTION WHEN undefined_object THEN
    RAISE NOTICE 'there is no role mds_reader here: GRANT EXECUTE ON FUNCTION bars_of_minutes to who reads';
END $$;

INSERT INTO timescale_migrations (name) VALUES ('0003_post_bars_of_minutes');
