-- What the log says of the completeness of series, kept as it was told: gaps as of any moment are derived from it and from
-- the stored bars (schemas/ledger). `gaps` is what follows of blind stretches now, `coverage` what follows of absent bars.
BEGIN;

CREATE TABLE gap_evidence (
    stream text COLLATE "C" NOT NULL,      -- channel:provider:symbol; topic/partition where no series can be named
    from_time timestamptz NOT NULL,
    to_time timestamptz,                   -- null: from here on
    known_from timestamptz NOT NULL,
    raw_offset bigint NOT NULL,
    idx integer NOT NULL,
    expected integer NOT NULL,
    partition integer NOT NULL,
    kind text NOT NULL CHECK (kind IN ('collected', 'blind', 'empty', 'unrecoverable')),
    symbol text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    interval text COLLATE "C" NOT NULL,
    cause text NOT NULL,
    detector text NOT NULL,
    job_id text NOT NULL,
    PRIMARY KEY (stream, from_time, known_from, raw_offset, idx),
    CHECK (from_time < to_time),
    CHECK (to_time IS NOT NULL OR kind = 'collected')
) WITH (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 1000000,
    autovacuum_analyze_scale_factor = 0.02);
-- what overlaps a stretch, of however long ago: an open stretch reaches to the end of time
CREATE INDEX gap_evidence_of_a_symbol ON gap_evidence USING gist (symbol, tstzrange(from_time, to_time));

-- Of each series and session (of days: calendar year) with bars that did not come: bit n of a set, the lowest of the first
-- byte being bit 0, is the expected bar number n. Bars that are stored have no bit, and a session without any has no row.
CREATE TABLE coverage (
    stream_id bigint NOT NULL,
    start_time timestamptz NOT NULL,       -- of the session
    expected integer NOT NULL,             -- bars of the whole session
    absent bytea NOT NULL,                 -- did not come though watched
    empty bytea NOT NULL,                  -- asked again: the vendor has none
    PRIMARY KEY (stream_id, start_time)
) WITH (fillfactor = 80, autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 1000000,
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

-- Every gap there is stays one: what was found missing becomes evidence with its cause, and so do verdicts, known after
-- it. Every series counts as collected since its first value.
INSERT INTO gap_evidence
    SELECT stream, from_time, to_time, known_from, raw_offset, idx, expected, partition, 'blind', symbol, provider, interval,
        cause, detector, '' FROM gaps;
INSERT INTO gap_evidence
    SELECT stream, from_time, to_time, known_from, raw_offset, idx + 65536, 0, partition, state, symbol, provider, interval,
        '', detector, '' FROM gaps WHERE state IN ('empty', 'unrecoverable');
INSERT INTO gap_evidence
    SELECT kind || CASE interval WHEN '' THEN '' ELSE '.' || interval END || ':' || provider || ':' || symbol, start_time,
        NULL, start_time, -1, 0, 0, partition, 'collected', symbol, provider, interval, '', 'sink', ''
    FROM streams WHERE start_time IS NOT NULL
    ON CONFLICT DO NOTHING;

-- Which gaps of a series bars may still fill: what a verdict closed, too, once its bars come after all.
CREATE INDEX gaps_unfilled_of_a_stream ON gaps (stream, from_time) INCLUDE (to_time) WHERE state <> 'filled';
DROP INDEX gaps_unresolved_of_a_stream;

CREATE VIEW v_gap_evidence AS
    SELECT kind, stream, symbol, provider, interval, from_time, to_time, cause, expected, detector, job_id, known_from,
        raw_offset, idx FROM gap_evidence;
CREATE VIEW v_coverage AS
    SELECT s.symbol, s.interval, c.start_time, c.expected, bit_count(c.absent)::integer AS absent,
        bit_count(c.empty)::integer AS empty, s.provider, c.stream_id
    FROM coverage c JOIN streams s USING (stream_id);

-- Evidence and coverage of what is gone go with it. What reaches over the floor stays, and so does what is open.
CREATE OR REPLACE FUNCTION raise_floor(of_kind text, ended timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF ended IS NOT NULL THEN
        INSERT INTO retention_floors AS f VALUES (of_kind, ended)
            ON CONFLICT (kind) DO UPDATE SET floor = GREATEST(f.floor, excluded.floor);
        DELETE FROM gaps WHERE to_time <= ended AND (stream LIKE of_kind || ':%' OR stream LIKE of_kind || '.%');
        DELETE FROM gap_evidence WHERE to_time <= ended AND (stream LIKE of_kind || ':%' OR stream LIKE of_kind || '.%');
        DELETE FROM coverage c USING streams s WHERE s.stream_id = c.stream_id AND s.kind = of_kind
            AND c.start_time <= ended - CASE s.interval WHEN '1d' THEN interval '366 days' ELSE interval '1 day' END;
    END IF;
    UPDATE streams s SET start_time = CASE WHEN s.last_seen < f.floor THEN NULL ELSE f.floor END,
            last_seen = CASE WHEN s.last_seen < f.floor THEN NULL ELSE s.last_seen END
        FROM retention_floors f WHERE f.kind = of_kind AND s.kind = of_kind AND s.start_time < f.floor;
END $$;

DO $$
BEGIN
    GRANT SELECT ON v_gap_evidence, v_coverage TO mds_reader;
EXCEPTION WHEN insufficient_privilege OR undefined_object THEN
    RAISE NOTICE 'the role mds_reader may not read the new views: GRANT SELECT ON v_gap_evidence, v_coverage TO it';
END $$;

INSERT INTO schema_migrations (name) VALUES ('0013_pre_gap_evidence');
COMMIT;
