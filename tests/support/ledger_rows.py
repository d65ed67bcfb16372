"""The ledger of a sink's database as tests look at it: evidence to put in, gaps and bits that come out."""

from __future__ import annotations

from typing import Any

from schemas.clocks import EventTime
from schemas.intervals import MINUTE_US
from schemas.records import Evidence
from tests.support.builders import an_evidence
from tests.support.sink_records import query
from tests.support.stream_values import NINE_THIRTY

VIEWS = (
    "SELECT * FROM v_gaps ORDER BY stream, from_time",
    "SELECT * FROM v_gap_evidence ORDER BY stream, from_time, raw_offset, idx",
    "SELECT * FROM v_coverage ORDER BY symbol, interval, start_time",
    "SELECT * FROM v_streams ORDER BY stream_id",
)


def at(minute: int) -> EventTime:
    """Return a minute of the session."""
    return EventTime(NINE_THIRTY + minute * MINUTE_US)


def told(low: int, high: int | None, kind: str = "blind", number: int = 9, **changes: Any) -> Evidence:
    """Return evidence about minutes [low, high) of the session, known long after it."""
    times = {
        "from_time": at(low),
        "to_time": None if high is None else at(high),
        "known_from": at(5_000) + number,
    }
    return an_evidence(kind=kind, raw_offset=number, **(times | changes))


async def ledger(dsn: str) -> list[tuple[int, int, str]]:
    """Return (first minute, end minute, state) of the gaps."""
    rows = await query(
        dsn,
        "SELECT extract(epoch FROM from_time)::bigint f, extract(epoch FROM to_time)::bigint t, state FROM gaps ORDER BY 1",
    )
    return [
        ((r["f"] - NINE_THIRTY // 10**6) // 60, (r["t"] - NINE_THIRTY // 10**6) // 60, r["state"])
        for r in rows
    ]


async def bits(dsn: str) -> list[tuple[list[int], list[int]]]:
    """Return the numbers of the absent and of the empty bars of each session."""
    rows = await query(dsn, "SELECT absent, empty FROM coverage ORDER BY stream_id, start_time")
    return [tuple(_numbers(row[name]) for name in ("absent", "empty")) for row in rows]  # type: ignore[misc]


def _numbers(packed: bytes) -> list[int]:
    whole = int.from_bytes(packed, "little")
    return [number for number in range(whole.bit_length()) if whole >> number & 1]


async def all_views(dsn: str) -> list[list[tuple[Any, ...]]]:
    """Return what the public views say of the ledger."""
    return [[tuple(row) for row in await query(dsn, view)] for view in VIEWS]
