-- Compact rows: a series is a number, a place in our log is one integer, enumerations are bits. Tables that grow are
-- cut by time. What was stored in the old layout waits in old_* until 0008 has moved it; services refuse until then.
-- Tables are private from here on: the contract is the views v_*.
BEGIN;

ALTER TABLE quotes RENAME TO old_quotes;
ALTER TABLE old_quotes RENAME CONSTRAINT quotes_pkey TO old_quotes_pkey;
ALTER TABLE quotes_latest RENAME TO old_quotes_latest;
ALTER TABLE old_quotes_latest RENAME CONSTRAINT quotes_latest_pkey TO old_quotes_latest_pkey;
ALTER TABLE trades RENAME TO old_trades;
ALTER TABLE old_trades RENAME CONSTRAINT trades_pkey TO old_trades_pkey;
ALTER TABLE bars RENAME TO old_bars;
ALTER TABLE old_bars RENAME CONSTRAINT bars_pkey TO old_bars_pkey;
ALTER TABLE bars_current RENAME TO old_bars_current;
ALTER TABLE old_bars_current RENAME CONSTRAINT bars_current_pkey TO old_bars_current_pkey;
ALTER TABLE cursors RENAME TO old_cursors;
ALTER TABLE old_cursors RENAME CONSTRAINT cursors_pkey TO old_cursors_pkey;

-- Every series anything was stored of. Its id is the beginning of a hash of its name (schemas/identity.py), so that it
-- is known without asking, and the same in every database. start_time and last_seen say how far it has come (of bars
-- the final ones), moved in the transaction that writes its rows; null while it has none.
CREATE TABLE streams (
    stream_id bigint PRIMARY KEY,
    kind text COLLATE "C" NOT NULL,        -- bars | quotes | trades ...
    interval text COLLATE "C" NOT NULL,    -- 1m ...; '' where the kind has none
    provider text COLLATE "C" NOT NULL,
    symbol text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    start_time timestamptz,
    last_seen timestamptz,
    UNIQUE (symbol, kind, interval, provider)
) WITH (fillfactor = 70);
CREATE INDEX streams_of_a_partition ON streams (partition);

CREATE FUNCTION stream_id_of(kind text, "interval" text, provider text, symbol text) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT ('x' || encode(substring(sha256(convert_to(
        kind || CASE "interval" WHEN '' THEN '' ELSE '.' || "interval" END || ':' || provider || ':' || symbol, 'UTF8'
    )) FROM 1 FOR 8), 'hex'))::bit(64)::bigint
$$;

CREATE TABLE quotes (
    stream_id bigint NOT NULL,
    event_time timestamptz NOT NULL,
    position bigint NOT NULL,
    bid double precision,
    ask double precision,
    bid_size double precision,
    ask_size double precision,
    last double precision,
    last_size double precision,
    volume double precision,
    previous_close double precision,
    received_time timestamptz NOT NULL,
    known_from timestamptz NOT NULL,
    delay_s integer NOT NULL,
    flags smallint NOT NULL,
    currency text COLLATE "C" NOT NULL,
    market_state text COLLATE "C" NOT NULL,
    PRIMARY KEY (stream_id, event_time, position)
) PARTITION BY RANGE (event_time);
CREATE INDEX quotes_by_knowledge ON quotes USING brin (known_from);
CREATE TABLE quotes_latest (
    LIKE quotes,
    PRIMARY KEY (stream_id)
) WITH (fillfactor = 50);
CREATE VIEW v_quotes AS
    SELECT s.symbol, r.event_time, r.bid, r.ask, r.bid_size, r.ask_size, r.last, r.last_size, r.volume, r.previous_close, r.currency, r.market_state, r.delay_s, (r.flags & 1) <> 0 AS simulated, s.provider, (ARRAY['primary', 'shadow', 'backfill'])[((r.flags & 14) >> 1) + 1] AS route, r.received_time, r.known_from, r.position >> 16 AS raw_offset, (r.position & 65535)::integer AS idx, r.position, r.stream_id
    FROM quotes r JOIN streams s USING (stream_id);
