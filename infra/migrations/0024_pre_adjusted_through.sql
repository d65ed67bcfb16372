-- The day in whose shares adjusted prices are, of each version of a bar: null where they are raw, and of what was stored
-- before. Of compressed chunks too: a column without a default is added to their description alone. A view of the contract
-- only grows at its end, so that it is replaced under whoever builds on it, its grants kept.
BEGIN;

ALTER TABLE bars ADD COLUMN adjusted_through date;
ALTER TABLE bars_superseded ADD COLUMN adjusted_through date;
ALTER TABLE bars_forming ADD COLUMN adjusted_through date;
-- Where rows are on their way into hypertables.
ALTER TABLE IF EXISTS bars_moving ADD COLUMN IF NOT EXISTS adjusted_through date;
ALTER TABLE IF EXISTS bars_superseded_moving ADD COLUMN IF NOT EXISTS adjusted_through date;

CREATE OR REPLACE VIEW v_bars AS
    SELECT s.symbol, s.interval, r.event_time, r.open, r.high, r.low, r.close, r.volume, r.vwap, r.trade_count, (r.flags & 1) <> 0 AS final, (ARRAY['pre', 'regular', 'post', 'closed'])[((r.flags & 14) >> 1) + 1] AS session, (ARRAY['raw', 'split', 'all'])[((r.flags & 112) >> 4) + 1] AS adjustment_state, r.currency, (r.flags & 128) <> 0 AS simulated, s.provider, (ARRAY['primary', 'shadow', 'backfill'])[((r.flags & 1792) >> 8) + 1] AS route, r.received_time, r.known_from, r.position >> 16 AS raw_offset, (r.position & 65535)::integer AS idx, r.revision::integer AS revision, r.position, r.stream_id, r.adjusted_through
    FROM bars r JOIN streams s USING (stream_id);
CREATE OR REPLACE VIEW v_bars_all AS
    SELECT s.symbol, s.interval, r.event_time, r.open, r.high, r.low, r.close, r.volume, r.vwap, r.trade_count, (r.flags & 1) <> 0 AS final, (ARRAY['pre', 'regular', 'post', 'closed'])[((r.flags & 14) >> 1) + 1] AS session, (ARRAY['raw', 'split', 'all'])[((r.flags & 112) >> 4) + 1] AS adjustment_state, r.currency, (r.flags & 128) <> 0 AS simulated, s.provider, (ARRAY['primary', 'shadow', 'backfill'])[((r.flags & 1792) >> 8) + 1] AS route, r.received_time, r.known_from, r.position >> 16 AS raw_offset, (r.position & 65535)::integer AS idx, r.revision::integer AS revision, r.position, r.stream_id, r.adjusted_through
    FROM (SELECT * FROM bars UNION ALL SELECT * FROM bars_superseded) r JOIN streams s USING (stream_id);
CREATE OR REPLACE VIEW v_bars_forming AS
    SELECT s.symbol, s.interval, r.event_time, r.open, r.high, r.low, r.close, r.volume, r.vwap, r.trade_count, (r.flags & 1) <> 0 AS final, (ARRAY['pre', 'regular', 'post', 'closed'])[((r.flags & 14) >> 1) + 1] AS session, (ARRAY['raw', 'split', 'all'])[((r.flags & 112) >> 4) + 1] AS adjustment_state, r.currency, (r.flags & 128) <> 0 AS simulated, s.provider, (ARRAY['primary', 'shadow', 'backfill'])[((r.flags & 1792) >> 8) + 1] AS route, r.received_time, r.known_from, r.position >> 16 AS raw_offset, (r.position & 65535)::integer AS idx, r.revision::integer AS revision, r.position, r.stream_id, r.adjusted_through
    FROM bars_forming r JOIN streams s USING (stream_id) WHERE NOT EXISTS (SELECT FROM bars v WHERE v.stream_id = r.stream_id AND v.event_time = r.event_time);

INSERT INTO schema_migrations (name) VALUES ('0024_pre_adjusted_through');
COMMIT;
