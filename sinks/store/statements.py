"""Every SQL statement of the sink, beside what its parameters mean. All times pass as µs since the Unix epoch."""

# ruff: noqa: S608 - the only names put into these texts are those of sinks/columns/tables.py and schemas/journals.py

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from schemas.journals import Journal
from schemas.topics import BARS, QUOTES, TRADES
from sinks.columns.tables import TABLES, Table

STAGING = """
    CREATE TEMP TABLE staged_quotes (LIKE quotes) ON COMMIT DELETE ROWS;
    CREATE TEMP TABLE newest_quotes (LIKE quotes) ON COMMIT DELETE ROWS;
    CREATE TEMP TABLE staged_trades (LIKE trades) ON COMMIT DELETE ROWS;
    CREATE TEMP TABLE staged_bars (LIKE bars) ON COMMIT DELETE ROWS;
"""  # once a connection: staged rows live as long as their transaction


def _list(names: tuple[str, ...], prefix: str = "") -> str:
    return ", ".join(prefix + name for name in names)


def _new_versions(table: Table) -> str:
    """Insert the staged rows whose content differs from the version known before them; tests/model/guard.py.

    Contents are compared column by column, so equal means equal, not "of equal hash".
    """
    names = table.column_names
    same_key = " AND ".join(f"v.{name} = s.{name}" for name in (*table.key, "event_time"))
    return f"""
        INSERT INTO {table.name} ({_list(names)})
        SELECT {_list(names)} FROM (
            SELECT s.*, ROW({_list(table.content, "s.")}) AS content,
                CASE WHEN row_number() OVER arrivals > 1 THEN lag(ROW({_list(table.content, "s.")})) OVER arrivals
                ELSE (SELECT ROW({_list(table.content, "v.")}) FROM {table.name} v
                    WHERE {same_key} AND (v.raw_offset, v.idx) < (s.raw_offset, s.idx)
                    ORDER BY v.known_from DESC, v.raw_offset DESC, v.idx DESC LIMIT 1)
                END AS previous
            FROM staged_{table.name} s
            WINDOW arrivals AS (PARTITION BY {_list((*table.key, "event_time"), "s.")} ORDER BY s.raw_offset, s.idx)
        ) compared
        WHERE previous IS DISTINCT FROM content
        ON CONFLICT DO NOTHING
        RETURNING *
    """


def _overwrite(names: tuple[str, ...], key: tuple[str, ...]) -> str:
    return ", ".join(f"{name} = excluded.{name}" for name in names if name not in key)


def _staged_bars() -> str:
    table = TABLES[BARS]
    key = (*table.key, "event_time")
    names = table.column_names
    return f"""
        WITH inserted AS ({_new_versions(table)}),
        newest AS (
            SELECT DISTINCT ON ({_list(key)}) *, count(*) OVER (PARTITION BY {_list(key)}) AS versions
            FROM inserted ORDER BY {_list(key)}, raw_offset DESC, idx DESC
        ),
        current AS (
            INSERT INTO bars_current ({_list(names)}, revision)
            SELECT {_list(names)}, versions - 1 FROM newest
            ON CONFLICT ({_list(key)}) DO UPDATE
            SET {_overwrite(names, key)}, revision = bars_current.revision + excluded.revision + 1
            WHERE (bars_current.raw_offset, bars_current.idx) < (excluded.raw_offset, excluded.idx)
        )
        SELECT count(*) FROM inserted
    """


def _into_latest(source: str) -> str:
    names, key = TABLES[QUOTES].column_names, TABLES[QUOTES].key
    place = ("event_time", "raw_offset", "idx")
    return f"""
        INSERT INTO quotes_latest ({_list(names)})
        SELECT {_list(names)} FROM {source}
        ON CONFLICT ({_list(key)}) DO UPDATE SET {_overwrite(names, key)}
        WHERE ({_list(place, "quotes_latest.")}) < ({_list(place, "excluded.")})
    """


