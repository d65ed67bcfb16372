-- Moves a table of range partitions into a hypertable of the same name, by pieces, each in a transaction of its own:
-- begin_move, move_rows until it returns null, finish_move. After a kill the same calls go on where it was.
-- While a table moves it can be read, and whoever writes to it is told to wait.
CREATE TABLE timescale_moves (
    table_name text COLLATE "C" NOT NULL,
    partition_name text COLLATE "C" NOT NULL,
    next_page bigint NOT NULL DEFAULT 0,  -- of the partition's file: those before have moved
    moved_rows bigint NOT NULL DEFAULT 0,
    is_done boolean NOT NULL DEFAULT false,
    PRIMARY KEY (table_name, partition_name)
);

CREATE FUNCTION refuse_while_moving() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is being moved to TimescaleDB', TG_TABLE_NAME
        USING ERRCODE = 'lock_not_available', HINT = '`mds migrate --timescale` goes on where it was';
END $$;

CREATE FUNCTION begin_move(source text, chunk interval) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    target text := source || '_moving';
    owner_name text;
    given record;
BEGIN
    IF to_regclass(quote_ident(target)) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('LOCK TABLE %I IN SHARE ROW EXCLUSIVE MODE', source);
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', target, source);
    PERFORM create_hypertable(quote_ident(target)::regclass, by_range('event_time', chunk), create_default_indexes => false);
    EXECUTE format(
        'ALTER TABLE %I SET (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 1000000, '
        'autovacuum_analyze_scale_factor = 0.02)', target);
    FOR given IN
        SELECT a.privilege_type, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS role
        FROM pg_class c CROSS JOIN aclexplode(c.relacl) a
        WHERE c.oid = to_regclass(quote_ident(source)) AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('GRANT %s ON %I TO %s', given.privilege_type, target, given.role);
    END LOOP;
    SELECT pg_get_userbyid(relowner) INTO owner_name FROM pg_class WHERE oid = to_regclass(quote_ident(source));
    EXECUTE format('ALTER TABLE %I OWNER TO %I', target, owner_name);
    INSERT INTO timescale_moves (table_name, partition_name)
        SELECT source, c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = to_regclass(quote_ident(source));
    EXECUTE format(
        'CREATE TRIGGER moving BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %I '
        'FOR EACH STATEMENT EXECUTE FUNCTION refuse_while_moving()', source);
END $$;

-- Copies the next pages of the first partition that is not done, and returns how many rows were in them; null when all
-- are done. By pages and not by keys: they are read once, in order, and nobody writes to them.
CREATE FUNCTION move_rows(source text, pages bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    place timescale_moves;
    relation regclass;
    past bigint;
    copied bigint := 0;
BEGIN
    SELECT * INTO place FROM timescale_moves WHERE table_name = source AND NOT is_done ORDER BY partition_name LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    relation := to_regclass(quote_ident(place.partition_name));
    past := place.next_page + pages;
    IF relation IS NOT NULL THEN  -- not dropped meanwhile, as too old
        EXECUTE format('INSERT INTO %I SELECT * FROM %s WHERE ctid >= %L AND ctid < %L', source || '_moving', relation,
            format('(%s,0)', place.next_page), format('(%s,0)', past));
        GET DIAGNOSTICS copied = ROW_COUNT;
    END IF;
    UPDATE timescale_moves SET next_page = past, moved_rows = moved_rows + copied,
        is_done = relation IS NULL OR past >= pg_relation_size(relation) / current_setting('block_size')::bigint
        WHERE table_name = source AND partition_name = place.partition_name;
    RETURN copied;
END $$;

-- Gives hypertables the names of the tables that moved into them, and drops those. Views keep their grants and options:
-- each is replaced by its own text, which finds the new table by its name.
CREATE FUNCTION finish_move(sources text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    source text;
    stands bigint;
    copied bigint;
    replacing text[];
    statement text;
    index_name name;
BEGIN
    FOREACH source IN ARRAY sources LOOP
        EXECUTE format('SELECT count(*) FROM %I', source) INTO stands;
        SELECT coalesce(sum(moved_rows), 0) INTO copied FROM timescale_moves
            WHERE table_name = source AND to_regclass(quote_ident(partition_name)) IS NOT NULL;
        IF stands <> copied THEN
            RAISE EXCEPTION '% rows of % were copied and it has %: something wrote to its partitions', copied, source, stands
                USING HINT = format('DROP TABLE %I; DELETE FROM timescale_moves WHERE table_name = %L; DROP TRIGGER moving '
                    'ON %I; then migrate again', source || '_moving', source, source);
        END IF;
    END LOOP;
    FOREACH source IN ARRAY sources LOOP
        EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', source);
    END LOOP;
    SELECT array_agg(format('CREATE OR REPLACE VIEW %s %s AS %s', v.oid::regclass,
            'WITH (' || array_to_string(v.reloptions, ', ') || ')', pg_get_viewdef(v.oid)))
        INTO replacing
        FROM pg_class v WHERE v.relkind = 'v' AND EXISTS (
            SELECT FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
            WHERE r.ev_class = v.oid AND d.refclassid = 'pg_class'::regclass
              AND d.refobjid = ANY (SELECT to_regclass(quote_ident(s)) FROM unnest(sources) s));
    FOREACH source IN ARRAY sources LOOP
        EXECUTE format('ALTER TABLE %I RENAME TO %I', source, source || '_plain');
        EXECUTE format('ALTER TABLE %I RENAME TO %I', source || '_moving', source);
    END LOOP;
    FOREACH statement IN ARRAY coalesce(replacing, '{}') LOOP
        EXECUTE statement;
    END LOOP;
    FOREACH source IN ARRAY sources LOOP
        EXECUTE format('DROP TABLE %I', source || '_plain');
        FOR index_name IN SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
            WHERE i.indrelid = to_regclass(quote_ident(source))
        LOOP
            EXECUTE format('ALTER INDEX %I RENAME TO %I', index_name, replace(index_name, source || '_moving', source));
        END LOOP;
        DELETE FROM timescale_moves WHERE table_name = source;
        DELETE FROM partition_widths WHERE parent = source;
    END LOOP;
END $$;

INSERT INTO timescale_migrations (name) VALUES ('0001_pre_moving');
