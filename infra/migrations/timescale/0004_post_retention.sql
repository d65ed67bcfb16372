-- What 0011_pre_retention.sql makes, for tables that are hypertables: chunks of all tables of a kind and of what was
-- aggregated from them go together and leave one floor. Sinks call it for the streams of SINKS_KEEP_DAYS. Plain tables
-- of other kinds have no chunks: of them nothing goes.
CREATE OR REPLACE FUNCTION drop_before(of_kind text, parents text[], before timestamptz) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '2s' AS $$
DECLARE
    parent text;
    ended timestamptz;
    dropped integer;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('drop_before'), hashtext(of_kind)) THEN
        RETURN 0;  -- another sink is at it
    END IF;
    SELECT count(*), max(range_end) INTO dropped, ended FROM timescaledb_information.chunks
        WHERE hypertable_schema = current_schema() AND hypertable_name = ANY (parents) AND range_end <= before;
    IF dropped > 0 THEN
        FOREACH parent IN ARRAY parents || ARRAY[of_kind || '_5m', of_kind || '_30m'] LOOP
            IF to_regclass(quote_ident(parent)) IS NOT NULL THEN
                PERFORM drop_chunks(quote_ident(parent)::regclass, older_than => ended);
            END IF;
        END LOOP;
        INSERT INTO retention_floors AS f VALUES (of_kind, ended)
            ON CONFLICT (kind) DO UPDATE SET floor = GREATEST(f.floor, excluded.floor);
        DELETE FROM gaps WHERE to_time <= ended AND (stream LIKE of_kind || ':%' OR stream LIKE of_kind || '.%');
    END IF;
    -- A sink that remembers more writes it down again, so this is said every time.
    UPDATE streams s SET start_time = CASE WHEN s.last_seen < f.floor THEN NULL ELSE f.floor END,
            last_seen = CASE WHEN s.last_seen < f.floor THEN NULL ELSE s.last_seen END
        FROM retention_floors f WHERE f.kind = of_kind AND s.kind = of_kind AND s.start_time < f.floor;
    RETURN dropped;
END $$;

-- Bars are kept for a year even where SINKS_KEEP_DAYS says nothing of them; alter_job says otherwise.
CREATE PROCEDURE drop_old_bars(job_id integer, config jsonb) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM drop_before('bars', ARRAY['bars', 'bars_superseded'], now() - (config ->> 'keep')::interval);
END $$;
SELECT add_job('drop_old_bars', INTERVAL '1 day', config => '{"keep": "365 days"}');

INSERT INTO timescale_migrations (name) VALUES ('0004_post_retention');
