"""Bars of an interval longer than a minute: the vendors' own where there are any, the rest made of shorter ones."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from gateway.database.gap_pages import WIDEST_US
from gateway.database.shell.snapshot import Snapshot
from gateway.database.versions import MINUTE, BarVersion, GapFilter, Span, View
from gateway.market.aggregate import (
    aggregate,
    base_of,
    beside,
    bucket_at,
    is_all_regular,
    parts_in,
    unit_bounds,
    units_without,
)
from gateway.market.history_request import HistoryRequest
from gateway.market.wholeness import Wholes
from infra.runtime.clock import monotonic_s
from schemas.calendar.expected_bars import DAILY
from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, INTRADAY_US, MINUTE_US
from schemas.records import Gap

MAX_MINUTES = 50_000  # read for one page; a month of a market that never closes has 44,640
MAX_DAYS = 10_000  # likewise; a page of months has 31 each
PAGE_S = 3.0  # a page is read on for so long; the next one goes on where it ended
UNBOUNDED = 10**9  # gaps of what one page is made of: by the bars it may read
MAX_UNIT_BARS = 288  # stored bars that one day of a market that never closes may have (5m)


async def stored_and_derived(
    snapshot: Snapshot, ask: HistoryRequest, span: Span, view: View
) -> tuple[Sequence[BarVersion], tuple[int, ...] | None]:
    """Return one page of bars starting in `span`, and the key after which the next page begins, if any.

    What lacks among the stored bars of the interval is made of shorter ones, bucket by bucket. The page is read on until it
    holds as many as were asked for, or has taken its time.
    """
    deadline_s = monotonic_s() + PAGE_S
    shown: list[BarVersion] = []
    while True:
        rest = replace(ask, limit=ask.limit - len(shown))
        found, after = await _stretch(snapshot, rest, span, view)
        shown += found
        if after is None or len(shown) == ask.limit or monotonic_s() > deadline_s:
            return shown, after
        edge = EventTime(after[0])
        span = (span[0], edge) if ask.descending else (EventTime(edge + 1), span[1])


async def _stretch(
    snapshot: Snapshot, ask: HistoryRequest, span: Span, view: View
) -> tuple[Sequence[BarVersion], tuple[int, ...] | None]:
    """Return as much of a page as one read of each kind gives, and the key after which it goes on, if it does."""
    calendar = calendar_of(ask.symbol)
    last = EventTime(max(span[1] - 1, span[0]))
    aligned = (
        unit_bounds(span[0], ask.interval, calendar)[0],
        unit_bounds(last, ask.interval, calendar)[1],
    )
    stored = await _stored(snapshot, ask, aligned, view)
    held = sorted(EventTime(bar.event_time) for bar in stored)
    edges = await _edges(snapshot, ask, view, since=aligned[0])
    derived: list[BarVersion] = []
    horizon = None
    if edges is not None:
        oldest, newest, known_through = edges
        since = max(aligned[0], unit_bounds(oldest, ask.interval, calendar)[0])
        until = min(aligned[1], unit_bounds(newest, ask.interval, calendar)[1])
        missing = units_without(held, since, until, ask.interval, ask.session, calendar)
        if missing:
            # Whole buckets at both edges, and no part beyond them: a page reads what it may show.
            edge = bucket_at(last, ask.interval, ask.session, calendar).end
            bounds = (max(missing[0][0], span[0]), min(missing[-1][1], edge))
            derived, horizon = await _derived(snapshot, ask, bounds, view, known_through)
    derived = beside(held, derived, ask.interval, ask.session, calendar)
    return _page([*stored, *derived], ask, span, horizon)


def _has_official_days(ask: HistoryRequest, span: Span) -> bool:
    """Whether a vendor's official day, which is its regular session, is what is asked for."""
    return ask.session == "regular" or (
        ask.session == "all" and is_all_regular(span, calendar_of(ask.symbol))
    )


async def _stored(snapshot: Snapshot, ask: HistoryRequest, aligned: Span, view: View) -> list[BarVersion]:
    limit = ask.limit + 1 + MAX_UNIT_BARS
    if ask.interval not in INTRADAY_US:
        if not _has_official_days(ask, aligned):
            return []
        view = replace(view, sessions=None)
    return await snapshot.bars(
        ask.symbol, ask.interval, aligned, view, limit=limit, descending=ask.descending
    )