CREATE VIEW v_quotes_latest AS
    SELECT s.symbol, r.event_time, r.bid, r.ask, r.bid_size, r.ask_size, r.last, r.last_size, r.volume, r.previous_close, r.currency, r.market_state, r.delay_s, (r.flags & 1) <> 0 AS simulated, s.provider, (ARRAY['primary', 'shadow', 'backfill'])[((r.flags & 14) >> 1) + 1] AS route, r.received_time, r.known_from, r.position >> 16 AS raw_offset, (r.position & 65535)::integer AS idx, r.position, r.stream_id
    FROM quotes_latest r JOIN streams s USING (stream_id);

CREATE TABLE trades (
    stream_id bigint NOT NULL,
    event_time timestamptz NOT NULL,
    position bigint NOT NULL,
    price double precision NOT NULL,
    size double precision NOT NULL,
    received_time timestamptz NOT NULL,
    known_from timestamptz NOT NULL,
    flags smallint NOT NULL,
    trade_id text COLLATE "C",
    conditions text COLLATE "C" NOT NULL,
    venue text COLLATE "C" NOT NULL,
    PRIMARY KEY (stream_id, event_time, position)
) PARTITION BY RANGE (event_time);
CREATE INDEX trades_by_knowledge ON trades USING brin (known_from);
CREATE VIEW v_trades AS
    SELECT s.symbol, r.event_time, r.price, r.size, r.trade_id, r.conditions, r.venue, (r.flags & 1) <> 0 AS simulated, s.provider, (ARRAY['primary', 'shadow', 'backfill'])[((r.flags & 14) >> 1) + 1] AS route, r.received_time, r.known_from, r.position >> 16 AS raw_offset, (r.position & 65535)::integer AS idx, r.position, r.stream_id
    FROM trades r JOIN streams s USING (stream_id);

CREATE TABLE bars (
    stream_id bigint NOT NULL,
    event_time timestamptz NOT NULL,
    position bigint NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    vwap double precision,
    trade_count bigint,
    received_time timestamptz NOT NULL,
    known_from timestamptz NOT NULL,
    revision smallint NOT NULL,
    flags smallint NOT NULL,
    currency text COLLATE "C" NOT NULL,
    PRIMARY KEY (stream_id, event_time)
) PARTITION BY RANGE (event_time);
CREATE INDEX bars_by_knowledge ON bars USING brin (known_from);
CREATE TABLE bars_superseded (
    LIKE bars,
    PRIMARY KEY (stream_id, event_time, position)
) PARTITION BY RANGE (event_time);
CREATE TABLE bars_forming (
    LIKE bars,
    PRIMARY KEY (stream_id)
) WITH (fillfactor = 50);
CREATE VIEW v_bars AS
    SELECT s.symbol, s.interval, r.event_time, r.open, r.high, r.low, r.close, r.volume, r.vwap, r.trade_count, (r.flags & 1) <> 0 AS final, (ARRAY['pre', 'regular', 'post', 'closed'])[((r.flags & 14) >> 1) + 1] AS session, (ARRAY['raw', 'split', 'all'])[((r.flags & 112) >> 4) + 1] AS adjustment_state, r.currency, (r.flags & 128) <> 0 AS simulated, s.provider, (ARRAY['primary', 'shadow', 'backfill'])[((r.flags & 1792) >> 8) + 1] AS route, r.received_time, r.known_from, r.position >> 16 AS raw_offset, (r.position & 65535)::integer AS idx, r.revision::integer AS revision, r.position, r.stream_id
    FROM bars r JOIN streams s USING (stream_id);
CREATE VIEW v_bars_all AS
    SELECT s.symbol, s.interval, r.event_time, r.open, r.high, r.low, r.close, r.volume, r.vwap, r.trade_count, (r.flags & 1) <> 0 AS final, (ARRAY['pre', 'regular', 'post', 'closed'])[((r.flags & 14) >> 1) + 1] AS session, (ARRAY['raw', 'split', 'all'])[((r.flags & 112) >> 4) + 1] AS adjustment_state, r.currency, (r.flags & 128) <> 0 AS simulated, s.provider, (ARRAY['primary', 'shadow', 'backfill'])[((r.flags & 1792) >> 8) + 1] AS route, r.received_time, r.known_from, r.position >> 16 AS raw_offset, (r.position & 65535)::integer AS idx, r.revision::integer AS revision, r.position, r.stream_id
    FROM (SELECT * FROM bars UNION ALL SELECT * FROM bars_superseded) r JOIN streams s USING (stream_id);
