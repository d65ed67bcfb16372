-- A gap that is being filled is shown so while it is: what is stored of it stays what evidence and bars say.
BEGIN;

CREATE OR REPLACE VIEW v_gaps AS
    SELECT g.gap_id, g.stream, g.symbol, g.provider, g.interval, g.from_time, g.to_time, g.cause, g.confidence,
        CASE WHEN g.state = 'open' AND EXISTS (
            SELECT FROM backfill_jobs j WHERE j.state = 'running' AND j.stream = g.stream
                AND j.from_time < g.to_time AND j.to_time > g.from_time
        ) THEN 'filling' ELSE g.state END AS state,
        g.generation, g.expected, g.detector, g.known_from
    FROM gaps g;

INSERT INTO schema_migrations (name) VALUES ('0018_pre_gaps_filling');
COMMIT;
