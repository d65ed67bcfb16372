-- How well polling kept to its cadence: a row per window of a group in a producer; its writer trims what is a week old.
CREATE TABLE cadence (
    replica text COLLATE "C" NOT NULL,     -- which producer
    capability text COLLATE "C" NOT NULL,  -- quotes | bars:1m ...
    provider text COLLATE "C" NOT NULL,
    tier text COLLATE "C" NOT NULL,        -- T0 | T1 | T2; '' where none was given
    begun_time timestamptz NOT NULL,       -- the window, of wall time
    ended_time timestamptz NOT NULL,
    market_s double precision NOT NULL,    -- its length in market time
    every_s double precision NOT NULL,     -- planned cadence, market time
    symbols integer NOT NULL,              -- planned
    due integer NOT NULL,                  -- polls begun at their time and slots missed
    begun integer NOT NULL, succeeded integer NOT NULL, failed integer NOT NULL,
    skipped integer NOT NULL,              -- on purpose
    missed integer NOT NULL,               -- slots of the cadence that went by
    symbol_polls integer NOT NULL,         -- symbols in polls that succeeded
    stale_s double precision NOT NULL,     -- how long the one left out longest has been due, market time
    stale_symbols integer NOT NULL,        -- due for longer than a cadence
    error_p50_ms double precision, error_p99_ms double precision,  -- lateness, wall time; null without polls
    error_max_ms double precision NOT NULL,
    buckets integer[] NOT NULL,            -- lateness by logarithmic bucket (schemas/log_buckets.py) ...
    counts integer[] NOT NULL,             -- ... and how many polls are in each
    PRIMARY KEY (capability, provider, tier, ended_time, replica)
);
CREATE INDEX cadence_by_age ON cadence (ended_time);

INSERT INTO schema_migrations (name) VALUES ('0005_pre_cadence');
