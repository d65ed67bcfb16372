-- Which gaps of a series are unresolved, in order of time: asked of every series whose old bars arrive, so that no sink
-- holds all unresolved gaps in memory.
BEGIN;

CREATE INDEX IF NOT EXISTS gaps_unresolved_of_a_stream ON gaps (stream, from_time) INCLUDE (to_time)
    WHERE state IN ('open', 'filling');

INSERT INTO schema_migrations (name) VALUES ('0009_pre_unresolved_by_stream');
COMMIT;
