-- non-transactional
-- Moves what old_* hold into the compact tables of 0007, some 20,000 rows at a time, and drops each when nothing of it
-- is left. Killed at any moment it goes on where it was: a batch and the place it came to are one transaction.
-- Of bars final versions become rows, counted anew: equal ones that only a forming one separated are one version. The
-- newest forming bar of a series is kept where its slot has no final one.

-- For files after this one: an index whose making was killed is there and of no use; IF NOT EXISTS would keep it.
CREATE OR REPLACE FUNCTION drop_invalid_index(index_name text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = to_regclass(index_name) AND NOT i.indisvalid) THEN
        EXECUTE format('DROP INDEX %s', to_regclass(index_name));
        RETURN true;
    END IF;
    RETURN false;
END $$;

CREATE TABLE IF NOT EXISTS conversion (
    source text COLLATE "C" PRIMARY KEY,
    symbol text COLLATE "C" NOT NULL DEFAULT '',  -- key of the last row moved, by the old primary key
    provider text COLLATE "C" NOT NULL DEFAULT '',
    interval text COLLATE "C" NOT NULL DEFAULT '',
    event_time timestamptz NOT NULL DEFAULT '-infinity',
    known_from timestamptz NOT NULL DEFAULT '-infinity',
    raw_offset bigint NOT NULL DEFAULT -1,
    idx integer NOT NULL DEFAULT -1,
    moved bigint NOT NULL DEFAULT 0
);

-- Kafka's murmur2: a symbol lives in partition (murmur2 & 0x7fffffff) mod n of every topic.
CREATE OR REPLACE FUNCTION conversion_murmur2(data bytea) RETURNS bigint LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    mask CONSTANT bigint := 4294967295;
    multiplier CONSTANT bigint := 1540483477;
    whole CONSTANT integer := octet_length(data) / 4 * 4;
    digest bigint := 2538058380 # octet_length(data)::bigint;
    word bigint;
