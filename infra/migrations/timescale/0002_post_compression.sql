-- Rows older than 14 days are kept by column: a series' rows together, in the order they are read in. Late rows still
-- find their way in; the sessions of sinks lift the limit on how many a statement may unpack for that.
ALTER TABLE bars SET (timescaledb.compress, timescaledb.compress_segmentby = 'stream_id',
    timescaledb.compress_orderby = 'event_time, position');
ALTER TABLE bars_superseded SET (timescaledb.compress, timescaledb.compress_segmentby = 'stream_id',
    timescaledb.compress_orderby = 'event_time, position');
ALTER TABLE quotes SET (timescaledb.compress, timescaledb.compress_segmentby = 'stream_id',
    timescaledb.compress_orderby = 'event_time, position');
ALTER TABLE trades SET (timescaledb.compress, timescaledb.compress_segmentby = 'stream_id',
    timescaledb.compress_orderby = 'event_time, position');
SELECT add_compression_policy(name, INTERVAL '14 days')
    FROM unnest(ARRAY['bars', 'bars_superseded', 'quotes', 'trades']) name;

INSERT INTO timescale_migrations (name) VALUES ('0002_post_compression');