def _staged_quotes() -> str:
    table = TABLES[QUOTES]
    return f"""
        WITH inserted AS ({_new_versions(table)}),
        newest AS (
            SELECT DISTINCT ON ({_list(table.key)}) * FROM inserted
            ORDER BY {_list(table.key)}, event_time DESC, raw_offset DESC, idx DESC
        ),
        latest AS ({_into_latest("newest")})
        SELECT count(*) FROM inserted
    """


def _staged_trades() -> str:
    names = _list(TABLES[TRADES].column_names)
    return f"""
        WITH inserted AS (
            INSERT INTO trades ({names}) SELECT {names} FROM staged_trades ON CONFLICT DO NOTHING RETURNING 1
        )
        SELECT count(*) FROM inserted
    """


STORE_STAGED: Mapping[str, str] = MappingProxyType(
    {BARS: _staged_bars(), QUOTES: _staged_quotes(), TRADES: _staged_trades()}
)  # → how many staged rows became new versions
NEWEST_QUOTES = _into_latest("newest_quotes")

LOAD_CURSORS = (
    "SELECT channel, provider, symbol, start_time, last_seen FROM cursors WHERE partition = ANY($1::int[])"
)
STORE_CURSORS = """
    INSERT INTO cursors (channel, provider, symbol, partition, start_time, last_seen)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::timestamptz[], $6::timestamptz[])
    ON CONFLICT (channel, provider, symbol) DO UPDATE
    SET start_time = LEAST(cursors.start_time, excluded.start_time),
        last_seen = GREATEST(cursors.last_seen, excluded.last_seen)
"""
STORE_WATERMARKS = """
    INSERT INTO watermarks (topic, partition, complete_before)
    SELECT * FROM unnest($1::text[], $2::int[], $3::timestamptz[])
    ON CONFLICT (topic, partition) DO UPDATE
    SET complete_before = GREATEST(watermarks.complete_before, excluded.complete_before)
"""
STORE_OUTBOX = """
    INSERT INTO outbox (topic, partition, key, value) SELECT * FROM unnest($1::text[], $2::int[], $3::bytea[], $4::bytea[])
"""


def append_entry(journal: Journal) -> str:
    """Return what appends a record to a journal; parameters in the order of its fields. The first of a key stays."""
    places = ", ".join(f"${number}" for number, _ in enumerate(journal.fields, start=1))
    return f"""
        INSERT INTO {journal.table} ({_list(tuple(journal.fields))}) VALUES ({places}) ON CONFLICT DO NOTHING"""


def forget_entries(journal: Journal) -> str:
    """Return what forgets the oldest records of a journal: those before $1, at most $2 of them."""
    key = _list(journal.key)
    return f"""
        DELETE FROM {journal.table} WHERE ({key}) IN (
            SELECT {key} FROM {journal.table} WHERE {journal.time} < $1 ORDER BY {journal.time} LIMIT $2)"""


GAP_COLUMNS = (
    "gap_id", "stream", "symbol", "provider", "interval", "from_time", "to_time", "cause", "confidence", "state",
    "generation", "expected", "detector", "known_from", "raw_offset", "idx",
)  # fmt: skip
LOAD_UNRESOLVED = """
    SELECT gap_id, stream, from_time, to_time FROM gaps WHERE partition = ANY($1::int[]) AND state IN ('open', 'filling')
"""
# $1 streams, $2 and $3 the stretch of each that changes → its rows, and those that touch them: they may join.
LOAD_TOUCHED = f"""
    WITH changing AS (
        SELECT t.stream, LEAST(t.low, min(g.from_time)) AS low, GREATEST(t.high, max(g.to_time)) AS high
        FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) t(stream, low, high)
        LEFT JOIN gaps g
        ON g.stream = t.stream AND tstzrange(g.from_time, g.to_time) && tstzrange(t.low, t.high, '[]')
        GROUP BY t.stream, t.low, t.high
    )
    SELECT {_list((*GAP_COLUMNS, "partition"), "g.")} FROM gaps g JOIN changing c ON g.stream = c.stream
    AND tstzrange(g.from_time, g.to_time) && tstzrange(c.low - interval '1 microsecond', c.high, '[]')
"""
DELETE_GAPS = "DELETE FROM gaps WHERE gap_id = ANY($1::text[])"
INSERT_GAPS = f"""
    INSERT INTO gaps ({_list(GAP_COLUMNS)}, partition)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[],
        $7::timestamptz[], $8::text[], $9::text[], $10::text[], $11::int[], $12::int[], $13::text[],
        $14::timestamptz[], $15::bigint[], $16::int[], $17::int[])
"""
# $1 number of the question, then symbol, provider, interval, from and to of each → (number, stored final bars)
STORED_BARS = """
    SELECT q.number, b.event_time FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::timestamptz[],
        $6::timestamptz[]) q(number, symbol, provider, interval, low, high)
    JOIN bars_current b ON b.symbol = q.symbol AND b.provider = q.provider AND b.interval = q.interval
        AND b.event_time >= q.low AND b.event_time < q.high
    WHERE b.final
"""

