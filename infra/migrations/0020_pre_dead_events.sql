-- Dead letters as one looks for them: by what they died of, and what became of each. The bytes stay in their topics.
BEGIN;

CREATE TABLE dead_events (
    dead_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text COLLATE "C" NOT NULL,        -- it died in
    topic_id text COLLATE "C" NOT NULL,     -- of the topic of dead letters: made again, it counts anew
    partition integer NOT NULL,             -- of the letter
    letter_offset bigint NOT NULL,
    dead_time timestamptz NOT NULL,         -- the broker appended the letter
    cause text COLLATE "C" NOT NULL,        -- id of topic, stage, reason and fault
    stage text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    fault text COLLATE "C" NOT NULL,        -- the message without what differs from event to event
    message text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    symbol text COLLATE "C" NOT NULL,
    origin_partition integer NOT NULL,      -- of the record it was in, -1: none
    origin_offset bigint NOT NULL,
    origin_index integer NOT NULL,          -- in that record, -1: all of it, or what it says beside its events
    known_from timestamptz NOT NULL,
    payload bytea NOT NULL,                 -- its first bytes
    payload_bytes integer NOT NULL,         -- of all of it
    state text COLLATE "C" NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'replaying', 'replayed', 'unknown', 'discarded')),
    claimed_time timestamptz,
    claim jsonb,                            -- replaying: raw topic, and where its partitions ended before
    ended_time timestamptz,
    actor text COLLATE "C" NOT NULL DEFAULT '',
    note text COLLATE "C" NOT NULL DEFAULT '',  -- where it was published, or why it was discarded
    CHECK ((state = 'replaying') = (claim IS NOT NULL))
);
CREATE UNIQUE INDEX dead_events_of_a_letter ON dead_events (topic, partition, topic_id, letter_offset);
CREATE INDEX dead_events_by_cause ON dead_events (state, cause, dead_id);
CREATE INDEX dead_events_by_state ON dead_events (state, dead_id);
CREATE INDEX dead_events_open ON dead_events (topic) WHERE state IN ('open', 'replaying', 'unknown');

CREATE TABLE dead_letter_positions (
    topic text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    topic_id text COLLATE "C" NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (topic, partition)
);

INSERT INTO schema_migrations (name) VALUES ('0020_pre_dead_events');
COMMIT;
