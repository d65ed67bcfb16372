"""Records put into the compact tables by a plain reading of the layout, without a sink: no ledger, in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import asyncpg

from gateway.http.moments import aware
from schemas.deriving import clocks, days
from schemas.entries import CorporateAction, MacroObservation
from schemas.identity import stream_id_of
from schemas.intervals import EPOCH
from schemas.records import Evidence, Gap
from schemas.streams import STREAMS, Bar, Quote, Stream, StreamId, Trade
from schemas.tables import stored_columns, tables
from tests.support.stored_rows import stored_row

Stored = Quote | Trade | Bar | CorporateAction | MacroObservation | Gap | Evidence
GAP_TIMES = ("from_time", "to_time", "known_from")

# Every version of a slot is ranked anew: the last one is the current, its rank the revision.
RANK_BARS = """
    CREATE TEMP TABLE ranked AS
    SELECT b.*, row_number() OVER (PARTITION BY stream_id, event_time ORDER BY position) AS rank,
        count(*) OVER (PARTITION BY stream_id, event_time) AS versions
    FROM (SELECT * FROM bars UNION ALL SELECT * FROM bars_superseded UNION ALL SELECT * FROM arrived_bars) b;
    UPDATE ranked SET revision = rank - 1;
    DELETE FROM bars;
    DELETE FROM bars_superseded;
    INSERT INTO bars ({columns}) SELECT {columns} FROM ranked WHERE rank = versions;
    INSERT INTO bars_superseded ({columns}) SELECT {columns} FROM ranked WHERE rank < versions;
    DROP TABLE ranked;
"""
APPEND = "INSERT INTO {versions} ({columns}) SELECT {columns} FROM {arrived}"
KEEP_NEWEST = """
    WITH newest AS (
        SELECT DISTINCT ON (stream_id) {columns} FROM {arrived} ORDER BY stream_id, event_time DESC, position DESC
    ), replaced AS (
        DELETE FROM {newest} t USING newest n
        WHERE t.stream_id = n.stream_id AND (t.event_time, t.position) < (n.event_time, n.position)
        RETURNING t.stream_id
    )
    INSERT INTO {newest} ({columns}) SELECT {columns} FROM newest n
    WHERE EXISTS (SELECT FROM replaced r WHERE r.stream_id = n.stream_id)
        OR NOT EXISTS (SELECT FROM {newest} t WHERE t.stream_id = n.stream_id)
"""


async def store_rows(connection: asyncpg.Connection[Any], records: Iterable[Stored]) -> None:
    """Put records into their tables, in one transaction."""
    given = list(records)
    async with connection.transaction():
        for stream in STREAMS:
            of_stream = [record for record in given if isinstance(record, stream.record)]
            if of_stream:
                await _store_stream(connection, stream, of_stream)
        gaps = [_gap(record) for record in given if isinstance(record, Gap)]
        if gaps:
            rows = [tuple(gap.values()) for gap in gaps]
            await connection.copy_records_to_table("gaps", records=rows, columns=list(gaps[0]))
        told = [_gap(each) for each in given if isinstance(each, Evidence) and each.kind != "absent"]
        if told:
            rows = [tuple(each.values()) for each in told]
            await connection.copy_records_to_table("gap_evidence", records=rows, columns=list(told[0]))


async def _store_stream(connection: asyncpg.Connection[Any], stream: Stream, records: Sequence[Any]) -> None:
    final = [record for record in records if getattr(record, "final", True)]
    forming = [record for record in records if not getattr(record, "final", True)]
    await _store_streams(connection, records, final)
    made = tables(stream)
    for name in made.timed:
        await connection.execute("SELECT make_partitions($1, $2)", name, [aware(r.event_time) for r in final])
    names = [column.name for column in stored_columns(stream)]
    said = {"columns": ", ".join(names), "arrived": f"arrived_{stream.name}", "newest": made.newest}
    said["versions"] = made.versions
    for some, versions in ((final, True), (forming, False)):
        if not some:
            continue
        await connection.execute("CREATE TEMP TABLE {arrived} (LIKE {versions})".format(**said))
        rows = [_row(stream, record) for record in some]
        await connection.copy_records_to_table(said["arrived"], records=rows, columns=names)
        if versions:
            ranked = stream.versions == "slots"
            await connection.execute((RANK_BARS if ranked else APPEND).format(**said))
        if made.newest and (stream.versions == "latest" or not versions):
            await connection.execute(KEEP_NEWEST.format(**said))
        await connection.execute("DROP TABLE {arrived}".format(**said))


async def _store_streams(
    connection: asyncpg.Connection[Any], records: Sequence[Any], final: Sequence[Any]
) -> None:
    for series in sorted({_series(record) for record in records}):
        times = [record.event_time for record in final if _series(record) == series]
        reach = [aware(min(times)), aware(max(times))] if times else [None, None]
        await connection.execute(
            "INSERT INTO streams VALUES ($1, $2, $3, $4, $5, 0, $6, $7) ON CONFLICT (stream_id) DO UPDATE"
            " SET start_time = LEAST(streams.start_time, excluded.start_time),"
            " last_seen = GREATEST(streams.last_seen, excluded.last_seen)",
            stream_id_of(series), *series, *reach,
        )  # fmt: skip


def _series(record: Any) -> StreamId:
    stream = next(each for each in STREAMS if isinstance(record, each.record))
    return StreamId(stream.name, getattr(record, "interval", ""), record.provider, record.symbol)


def _row(stream: Stream, record: Any) -> tuple[Any, ...]:
    row = stored_row(stream, asdict(record))
    spelt: dict[str, Callable[[int], Any]] = dict.fromkeys(clocks(stream), aware)
    spelt |= {name: lambda day: EPOCH.date() + timedelta(days=day) for name in days(stream)}
    return tuple(
        spelt[name](value) if name in spelt and value is not None else value for name, value in row.items()
    )


def _gap(gap: Gap | Evidence) -> dict[str, Any]:
    names = [name for name in gap.__dataclass_fields__ if name != "index"]
    said = {name: getattr(gap, name) for name in names} | {"idx": gap.index, "partition": 0}
    return said | {name: aware(said[name]) for name in GAP_TIMES if said[name] is not None}
