"""Asks a database for its ledger as of a moment, as readers do: the pure fold over evidence and final bars known by then."""

from __future__ import annotations

from schemas.clocks import EventTime
from schemas.identity import stream_of
from schemas.ledger.gaps import gaps_of
from schemas.records import Gap
from schemas.streams import StreamId
from schemas.topics import BARS
from tests.model.database import Database, streams_of


def gaps_at(database: Database, series: StreamId, stream: str, moment: int) -> list[Gap]:
    """Return the gaps of a series by all that was known at a moment (µs)."""
    told = [each for each in database.evidence.get(stream, {}).values() if each.known_from <= moment]
    name = (series.provider, series.symbol, series.interval)
    versions = [
        row
        for key, rows in database.keys[BARS].items()
        if series.interval and key[:3] == name
        for row in rows.values()
        if row.known_from <= moment
    ]
    if not told:
        return []
    live: list[int] = [row.key[3] for row in versions if row.live]
    live += [each.to_time for each in told if each.kind == "blind" and each.to_time is not None]
    low = min(each.from_time for each in told)
    high = max([low, *live, *(each.to_time or low for each in told)]) + 1
    stored = [EventTime(start) for start in sorted({row.key[3] for row in versions})]
    horizon = EventTime(max(live)) if live else None
    return gaps_of(series, told, stored, horizon=horizon, start=low, end=EventTime(high))


def answers(database: Database, topic: str, moment: int) -> dict[str, list[Gap]]:
    """Return the gaps of every series of a canonical topic by all that was known at a moment (µs)."""
    streams = [stream for stream in streams_of(database.evidence, topic) if "/" not in stream]
    return {stream: gaps_at(database, stream_of(stream), stream, moment) for stream in streams}
