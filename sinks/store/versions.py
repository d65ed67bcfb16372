"""The SQL that stores staged rows of a stream, by the strategy it declares: only what says something new.

A statement returns how many staged rows became new versions. Rows wait in `staged_<table>`, the newest of each series in
`newest_<table>`; both are the connection's own and live as long as its transaction.
"""

# ruff: noqa: S608 - the only names put into these texts are those of declared tables and columns

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from schemas.deriving import items
from schemas.fields import Versions
from schemas.intervals import AHEAD_US
from schemas.streams import MACRO_STREAM
from schemas.tables import MAX_REVISION, stored_columns
from sinks.columns.tables import TABLES, Table

SLOT = ("stream_id", "event_time")
STAMPS = ("published_at", "vintage_end")  # what may be told of one value again, more exactly or less


def store_staged(table: Table) -> str:
    """Return the statement that stores what is staged."""
    return _STORING[table.stream.versions](table)


def staging(table: Table) -> str:
    """Return the statements that make the connection's own tables."""
    names = [f"staged_{table.name}", *([f"newest_{table.name}"] if table.names.newest else [])]
    return "".join(f"CREATE TEMP TABLE {name} (LIKE {table.name}) ON COMMIT DELETE ROWS;\n" for name in names)


def keep_newest(table: Table) -> str:
    """Return the statement that takes the rows of `newest_<table>` into the table of newest values."""
    return _into_newest(table, f"newest_{table.name}")


def _list(names: Iterable[str], prefix: str = "") -> str:
    return ", ".join(prefix + name for name in names)


def _content(table: Table, row: str) -> str:
    flags = [f"{row}.flags & {table.compared_flags}"] if table.compared_flags else []
    return f"ROW({', '.join([*(f'{row}.{name}' for name in table.compared), *flags])})"


def _identity(table: Table) -> tuple[str, ...]:
    """Return the columns that versions of one value share."""
    return ("stream_id", *items(table.stream)) if table.has_entries else SLOT


def _same(table: Table, row: str, other: str) -> str:
    """Return the condition that two rows are versions of one value; an entry's name may have parts that are not given."""
    nullable = {column.name for column in stored_columns(table.stream) if column.nullable}
    return " AND ".join(
        f"{row}.{name} {'IS NOT DISTINCT FROM' if name in nullable else '='} {other}.{name}"
        for name in _identity(table)
    )


def _fresh(table: Table) -> str:
    """Select the staged rows whose content differs from the version known before them; tests/model/guard.py.

    Contents are compared column by column, so equal means equal, not "of equal hash". A place in our log that is
    stored already says nothing new. The newest version that is stored is found first (of a slot there is just one);
    only a row that lies before it is looked up among the older ones.
    """
    older = table.names.superseded or table.name
    of_slot = _same(table, "v", "s")
    newest = "" if table.names.superseded else " ORDER BY v.position DESC LIMIT 1"
    return f"""
        SELECT {_list(table.column_names)}, stored_position, stored_revision FROM (
            SELECT s.*, stored.position AS stored_position, stored.revision AS stored_revision,
                {_content(table, "s")} AS content,
                CASE WHEN row_number() OVER arrivals > 1 THEN lag({_content(table, "s")}) OVER arrivals
                WHEN s.position > stored.position THEN stored.content
                WHEN s.position < stored.position THEN (
                    SELECT {_content(table, "v")} FROM {older} v WHERE {of_slot} AND v.position < s.position
                    ORDER BY v.position DESC LIMIT 1)
                END AS previous
            FROM staged_{table.name} s LEFT JOIN LATERAL (
                SELECT v.position, {"v.revision" if table.has_slots else "0 AS revision"}, {_content(table, "v")} AS content
                FROM {table.name} v WHERE {of_slot}{newest} OFFSET 0
            ) stored ON true
            WINDOW arrivals AS (PARTITION BY {_list(_identity(table), "s.")} ORDER BY s.position)
        ) s
        WHERE previous IS DISTINCT FROM content AND position IS DISTINCT FROM stored_position
            AND NOT (position < coalesce(stored_position, -1)
                AND EXISTS (SELECT FROM {older} v WHERE {of_slot} AND v.position = s.position))
    """


