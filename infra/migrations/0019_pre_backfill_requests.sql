-- Requests for a backfill that bring a key of their own: the same one again is answered with the same job. And how jobs
-- that ended, and acts by hand, are looked up.
BEGIN;

CREATE TABLE backfill_requests (
    actor text COLLATE "C" NOT NULL,       -- whose key it is
    request_key text COLLATE "C" NOT NULL, -- Idempotency-Key
    content text COLLATE "C" NOT NULL,     -- what was asked for under it
    job_id text COLLATE "C" NOT NULL,
    requested_time timestamptz NOT NULL,
    PRIMARY KEY (actor, request_key)
);
CREATE INDEX backfill_requests_by_time ON backfill_requests (requested_time);
CREATE INDEX backfill_jobs_ended_of_a_symbol ON backfill_jobs (symbol, state, finished_time, job_id)
    WHERE finished_time IS NOT NULL;
CREATE INDEX audit_acts_of_a_subject ON audit_acts (subject, act_id);

INSERT INTO schema_migrations (name) VALUES ('0019_pre_backfill_requests');
COMMIT;
