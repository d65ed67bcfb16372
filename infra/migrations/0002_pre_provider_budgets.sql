-- What producers remember of vendors' patience: requests made, pauses, bans. A row per provider and day, and per
-- endpoint ('' = the provider as a whole) where an endpoint is limited on its own.
-- Counts are added to, never set: two producers with one key, and a process after a killed one, sum up.
CREATE TABLE provider_budgets (
    provider text COLLATE "C" NOT NULL,
    endpoint text COLLATE "C" NOT NULL,
    day date NOT NULL,                     -- UTC
    used bigint NOT NULL,                  -- requests, with a block reserved for those that follow at once
    slots integer[] NOT NULL,              -- the same by quarter of an hour: 96 of them
    paused_until timestamptz,
    ban_count integer NOT NULL,
    reason text COLLATE "C" NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (provider, endpoint, day)
);

INSERT INTO schema_migrations (name) VALUES ('0002_pre_provider_budgets');
