-- GET /gaps of a symbol begins where the first evidence of it does: without an index all of its evidence would be read.
BEGIN;

CREATE INDEX IF NOT EXISTS gap_evidence_in_order ON gap_evidence (symbol, from_time);

INSERT INTO schema_migrations (name) VALUES ('0014_pre_gap_evidence_in_order');
COMMIT;