CREATE VIEW v_bars_forming AS
    SELECT s.symbol, s.interval, r.event_time, r.open, r.high, r.low, r.close, r.volume, r.vwap, r.trade_count, (r.flags & 1) <> 0 AS final, (ARRAY['pre', 'regular', 'post', 'closed'])[((r.flags & 14) >> 1) + 1] AS session, (ARRAY['raw', 'split', 'all'])[((r.flags & 112) >> 4) + 1] AS adjustment_state, r.currency, (r.flags & 128) <> 0 AS simulated, s.provider, (ARRAY['primary', 'shadow', 'backfill'])[((r.flags & 1792) >> 8) + 1] AS route, r.received_time, r.known_from, r.position >> 16 AS raw_offset, (r.position & 65535)::integer AS idx, r.revision::integer AS revision, r.position, r.stream_id
    FROM bars_forming r JOIN streams s USING (stream_id) WHERE NOT EXISTS (SELECT FROM bars v WHERE v.stream_id = r.stream_id AND v.event_time = r.event_time);

CREATE VIEW v_streams AS
    SELECT stream_id, kind, interval, provider, symbol, start_time, last_seen FROM streams;
CREATE VIEW v_gaps AS
    SELECT gap_id, stream, symbol, provider, interval, from_time, to_time, cause, confidence, state, generation, expected,
        detector, known_from FROM gaps;
CREATE INDEX gaps_of_a_symbol ON gaps (symbol, from_time);

-- How wide the partitions of a table are; a table cut in another way is not in here.
CREATE TABLE partition_widths (
    parent text COLLATE "C" PRIMARY KEY,
    width text NOT NULL CHECK (width IN ('day', 'month'))  -- UTC
);
INSERT INTO partition_widths VALUES ('quotes', 'day'), ('trades', 'day'), ('bars', 'month'), ('bars_superseded', 'month');

-- Makes the partitions rows of these moments go into, where they are missing, and returns how many it made. Attached
-- rather than created in place: so readers are not locked out. A row's owner need own no table to call it. Times are
-- written and read in one style: before PostgreSQL 18 some names of zones are read as another zone than they were written for.
CREATE FUNCTION make_partitions(parent text, moments timestamptz[]) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET TimeZone = 'UTC' SET DateStyle = 'ISO' AS $$
DECLARE
    unit text;
    low timestamptz;
    high timestamptz;
    child text;
    made integer := 0;
BEGIN
    SELECT w.width INTO unit FROM partition_widths w
        JOIN pg_partitioned_table p ON p.partrelid = to_regclass(quote_ident(w.parent)) WHERE w.parent = make_partitions.parent;
    IF unit IS NULL THEN
        RETURN 0;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('make_partitions'), hashtext(parent));
    FOR low IN SELECT DISTINCT date_trunc(unit, moment, 'UTC') FROM unnest(moments) moment ORDER BY 1 LOOP
        child := parent || to_char(low AT TIME ZONE 'UTC', CASE unit WHEN 'day' THEN '_YYYYMMDD' ELSE '_YYYYMM' END);
        CONTINUE WHEN to_regclass(quote_ident(child)) IS NOT NULL;
        high := (low AT TIME ZONE 'UTC' + ('1 ' || unit)::interval) AT TIME ZONE 'UTC';
        EXECUTE format(
            'CREATE TABLE %I (LIKE %I INCLUDING ALL, CONSTRAINT its_time CHECK (event_time >= %L AND event_time < %L)) '
            'WITH (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 1000000, '
            'autovacuum_analyze_scale_factor = 0.02)', child, parent, low, high);
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, child, low, high);
        EXECUTE format('ALTER TABLE %I DROP CONSTRAINT its_time', child);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

-- Who only reads: all views of the contract, no table.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'mds_reader') THEN
        CREATE ROLE mds_reader NOLOGIN;
    END IF;
    GRANT SELECT ON v_bars, v_bars_all, v_bars_forming, v_quotes, v_quotes_latest, v_trades, v_streams, v_gaps TO mds_reader;
EXCEPTION WHEN insufficient_privilege OR unique_violation OR duplicate_object THEN
    RAISE NOTICE 'the role mds_reader was not made here: CREATE ROLE mds_reader and GRANT SELECT on the views v_* to it';
END $$;

INSERT INTO schema_migrations (name) VALUES ('0007_pre_compact_rows');
COMMIT;
