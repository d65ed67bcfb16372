-- Rows before a kind's floor are no longer kept; a reader that asks for them is told so (410), never given a hole.
BEGIN;
CREATE TABLE retention_floors (
    kind text COLLATE "C" PRIMARY KEY,  -- bars | quotes | trades ...
    floor timestamptz NOT NULL
);

-- Before what moment rows of a kind may go: so long before the newest of them, however far ahead a clock is. Null where
-- there are none.
CREATE FUNCTION kept_since(of_kind text, now_is timestamptz, keep interval) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT LEAST(now_is, max(s.last_seen)) - keep FROM streams s WHERE s.kind = of_kind HAVING max(s.last_seen) IS NOT NULL
$$;

-- Says that rows of a kind before a moment are gone, or nothing new where it is null. A sink that remembers how far its
-- series once reached writes that down again, so streams are corrected every time.
CREATE FUNCTION raise_floor(of_kind text, ended timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF ended IS NOT NULL THEN
        INSERT INTO retention_floors AS f VALUES (of_kind, ended)
            ON CONFLICT (kind) DO UPDATE SET floor = GREATEST(f.floor, excluded.floor);
        DELETE FROM gaps WHERE to_time <= ended AND (stream LIKE of_kind || ':%' OR stream LIKE of_kind || '.%');
    END IF;
    UPDATE streams s SET start_time = CASE WHEN s.last_seen < f.floor THEN NULL ELSE f.floor END,
            last_seen = CASE WHEN s.last_seen < f.floor THEN NULL ELSE s.last_seen END
        FROM retention_floors f WHERE f.kind = of_kind AND s.kind = of_kind AND s.start_time < f.floor;
END $$;

-- Drops the oldest partitions of all tables of a kind that lie wholly before what is kept, and raises the floor, in one
-- transaction; returns how many went: call again until none does. At most a month of days, since each one dropped holds
-- locks until the end, and PostgreSQL has room for some thousands. A long reader makes it give up: call again.
CREATE FUNCTION drop_before(of_kind text, parents text[], now_is timestamptz, keep interval) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '2s'
    SET TimeZone = 'UTC' SET DateStyle = 'ISO' AS $$
DECLARE
    since timestamptz := kept_since(of_kind, now_is, keep);
    child record;
    ended timestamptz;
    dropped integer := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('drop_before'), hashtext(of_kind)) THEN
        RETURN 0;  -- another sink is at it
    END IF;
    FOR child IN
        SELECT old.name, old.high FROM (
            SELECT part.name, part.high, dense_rank() OVER (ORDER BY part.high) AS place FROM (
                SELECT c.oid::regclass AS name,
                    substring(pg_get_expr(c.relpartbound, c.oid) FROM $re$TO \('(.*)'\)$re$)::timestamptz AS high
                FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                WHERE i.inhparent = ANY (SELECT to_regclass(quote_ident(p)) FROM unnest(parents) p) AND c.relispartition
            ) part
            WHERE part.high <= since
        ) old WHERE old.place <= 31
    LOOP
        EXECUTE format('DROP TABLE %s', child.name);
        ended := GREATEST(ended, child.high);
        dropped := dropped + 1;
    END LOOP;
    PERFORM raise_floor(of_kind, ended);
    RETURN dropped;
END $$;

INSERT INTO schema_migrations (name) VALUES ('0011_pre_retention');
COMMIT;
