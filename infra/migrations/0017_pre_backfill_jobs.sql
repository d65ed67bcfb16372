-- What is to be fetched again, by whom it is asked for, and what became of it; and who did what by hand.
BEGIN;

CREATE TABLE backfill_jobs (
    job_id text COLLATE "C" PRIMARY KEY,
    partition integer NOT NULL,            -- of the symbol: whoever polls it fetches it
    stream text COLLATE "C" NOT NULL,      -- the series that has the hole
    provider text COLLATE "C" NOT NULL,    -- of that series, who is asked
    symbol text COLLATE "C" NOT NULL,
    from_time timestamptz NOT NULL,
    to_time timestamptz NOT NULL,
    tier text COLLATE "C" NOT NULL CHECK (tier IN ('T0', 'T1', 'T2')),
    origin text COLLATE "C" NOT NULL CHECK (origin IN ('gap', 'user', 'absence', 'bulk')),
    rank smallint NOT NULL,                -- follows from tier and origin: smaller is first
    gap_id text COLLATE "C" NOT NULL DEFAULT '',
    source text COLLATE "C" NOT NULL,      -- who asked for it
    state text COLLATE "C" NOT NULL CHECK (state IN
        ('queued', 'waiting', 'running', 'done', 'empty', 'unrecoverable', 'dead')),
    enqueued_time timestamptz NOT NULL,
    ready_time timestamptz,                -- waiting: not before
    leased_until timestamptz,              -- running: then it is anybody's again
    lease_owner text COLLATE "C",
    attempts integer NOT NULL DEFAULT 0,   -- begun, also those that were lost
    finished_time timestamptz,
    rows bigint NOT NULL DEFAULT 0,        -- values that were published
    reason text COLLATE "C" NOT NULL DEFAULT '',  -- of the last failure, or of its end
    CHECK (from_time < to_time),
    CHECK ((state = 'running') = (leased_until IS NOT NULL)),
    CHECK ((state = 'waiting') = (ready_time IS NOT NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

-- Whose turn it is: by rank, and by age for those whom others always precede.
CREATE INDEX backfill_jobs_by_rank ON backfill_jobs (partition, provider, rank, enqueued_time, job_id) WHERE state = 'queued';
CREATE INDEX backfill_jobs_by_age ON backfill_jobs (partition, provider, enqueued_time, job_id) WHERE state = 'queued';
CREATE INDEX backfill_jobs_waiting ON backfill_jobs (ready_time) WHERE state = 'waiting';
CREATE INDEX backfill_jobs_running ON backfill_jobs (leased_until) WHERE state = 'running';
-- What of a series is under way, and the same twice only once.
CREATE UNIQUE INDEX backfill_jobs_of_a_stretch ON backfill_jobs (stream, from_time, to_time)
    WHERE state IN ('queued', 'waiting', 'running');
CREATE INDEX backfill_jobs_by_tier ON backfill_jobs (tier, enqueued_time) WHERE state IN ('queued', 'waiting', 'running');
CREATE INDEX backfill_jobs_ended ON backfill_jobs (state, finished_time, job_id) WHERE finished_time IS NOT NULL;
CREATE INDEX backfill_jobs_of_a_gap ON backfill_jobs (gap_id) WHERE gap_id <> '';

CREATE VIEW v_backfill_jobs AS
    SELECT job_id, stream, provider, symbol, from_time, to_time, tier, origin, gap_id, source, state, enqueued_time, ready_time,
        leased_until, attempts, finished_time, rows, reason FROM backfill_jobs;

-- Acts by hand: only ever added to.
CREATE TABLE audit_acts (
    act_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    acted_time timestamptz NOT NULL,
    actor text COLLATE "C" NOT NULL,       -- name of the key, or of the account that ran the command
    act text COLLATE "C" NOT NULL,         -- backfill.enqueue, backfill.requeue, backfill.purge, ...
    subject text COLLATE "C" NOT NULL,     -- what it was done to
    detail jsonb NOT NULL
);
CREATE FUNCTION audit_acts_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_acts is only ever added to';
END $$;
CREATE TRIGGER audit_acts_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_acts
    FOR EACH STATEMENT EXECUTE FUNCTION audit_acts_are_kept();

DO $$
BEGIN
    GRANT SELECT ON v_backfill_jobs TO mds_reader;
EXCEPTION WHEN insufficient_privilege OR undefined_object THEN
    RAISE NOTICE 'the role mds_reader may not read the new view: GRANT SELECT ON v_backfill_jobs TO it';
END $$;

INSERT INTO schema_migrations (name) VALUES ('0017_pre_backfill_jobs');
COMMIT;
