"""Longer bars from shorter ones, where nobody sent the longer ones: weeks and months of days, all others of minutes.

Intraday buckets are counted from the start of their stretch of the trading day (pre, regular, a break, post), so none
straddles an open or a close, and the closing auction is in the last of the regular ones; a day is a trading day, a week begins on the venue's Monday, a month on
its first. A bucket without a part has no bar: nothing is made up.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from math import fsum

from gateway.database.versions import MINUTE, BarBasis, BarVersion, Span
from gateway.market.bars import MIXED
from gateway.market.wholeness import NOTHING_EXPECTED, UNKNOWN, Wholeness, Wholes
from schemas.calendar.expected_bars import DAILY, expected_span, slot_of
from schemas.calendar.sessions import Calendar
from schemas.clocks import Day, EventTime
from schemas.intervals import INTRADAY_US, MINUTE_US, slot_us

MOST_DAYS = {"1wk": 7, "1mo": 31}  # of what is made of days


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """The bar stamped `start` takes parts of [left, end); it is complete once `closes` has passed."""

    start: EventTime
    left: EventTime
    end: EventTime
    closes: EventTime
    session: str


def base_of(interval: str) -> str:
    """Return the interval of the bars that those of `interval` are made of."""
    return DAILY if interval in MOST_DAYS else MINUTE


def sources_of(interval: str) -> list[str]:
    """Return the intervals of all bars from which one of `interval` may come, its own first."""
    return list(dict.fromkeys([interval, base_of(interval), MINUTE]))


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
    """Return the venue-local day, week or month, [start, end), that is looked at whole: for what is stored and what lacks."""
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
    stored: Sequence[EventTime],
    start: EventTime,
    end: EventTime,
    interval: str,
    session: str,
    calendar: Calendar,
) -> list[Span]:
    """Return the bounds of the units of [start, end) in which the market may open and a bar may lack among `stored` (times).

    A day lacks none of an intraday interval where each is there that the calendar expects, which is of the regular session.
    """
    held: dict[EventTime, set[EventTime]] = {}
    for moment in stored:
        held.setdefault(unit_bounds(moment, interval, calendar)[0], set()).add(moment)
    missing: list[Span] = []
    for moment in _openings(start, end, calendar):
        bounds = unit_bounds(moment, interval, calendar)
        there = held.get(bounds[0], set())
        whole = session == "regular" and _is_whole(there, bounds, interval, calendar)
        if not (whole if interval in INTRADAY_US else there) and (not missing or missing[-1] != bounds):
            missing.append(bounds)
    return missing


def beside(
    stored: Sequence[EventTime],
    derived: Sequence[BarVersion],
    interval: str,
    session: str,
    calendar: Calendar,
) -> list[BarVersion]:
    """Return the derived bars whose buckets no bar of `stored` (times, in order) reaches into."""
    reach_us = INTRADAY_US.get(interval, 0)
    free = []
    for bar in derived:
        bucket = bucket_at(EventTime(bar.event_time), interval, session, calendar)
        place = bisect_right(stored, bucket.left - reach_us)
        if place == len(stored) or stored[place] >= bucket.end:
            free.append(bar)
    return free


def is_all_regular(span: Span, calendar: Calendar) -> bool:
    """Whether the market has nothing before its open and nothing behind its close: then all of a day is its regular session."""
    day = next(calendar.sessions(*span), None)
    return day is not None and day.pre_open == day.open and day.post_close == day.close


def _is_whole(there: set[EventTime], bounds: Span, interval: str, calendar: Calendar) -> bool:
    expected = expected_span(calendar, interval, *bounds)
    return (
        expected is not None
        and len(there) >= expected.count
        and sum(expected.first <= each <= expected.last for each in there) >= expected.count
    )


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
    parts: Sequence[BarVersion],
    interval: str,
    session: str,
    calendar: Calendar,
    *,
    known_through: EventTime,
    wholes: Wholes | None = None,
) -> list[BarVersion]:
    """Return the bars of `interval` made of `parts` (bars of its base, ascending by event_time, one of each moment).

    `known_through` is how far the newest known part reaches: a bar is final only when its bucket has closed by
    then, all its parts are final, and, where `wholes` judges by gaps, nothing more will come.
    """
    wholes = wholes or Wholes(calendar, base_of(interval))
    bars: list[BarVersion] = []
    bucket: Bucket | None = None
    inside: list[BarVersion] = []
    for part in parts:
        if bucket is None or not bucket.left <= part.event_time < bucket.end:
            if bucket is not None:
                bars.append(_combined(bucket, inside, interval, wholes, known_through))
            bucket, inside = bucket_at(EventTime(part.event_time), interval, session, calendar), []
        inside.append(part)
    if bucket is not None:
        bars.append(_combined(bucket, inside, interval, wholes, known_through))
    return bars


def _slot(base: str, start: EventTime, calendar: Calendar) -> EventTime:
    """Return the slot of a part: that of a day is its session's, wherever in the day the bar begins."""
    if base == DAILY:
        session = next(calendar.sessions(*unit_bounds(start, DAILY, calendar)), None)
        start = start if session is None else EventTime(session.open)
    return slot_of(base, start)


