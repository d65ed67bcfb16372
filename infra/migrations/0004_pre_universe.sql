-- Who is collected when `universe` is `database`: changes, only ever added; the present and the past are read from them.
-- A version is one change set: all rows of one command. Its time never goes back, so that what was true at a moment is.
CREATE TABLE universe_changes (
    version bigint NOT NULL,
    symbol text COLLATE "C" NOT NULL,
    tier text COLLATE "C",                 -- T0 | T1 | T2; null = removed
    streams text[] NOT NULL,               -- bars, quotes, trades; empty = removed
    note text NOT NULL,
    changed_time timestamptz NOT NULL,     -- in force from then on
    changed_by text NOT NULL,
    PRIMARY KEY (version, symbol),
    CHECK (version > 0),
    CHECK (tier IN ('T0', 'T1', 'T2')),
    CHECK ((tier IS NULL) = (cardinality(streams) = 0)),
    CHECK (streams <@ ARRAY['bars', 'quotes', 'trades'])
);
CREATE INDEX universe_changes_by_symbol ON universe_changes (symbol, version DESC);

CREATE FUNCTION universe_changes_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'universe_changes is only ever added to: make a new change instead';
END $$;
CREATE TRIGGER universe_changes_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON universe_changes
    FOR EACH STATEMENT EXECUTE FUNCTION universe_changes_are_kept();

-- The members as they were at a moment.
CREATE FUNCTION universe_at(moment timestamptz)
    RETURNS TABLE (symbol text, tier text, streams text[], note text, version bigint,
                   changed_time timestamptz, changed_by text)
    LANGUAGE sql STABLE AS $$
    SELECT * FROM (
        SELECT DISTINCT ON (c.symbol) c.symbol, c.tier, c.streams, c.note, c.version, c.changed_time, c.changed_by
        FROM universe_changes c WHERE c.changed_time <= moment
        ORDER BY c.symbol, c.version DESC
    ) newest WHERE newest.tier IS NOT NULL ORDER BY newest.symbol
$$;

CREATE VIEW universe AS SELECT * FROM universe_at('infinity');

INSERT INTO schema_migrations (name) VALUES ('0004_pre_universe');
