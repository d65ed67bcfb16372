-- Which symbols nobody gives, beside how well each provider does; statements of before knew it in words alone.
BEGIN;

ALTER TABLE provider_health ADD COLUMN unserved integer NOT NULL DEFAULT 0;
ALTER TABLE provider_health ADD COLUMN unserved_symbols text[] NOT NULL DEFAULT '{}';  -- at most 50 of them

INSERT INTO schema_migrations (name) VALUES ('0016_pre_unserved_symbols');
COMMIT;