def parts_in(interval: str) -> int:
    """Return the most parts a bar of `interval` can be made of."""
    return MOST_DAYS.get(interval, slot_us(interval) // MINUTE_US)


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


def _whole(bucket: Bucket, parts: Sequence[BarVersion], wholes: Wholes) -> Wholeness:
    """Return how whole a bucket is; a part that is not whole leaves it so."""
    calendar = wholes.calendar
    if bucket.session == "extended":  # of what is outside the regular session nothing is expected
        known = calendar.knows(bucket.left) and calendar.knows(EventTime(bucket.end - 1))
        return NOTHING_EXPECTED if known else UNKNOWN
    slots = [_slot(wholes.interval, EventTime(part.event_time), calendar) for part in parts]
    found = wholes.of(bucket.left, bucket.end, slots)
    is_whole = found.complete and all(part.complete is not False for part in parts)
    return replace(found, complete=is_whole) if found.complete else found


def _combined(
    bucket: Bucket, parts: Sequence[BarVersion], interval: str, wholes: Wholes, known_through: EventTime
) -> BarVersion:
    whole = _whole(bucket, parts, wholes)
    newest = max(parts, key=lambda part: (part.known_from, part.raw_offset, part.index))
    providers = sorted({name for part in parts for name in part.providers or (part.provider,)})
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
        final=bucket.closes <= known_through and all(part.final for part in parts) and whole.settled,
        session=bucket.session,
        adjustment_state=newest.adjustment_state if len(states) == 1 else MIXED,
        currency=newest.currency if len(currencies) == 1 else MIXED,
        simulated=any(part.simulated for part in parts),
        adjusted_through=_shared_basis(parts),
        provider=newest.provider if len(providers) == 1 else MIXED,
        received_time=newest.received_time,
        known_from=newest.known_from,
        raw_offset=newest.raw_offset,
        index=newest.index,
        revision=sum(part.revision for part in parts),
        derived=True,
        providers=tuple(providers) if len(providers) > 1 else (),
        base=wholes.interval,
        parts=len(parts),
        expected=whole.expected,
        basis=BarBasis.of_parts([part.basis for part in parts]),
        complete=whole.complete,
    )


def _shared_basis(parts: Sequence[BarVersion]) -> Day | None:
    """Return the day in whose shares all parts are; of several days there is none."""
    bases = {part.adjusted_through for part in parts}
    return bases.pop() if len(bases) == 1 else None


def _vwap(parts: Sequence[BarVersion]) -> float | None:
    volume = fsum(part.volume for part in parts)
    if volume <= 0 or any(part.vwap is None for part in parts):
        return None
    return fsum((part.vwap or 0.0) * part.volume for part in parts) / volume
