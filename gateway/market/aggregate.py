"""Longer bars from 1-minute bars, where nobody sent the longer ones.

Intraday buckets are counted from the start of their stretch of the trading day (pre, regular, a break, post), so none
straddles an open or a close, and the closing auction is in the last of the regular ones; a day is a trading day, a week begins on the venue's Monday, a month on its first. A bucket without
a minute has no bar: nothing is made up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import fsum
from typing import Any

from gateway.database.versions import MINUTE, BarVersion, Span
from gateway.market.bars import MIXED
from schemas.calendar.expected_bars import expected_span, runs
from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, INTRADAY_US, MINUTE_US, slot_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """The bar stamped `start` takes minutes of [left, end); it is complete once `closes` has passed."""

    start: EventTime
    left: EventTime
    end: EventTime
    closes: EventTime
    session: str


def bucket_at(moment: EventTime, interval: str, session: str, calendar: Calendar) -> Bucket:
    """Return the bucket of `interval` that holds `moment`; `session` is the caller's choice: regular, extended or all."""
    if interval in INTRADAY_US:
        return _intraday(moment, INTRADAY_US[interval], calendar)
    left, end = unit_bounds(moment, interval, calendar)
    days = list(calendar.sessions(left, end))
    # A minute on a day the calendar calls closed still belongs to its day; what it does not know may trade to the end.
    if not days or not calendar.knows(end - 1):
        return Bucket(start=left, left=left, end=end, closes=end, session=session)
    closes = EventTime(days[-1].close if session == "regular" else days[-1].post_close)
    start = left
    if interval == "1d":
        start = EventTime(days[0].open if session == "regular" else days[0].pre_open)
    return Bucket(start=start, left=left, end=end, closes=closes, session=session)


def unit_bounds(moment: EventTime, interval: str, calendar: Calendar) -> Span:
    """Return the venue-local day, week or month, [start, end), within which stored bars are taken or all are derived.

    A trading day with any stored bar of an intraday interval is answered from those alone.
    """
    first = calendar.date_of(moment)
    after = first + timedelta(days=1)
    if interval == "1wk":
        first -= timedelta(days=first.weekday())
        after = first + timedelta(days=7)
    elif interval == "1mo":
        first = first.replace(day=1)
        after = (first + timedelta(days=31)).replace(day=1)
    return calendar.day_start(first), calendar.day_start(after)


def units_without(
    stored: Sequence[EventTime], start: EventTime, end: EventTime, interval: str, calendar: Calendar
) -> list[Span]:
    """Return the bounds of the units of [start, end) in which the market may open and no bar of `stored` (times) lies."""
    held = {unit_bounds(moment, interval, calendar)[0] for moment in stored}
    missing: list[Span] = []
    for moment in _openings(start, end, calendar):
        bounds = unit_bounds(moment, interval, calendar)
        if bounds[0] not in held and (not missing or missing[-1] != bounds):
            missing.append(bounds)
    return missing


def _openings(start: EventTime, end: EventTime, calendar: Calendar) -> Iterator[EventTime]:
    """Yield a moment of every day of [start, end) on which the market opens, or of which nobody knows."""
    begins, horizon = calendar.known_from, calendar.horizon
    if begins is not None:
        yield from _day_starts(start, min(end, begins), calendar)
    yield from (EventTime(session.open) for session in calendar.sessions(start, end))
    if horizon is not None:
        yield from _day_starts(max(start, horizon), end, calendar)


def _day_starts(start: EventTime, end: EventTime, calendar: Calendar) -> Iterator[EventTime]:
    day = calendar.date_of(start)
    while (begins := calendar.day_start(day)) < end:
        yield begins
        day += timedelta(days=1)


