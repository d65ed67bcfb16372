"""The SQL that stores staged rows of a table, by the strategy its stream declares: only what says something new.

A statement returns how many staged rows became new versions. Rows wait in `staged_<table>`, of which some strategies
keep the newest in `newest_<table>`; both are the connection's own and live as long as its transaction.
"""

# ruff: noqa: S608 - the only names put into these texts are those of declared tables and columns

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from schemas.fields import Versions
from sinks.columns.tables import TABLES, Table


def store_staged(table: Table) -> str:
    """Return the statement that stores what is staged."""
    return _STORING[table.stream.versions](table)


def staging(table: Table) -> str:
    """Return the statements that make the connection's own tables."""
    names = [f"staged_{table.name}", *([f"newest_{table.name}"] if _has_one_newest(table) else [])]
    return "".join(f"CREATE TEMP TABLE {name} (LIKE {table.name}) ON COMMIT DELETE ROWS;\n" for name in names)


def keep_newest(table: Table) -> str:
    """Return the statement that takes the rows of `newest_<table>` into the table of newest values."""
    return _into_latest(table, f"newest_{table.name}")


def _has_one_newest(table: Table) -> bool:
    return table.stream.versions == "latest"


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


def _slots(table: Table) -> str:
    key = (*table.key, "event_time")
    names, newest = table.column_names, table.newest
    return f"""
        WITH inserted AS ({_new_versions(table)}),
        newest AS (
            SELECT DISTINCT ON ({_list(key)}) *, count(*) OVER (PARTITION BY {_list(key)}) AS versions
            FROM inserted ORDER BY {_list(key)}, raw_offset DESC, idx DESC
        ),
        current AS (
            INSERT INTO {newest} ({_list(names)}, revision)
            SELECT {_list(names)}, versions - 1 FROM newest
            ON CONFLICT ({_list(key)}) DO UPDATE
            SET {_overwrite(names, key)}, revision = {newest}.revision + excluded.revision + 1
            WHERE ({newest}.raw_offset, {newest}.idx) < (excluded.raw_offset, excluded.idx)
        )
        SELECT count(*) FROM inserted
    """


def _into_latest(table: Table, source: str) -> str:
    names, key = table.column_names, table.key
    place = ("event_time", "raw_offset", "idx")
    return f"""
        INSERT INTO {table.newest} ({_list(names)})
        SELECT {_list(names)} FROM {source}
        ON CONFLICT ({_list(key)}) DO UPDATE SET {_overwrite(names, key)}
        WHERE ({_list(place, f"{table.newest}.")}) < ({_list(place, "excluded.")})
    """


def _latest(table: Table) -> str:
    return f"""
        WITH inserted AS ({_new_versions(table)}),
        newest AS (
            SELECT DISTINCT ON ({_list(table.key)}) * FROM inserted
            ORDER BY {_list(table.key)}, event_time DESC, raw_offset DESC, idx DESC
        ),
        latest AS ({_into_latest(table, "newest")})
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
    {topic: keep_newest(table) for topic, table in TABLES.items() if _has_one_newest(table)}
)
