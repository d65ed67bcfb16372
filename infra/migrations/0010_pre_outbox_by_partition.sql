-- The owner of a partition number publishes its rows in order. With this as the only index no plan walks through the
-- rows of others to find them.
BEGIN;

ALTER TABLE outbox
    DROP CONSTRAINT IF EXISTS outbox_pkey,
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (partition, id);

INSERT INTO schema_migrations (name) VALUES ('0010_pre_outbox_by_partition');
COMMIT;
