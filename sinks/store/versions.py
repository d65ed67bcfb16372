"""The SQL that stores staged rows of a stream, by the strategy it declares: only what says something new.

A statement returns how many staged rows became new versions. Rows wait in `staged_<table>`, the newest of each series in
`newest_<table>`; both are the connection's own and live as long as its transaction.
"""

# ruff: noqa: S608 - the only names put into these texts are those of declared tables and columns

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from schemas.fields import Versions
from schemas.tables import MAX_REVISION
from sinks.columns.tables import TABLES, Table

SLOT = ("stream_id", "event_time")


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


def _fresh(table: Table) -> str:
    """Select the staged rows whose content differs from the version known before them; tests/model/guard.py.

    Contents are compared column by column, so equal means equal, not "of equal hash". A place in our log that is
    stored already says nothing new.
    """
    of_slot = "v.stream_id = s.stream_id AND v.event_time = s.event_time"
    before = [
        f"(SELECT {_content(table, 'v')} FROM {name} v WHERE {of_slot} AND v.position < s.position"
        " ORDER BY v.position DESC LIMIT 1)"
        for name in table.names.timed
    ]
    stored = " OR ".join(
        f"EXISTS (SELECT FROM {name} v WHERE {of_slot} AND v.position = s.position)"
        for name in table.names.timed
    )
    return f"""
        SELECT {_list(table.column_names)} FROM (
            SELECT s.*, {_content(table, "s")} AS content,
                CASE WHEN row_number() OVER arrivals > 1 THEN lag({_content(table, "s")}) OVER arrivals
                ELSE coalesce({", ".join(before)}) END AS previous
            FROM staged_{table.name} s
            WINDOW arrivals AS (PARTITION BY {_list(SLOT, "s.")} ORDER BY s.position)
        ) s
        WHERE previous IS DISTINCT FROM content AND NOT ({stored})
    """


def _overwrite(names: Iterable[str], key: tuple[str, ...]) -> str:
    return ", ".join(f"{name} = excluded.{name}" for name in names if name not in key)


def _slots(table: Table) -> str:
    """Store new versions: the newest of each slot as the current one, what it replaces and what lies between beside it."""
    names, current = table.column_names, table.name
    plain = _list(name for name in names if name != "revision")
    unrevised = _list((name for name in names if name != "revision"), "b.")
    return f"""
        WITH fresh AS ({_fresh(table)}),
        counted AS (
            SELECT f.*, b.position AS current_position,
                row_number() OVER slot + coalesce(b.revision, -1) AS ordinal,
                count(*) OVER (PARTITION BY {_list(SLOT, "f.")}) AS versions,
                row_number() OVER (PARTITION BY {_list(SLOT, "f.")} ORDER BY f.position DESC) = 1
                    AND f.position > coalesce(b.position, -1) AS newest
            FROM fresh f LEFT JOIN {current} b USING ({_list(SLOT)})
            WINDOW slot AS (PARTITION BY {_list(SLOT, "f.")} ORDER BY f.position)
        ),
        replaced AS (
            INSERT INTO {table.names.superseded} ({plain}, revision)
            SELECT {unrevised}, b.revision FROM {current} b JOIN counted c USING ({_list(SLOT)}) WHERE c.newest
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
            UPDATE {current} b SET revision = LEAST(b.revision + c.versions, {MAX_REVISION})
            FROM (SELECT DISTINCT {_list(SLOT)}, versions FROM counted c
                WHERE NOT EXISTS (SELECT FROM counted n WHERE n.newest AND n.stream_id = c.stream_id
                    AND n.event_time = c.event_time)) c
            WHERE b.stream_id = c.stream_id AND b.event_time = c.event_time
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
            INSERT INTO {table.name} ({names}) {_fresh(table)} RETURNING *
        ),
        newest AS (
            SELECT DISTINCT ON (stream_id) * FROM inserted ORDER BY stream_id, event_time DESC, position DESC
        ),
        latest AS ({_into_newest(table, "newest")})
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
    {"slots": _slots, "latest": _latest, "occurrences": _occurrences}
)
STAGING = "".join(staging(table) for table in TABLES.values())  # once a connection
STORE_STAGED: Mapping[str, str] = MappingProxyType(
    {topic: store_staged(table) for topic, table in TABLES.items()}
)
KEEP_NEWEST: Mapping[str, str] = MappingProxyType(
    {topic: keep_newest(table) for topic, table in TABLES.items() if table.names.newest}
)