# Taking over. $1 topics, $2 partitions.
EVICT = """
    SELECT pg_terminate_backend(a.pid, $3) FROM pg_stat_activity a WHERE a.pid <> pg_backend_pid()
    AND (a.pid, a.backend_start) IN (
        SELECT o.owner_pid, o.backend_start FROM sink_offsets o
        JOIN unnest($1::text[], $2::int[]) p(topic, partition) USING (topic, partition))
"""  # $3: how long to wait for it to be gone, ms
FIRST_SIGHT = """
    INSERT INTO sink_offsets (topic, partition, topic_id, leader_epoch, next_offset, owner_epoch)
    SELECT topic, partition, id, -1, log_start, 0
    FROM unnest($1::text[], $2::int[], $3::text[], $4::bigint[]) p(topic, partition, id, log_start)
    ON CONFLICT DO NOTHING
"""
LOCK_OFFSETS = """
    SELECT topic, partition, topic_id, next_offset FROM sink_offsets
    JOIN unnest($1::text[], $2::int[]) p(topic, partition) USING (topic, partition)
    ORDER BY topic, partition FOR UPDATE OF sink_offsets
"""  # in one order, so that two sinks taking over at once never wait for each other in a circle
TAKE_OVER = """
    UPDATE sink_offsets o SET owner_epoch = o.owner_epoch + 1, owner_pid = pg_backend_pid(),
        backend_start = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()),
        topic_id = p.topic_id, next_offset = p.next_offset
    FROM unnest($1::text[], $2::int[], $3::text[], $4::bigint[]) p(topic, partition, topic_id, next_offset)
    WHERE o.topic = p.topic AND o.partition = p.partition
    RETURNING o.topic, o.partition, o.owner_epoch
"""
LOAD_WATERMARKS = """
    SELECT topic, partition, complete_before FROM watermarks
    JOIN unnest($1::text[], $2::int[]) p(topic, partition) USING (topic, partition)
"""
# $3 from, $4 to, $5 leader epoch, $6 owner epoch: a row not updated means that somebody newer owns the partition.
MOVE_OFFSETS = """
    UPDATE sink_offsets o SET next_offset = m.next_offset, leader_epoch = m.leader_epoch
    FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[], $5::int[], $6::bigint[])
        m(topic, partition, previous, next_offset, leader_epoch, owner_epoch)
    WHERE o.topic = m.topic AND o.partition = m.partition
        AND o.owner_epoch = m.owner_epoch AND o.next_offset = m.previous
    RETURNING 1
"""

DRAIN_OUTBOX = (
    "SELECT id, topic, partition, key, value FROM outbox ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED"
)
DELETE_OUTBOX = "DELETE FROM outbox WHERE id = ANY($1::bigint[])"
TABLES_IN_USE = """
    SELECT EXISTS (SELECT FROM quotes) OR EXISTS (SELECT FROM trades) OR EXISTS (SELECT FROM bars)
        OR EXISTS (SELECT FROM gaps) OR EXISTS (SELECT FROM cursors) OR EXISTS (SELECT FROM sink_offsets)
"""
