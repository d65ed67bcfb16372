"""Gaps of a series, derived: a pure function of the evidence and the bars known by some moment, and of nothing else.

Blind stretches are `proven` gaps: nobody watched. (Ledgers of before evidence was kept told of bars that did not come, too:
those stay `inferred`.) Bars that did not come though watched are `inferred` ones: there may
have been no trade. Both are told in slots where the calendar says which bars exist: a gap begins with its first missing
bar and ends with its last. What nobody watched may cross nights and holidays; absences are told session by session, as
coverage counts them, so that a gap is the same whatever stretch is asked for. Quotes, trades, weeks and months have no
such slots: their gaps are blind stretches alone, and only a verdict closes them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

from schemas.calendar.expected_bars import (
    DAILY,
    expected_span,
    first_expected,
    first_unended,
    is_judged,
    runs,
    slot_of,
)
from schemas.calendar.session_slots import SessionSlots, session_slots
from schemas.calendar.sessions import Calendar, calendar_of
from schemas.clocks import EventTime
from schemas.identity import gap_id
from schemas.intervals import DAY_US, SECOND_US, SLOT_US, micros
from schemas.ledger.shortfall import Shortfall, Stretch, is_elsewhere, shortfalls
from schemas.records import LONG_SILENCE, MISSING_BARS, Evidence, Gap, GapState
from schemas.streams import StreamId

Run = tuple[EventTime, EventTime, Shortfall]
Piece = tuple[EventTime, EventTime, Shortfall | None]
"""A stretch [from, to) in which values are missing, and why; None where bars are stored and belong to no gap."""


def reach(
    series: StreamId, evidence: Iterable[Evidence], start: EventTime, end: EventTime
) -> tuple[EventTime, EventTime]:
    """Return the stretch (µs) of which the stored bars must be known, so that gaps in [start, end) come out whole.

    It takes in the sessions it touches, every blind stretch that touches those, and what touches that. Evidence is needed
    of it, too: ask with none, load what overlaps the answer, ask with that, and load what overlaps the second answer.
    """
    low, high = _sessions_touching(series, start, end)
    told = sorted(
        (slot_of(series.interval, each.from_time), slot_of(series.interval, each.to_time))
        for each in evidence
        if each.kind == "blind" and each.to_time is not None
    )
    begin, stop = None, EventTime(0)
    for first, last in told:
        if begin is None or first > stop:
            begin, stop = first, last
        else:
            stop = max(stop, last)
        if begin <= high and stop >= low:
            low, high = min(low, begin), max(high, stop)
    return low, high


def gaps_of(
    series: StreamId,
    evidence: Sequence[Evidence],
    stored: Sequence[EventTime],
    *,
    horizon: EventTime | None,
    start: EventTime,
    end: EventTime,
) -> list[Gap]:
    """Return, in order, the gaps of a series that overlap [start, end) (µs), as they follow from what is known.

    `evidence` in any order is what is known of the series there, `stored` the starts of its final bars within `reach`,
    sorted, `horizon` the start of the newest final bar that was no backfill and whose stamp is no suspect one: up to
    there what is collected "from here on" is judged. None: nothing of it is.

    A gap's `known_from` and place are those of the evidence that makes it: of an absence that is the first word that
    its first bar is collected. That it did not come was known with the bar after it, which no record says.
    """
    calendar, interval = calendar_of(series.symbol), series.interval
    low, high = reach(series, evidence, start, end)
    stretches = (_stretch(calendar, told, horizon) for told in evidence)
    found = shortfalls(
        Stretch(max(each.low, low), min(each.high, high), each.evidence)
        for each in stretches
        if each is not None
    )
    if is_judged(interval):
        slots = [slot_of(interval, each) for each in stored] if interval == DAILY else stored
        pieces = _compared(calendar, interval, found, slots)
        gaps = [
            _gap_of_slots(series, calendar, *run)
            for run in _joined(pieces, partial(_adjoin, calendar, interval))
        ]
    else:
        blind = (piece for piece in found if piece[2].missing == "blind")
        gaps = [_gap(*run, expected=0) for run in _joined(blind, lambda piece, begin: piece[1] == begin)]
    return [gap for gap in gaps if gap.from_time < end and gap.to_time > start]


def chunks(calendar: Calendar, interval: str, start: EventTime, end: EventTime) -> Iterator[SessionSlots]:
    """Yield, in order, the sessions (of days: years) that expect bars and overlap [start, end) (µs)."""
    found = (session_slots(calendar, interval, each) for each in _moments(calendar, interval, start, end))
    yield from (slots for slots in found if slots is not None)


def _moments(calendar: Calendar, interval: str, start: EventTime, end: EventTime) -> Iterator[int]:
    if interval != DAILY:
        yield from (session.open for session in calendar.sessions(start, end))
        return
    for year in range(_year(start), _year(end - 1) + 1):
        yield micros(datetime(year, 1, 1, tzinfo=UTC))


def _year(moment: int) -> int:
    return datetime.fromtimestamp(moment // SECOND_US, UTC).year


def _sessions_touching(series: StreamId, start: EventTime, end: EventTime) -> tuple[EventTime, EventTime]:
    """Return [start, end) and the sessions it overlaps, where the interval has any; a bar may begin before and reach in."""
    interval, calendar = series.interval, calendar_of(series.symbol)
    if not is_judged(interval):
        return start, end
    low = slot_of(interval, start) if interval == DAILY else EventTime(start - SLOT_US[interval] + 1)
    first = next(chunks(calendar, interval, low, EventTime(low + 1)), None)
    last = next(chunks(calendar, interval, EventTime(end - 1), end), None)
    return (low if first is None else min(low, first.start)), (end if last is None else max(end, last.end))


def _stretch(calendar: Calendar, told: Evidence, horizon: EventTime | None) -> Stretch | None:
    """Return the stretch in which a piece of evidence holds; a bar that was not over when it was told is no part of it.

    Who says that nobody watched, or who did instead, means it by a clock that may be ahead of the log's.
    """
    low, high = slot_of(told.interval, told.from_time), told.to_time
    if high is None:
        if told.kind != "collected" or horizon is None:
            return None
        return Stretch(low, slot_of(told.interval, horizon), told)
    high = high if told.kind == "blind" or is_elsewhere(told) else said_until(calendar, told)
    return Stretch(low, slot_of(told.interval, high), told)


def said_until(calendar: Calendar, told: Evidence) -> EventTime:
    """Return the end (µs) of what evidence with an end says: nothing of bars that were not over when it became known."""
    ended = ended_slots(calendar, told.interval, EventTime(told.known_from))
    return ended if told.to_time is None else min(told.to_time, ended)


def ended_slots(calendar: Calendar, interval: str, moment: int) -> EventTime:
    """Return the slot (µs) before which lie those of all bars that are over at `moment` (µs), and of no other."""
    ended = EventTime(moment)
    if is_judged(interval):
        ended = first_unended(calendar, interval, ended)
    if interval == DAILY:
        day = slot_of(DAILY, ended)
        ended = day if first_expected(calendar, DAILY, day, ended) is None else EventTime(day + DAY_US)
    return ended


def _compared(
    calendar: Calendar, interval: str, found: Iterable[Run], slots: Sequence[EventTime]
) -> Iterator[Piece]:
    """Yield the pieces of expected bars, each either stored or not; what is stored of a blind stretch is filled."""
    for low, high, shortfall in found:
        edge = first_expected(calendar, interval, low, high)
        if edge is None:
            continue
        stored = None if shortfall.missing == "absent" else _filled(shortfall)
        within = slots[bisect_left(slots, low) : bisect_left(slots, high)]
        for begin, missing in runs(calendar, interval, low, high, within):
            if edge < begin:
                yield from _missing(calendar, interval, edge, begin, shortfall)
            edge = high if missing is None else missing
            yield begin, edge, stored
        if edge < high:
            yield from _missing(calendar, interval, edge, high, shortfall)


def _missing(
    calendar: Calendar, interval: str, low: EventTime, high: EventTime, shortfall: Shortfall
) -> Iterator[Piece]:
    if shortfall.missing == "blind":
        yield low, high, shortfall
        return
    for slots in chunks(calendar, interval, low, high):
        if slots.count_before(low) < slots.count_before(high):
            yield max(low, slots.start), min(high, slots.end), shortfall


def _filled(shortfall: Shortfall) -> Shortfall:
    return Shortfall(shortfall.missing, shortfall.evidence, "filled", shortfall.generation)


def _adjoin(calendar: Calendar, interval: str, piece: Run, begin: EventTime) -> bool:
    """Whether no bar is expected between a piece and what begins later, and for absences no session either."""
    if first_expected(calendar, interval, piece[1], begin) is not None:
        return False
    if piece[2].missing == "blind":
        return True
    slots = session_slots(calendar, interval, piece[0])
    return slots is not None and begin < slots.end


def _joined(pieces: Iterable[Piece], adjoin: Callable[[Run, EventTime], bool]) -> Iterator[Run]:
    """Yield the pieces that are gaps, neighbours that nothing tells apart as one."""
    held: Run | None = None
    for low, high, shortfall in pieces:
        alike = held is not None and shortfall is not None and held[2].joins(shortfall)
        if held is not None and alike and adjoin(held, low):
            held = (held[0], high, held[2])
            continue
        if held is not None:
            yield held
        held = None if shortfall is None else (low, high, shortfall)
    if held is not None:
        yield held


def _gap_of_slots(
    series: StreamId, calendar: Calendar, low: EventTime, high: EventTime, shortfall: Shortfall
) -> Gap:
    span = expected_span(calendar, series.interval, low, high)
    first, last, count = (low, low, 0) if span is None else (span.first, span.last, span.count)
    return _gap(first, EventTime(last + SLOT_US[series.interval]), shortfall, expected=count)


def _gap(low: EventTime, high: EventTime, shortfall: Shortfall, *, expected: int) -> Gap:
    state, generation = shortfall.state, shortfall.generation
    return gap_from(shortfall.evidence, low, high, expected=expected, state=state, generation=generation)


def gap_from(
    told: Evidence,
    low: EventTime,
    high: EventTime,
    *,
    expected: int,
    state: GapState = "open",
    generation: int = 0,
) -> Gap:
    """Return the gap [low, high) (µs) that follows from evidence: it bears its name, its cause and its place.

    Who was not there proves it; that bars did not come though watched, or that nothing came for long, is inferred.
    """
    cause = told.cause if told.kind == "blind" else MISSING_BARS
    return Gap(
        gap_id=gap_id(told.stream, low),
        stream=told.stream,
        symbol=told.symbol,
        provider=told.provider,
        interval=told.interval,
        from_time=low,
        to_time=high,
        cause=cause,
        confidence="inferred" if cause in (MISSING_BARS, LONG_SILENCE) else "proven",
        state=state,
        generation=generation,
        expected=expected,
        detector=told.detector,
        known_from=told.known_from,
        raw_offset=told.raw_offset,
        index=told.index,
    )
