"""Data conditions: of each stream and trading day whether its data is all there, as far as evidence and calendar say.

Bars are counted; quotes and trades have no calendar of values, so of them only blind stretches and their newest value speak.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple

from gateway.objectives.collection import SeriesStanding
from gateway.objectives.violations import (
    CONFIRM_WITHIN_US,
    LONGEST_CLOSED_US,
    JudgedSlots,
    Tally,
    between,
    is_open,
    tallied,
)
from schemas.calendar.expected_bars import DAILY, is_judged, next_slot, slot_of
from schemas.calendar.sessions import Calendar, calendar_of
from schemas.calendar.trading_days import TradingSession
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, EPOCH, SLOT_US
from schemas.ledger.gaps import chunks, ended_slots
from schemas.streams import BAR_STREAM, StreamId

Condition = Literal["available", "degraded", "pending", "missing"]
CONDITIONS: tuple[Condition, ...] = ("available", "degraded", "pending", "missing")
DAY = "day"  # the one window


class UnderWay(NamedTuple):
    """A stretch [low, high) (µs) of a series that a backfill job waits for or fetches."""

    series: StreamId
    low: EventTime
    high: EventTime


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCondition:
    """The condition of a stream on one of its market's days, and why; `tally` None where values are not counted.

    `late`: bars that came after their hole was found.
    """

    series: StreamId
    day: date
    condition: Condition
    reason: str
    session: TradingSession
    tally: Tally | None = None
    late: int = 0


def day_of(midnight: int) -> date:
    """Return the date whose midnight UTC (µs) is given."""
    return date.fromordinal(EPOCH.toordinal() + midnight // DAY_US)


def conditions(
    series: SeriesStanding,
    sessions: Iterable[TradingSession],
    live: Collection[StreamId],
    working: Sequence[UnderWay],
    now: int,
) -> Iterator[DayCondition]:
    """Yield the condition of each trading day in which the series should have values by market time `now` (µs).

    `working` is what backfills are at work on in it.
    """
    calendar = calendar_of(series.id.symbol)
    told = series.id.name != BAR_STREAM.name or is_judged(series.id.interval)
    for session in sessions if told and calendar.is_known else ():
        is_over = session.post_close + CONFIRM_WITHIN_US <= now
        judge = _of_bars if series.id.name == BAR_STREAM.name else _of_values
        found = judge(series, calendar, session, now, is_live=series.id in live)
        if found is None:
            continue
        condition, reason, tally, late = found
        if not is_over:
            condition, reason = "pending", "the day is not over, or not for an hour"
        elif condition in ("degraded", "missing") and _is_worked_on(session, working):
            condition, reason = "pending", f"a backfill is under way: {reason}"
        yield DayCondition(
            series=series.id, day=day_of(session.day), condition=condition, reason=reason, session=session,
            tally=tally, late=late,
        )  # fmt: skip


Found = tuple[Condition, str, Tally | None, int]


def _of_bars(
    series: SeriesStanding, calendar: Calendar, session: TradingSession, now: int, *, is_live: bool
) -> Found | None:
    interval = series.id.interval
    low, high = EventTime(session.pre_open), EventTime(session.post_close)
    if interval == DAILY:
        low = slot_of(DAILY, EventTime(session.open))
        high = EventTime(low + SLOT_US[DAILY])
    ended = min(high, ended_slots(calendar, interval, now))
    quiet_from = next_slot(interval, series.last_seen)
    if not is_live:
        ended = min(ended, quiet_from)
    begin = max(low, slot_of(interval, series.start))
    # of a day of which nothing came while another would have shown it, nothing is to be waited for
    following = next(calendar.sessions(session.post_close, session.post_close + LONGEST_CLOSED_US), None)
    is_past = following is not None and following.post_close + CONFIRM_WITHIN_US <= now
    silent = quiet_from if is_past or quiet_from <= begin else ended
    bounds = JudgedSlots(begin, ended, quiet_from, max(begin, min(silent, ended)))
    tally = tallied(series, calendar, bounds, {DAY: low}, now)[DAY]
    if not tally.expected:
        return None
    late = _late(series, calendar, bounds)
    if tally.missing and not tally.stored and not tally.empty:
        return "missing", "nothing of it is stored", tally, late
    if tally.missing:
        return "degraded", f"{tally.missing} of {tally.expected} bars are missing", tally, late
    if tally.unconfirmed:
        words = f"of {tally.unconfirmed} bars nobody knows yet whether they exist"
        return "pending", words, tally, late
    if late:
        return "degraded", f"{late} bars came late, by a backfill or a catch-up", tally, late
    return "available", "", tally, 0


def _late(series: SeriesStanding, calendar: Calendar, bounds: JudgedSlots) -> int:
    filled = [hole for hole in series.holes if hole.state == "filled"]
    interval, late = series.id.interval, 0
    for slots in chunks(calendar, interval, bounds.low, bounds.high) if filled else ():
        bits = 0
        for hole in filled:
            bits |= between(slots, slot_of(interval, hole.low), slot_of(interval, hole.high))
        late += (bits & between(slots, bounds.low, bounds.high)).bit_count()
    return late


def _of_values(
    series: SeriesStanding, _: Calendar, session: TradingSession, now: int, *, is_live: bool
) -> Found | None:
    """Judge a stream without a calendar of values by its regular hours."""
    if series.start >= session.close or now <= session.open:
        return None
    if not is_live and series.last_seen < session.open:
        return None
    low, high = max(series.start, session.open), min(session.close, now)
    holes = [each for each in series.holes if is_open(each) and each.low < high and each.high > low]
    # those of one series never overlap: a day can be blind by several causes, one after the other
    if sum(min(each.high, high) - max(each.low, low) for each in holes) >= high - low:
        return "missing", "nobody watched it", None, 0
    if series.last_seen < session.open:
        return "missing", "no value came since before it", None, 0
    if holes:
        return "degraded", f"for {len(holes)} stretches of it nobody watched", None, 0
    return "available", "", None, 0


def _is_worked_on(session: TradingSession, working: Sequence[UnderWay]) -> bool:
    low, high = min(session.day, session.pre_open), session.post_close
    return any(each.low < high and each.high > low for each in working)
