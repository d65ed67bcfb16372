"""Absences of sessions that are over, as orders to confirm them: each stretch once.

An order's id follows from what it is for, so that whoever makes it, however often, asks for it once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from schemas.backfill import BackfillOrder, order_of_absence
from schemas.calendar.expected_bars import DAILY
from schemas.calendar.session_slots import SessionSlots
from schemas.calendar.sessions import Calendar, calendar_of
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, MINUTE_US, SLOT_US
from schemas.ledger.coverage import Coverage
from schemas.ledger.gaps import chunks
from schemas.streams import StreamId
from schemas.universe import Tier
from sinks.ledger.orders import SOURCE, UNLISTED

AFTER_CLOSE_US = 15 * MINUTE_US  # a session's last bars are late, and the vendor corrects them
LONGEST_CLOSED_US = 14 * DAY_US  # no market is closed for longer


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """Bars of one series that did not come, [low, high) (µs): of a session, or one day; `session` is its start.

    `adjoins`: no bar is expected between the one before and this.
    """

    series: StreamId
    session: EventTime
    low: EventTime
    high: EventTime
    adjoins: bool = False

    def order(self, tier: Tier, high: EventTime | None = None) -> BackfillOrder:
        """Return the order that confirms it, and what follows it up to `high` (µs)."""
        stretch = self.low, self.high if high is None else high
        return order_of_absence(self.series, stretch, tier, session=self.session, source=SOURCE)


def absences(series: StreamId, row: Coverage, now: int) -> Iterator[Absence]:
    """Yield, in order, what did not come in sessions that ended 15 minutes ago, `now` (µs) on the market's clock.

    Of intraday bars all of a session is one, from the first to the last; of daily bars each day is.
    """
    calendar, moment = calendar_of(series.symbol), now - AFTER_CLOSE_US
    slots = next(chunks(calendar, series.interval, row.start, EventTime(row.start + 1)), None)
    if slots is None:
        return
    if series.interval == DAILY:
        yield from _days(series, row, slots, _first_unfinished(calendar, moment))
    elif slots.end <= moment:
        yield from _session(series, row.absent, slots, slots.start)


def late_absences(series: StreamId, row: Coverage, now: int, asked_to: EventTime) -> Iterator[Absence]:
    """Yield what did not come after `asked_to` (µs), up to which its session was asked for, as one.

    That nobody traded before a close is known with the first bar of the next session, so that is the rule. It is asked
    for with that one, once it ended 15 minutes ago, and once for ever.
    """
    calendar = calendar_of(series.symbol)
    slots = next(chunks(calendar, series.interval, row.start, EventTime(row.start + 1)), None)
    if slots is None:
        return
    following = next(calendar.sessions(slots.end, slots.end + LONGEST_CLOSED_US), None)
    if following is not None and following.post_close <= now - AFTER_CLOSE_US:
        before = slots.count_before(asked_to)
        yield from _session(series, row.absent >> before << before, slots, asked_to)


def _session(series: StreamId, absent: int, slots: SessionSlots, session: EventTime) -> Iterator[Absence]:
    absent &= (1 << slots.count) - 1
    if absent:
        low, last = (slots.slot_at(each) for each in (_lowest(absent), absent.bit_length() - 1))
        high = EventTime(last + SLOT_US[series.interval])
        yield Absence(series=series, session=session, low=low, high=high)


def _days(series: StreamId, row: Coverage, slots: SessionSlots, until: int) -> Iterator[Absence]:
    absent, before = row.absent & (1 << slots.count_before(until)) - 1, -2
    while absent:
        number = _lowest(absent)
        absent &= absent - 1
        day = slots.slot_at(number)
        high = EventTime(day + DAY_US)
        yield Absence(series=series, session=day, low=day, high=high, adjoins=number == before + 1)
        before = number


def _lowest(bits: int) -> int:
    return (bits & -bits).bit_length() - 1


def _first_unfinished(calendar: Calendar, moment: int) -> int:
    """Return the UTC day (µs) in which the first session opens that is not over at `moment`."""
    session = next(calendar.sessions(moment, moment + LONGEST_CLOSED_US), None)
    opens = moment if session is None else session.open
    return opens - opens % DAY_US


def unasked(
    found: Sequence[Absence], asked: Mapping[str, EventTime], tiers: Mapping[str, Tier]
) -> Iterator[BackfillOrder]:
    """Yield the orders for the absences of one series, in order, that no job was made for; neighbours are one.

    `asked`: up to when (µs) the jobs reach that there are, by id.
    """
    first: Absence | None = None
    high = covered = EventTime(0)
    for each in found:
        tier = tiers.get(each.series.symbol, UNLISTED)
        covered = max(covered, asked.get(each.order(tier).job_id, covered))
        if first is not None and (each.low < covered or not each.adjoins):
            yield first.order(tier, high)
            first = None
        if each.low >= covered:
            first, high = first or each, each.high
    if first is not None:
        yield first.order(tiers.get(first.series.symbol, UNLISTED), high)
