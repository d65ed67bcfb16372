-- What the objectives need and the ledger does not keep: how long gateways took to publish, minute by minute, over restarts;
-- and two indexes by which the newest holes and the last T0 jobs are found without reading all of them.
BEGIN;

CREATE TABLE slo_samples (
    source text COLLATE "C" NOT NULL,      -- the gateway that measured
    observed_time timestamptz NOT NULL,    -- end of the minute, wall time
    total bigint NOT NULL,                 -- messages
    slow bigint NOT NULL,                  -- those that took longer than they may
    counts bigint[] NOT NULL,              -- by bucket of ws_publish_latency_ms, not cumulated
    PRIMARY KEY (observed_time, source)
);

CREATE INDEX gaps_unstored_by_end ON gaps (to_time, gap_id) WHERE state IN ('open', 'filling', 'unrecoverable');
CREATE INDEX backfill_jobs_drained ON backfill_jobs (finished_time) WHERE tier = 'T0' AND finished_time IS NOT NULL;

INSERT INTO schema_migrations (name) VALUES ('0021_pre_slo_samples');
COMMIT;