def aggregate(
    minutes: Sequence[BarVersion],
    interval: str,
    session: str,
    calendar: Calendar,
    *,
    known_through: EventTime,
) -> list[BarVersion]:
    """Return the bars of `interval` made of `minutes` (ascending by event_time, one a minute).

    `known_through` is how far the newest known minute reaches: a bar is final only when its bucket has closed by
    then and all its parts are final.
    """
    bars: list[BarVersion] = []
    bucket: Bucket | None = None
    parts: list[BarVersion] = []
    for minute in minutes:
        if bucket is None or not bucket.left <= minute.event_time < bucket.end:
            if bucket is not None:
                bars.append(_combined(bucket, parts, interval, calendar, known_through))
            bucket, parts = bucket_at(EventTime(minute.event_time), interval, session, calendar), []
        parts.append(minute)
    if bucket is not None:
        bars.append(_combined(bucket, parts, interval, calendar, known_through))
    return bars


def _wholeness(bucket: Bucket, parts: Sequence[BarVersion], calendar: Calendar) -> dict[str, Any]:
    """Return how many minutes the calendar expects in a bucket, and whether they are all there; None: it does not say."""
    if not (calendar.knows(bucket.left) and calendar.knows(bucket.end - 1)):
        return {}
    span = expected_span(calendar, MINUTE, bucket.left, bucket.end)
    if span is None or bucket.session == "extended":
        return {"expected": 0}
    if len(parts) < span.count:
        return {"expected": span.count, "complete": False}
    found = runs(calendar, MINUTE, bucket.left, bucket.end, [EventTime(part.event_time) for part in parts])
    return {"expected": span.count, "complete": next(found, None) == (span.first, None)}


def minutes_in(interval: str) -> int:
    """Return the most minutes a bar of `interval` can be made of."""
    return {"1wk": 7 * DAY_US, "1mo": 31 * DAY_US}.get(interval, slot_us(interval)) // MINUTE_US


def _intraday(moment: EventTime, step_us: int, calendar: Calendar) -> Bucket:
    day = calendar.session_at(moment)
    if day is None:
        start = EventTime(moment - moment % step_us)
        end = EventTime(start + step_us)
        return Bucket(start=start, left=start, end=end, closes=end, session="closed")
    name, left, right = day.stretch_at(moment)
    start = EventTime(left + (moment - left) // step_us * step_us)
    end = EventTime(min(start + step_us, right))
    return Bucket(start=start, left=start, end=end, closes=end, session=name)


def _combined(
    bucket: Bucket, parts: Sequence[BarVersion], interval: str, calendar: Calendar, known_through: EventTime
) -> BarVersion:
    newest = max(parts, key=lambda part: (part.known_from, part.raw_offset, part.index))
    providers = sorted({part.provider for part in parts})
    states = {part.adjustment_state for part in parts}
    currencies = {part.currency for part in parts}  # GBp is a hundredth of GBP
    counts = [part.trade_count for part in parts if part.trade_count is not None]
    return BarVersion(
        symbol=newest.symbol,
        interval=interval,
        event_time=bucket.start,
        open=parts[0].open,
        high=max(part.high for part in parts),
        low=min(part.low for part in parts),
        close=parts[-1].close,
        volume=fsum(part.volume for part in parts),
        vwap=_vwap(parts),
        trade_count=sum(counts) if len(counts) == len(parts) else None,
        final=bucket.closes <= known_through and all(part.final for part in parts),
        session=bucket.session,
        adjustment_state=newest.adjustment_state if len(states) == 1 else MIXED,
        currency=newest.currency if len(currencies) == 1 else MIXED,
        simulated=any(part.simulated for part in parts),
        provider=newest.provider if len(providers) == 1 else MIXED,
        received_time=newest.received_time,
        known_from=newest.known_from,
        raw_offset=newest.raw_offset,
        index=newest.index,
        revision=sum(part.revision for part in parts),
        derived=True,
        providers=tuple(providers) if len(providers) > 1 else (),
        parts=len(parts),
        **_wholeness(bucket, parts, calendar),
    )


def _vwap(parts: Sequence[BarVersion]) -> float | None:
    volume = fsum(part.volume for part in parts)
    if volume <= 0 or any(part.vwap is None for part in parts):
        return None
    return fsum((part.vwap or 0.0) * part.volume for part in parts) / volume