def _fresh_vintages(table: Table) -> str:
    """Select the staged vintages that differ from the version known before them; tests/support/vintage_versions.py.

    Whatever only says again when a value was published, or until when it stood, is a version where it says the first as
    exactly as it is known, and differently, or more exactly: what was told of today is told of as of any day when all
    of it is asked for again. That nothing says when stands beside our own first sight, which a day is no better than.
    """
    entry, of_entry = _list(_identity(table)), _same(table, "v", "s")
    return f"""
        SELECT {_list(table.column_names)} FROM (
            SELECT r.*, CASE WHEN run = 0 AND known_exact = 0 THEN 0
                    WHEN run > 0 AND first_value(exact) OVER of_run = 0 THEN lag(0) OVER of_run
                    ELSE greatest(known_exact, max(exact) OVER (of_run ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) END AS standing,
                CASE WHEN row_number() OVER alike > 1 THEN lag(content) OVER alike WHEN known_exact = exact THEN known_content END AS told
            FROM ({_runs_of_values(table)}) r
            WINDOW of_run AS (PARTITION BY {entry}, run ORDER BY position),
                alike AS (PARTITION BY {entry}, run, exact ORDER BY position)
        ) s
        WHERE (standing IS NULL OR (standing > 0 AND exact > standing) OR (exact = standing AND told IS DISTINCT FROM content))
            AND NOT EXISTS (SELECT FROM {table.name} v WHERE {of_entry} AND v.position = s.position)
    """


def _runs_of_values(table: Table) -> str:
    """Select the staged vintages with the number of the value each tells of; run 0 goes on with the one that is stored."""
    arrivals = f"arrivals AS (PARTITION BY {_list(_identity(table))} ORDER BY position)"
    return f"""
        SELECT c.*, CASE WHEN run = 0 THEN first_value(before_exact) OVER arrivals END AS known_exact,
            CASE WHEN run = 0 THEN first_value(before_content) OVER arrivals END AS known_content
        FROM (
            SELECT b.*, sum((said IS DISTINCT FROM said_before)::integer) OVER arrivals AS run
            FROM ({_beside_before(table)}) b WINDOW {arrivals}
        ) c WINDOW {arrivals}
    """


def _beside_before(table: Table) -> str:
    """Select the staged vintages with what they say, how exactly they are stamped, and the same of the version before them."""
    precision = next(each for each in table.packed if each.name == "published_precision")
    value = ", ".join(f"{{0}}.{name}" for name in table.compared if name not in STAMPS)
    said = f"ROW({value}, {{0}}.flags & {table.compared_flags & ~precision.mask})"
    exact = f"({{0}}.flags & {precision.mask})"  # an enumeration rises with its places
    return f"""
        SELECT s.*, {_content(table, "s")} AS content, {said.format("s")} AS said, {exact.format("s")} AS exact,
            before.content AS before_content, before.exact AS before_exact,
            CASE WHEN row_number() OVER arrivals > 1 THEN lag({said.format("s")}) OVER arrivals ELSE before.said END AS said_before
        FROM staged_{table.name} s LEFT JOIN LATERAL (
            SELECT {_content(table, "v")} AS content, {said.format("v")} AS said, {exact.format("v")} AS exact
            FROM {table.name} v WHERE {_same(table, "v", "s")} AND v.position < s.position
            ORDER BY v.position DESC LIMIT 1 OFFSET 0
        ) before ON true
        WINDOW arrivals AS (PARTITION BY {_list(_identity(table), "s.")} ORDER BY s.position)
    """


def _overwrite(names: Iterable[str], key: tuple[str, ...]) -> str:
    return ", ".join(f"{name} = excluded.{name}" for name in names if name not in key)


def _counted() -> str:
    """Count the fresh versions of each slot behind the stored one, and mark the newest where it is newer than that."""
    return f"""
            SELECT f.*, row_number() OVER slot + coalesce(stored_revision, -1) AS ordinal,
                count(*) OVER (PARTITION BY {_list(SLOT)}) AS versions,
                lead(1) OVER slot IS NULL AND f.position > coalesce(stored_position, -1) AS newest
            FROM fresh f WINDOW slot AS (PARTITION BY {_list(SLOT)} ORDER BY f.position)
    """


