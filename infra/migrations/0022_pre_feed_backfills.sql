-- Backfills that a job feed asked for on jobs.v1: which job of the queue each became, and how that ended, until the result on
-- job-results.v1 has said so.
BEGIN;

CREATE TABLE feed_backfills (
    asked_id text COLLATE "C" PRIMARY KEY,       -- job_id on jobs.v1
    partition integer NOT NULL,                  -- of the symbol: whoever polls it tells the result
    source text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,          -- as it was asked for; empty for whoever is chosen
    capability text COLLATE "C" NOT NULL,
    symbol text COLLATE "C" NOT NULL,
    content text COLLATE "C" NOT NULL,           -- what was asked for under the id
    job_id text COLLATE "C" NOT NULL,            -- of the queue
    asked_time timestamptz NOT NULL,
    state text COLLATE "C" CHECK (state IN ('done', 'empty', 'unrecoverable', 'dead')),  -- how that ended
    attempts integer NOT NULL DEFAULT 0,
    rows bigint NOT NULL DEFAULT 0,
    reason text COLLATE "C" NOT NULL DEFAULT '',
    told_time timestamptz,                       -- when its last result was confirmed
    CHECK (told_time IS NULL OR state IS NOT NULL)
);
CREATE INDEX feed_backfills_of_a_job ON feed_backfills (job_id) WHERE state IS NULL;
CREATE INDEX feed_backfills_due ON feed_backfills (partition, asked_time) WHERE state IS NOT NULL AND told_time IS NULL;
CREATE INDEX feed_backfills_told ON feed_backfills (told_time) WHERE told_time IS NOT NULL;

-- Whoever ends a job, in whatever version: a feed's result is due from that transaction on, and not before.
CREATE FUNCTION feed_backfills_are_due() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE feed_backfills SET state = NEW.state, attempts = NEW.attempts, rows = NEW.rows, reason = NEW.reason
        WHERE job_id = NEW.job_id AND state IS NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER feed_backfills_are_due AFTER UPDATE OF finished_time ON backfill_jobs FOR EACH ROW
    WHEN (OLD.finished_time IS NULL AND NEW.finished_time IS NOT NULL) EXECUTE FUNCTION feed_backfills_are_due();

INSERT INTO schema_migrations (name) VALUES ('0022_pre_feed_backfills');
COMMIT;
