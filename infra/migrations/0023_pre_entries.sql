-- Corporate actions and macro series: what a source says of things that have a name of their own. Every version is kept for
-- good, and its place found by that name; few are told a day, so nothing here is cut by time. Made by
-- `python -m scripts.generate tables actions` and `... macro`.
BEGIN;

CREATE TABLE actions (
    stream_id bigint NOT NULL,
    event_time timestamptz NOT NULL,
    position bigint NOT NULL,
    ratio_to double precision,
    ratio_from double precision,
    amount double precision,
    price_factor double precision,
    published_at timestamptz,
    received_time timestamptz NOT NULL,
    known_from timestamptz NOT NULL,
    ex_date date NOT NULL,
    declared_date date,
    record_date date,
    pay_date date,
    flags smallint NOT NULL,
    action_id text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    new_symbol text COLLATE "C" NOT NULL,
    child_symbol text COLLATE "C" NOT NULL,
    PRIMARY KEY (stream_id, event_time, position)
);
CREATE UNIQUE INDEX actions_by_entry ON actions (stream_id, action_id, position);
CREATE INDEX actions_by_knowledge ON actions USING brin (known_from);
CREATE VIEW v_actions AS
    SELECT s.symbol, r.event_time, r.action_id, (ARRAY['split', 'stock_dividend', 'cash_dividend', 'special_dividend', 'return_of_capital', 'spin_off', 'rights', 'rename', 'merger', 'delisting'])[((r.flags & 15) >> 0) + 1] AS type, r.ex_date, r.declared_date, r.record_date, r.pay_date, r.ratio_to, r.ratio_from, r.amount, r.price_factor, r.currency, r.new_symbol, r.child_symbol, (ARRAY['as_declared', 'split_adjusted', 'unknown'])[((r.flags & 48) >> 4) + 1] AS amount_basis, (ARRAY['announced', 'confirmed', 'cancelled'])[((r.flags & 192) >> 6) + 1] AS state, r.published_at, (ARRAY['none', 'date', 'scheduled', 'time'])[((r.flags & 768) >> 8) + 1] AS published_precision, (r.flags & 1024) <> 0 AS simulated, s.provider, (ARRAY['primary', 'shadow', 'backfill'])[((r.flags & 6144) >> 11) + 1] AS route, r.received_time, r.known_from, r.position >> 16 AS raw_offset, (r.position & 65535)::integer AS idx, r.position, r.stream_id
    FROM actions r JOIN streams s USING (stream_id);

CREATE TABLE macro (
    stream_id bigint NOT NULL,
    event_time timestamptz NOT NULL,
    position bigint NOT NULL,
    value double precision,
    published_at timestamptz,
    received_time timestamptz NOT NULL,
    known_from timestamptz NOT NULL,
    period_start date NOT NULL,
    vintage_start date,
    period_end date NOT NULL,
    vintage_end date,
    flags smallint NOT NULL,
    units text COLLATE "C" NOT NULL,
    seasonal text COLLATE "C" NOT NULL,
    PRIMARY KEY (stream_id, event_time, position)
);
CREATE UNIQUE INDEX macro_by_entry ON macro (stream_id, period_start, vintage_start, position);
CREATE INDEX macro_by_knowledge ON macro USING brin (known_from);
CREATE VIEW v_macro AS
    SELECT s.symbol, r.event_time, r.period_start, r.vintage_start, r.period_end, r.vintage_end, r.value, r.published_at, r.units, r.seasonal, (ARRAY['D', 'W', 'BW', 'M', 'Q', 'S', 'A'])[((r.flags & 7) >> 0) + 1] AS frequency, (ARRAY['public', 'attribution', 'restricted', 'unknown'])[((r.flags & 24) >> 3) + 1] AS rights, (ARRAY['none', 'date', 'scheduled', 'time'])[((r.flags & 96) >> 5) + 1] AS published_precision, (r.flags & 128) <> 0 AS simulated, s.provider, (ARRAY['primary', 'shadow', 'backfill'])[((r.flags & 768) >> 8) + 1] AS route, r.received_time, r.known_from, r.position >> 16 AS raw_offset, (r.position & 65535)::integer AS idx, r.position, r.stream_id
    FROM macro r JOIN streams s USING (stream_id);

-- A symbol of the universe may take part in its actions.
ALTER TABLE universe_changes DROP CONSTRAINT universe_changes_streams_check;
ALTER TABLE universe_changes ADD CONSTRAINT universe_changes_streams_check
    CHECK (streams <@ ARRAY['bars', 'quotes', 'trades', 'actions']);

DO $$
BEGIN
    GRANT SELECT ON v_actions, v_macro TO mds_reader;
EXCEPTION WHEN insufficient_privilege OR undefined_object THEN
    RAISE NOTICE 'mds_reader may not read them yet: GRANT SELECT ON v_actions, v_macro TO mds_reader';
END $$;

INSERT INTO schema_migrations (name) VALUES ('0023_pre_entries');
COMMIT;