def _slots(table: Table) -> str:
    """Store new versions: the newest of each slot as the current one, what it replaces and what lies between beside it.

    Stored rows are looked up slot by slot (LATERAL, OFFSET 0): a join is free to read all partitions, and does, because
    nobody knows how many rows are staged.
    """
    names, current = table.column_names, table.name
    plain = _list(name for name in names if name != "revision")
    unrevised = _list((name for name in names if name != "revision"), "b.")
    return f"""
        WITH fresh AS ({_fresh(table)}),
        counted AS ({_counted()}),
        replaced AS (
            INSERT INTO {table.names.superseded} ({plain}, revision)
            SELECT {unrevised}, b.revision FROM counted c CROSS JOIN LATERAL (
                SELECT * FROM {current} v WHERE v.stream_id = c.stream_id AND v.event_time = c.event_time OFFSET 0
            ) b WHERE c.newest AND c.stored_position IS NOT NULL
        ),
        passed AS (
            INSERT INTO {table.names.superseded} ({plain}, revision)
            SELECT {plain}, LEAST(ordinal, {MAX_REVISION}) FROM counted WHERE NOT newest
        ),
        kept AS (
            INSERT INTO {current} ({plain}, revision)
            SELECT {plain}, LEAST(ordinal, {MAX_REVISION}) FROM counted WHERE newest
            ON CONFLICT ({_list(SLOT)}) DO UPDATE SET {_overwrite(names, SLOT)}
        ),
        outlasting AS (
            INSERT INTO {current} ({plain}, revision)
            SELECT {unrevised}, LEAST(b.revision + c.versions, {MAX_REVISION})
            FROM (SELECT {_list(SLOT)}, max(versions) AS versions FROM counted GROUP BY {_list(SLOT)}
                HAVING NOT bool_or(newest)) c
            CROSS JOIN LATERAL (
                SELECT * FROM {current} v WHERE v.stream_id = c.stream_id AND v.event_time = c.event_time OFFSET 0
            ) b
            ON CONFLICT ({_list(SLOT)}) DO UPDATE SET revision = excluded.revision
        )
        SELECT count(*) FROM counted
    """


def _into_newest(table: Table, source: str) -> str:
    names, newest = table.column_names, table.names.newest
    place = ("event_time", "position")
    return f"""
        INSERT INTO {newest} ({_list(names)})
        SELECT {_list(names)} FROM {source}
        ON CONFLICT (stream_id) DO UPDATE SET {_overwrite(names, ("stream_id",))}
        WHERE ({_list(place, f"{newest}.")}) < ({_list(place, "excluded.")})
    """


def _latest(table: Table) -> str:
    names = _list(table.column_names)
    return f"""
        WITH inserted AS (
            INSERT INTO {table.name} ({names}) SELECT {names} FROM ({_fresh(table)}) fresh RETURNING *
        ),
        newest AS (
            SELECT DISTINCT ON (stream_id) * FROM inserted
            WHERE event_time <= known_from + interval '{AHEAD_US} microseconds' ORDER BY stream_id, event_time DESC, position DESC
        ),
        latest AS ({_into_newest(table, "newest")})
        SELECT count(*) FROM inserted
    """


def _entries(table: Table) -> str:
    names, fresh = _list(table.column_names), _fresh if table.stream != MACRO_STREAM else _fresh_vintages
    return f"""
        WITH inserted AS (
            INSERT INTO {table.name} ({names}) SELECT {names} FROM ({fresh(table)}) fresh RETURNING 1
        )
        SELECT count(*) FROM inserted
    """


def _occurrences(table: Table) -> str:
    names, name = _list(table.column_names), table.name
    return f"""
        WITH inserted AS (
            INSERT INTO {name} ({names}) SELECT {names} FROM staged_{name} ON CONFLICT DO NOTHING RETURNING 1
        )
        SELECT count(*) FROM inserted
    """


_STORING: Mapping[Versions, Callable[[Table], str]] = MappingProxyType(
    {"slots": _slots, "latest": _latest, "occurrences": _occurrences, "entries": _entries}
)
STAGING = "".join(staging(table) for table in TABLES.values())  # once a connection
STORE_STAGED: Mapping[str, str] = MappingProxyType(
    {topic: store_staged(table) for topic, table in TABLES.items()}
)
# $1 number of a series in the question, its id, first and last moment, and how many keys at most → (number, moment)
STORED_KEYS: Mapping[str, str] = MappingProxyType(
    {
        topic: f"""
        SELECT q.number, v.event_time
        FROM unnest($1::int[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::int[]) q(number, stream_id, low, high, most)
        CROSS JOIN LATERAL (
            SELECT {"" if table.has_slots else "DISTINCT "}x.event_time FROM {table.name} x
            WHERE x.stream_id = q.stream_id AND x.event_time >= q.low AND x.event_time <= q.high
            ORDER BY x.event_time LIMIT q.most
        ) v
        """
        for topic, table in TABLES.items()
    }
)
KEEP_NEWEST: Mapping[str, str] = MappingProxyType(
    {topic: keep_newest(table) for topic, table in TABLES.items() if table.names.newest}
)
