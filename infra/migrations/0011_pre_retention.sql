-- Rows before a kind's floor are no longer kept; a reader that asks for them is told so (410), never given a hole.
BEGIN;

CREATE TABLE retention_floors (
    kind text COLLATE "C" PRIMARY KEY,  -- bars | quotes | trades ...
    floor timestamptz NOT NULL
);

-- Drops the partitions of all tables of a kind that lie wholly before a moment, moves the floor and what speaks of
-- earlier times with them, all in one transaction; returns how many went. A long reader makes it give up: call again.
CREATE FUNCTION drop_before(of_kind text, parents text[], before timestamptz) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '2s' AS $$
DECLARE
    child record;
    ended timestamptz := '-infinity';
    dropped integer := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('drop_before'), hashtext(of_kind)) THEN
        RETURN 0;  -- another sink is at it
    END IF;
    FOR child IN
        SELECT c.oid::regclass AS name,
            substring(pg_get_expr(c.relpartbound, c.oid) FROM $re$TO \('(.*)'\)$re$)::timestamptz AS high
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = ANY (SELECT to_regclass(quote_ident(p)) FROM unnest(parents) p) AND c.relispartition
    LOOP
        CONTINUE WHEN child.high IS NULL OR child.high > before;
        EXECUTE format('DROP TABLE %s', child.name);
        ended := GREATEST(ended, child.high);
        dropped := dropped + 1;
    END LOOP;
    IF dropped > 0 THEN
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

INSERT INTO schema_migrations (name) VALUES ('0011_pre_retention');
COMMIT;
