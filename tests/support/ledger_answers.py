"""Gaps as the service tells them, against what evidence topic and stored bars say bar by bar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg

from schemas.calendar.sessions import calendar_of
from schemas.identity import stream_of
from schemas.records import Evidence
from schemas.streams import BAR_STREAM, StreamId
from schemas.topics import DEFAULT_PARTITIONS, EVIDENCE
from tests.support import oracle
from tests.support.ledger_oracle import Row, gaps_bar_by_bar
from tests.support.system import System

EVIDENCE_COLUMNS = "kind, stream, from_time, to_time, cause, known_from, raw_offset, idx"


def told(bootstrap: str, prefix: str) -> list[Evidence]:
    """Return all evidence of the topic, in the order of its partitions."""
    return [
        Evidence(**{name: value for name, value in record.items() if name != "offset"})
        for partition in range(DEFAULT_PARTITIONS)
        for record in oracle.canonical(bootstrap, prefix, EVIDENCE, partition)
    ]


async def evidence_agrees(dsn: str, evidence: Sequence[Evidence]) -> str:
    """Return "" where the database has what the topic has and what a sink itself told, each once, else what differs."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            f"SELECT {EVIDENCE_COLUMNS} FROM v_gap_evidence WHERE detector <> 'sink'"  # noqa: S608
        )
    finally:
        await connection.close()
    got = Counter(tuple(_plain(value) for value in row) for row in rows)
    want = Counter(
        (each.kind, each.stream, each.from_time, each.to_time, each.cause, each.known_from, each.raw_offset, each.index)
        for each in evidence
        if each.kind != "absent"  # a signal, kept as bits
    )  # fmt: skip
    lost, extra = want - got, got - want
    return f"lost {list(lost)[:3]}, extra {list(extra)[:3]}" if lost or extra else ""


async def gaps_agree(system: System, dsn: str, evidence: Sequence[Evidence]) -> str:
    """Return "" where the gateway tells of all bars exactly the gaps that there are, else what differs first."""
    by_series: dict[StreamId, list[Evidence]] = {}
    for each in evidence:
        if each.symbol and stream_of(each.stream).name == BAR_STREAM.name:
            by_series.setdefault(stream_of(each.stream), []).append(each)
    for series, of_series in by_series.items():
        want = await _bar_by_bar(dsn, series, of_series)
        status, answer = await system.get(
            "/gaps", symbol=series.symbol, interval=series.interval, provider=series.provider, limit=1000
        )
        got = [_row(gap) for gap in answer["data"]] if status == 200 else []
        if sorted(got) != sorted(want):
            return (
                f"{series}: {sorted(set(got) ^ set(want))[:5]} of {len(got)} and {len(want)}, status {status}"
            )
    return ""


async def _bar_by_bar(dsn: str, series: StreamId, evidence: Sequence[Evidence]) -> list[Row]:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "SELECT event_time, route FROM v_bars WHERE symbol = $1 AND interval = $2 AND provider = $3 AND final",
            series.symbol, series.interval, series.provider,
        )  # fmt: skip
    finally:
        await connection.close()
    stored = [oracle.micros(row["event_time"]) for row in rows]
    live = [oracle.micros(row["event_time"]) for row in rows if row["route"] != "backfill"]
    ends = [each.to_time for each in evidence if each.to_time is not None]
    low = min(each.from_time for each in evidence)
    high = max([*ends, *live, low]) + 1
    calendar = calendar_of(series.symbol)
    return gaps_bar_by_bar(calendar, series.interval, evidence, stored, max(live, default=None), (low, high))


def _row(gap: dict[str, Any]) -> Row:
    start, end = (oracle.micros(datetime.fromisoformat(gap[name])) for name in ("from_time", "to_time"))
    return start, end, gap["confidence"], gap["state"], gap["generation"], gap["expected"]


def _plain(value: Any) -> Any:
    return oracle.micros(value) if isinstance(value, datetime) else value