async def _edges(
    snapshot: Snapshot, ask: HistoryRequest, view: View, *, since: EventTime
) -> tuple[EventTime, EventTime, EventTime] | None:
    """Return of all that bars may be made of the oldest start, the newest, and the moment the newest has ended."""
    found: list[tuple[EventTime, EventTime, EventTime]] = []
    if (minutes := await snapshot.edges(ask.symbol, MINUTE, view, since=since)) is not None:
        found.append((*minutes, EventTime(minutes[1] + MINUTE_US)))
    if base_of(ask.interval) == DAILY and _has_official_days(ask, (since, view.latest_event)):
        days = await snapshot.edges(ask.symbol, DAILY, view, since=since)
        if days is not None:
            calendar = calendar_of(ask.symbol)
            found.append((*days, bucket_at(days[1], DAILY, ask.session, calendar).closes))
    if not found:
        return None
    oldest, newest, ended = zip(*found, strict=True)
    return min(oldest), max(newest), max(ended)


async def _derived(
    snapshot: Snapshot, ask: HistoryRequest, bounds: Span, view: View, known_through: EventTime
) -> tuple[list[BarVersion], EventTime | None]:
    """Return the bars made of what is in `bounds`, and the start of the first bar not reached, if any."""
    calendar = calendar_of(ask.symbol)
    parts, cut = await _parts(snapshot, ask, bounds, view)
    made = partial(aggregate, parts, ask.interval, ask.session, calendar, known_through=known_through)
    # In a thread: a month of minutes takes 0.1 s, and the WebSocket clients share this loop.
    bars = await asyncio.to_thread(made)
    if doubtful := [EventTime(bar.event_time) for bar in bars if bar.final and bar.complete is False]:
        first, last = (
            bucket_at(each, ask.interval, ask.session, calendar) for each in (doubtful[0], doubtful[-1])
        )
        gaps = await _gaps(snapshot, ask, (first.left, last.end), view)
        bars = await asyncio.to_thread(lambda: made(wholes=Wholes(calendar, base_of(ask.interval), gaps)))
    if not cut:
        return bars, None
    unfinished = bars.pop(0 if ask.descending else -1)
    return bars, EventTime(unfinished.event_time)


async def _gaps(snapshot: Snapshot, ask: HistoryRequest, span: Span, view: View) -> Sequence[Gap]:
    """Return all gaps of what bars of a span are made of: a day is complete or not whatever page it is on."""
    which = GapFilter(
        symbol=ask.symbol,
        intervals=[base_of(ask.interval)],
        provider=ask.provider,
        start=EventTime(span[0] - DAY_US),  # days are named by their UTC day
        end=span[1],
        as_of=view.as_of,
    )
    page = await snapshot.gaps(which, limit=UNBOUNDED, width_us=WIDEST_US, most_rows=UNBOUNDED)
    return page.gaps


async def _parts(
    snapshot: Snapshot, ask: HistoryRequest, bounds: Span, view: View
) -> tuple[list[BarVersion], bool]:
    """Return what bars in `bounds` are made of, in order of time, and whether that is not all of it."""
    # One bar may be cut by the page's edge and one by this bound; the rest are whole.
    most = (ask.limit + 2) * parts_in(ask.interval)
    if base_of(ask.interval) == DAILY:
        of_days = replace(ask, interval=DAILY, limit=min(MAX_DAYS, most))
        found, after = await stored_and_derived(snapshot, of_days, bounds, view)
        parts, cut = list(found), after is not None
    else:
        most = min(MAX_MINUTES, most)
        parts = await snapshot.bars(
            ask.symbol, MINUTE, bounds, view, limit=most + 1, descending=ask.descending
        )
        cut = len(parts) > most
    if ask.descending:
        parts.reverse()
    return parts, cut


def _page(
    bars: Sequence[BarVersion], ask: HistoryRequest, span: Span, horizon: EventTime | None
) -> tuple[Sequence[BarVersion], tuple[int, ...] | None]:
    first, last = span
    if horizon is not None:
        first, last = (EventTime(horizon + 1), last) if ask.descending else (first, horizon)
    inside = sorted(
        (bar for bar in bars if first <= bar.event_time < last),
        key=lambda bar: bar.event_time,
        reverse=ask.descending,
    )
    shown = inside[: ask.limit]
    if len(inside) > ask.limit:
        return shown, (shown[-1].event_time,)
    if horizon is None:
        return shown, None
    return shown, (horizon + 1 if ask.descending else horizon - 1,)
