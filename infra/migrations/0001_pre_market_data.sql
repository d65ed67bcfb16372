-- Quotes, trades and bars with every version ever known; gaps; the sink's own position. Append-only but for the
-- tables named *_current, *_latest, gaps, cursors, sink_offsets and watermarks.
-- Times are the record's own (DESIGN §4): never now(), so that a replay writes identical rows.
CREATE TABLE IF NOT EXISTS schema_migrations (
    name text PRIMARY KEY, sha256 text, applied_at timestamptz NOT NULL DEFAULT now());

CREATE EXTENSION IF NOT EXISTS btree_gist;

-- A symbol lives in one partition for ever, so (raw_offset, idx) is a position without naming the partition.
CREATE TABLE quotes (
    symbol text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    event_time timestamptz NOT NULL,
    known_from timestamptz NOT NULL,
    raw_offset bigint NOT NULL,
    idx integer NOT NULL,
    route text COLLATE "C" NOT NULL,
    received_time timestamptz NOT NULL,
    bid double precision, ask double precision, bid_size double precision, ask_size double precision,
    last double precision, last_size double precision, volume double precision, previous_close double precision,
    currency text COLLATE "C" NOT NULL, market_state text COLLATE "C" NOT NULL, delay_s integer NOT NULL,
    simulated boolean NOT NULL,
    PRIMARY KEY (symbol, provider, event_time, known_from, raw_offset, idx)
);

CREATE TABLE trades (
    symbol text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    event_time timestamptz NOT NULL,
    known_from timestamptz NOT NULL,
    raw_offset bigint NOT NULL,
    idx integer NOT NULL,
    route text COLLATE "C" NOT NULL,
    received_time timestamptz NOT NULL,
    price double precision NOT NULL, size double precision NOT NULL,
    trade_id text COLLATE "C", conditions text COLLATE "C" NOT NULL, venue text COLLATE "C" NOT NULL,
    simulated boolean NOT NULL,
    PRIMARY KEY (symbol, provider, event_time, raw_offset, idx)
);

CREATE TABLE bars (
    symbol text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    interval text COLLATE "C" NOT NULL,
    event_time timestamptz NOT NULL,  -- START of the bar
    known_from timestamptz NOT NULL,
    raw_offset bigint NOT NULL,
    idx integer NOT NULL,
    route text COLLATE "C" NOT NULL,
    received_time timestamptz NOT NULL,
    open double precision NOT NULL, high double precision NOT NULL, low double precision NOT NULL,
    close double precision NOT NULL, volume double precision NOT NULL,
    vwap double precision, trade_count bigint,
    final boolean NOT NULL,
    session text COLLATE "C" NOT NULL, adjustment_state text COLLATE "C" NOT NULL, currency text COLLATE "C" NOT NULL,
    simulated boolean NOT NULL,
    PRIMARY KEY (symbol, provider, interval, event_time, known_from, raw_offset, idx)
);

-- The newest version of each bar, with its ordinal: reads without as_of, and aggregates (over all versions volume
-- would count twice).
CREATE TABLE bars_current (
    LIKE bars,
    revision integer NOT NULL,  -- 0 = first version
    PRIMARY KEY (symbol, provider, interval, event_time)
);

CREATE TABLE quotes_latest (
    LIKE quotes,
    PRIMARY KEY (symbol, provider)
);

CREATE TABLE gaps (
    gap_id text COLLATE "C" PRIMARY KEY,
    stream text COLLATE "C" NOT NULL,
    symbol text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    interval text COLLATE "C" NOT NULL,
    from_time timestamptz NOT NULL,
    to_time timestamptz NOT NULL,
    cause text NOT NULL,
    confidence text NOT NULL CHECK (confidence IN ('proven', 'inferred')),
    state text NOT NULL CHECK (state IN ('open', 'filling', 'filled', 'empty', 'unrecoverable')),
    generation integer NOT NULL,
    expected integer NOT NULL,
    detector text NOT NULL,
    known_from timestamptz NOT NULL,
    raw_offset bigint NOT NULL,
    idx integer NOT NULL,
    partition integer NOT NULL,
    CHECK (from_time < to_time),
    CONSTRAINT gaps_of_a_stream_never_overlap EXCLUDE USING gist (stream WITH =, tstzrange(from_time, to_time) WITH &&)
);
CREATE INDEX gaps_unresolved ON gaps (symbol, from_time) WHERE state IN ('open', 'filling');

-- How far each stream has come; moved in the transaction that writes its rows.
CREATE TABLE cursors (
    channel text COLLATE "C" NOT NULL,  -- quotes | trades | bars.1m ...
    provider text COLLATE "C" NOT NULL,
    symbol text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    start_time timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    PRIMARY KEY (channel, provider, symbol)
);
CREATE INDEX cursors_of_a_partition ON cursors (partition);

-- The sink's position; Kafka's own commits only show lag. The owner columns fence a predecessor that woke up.
CREATE TABLE sink_offsets (
    topic text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    topic_id text NOT NULL,
    leader_epoch integer NOT NULL,
    next_offset bigint NOT NULL,
    owner_epoch bigint NOT NULL,
    owner_pid integer,
    backend_start timestamptz,
    PRIMARY KEY (topic, partition)
);

-- Everything of a canonical partition known strictly before complete_before is stored.
CREATE TABLE watermarks (
    topic text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    complete_before timestamptz NOT NULL,
    PRIMARY KEY (topic, partition)
);

-- What the sink must still publish (dead letters, gaps); written with the rows, deleted once Kafka confirmed.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL,
    partition integer NOT NULL,
    key bytea,
    value bytea NOT NULL
);

INSERT INTO schema_migrations (name) VALUES ('0001_pre_market_data');
