-- Partitions as wide as their time is far from now, so that no record can make more of them than there is room for:
-- in the unit of the table where rows are expected, wider before and after, whatever day a record names.
BEGIN;

-- How far from now a partition may be that narrow; outside of both it is a year wide.
CREATE TABLE partition_reaches (
    width text COLLATE "C" PRIMARY KEY CHECK (width IN ('day', 'month')),
    back interval NOT NULL,
    ahead interval NOT NULL
);
INSERT INTO partition_reaches VALUES ('day', '2 years', '1 month'), ('month', '30 years', '1 year');

-- Makes the partitions rows of these moments go into, where none covers them, and returns how many it made. A wide one
-- that would lap over others fills the room between them. Without a time of now all are in the unit of the table.
CREATE FUNCTION make_partitions(parent text, moments timestamptz[], now_is timestamptz) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET TimeZone = 'UTC' SET DateStyle = 'ISO' AS $$
DECLARE
    finest text;
    unit text;
    covered tstzmultirange;
    place tstzrange;
    moment timestamptz;
    child text;
    made integer := 0;
BEGIN
    SELECT w.width INTO finest FROM partition_widths w
        JOIN pg_partitioned_table p ON p.partrelid = to_regclass(quote_ident(w.parent)) WHERE w.parent = make_partitions.parent;
    IF finest IS NULL THEN
        RETURN 0;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('make_partitions'), hashtext(parent));
    SELECT coalesce(range_agg(tstzrange(
            substring(bound FROM $re$FROM \('(.*)'\) TO$re$)::timestamptz, substring(bound FROM $re$TO \('(.*)'\)$re$)::timestamptz
        )), '{}') INTO covered
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid, pg_get_expr(c.relpartbound, c.oid) bound
        WHERE i.inhparent = to_regclass(quote_ident(parent)) AND c.relispartition;
    FOR moment IN SELECT DISTINCT date_trunc('day', each, 'UTC') FROM unnest(moments) each ORDER BY 1 LOOP
        CONTINUE WHEN covered @> moment;
        -- day < month < year, as words, too
        SELECT coalesce(min(r.width), 'year') INTO unit FROM partition_reaches r
            WHERE r.width >= finest AND moment >= now_is - r.back AND moment < now_is + r.ahead;
        IF now_is IS NULL THEN
            unit := finest;
        END IF;
        place := tstzrange(date_trunc(unit, moment, 'UTC'),
            (date_trunc(unit, moment AT TIME ZONE 'UTC') + ('1 ' || unit)::interval) AT TIME ZONE 'UTC');
        child := parent || to_char(lower(place) AT TIME ZONE 'UTC',
            CASE unit WHEN 'day' THEN '_YYYYMMDD' WHEN 'month' THEN '_YYYYMM' ELSE '_YYYY' END);
        IF covered && place THEN
            SELECT room INTO place FROM unnest(tstzmultirange(place) - covered) room WHERE room @> moment;
            child := parent || to_char(lower(place) AT TIME ZONE 'UTC', '_YYYYMMDD') || to_char(upper(place) AT TIME ZONE 'UTC', '_YYYYMMDD');
        END IF;
        EXECUTE format(
            'CREATE TABLE %I (LIKE %I INCLUDING ALL, CONSTRAINT its_time CHECK (event_time >= %L AND event_time < %L)) '
            'WITH (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 1000000, '
            'autovacuum_analyze_scale_factor = 0.02)', child, parent, lower(place), upper(place));
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, child, lower(place), upper(place));
        EXECUTE format('ALTER TABLE %I DROP CONSTRAINT its_time', child);
        covered := covered + tstzmultirange(place);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

-- What a sink of the version before calls.
CREATE OR REPLACE FUNCTION make_partitions(parent text, moments timestamptz[]) RETURNS integer
    LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT make_partitions(parent, moments, NULL)
$$;

INSERT INTO schema_migrations (name) VALUES ('0015_pre_bounded_partitions');
COMMIT;
