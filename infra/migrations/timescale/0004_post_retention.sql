-- What 0011_pre_retention.sql makes, for tables that are hypertables: the oldest chunks of all tables of a kind and of
-- what was aggregated from them go together and leave one floor. Sinks call it for the streams of SINKS_KEEP_DAYS. Plain
-- tables of other kinds have no chunks: of them nothing goes.
CREATE OR REPLACE FUNCTION drop_before(of_kind text, parents text[], now_is timestamptz, keep interval) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '2s' AS $$
DECLARE
    since timestamptz := kept_since(of_kind, now_is, keep);
    parent text;
    ended timestamptz;
    dropped integer;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('drop_before'), hashtext(of_kind)) THEN
        RETURN 0;  -- another sink is at it
    END IF;
    SELECT count(*), max(old.range_end) INTO dropped, ended FROM (
        SELECT c.range_end, dense_rank() OVER (ORDER BY c.range_end) AS place FROM timescaledb_information.chunks c
        WHERE c.hypertable_schema = current_schema() AND c.hypertable_name = ANY (parents)
            AND c.range_end <= since
    ) old WHERE old.place <= 31;
    IF dropped > 0 THEN
        FOREACH parent IN ARRAY parents || ARRAY[of_kind || '_5m', of_kind || '_30m'] LOOP
            IF to_regclass(quote_ident(parent)) IS NOT NULL THEN
                PERFORM drop_chunks(quote_ident(parent)::regclass, older_than => ended);
            END IF;
        END LOOP;
    END IF;
    PERFORM raise_floor(of_kind, ended);
    RETURN dropped;
END $$;

-- Bars are kept for a year even where SINKS_KEEP_DAYS says nothing of them; alter_job says otherwise.
CREATE PROCEDURE drop_old_bars(job_id integer, config jsonb) LANGUAGE plpgsql AS $$
BEGIN
    WHILE drop_before('bars', ARRAY['bars', 'bars_superseded'], now(), (config ->> 'keep')::interval) > 0 LOOP
        COMMIT;
    END LOOP;
END $$;
SELECT add_job('drop_old_bars', INTERVAL '1 day', config => '{"keep": "365 days"}');

INSERT INTO timescale_migrations (name) VALUES ('0004_post_retention');
