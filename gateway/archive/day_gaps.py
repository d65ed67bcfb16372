"""Holes of one UTC day, by why nothing is there: nobody watched, nothing came though somebody watched, or nobody traded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, get_args

from gateway.http.columns import TEXT, TIME, WHOLE, Column, words_of
from gateway.http.moments import rfc3339
from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime

Kind = Literal["downtime", "no_data", "no_trading"]
# $1, $2: overlapping [from, to). Blind gaps, by what they are of and what became of them.
BLIND = """
    SELECT split_part(stream, ':', 1) AS channel, provider, cause, state, count(*) AS gaps, count(DISTINCT symbol) AS symbols,
        min(from_time) AS from_time, max(to_time) AS to_time
    FROM gaps WHERE from_time < $2 AND to_time > $1
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"""
# $1, $2: of sessions that begin in [from, to). Bars that did not come though watched, and those the vendor has none of.
ABSENT = """
    SELECT s.kind || '.' || s.interval AS channel, s.provider, sum(c.absent) AS absent, sum(c.empty) AS empty,
        count(*) FILTER (WHERE c.absent > 0) AS absent_symbols, count(*) FILTER (WHERE c.empty > 0) AS empty_symbols
    FROM streams s CROSS JOIN LATERAL (
        SELECT sum(bit_count(x.absent)) AS absent, sum(bit_count(x.empty)) AS empty FROM coverage x
        WHERE x.stream_id = s.stream_id AND x.start_time >= $1 AND x.start_time < $2
    ) c
    WHERE s.kind = 'bars' AND (c.absent > 0 OR c.empty > 0)
    GROUP BY 1, 2 ORDER BY 1, 2"""

GAP = (
    Column(
        "kind",
        words_of(get_args(Kind)),
        "downtime: nobody watched; no_data: watched, and it did not come; no_trading: the market was closed, or the vendor says "
        "that there is nothing.",
    ),
    Column("from_time", TIME, "Begin of the first such hole, or of the day.", "UTC"),
    Column("to_time", TIME, "End of the last, or of the day.", "UTC"),
    Column("calendar", TEXT, "Of a closed market: its calendar.", always=False),
    Column("channel", TEXT, "What is missing, such as bars.1m or quotes.", always=False),
    Column("provider", TEXT, "Whose values are missing.", always=False),
    Column("cause", TEXT, "What brought it about.", always=False),
    Column("state", TEXT, "What became of it.", always=False),
    Column("gaps", WHOLE, "Number of gaps: GET /gaps lists them.", always=False),
    Column("bars", WHOLE, "Number of bars.", always=False),
    Column("symbols", WHOLE, "Of so many symbols.", always=False),
)


def blind_rows(rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the holes of rows of BLIND; one of which the vendor, asked again, has nothing was no downtime of ours."""
    for row in rows:
        kind: Kind = "no_trading" if row["state"] == "empty" else "downtime"
        moments = {name: rfc3339(row[name]) for name in ("from_time", "to_time")}
        yield {"kind": kind, **row, **moments}


def absent_rows(
    rows: Iterable[Mapping[str, Any]], start: EventTime, end: EventTime
) -> Iterator[dict[str, Any]]:
    """Yield the holes of rows of ABSENT in the day [start, end)."""
    kinds: tuple[tuple[Kind, str], ...] = (("no_data", "absent"), ("no_trading", "empty"))
    for row in rows:
        for kind, name in kinds:
            if row[name]:
                yield {
                    "kind": kind,
                    "from_time": rfc3339(start),
                    "to_time": rfc3339(end),
                    "channel": row["channel"],
                    "provider": row["provider"],
                    "bars": int(row[name]),
                    "symbols": row[f"{name}_symbols"],
                }


def closed_rows(
    calendars: Mapping[str, Calendar], start: EventTime, end: EventTime
) -> Iterator[dict[str, Any]]:
    """Yield the stretches of the day in which each market is closed; one that never closes, or is not known, has none."""
    for name, calendar in sorted(calendars.items()):
        reached: int = start
        open_stretches = [
            stretch for session in calendar.sessions(start, end) for stretch in _open(session, start, end)
        ]
        for low, high in [*open_stretches, (end, end)]:
            if low > reached:
                yield {
                    "kind": "no_trading",
                    "from_time": rfc3339(reached),
                    "to_time": rfc3339(low),
                    "calendar": name,
                    "cause": "closed",
                }
            reached = max(reached, high)


def _open(session: Any, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the stretches of a session, pre- and post-market included, that lie in [start, end)."""
    edges = [session.pre_open]
    for low, high in session.breaks:
        edges += [low, high]
    edges.append(session.post_close)
    for low, high in zip(edges[::2], edges[1::2], strict=True):
        if low < end and high > start:
            yield max(low, start), min(high, end)
