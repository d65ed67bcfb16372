-- Option chains: a row is all that was known of one root's contracts of one expiry at once, its legs as parallel arrays, so
-- that a chain as of a moment is one row an expiry. Every version is kept, cut by time as bars are. Made by
-- `python -m scripts.generate tables options`.
BEGIN;

CREATE TABLE options (
    stream_id bigint NOT NULL,
    event_time timestamptz NOT NULL,
    position bigint NOT NULL,
    underlying_price double precision,
    underlying_bid double precision,
    underlying_ask double precision,
    underlying_time timestamptz,
    received_time timestamptz NOT NULL,
    known_from timestamptz NOT NULL,
    expiry date NOT NULL,
    delay_s integer NOT NULL,
    flags smallint NOT NULL,
    root text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    leg_strike double precision[] NOT NULL,
    leg_right "char"[] NOT NULL,
    leg_bid double precision[] NOT NULL,
    leg_ask double precision[] NOT NULL,
    leg_bid_size double precision[] NOT NULL,
    leg_ask_size double precision[] NOT NULL,
    leg_quote_time timestamptz[] NOT NULL,
    leg_last double precision[] NOT NULL,
    leg_last_size double precision[] NOT NULL,
    leg_last_time timestamptz[] NOT NULL,
    leg_volume double precision[] NOT NULL,
    leg_open_interest double precision[] NOT NULL,
    leg_oi_date date[] NOT NULL,
    leg_multiplier double precision[] NOT NULL,
    leg_vendor_iv double precision[] NOT NULL,
    leg_vendor_delta double precision[] NOT NULL,
    leg_vendor_gamma double precision[] NOT NULL,
    leg_vendor_theta double precision[] NOT NULL,
    leg_vendor_vega double precision[] NOT NULL,
    leg_vendor_rho double precision[] NOT NULL,
    PRIMARY KEY (stream_id, event_time, position)
) PARTITION BY RANGE (event_time);
CREATE INDEX options_by_entry ON options (stream_id, root, expiry, position);
CREATE INDEX options_by_knowledge ON options USING brin (known_from);
CREATE VIEW v_options AS
    SELECT s.symbol, r.event_time, r.root, r.expiry, r.underlying_price, r.underlying_bid, r.underlying_ask, r.underlying_time, r.delay_s, r.currency, (r.flags & 1) <> 0 AS is_adjusted, (r.flags & 2) <> 0 AS is_partial, (r.flags & 4) <> 0 AS simulated, r.leg_strike, r.leg_right, r.leg_bid, r.leg_ask, r.leg_bid_size, r.leg_ask_size, r.leg_quote_time, r.leg_last, r.leg_last_size, r.leg_last_time, r.leg_volume, r.leg_open_interest, r.leg_oi_date, r.leg_multiplier, r.leg_vendor_iv, r.leg_vendor_delta, r.leg_vendor_gamma, r.leg_vendor_theta, r.leg_vendor_vega, r.leg_vendor_rho, s.provider, (ARRAY['primary', 'shadow', 'backfill'])[((r.flags & 24) >> 3) + 1] AS route, r.received_time, r.known_from, r.position >> 16 AS raw_offset, (r.position & 65535)::integer AS idx, r.position, r.stream_id
    FROM options r JOIN streams s USING (stream_id);
-- As of a moment the newest slice of a root and expiry is one step of this index.
CREATE INDEX options_as_known ON options (stream_id, root, expiry, known_from, position);
INSERT INTO partition_widths VALUES ('options', 'month');

-- One row a leg, for whoever asks in SQL.
CREATE VIEW v_option_quotes AS
    SELECT o.symbol, o.provider, o.root, o.expiry, leg.strike, leg.option_right::text AS option_right, leg.bid, leg.ask, leg.bid_size, leg.ask_size,
        leg.quote_time, leg.last, leg.last_size, leg.last_time, leg.volume, leg.open_interest, leg.oi_date, leg.multiplier, leg.vendor_iv,
        leg.vendor_delta, leg.vendor_gamma, leg.vendor_theta, leg.vendor_vega, leg.vendor_rho, o.event_time, o.known_from, o.received_time,
        o.underlying_price, o.underlying_bid, o.underlying_ask, o.underlying_time, o.currency, o.is_adjusted, o.simulated, o.route, o.position, o.stream_id
    FROM v_options o CROSS JOIN LATERAL unnest(o.leg_strike, o.leg_right, o.leg_bid, o.leg_ask, o.leg_bid_size, o.leg_ask_size, o.leg_quote_time,
        o.leg_last, o.leg_last_size, o.leg_last_time, o.leg_volume, o.leg_open_interest, o.leg_oi_date, o.leg_multiplier, o.leg_vendor_iv,
        o.leg_vendor_delta, o.leg_vendor_gamma, o.leg_vendor_theta, o.leg_vendor_vega, o.leg_vendor_rho)
        leg (strike, option_right, bid, ask, bid_size, ask_size, quote_time, last, last_size, last_time, volume, open_interest, oi_date, multiplier,
        vendor_iv, vendor_delta, vendor_gamma, vendor_theta, vendor_vega, vendor_rho);

-- A symbol of the universe may take part in its options.
ALTER TABLE universe_changes DROP CONSTRAINT universe_changes_streams_check;
ALTER TABLE universe_changes ADD CONSTRAINT universe_changes_streams_check
    CHECK (streams <@ ARRAY['bars', 'quotes', 'trades', 'actions', 'options']);

DO $$
BEGIN
    GRANT SELECT ON v_options, v_option_quotes TO mds_reader;
EXCEPTION WHEN insufficient_privilege OR undefined_object THEN
    RAISE NOTICE 'mds_reader may not read them yet: GRANT SELECT ON v_options, v_option_quotes TO mds_reader';
END $$;

INSERT INTO schema_migrations (name) VALUES ('0025_pre_options');
COMMIT;