BEGIN
    FOR i IN 0 .. whole - 1 BY 4 LOOP
        word := get_byte(data, i) + (get_byte(data, i + 1) << 8) + (get_byte(data, i + 2) << 16)
            + (get_byte(data, i + 3)::bigint << 24);
        word := (word * multiplier) & mask;
        word := ((word # (word >> 24)) * multiplier) & mask;
        digest := ((digest * multiplier) & mask) # word;
    END LOOP;
    IF whole < octet_length(data) THEN
        word := 0;
        FOR i IN whole .. octet_length(data) - 1 LOOP
            word := word + (get_byte(data, i)::bigint << (8 * (i - whole)));
        END LOOP;
        digest := ((digest # word) * multiplier) & mask;
    END IF;
    digest := ((digest # (digest >> 13)) * multiplier) & mask;
    RETURN digest # (digest >> 15);
END $$;

-- The partition of a symbol: as another series or a gap of it says, otherwise computed among as many as sinks own.
CREATE OR REPLACE FUNCTION conversion_partition(named text) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        (SELECT s.partition FROM streams s WHERE s.symbol = named LIMIT 1),
        (SELECT g.partition FROM gaps g WHERE g.symbol = named LIMIT 1),
        ((conversion_murmur2(convert_to(named, 'UTF8')) & 2147483647)
            % coalesce((SELECT max(o.partition) + 1 FROM sink_offsets o), 4))::integer
    )
$$;

-- Batches are ranges of the old primary key: read by it, whatever a planner without statistics thinks.
CREATE OR REPLACE FUNCTION conversion_by_index() RETURNS void LANGUAGE sql AS $$
    SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)
$$;

CREATE OR REPLACE FUNCTION conversion_told(source text, before bigint, after bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF before / 500000 < after / 500000 THEN
        RAISE INFO '%: % rows moved', source, after;
    END IF;
END $$;

CREATE OR REPLACE PROCEDURE conversion_partitions(parents text[], moments timestamptz[]) LANGUAGE plpgsql AS $$
DECLARE
    parent text;
BEGIN
    -- A partition is several relations, each with a lock until the end of its transaction.
    FOR i IN 1 .. coalesce(array_length(moments, 1), 0) BY 32 LOOP
        FOREACH parent IN ARRAY parents LOOP
            PERFORM make_partitions(parent, moments[i : i + 31]);
            COMMIT;
        END LOOP;
    END LOOP;
END $$;

-- The few rows of a series are one transaction, the drop included.
CREATE OR REPLACE PROCEDURE conversion_of_series() LANGUAGE plpgsql AS $$
BEGIN
    IF to_regclass('old_cursors') IS NOT NULL THEN
        INSERT INTO streams (stream_id, kind, interval, provider, symbol, partition, start_time, last_seen)
        SELECT stream_id_of(c.kind, c.interval, c.provider, c.symbol), c.kind, c.interval, c.provider, c.symbol,
            c.partition, c.start_time, c.last_seen
        FROM (SELECT *, split_part(channel, '.', 1) AS kind, split_part(channel, '.', 2) AS interval FROM old_cursors) c;
        DROP TABLE old_cursors;
        COMMIT;
    END IF;
    IF to_regclass('old_quotes_latest') IS NOT NULL THEN
        INSERT INTO streams (stream_id, kind, interval, provider, symbol, partition)
        SELECT stream_id_of('quotes', '', q.provider, q.symbol), 'quotes', '', q.provider, q.symbol,
            conversion_partition(q.symbol)
        FROM old_quotes_latest q
        ON CONFLICT (stream_id) DO NOTHING;
        INSERT INTO quotes_latest (stream_id, event_time, position, bid, ask, bid_size, ask_size, last, last_size, volume,
            previous_close, received_time, known_from, delay_s, flags, currency, market_state)
        SELECT stream_id_of('quotes', '', q.provider, q.symbol), q.event_time, q.raw_offset * 65536 + q.idx, q.bid, q.ask,
            q.bid_size, q.ask_size, q.last, q.last_size, q.volume, q.previous_close, q.received_time, q.known_from,
            q.delay_s,
            ((q.simulated::integer << 0) | ((array_position(ARRAY['primary', 'shadow', 'backfill'], q.route) - 1) << 1)
                )::smallint,
            q.currency, q.market_state
        FROM old_quotes_latest q;
        DROP TABLE old_quotes_latest;
        COMMIT;
    END IF;
END $$;

CREATE OR REPLACE PROCEDURE conversion_of_bars(batch_rows integer) LANGUAGE plpgsql AS $$
DECLARE
    came conversion;
    upto conversion;
    moments timestamptz[];
    counted bigint;
BEGIN
    WHILE to_regclass('old_bars') IS NOT NULL LOOP
        PERFORM conversion_by_index();
        INSERT INTO conversion (source) VALUES ('old_bars') ON CONFLICT DO NOTHING;
        SELECT * INTO came FROM conversion WHERE source = 'old_bars';
        upto := came;
        -- A batch ends with a slot, so that all versions of one are seen together.
        SELECT b.symbol, b.provider, b.interval, b.event_time INTO upto.symbol, upto.provider, upto.interval, upto.event_time
        FROM (
            SELECT o.symbol, o.provider, o.interval, o.event_time FROM old_bars o
            WHERE (o.symbol, o.provider, o.interval, o.event_time)
                > (came.symbol, came.provider, came.interval, came.event_time)
            ORDER BY o.symbol, o.provider, o.interval, o.event_time LIMIT batch_rows
        ) b
        ORDER BY b.symbol DESC, b.provider DESC, b.interval DESC, b.event_time DESC LIMIT 1;
        IF NOT FOUND THEN
            DROP TABLE old_bars, old_bars_current;
            COMMIT;
            RETURN;
        END IF;
        SELECT array_agg(DISTINCT date_trunc('month', b.event_time, 'UTC')) INTO moments FROM old_bars b
        WHERE (b.symbol, b.provider, b.interval, b.event_time)
                > (came.symbol, came.provider, came.interval, came.event_time)
            AND (b.symbol, b.provider, b.interval, b.event_time)
                <= (upto.symbol, upto.provider, upto.interval, upto.event_time);
        CALL conversion_partitions(ARRAY['bars', 'bars_superseded'], moments);
        PERFORM conversion_by_index();

        WITH batch AS MATERIALIZED (
            SELECT b.* FROM old_bars b
            WHERE (b.symbol, b.provider, b.interval, b.event_time)
                    > (came.symbol, came.provider, came.interval, came.event_time)
                AND (b.symbol, b.provider, b.interval, b.event_time)
                    <= (upto.symbol, upto.provider, upto.interval, upto.event_time)
        ),
        series AS MATERIALIZED (
            SELECT b.symbol, b.provider, b.interval, stream_id_of('bars', b.interval, b.provider, b.symbol) AS stream_id
            FROM batch b GROUP BY b.symbol, b.provider, b.interval
        ),
        named AS (
            INSERT INTO streams (stream_id, kind, interval, provider, symbol, partition)
            SELECT s.stream_id, 'bars', s.interval, s.provider, s.symbol, conversion_partition(s.symbol) FROM series s
            ON CONFLICT (stream_id) DO NOTHING
        ),
        compact AS MATERIALIZED (
            SELECT s.stream_id, b.event_time, b.raw_offset * 65536 + b.idx AS position, b.open, b.high, b.low, b.close,
                b.volume, b.vwap, b.trade_count, b.received_time, b.known_from,
                ((b.final::integer << 0) | ((array_position(ARRAY['pre', 'regular', 'post', 'closed'], b.session) - 1) << 1)
                    | ((array_position(ARRAY['raw', 'split', 'all'], b.adjustment_state) - 1) << 4)
                    | (b.simulated::integer << 7)
                    | ((array_position(ARRAY['primary', 'shadow', 'backfill'], b.route) - 1) << 8))::smallint AS flags,
                b.currency, b.final
            FROM batch b JOIN series s USING (symbol, provider, interval)
        ),
        compared AS (
            SELECT c.*, row_number() OVER slot = 1
                OR ROW(c.open, c.high, c.low, c.close, c.volume, c.vwap, c.trade_count, c.currency, c.flags & 127)
                IS DISTINCT FROM
                lag(ROW(c.open, c.high, c.low, c.close, c.volume, c.vwap, c.trade_count, c.currency, c.flags & 127)) OVER slot
                AS says_something
            FROM compact c WHERE c.final
            WINDOW slot AS (PARTITION BY c.stream_id, c.event_time ORDER BY c.position)
        ),
        versions AS MATERIALIZED (
            SELECT c.*, LEAST(row_number() OVER (PARTITION BY c.stream_id, c.event_time ORDER BY c.position) - 1, 32767)
                    AS revision,
                lead(c.position) OVER (PARTITION BY c.stream_id, c.event_time ORDER BY c.position) IS NULL AS newest
            FROM compared c WHERE c.says_something
        ),
        current AS (
            INSERT INTO bars (stream_id, event_time, position, open, high, low, close, volume, vwap, trade_count,
                received_time, known_from, revision, flags, currency)
            SELECT v.stream_id, v.event_time, v.position, v.open, v.high, v.low, v.close, v.volume, v.vwap, v.trade_count,
                v.received_time, v.known_from, v.revision, v.flags, v.currency
            FROM versions v WHERE v.newest
        ),
        replaced AS (
            INSERT INTO bars_superseded (stream_id, event_time, position, open, high, low, close, volume, vwap, trade_count,
                received_time, known_from, revision, flags, currency)
            SELECT v.stream_id, v.event_time, v.position, v.open, v.high, v.low, v.close, v.volume, v.vwap, v.trade_count,
                v.received_time, v.known_from, v.revision, v.flags, v.currency
            FROM versions v WHERE NOT v.newest
        ),
        forming AS MATERIALIZED (
            SELECT n.*, EXISTS (
                SELECT FROM versions v WHERE v.stream_id = n.stream_id AND v.event_time = n.event_time) AS ended
            FROM (
                SELECT DISTINCT ON (c.stream_id) c.* FROM compact c WHERE NOT c.final
                ORDER BY c.stream_id, c.event_time DESC, c.position DESC
            ) n
        ),
        ended AS (
            DELETE FROM bars_forming k USING forming f WHERE k.stream_id = f.stream_id AND f.ended
        ),
        kept AS (
            INSERT INTO bars_forming AS k (stream_id, event_time, position, open, high, low, close, volume, vwap,
                trade_count, received_time, known_from, revision, flags, currency)
            SELECT f.stream_id, f.event_time, f.position, f.open, f.high, f.low, f.close, f.volume, f.vwap, f.trade_count,
                f.received_time, f.known_from, 0, f.flags, f.currency
            FROM forming f WHERE NOT f.ended
            ON CONFLICT (stream_id) DO UPDATE SET event_time = excluded.event_time, position = excluded.position,
                open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
                volume = excluded.volume, vwap = excluded.vwap, trade_count = excluded.trade_count,
                received_time = excluded.received_time, known_from = excluded.known_from, flags = excluded.flags,
                currency = excluded.currency
        )
        SELECT count(*) INTO counted FROM batch;

        UPDATE conversion SET symbol = upto.symbol, provider = upto.provider, interval = upto.interval,
            event_time = upto.event_time, moved = moved + counted
        WHERE source = 'old_bars';
        COMMIT;
        PERFORM conversion_told('bars', came.moved, came.moved + counted);
    END LOOP;
END $$;

CREATE OR REPLACE PROCEDURE conversion_of_quotes(batch_rows integer) LANGUAGE plpgsql AS $$
DECLARE
    came conversion;
    upto conversion;
    moments timestamptz[];
    counted bigint;
BEGIN
    WHILE to_regclass('old_quotes') IS NOT NULL LOOP
        PERFORM conversion_by_index();
        INSERT INTO conversion (source) VALUES ('old_quotes') ON CONFLICT DO NOTHING;
        SELECT * INTO came FROM conversion WHERE source = 'old_quotes';
        upto := came;
        SELECT b.symbol, b.provider, b.event_time, b.known_from, b.raw_offset, b.idx
        INTO upto.symbol, upto.provider, upto.event_time, upto.known_from, upto.raw_offset, upto.idx
        FROM (
            SELECT o.symbol, o.provider, o.event_time, o.known_from, o.raw_offset, o.idx FROM old_quotes o
            WHERE (o.symbol, o.provider, o.event_time, o.known_from, o.raw_offset, o.idx)
                > (came.symbol, came.provider, came.event_time, came.known_from, came.raw_offset, came.idx)
            ORDER BY o.symbol, o.provider, o.event_time, o.known_from, o.raw_offset, o.idx LIMIT batch_rows
        ) b
        ORDER BY b.symbol DESC, b.provider DESC, b.event_time DESC, b.known_from DESC, b.raw_offset DESC, b.idx DESC LIMIT 1;
        IF NOT FOUND THEN
            DROP TABLE old_quotes;
            COMMIT;
            RETURN;
        END IF;
        SELECT array_agg(DISTINCT date_trunc('day', b.event_time, 'UTC')) INTO moments FROM old_quotes b
        WHERE (b.symbol, b.provider, b.event_time, b.known_from, b.raw_offset, b.idx)
                > (came.symbol, came.provider, came.event_time, came.known_from, came.raw_offset, came.idx)
            AND (b.symbol, b.provider, b.event_time, b.known_from, b.raw_offset, b.idx)
                <= (upto.symbol, upto.provider, upto.event_time, upto.known_from, upto.raw_offset, upto.idx);
        CALL conversion_partitions(ARRAY['quotes'], moments);
        PERFORM conversion_by_index();

        WITH batch AS MATERIALIZED (
            SELECT b.* FROM old_quotes b
            WHERE (b.symbol, b.provider, b.event_time, b.known_from, b.raw_offset, b.idx)
                    > (came.symbol, came.provider, came.event_time, came.known_from, came.raw_offset, came.idx)
                AND (b.symbol, b.provider, b.event_time, b.known_from, b.raw_offset, b.idx)
                    <= (upto.symbol, upto.provider, upto.event_time, upto.known_from, upto.raw_offset, upto.idx)
        ),
        series AS MATERIALIZED (
            SELECT b.symbol, b.provider, stream_id_of('quotes', '', b.provider, b.symbol) AS stream_id
            FROM batch b GROUP BY b.symbol, b.provider
        ),
        named AS (
            INSERT INTO streams (stream_id, kind, interval, provider, symbol, partition)
            SELECT s.stream_id, 'quotes', '', s.provider, s.symbol, conversion_partition(s.symbol) FROM series s
            ON CONFLICT (stream_id) DO NOTHING
        ),
        kept AS (
            INSERT INTO quotes (stream_id, event_time, position, bid, ask, bid_size, ask_size, last, last_size, volume,
                previous_close, received_time, known_from, delay_s, flags, currency, market_state)
            SELECT s.stream_id, b.event_time, b.raw_offset * 65536 + b.idx, b.bid, b.ask, b.bid_size, b.ask_size, b.last,
                b.last_size, b.volume, b.previous_close, b.received_time, b.known_from, b.delay_s,
                ((b.simulated::integer << 0)
                    | ((array_position(ARRAY['primary', 'shadow', 'backfill'], b.route) - 1) << 1))::smallint,
                b.currency, b.market_state
            FROM batch b JOIN series s USING (symbol, provider)
        )
        SELECT count(*) INTO counted FROM batch;

        UPDATE conversion SET symbol = upto.symbol, provider = upto.provider, event_time = upto.event_time,
            known_from = upto.known_from, raw_offset = upto.raw_offset, idx = upto.idx, moved = moved + counted
        WHERE source = 'old_quotes';
        COMMIT;
        PERFORM conversion_told('quotes', came.moved, came.moved + counted);
    END LOOP;
END $$;

CREATE OR REPLACE PROCEDURE conversion_of_trades(batch_rows integer) LANGUAGE plpgsql AS $$
DECLARE
    came conversion;
    upto conversion;
    moments timestamptz[];
    counted bigint;
BEGIN
    WHILE to_regclass('old_trades') IS NOT NULL LOOP
        PERFORM conversion_by_index();
        INSERT INTO conversion (source) VALUES ('old_trades') ON CONFLICT DO NOTHING;
        SELECT * INTO came FROM conversion WHERE source = 'old_trades';
        upto := came;
        SELECT b.symbol, b.provider, b.event_time, b.raw_offset, b.idx
        INTO upto.symbol, upto.provider, upto.event_time, upto.raw_offset, upto.idx
        FROM (
            SELECT o.symbol, o.provider, o.event_time, o.raw_offset, o.idx FROM old_trades o
            WHERE (o.symbol, o.provider, o.event_time, o.raw_offset, o.idx)
                > (came.symbol, came.provider, came.event_time, came.raw_offset, came.idx)
            ORDER BY o.symbol, o.provider, o.event_time, o.raw_offset, o.idx LIMIT batch_rows
        ) b
        ORDER BY b.symbol DESC, b.provider DESC, b.event_time DESC, b.raw_offset DESC, b.idx DESC LIMIT 1;
        IF NOT FOUND THEN
            DROP TABLE old_trades;
            COMMIT;
            RETURN;
        END IF;
        SELECT array_agg(DISTINCT date_trunc('day', b.event_time, 'UTC')) INTO moments FROM old_trades b
        WHERE (b.symbol, b.provider, b.event_time, b.raw_offset, b.idx)
                > (came.symbol, came.provider, came.event_time, came.raw_offset, came.idx)
            AND (b.symbol, b.provider, b.event_time, b.raw_offset, b.idx)
                <= (upto.symbol, upto.provider, upto.event_time, upto.raw_offset, upto.idx);
        CALL conversion_partitions(ARRAY['trades'], moments);
        PERFORM conversion_by_index();

        WITH batch AS MATERIALIZED (
            SELECT b.* FROM old_trades b
            WHERE (b.symbol, b.provider, b.event_time, b.raw_offset, b.idx)
                    > (came.symbol, came.provider, came.event_time, came.raw_offset, came.idx)
                AND (b.symbol, b.provider, b.event_time, b.raw_offset, b.idx)
                    <= (upto.symbol, upto.provider, upto.event_time, upto.raw_offset, upto.idx)
        ),
        series AS MATERIALIZED (
            SELECT b.symbol, b.provider, stream_id_of('trades', '', b.provider, b.symbol) AS stream_id
            FROM batch b GROUP BY b.symbol, b.provider
        ),
        named AS (
            INSERT INTO streams (stream_id, kind, interval, provider, symbol, partition)
            SELECT s.stream_id, 'trades', '', s.provider, s.symbol, conversion_partition(s.symbol) FROM series s
            ON CONFLICT (stream_id) DO NOTHING
        ),
        kept AS (
            INSERT INTO trades (stream_id, event_time, position, price, size, received_time, known_from, flags, trade_id,
                conditions, venue)
            SELECT s.stream_id, b.event_time, b.raw_offset * 65536 + b.idx, b.price, b.size, b.received_time, b.known_from,
                ((b.simulated::integer << 0)
                    | ((array_position(ARRAY['primary', 'shadow', 'backfill'], b.route) - 1) << 1))::smallint,
                b.trade_id, b.conditions, b.venue
            FROM batch b JOIN series s USING (symbol, provider)
        )
        SELECT count(*) INTO counted FROM batch;

        UPDATE conversion SET symbol = upto.symbol, provider = upto.provider, event_time = upto.event_time,
            raw_offset = upto.raw_offset, idx = upto.idx, moved = moved + counted
        WHERE source = 'old_trades';
        COMMIT;
        PERFORM conversion_told('trades', came.moved, came.moved + counted);
    END LOOP;
END $$;

-- One at a time: an unfinished one whose caller is gone may still be at its last batch.
CREATE OR REPLACE PROCEDURE conversion_of_all(batch_rows integer) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_lock(hashtext('conversion'));
    CALL conversion_of_series();
    CALL conversion_of_bars(batch_rows);
    CALL conversion_of_quotes(batch_rows);
    CALL conversion_of_trades(batch_rows);
    PERFORM pg_advisory_unlock(hashtext('conversion'));
END $$;

CALL conversion_of_all(20000);

ANALYZE streams, bars, bars_superseded, quotes, trades;
DROP PROCEDURE conversion_of_all;
DROP PROCEDURE conversion_of_series;
DROP PROCEDURE conversion_of_bars;
DROP PROCEDURE conversion_of_quotes;
DROP PROCEDURE conversion_of_trades;
DROP PROCEDURE conversion_partitions;
DROP FUNCTION conversion_told;
DROP FUNCTION conversion_by_index;
DROP FUNCTION conversion_partition;
DROP FUNCTION conversion_murmur2;
DROP TABLE conversion;
INSERT INTO schema_migrations (name) VALUES ('0008_pre_convert_rows') ON CONFLICT DO NOTHING;
