-- How well each provider served each capability, as the producers said it; kept for SINKS_PROVIDER_HEALTH_DAYS.
CREATE TABLE provider_health (
    capability text COLLATE "C" NOT NULL,  -- quotes | bars:1m ...
    provider text COLLATE "C" NOT NULL,
    observed_time timestamptz NOT NULL,
    score double precision NOT NULL,
    success double precision NOT NULL, latency double precision NOT NULL,
    freshness double precision NOT NULL, validity double precision NOT NULL,
    breaker text COLLATE "C" NOT NULL,
    usable boolean NOT NULL,
    chosen boolean NOT NULL,
    reason text NOT NULL,  -- of the choice in force then
    changed text COLLATE "C" NOT NULL,  -- no | initial | failover | failback | exhausted | restored
    previous text COLLATE "C" NOT NULL,
    chosen_since timestamptz NOT NULL,
    last_error text NOT NULL,
    budgets text NOT NULL,  -- a JSON object
    PRIMARY KEY (capability, provider, observed_time)
);
CREATE INDEX provider_health_by_age ON provider_health (observed_time);
CREATE INDEX provider_health_changes ON provider_health (capability, observed_time) WHERE changed <> 'no';

INSERT INTO schema_migrations (name) VALUES ('0003_pre_provider_health');
