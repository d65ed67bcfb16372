-- The rows of cadence come from the topic cadence.v1 now, which also says by which configuration was polled; the sinks
-- write and trim them (SINKS_CADENCE_DAYS), producers no longer do.
ALTER TABLE cadence ADD COLUMN generation integer NOT NULL DEFAULT 0;  -- 0 where no file says what to collect

INSERT INTO schema_migrations (name) VALUES ('0006_pre_cadence_generation');
