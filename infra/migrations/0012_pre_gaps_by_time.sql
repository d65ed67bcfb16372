-- GET /gaps of all symbols is in order of time, a page at once: without an index each page would sort the whole ledger.
BEGIN;

CREATE INDEX gaps_by_time ON gaps (from_time, gap_id);

INSERT INTO schema_migrations (name) VALUES ('0012_pre_gaps_by_time');
COMMIT;
