"""What statements do at size, by the plan of a session that has run them often: tables read whole, partitions opened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg

BIG_ROWS = 10_000
LARGE_ROWS = 300  # of a partition; what is smaller fits a few pages
OFTEN = 7  # from the sixth time on a plan that knows no values may be taken
# ruff: noqa: S608 - statements under test, and constants
BIG = f"SELECT relname FROM pg_class WHERE relkind IN ('r', 'm') AND reltuples >= {BIG_ROWS}"
PARTITIONS = "SELECT inhrelid::regclass::text AS name FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE c.relkind = 'r'"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a plan does that matters at size; a partition is a table."""

    read_whole: frozenset[str]  # big tables
    partitions: frozenset[str]  # that may be opened, of any table
    rows_read: int  # from tables and indexes, those that were of no use, too

    @property
    def is_bounded(self) -> bool:
        """Whether it reads no big table whole, neither straight nor along an index."""
        return not self.read_whole and self.rows_read < BIG_ROWS


async def plan_of(connection: asyncpg.Connection[Any], statement: str, values: str) -> Plan:
    """Return the plan of a statement with its values, written as SQL."""
    big = {row["relname"] for row in await connection.fetch(BIG)}
    partitions = {row["name"] for row in await connection.fetch(PARTITIONS)}
    execute = f"EXECUTE planned ({values})" if values else "EXECUTE planned"
    await connection.execute(f"PREPARE planned AS {statement}")
    for _ in range(OFTEN):
        await connection.execute(execute)
    text = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {execute}")
    await connection.execute("DEALLOCATE planned")
    found = list(nodes(json.loads(text)[0]["Plan"]))
    named = [(node["Node Type"], node["Relation Name"]) for node in found if "Relation Name" in node]
    return Plan(
        read_whole=frozenset(name for kind, name in named if kind == "Seq Scan" and name in big),
        partitions=frozenset(name for _, name in named if name in partitions),
        rows_read=sum(_rows_read(node) for node in found if "Relation Name" in node),
    )


def _rows_read(node: dict[str, Any]) -> int:
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int((node["Actual Rows"] + removed) * node["Actual Loops"])


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every node of a plan, from the top."""
    yield node
    for below in node.get("Plans", ()):
        yield from nodes(below)


async def scanned_whole(connection: asyncpg.Connection[Any], statement: str, *values: Any) -> set[str]:
    """Return the tables of some size that a statement reads from end to end."""
    found = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {statement}", *values)
    plan = json.loads(found)[0]["Plan"]
    scans = {node["Relation Name"] for node in nodes(plan) if node["Node Type"] == "Seq Scan"}
    large = "SELECT relname::text FROM pg_class WHERE relname = ANY ($1::text[]) AND reltuples >= $2"
    return {row["relname"] for row in await connection.fetch(large, list(scans), LARGE_ROWS)}
