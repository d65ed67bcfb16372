"""Positions of bars: the window a poll asks for, which of its bars are news, and how far a delivered poll moves on.

The position is the moment before which the vendor has shown, and Kafka has confirmed, all bars. It follows what
the vendor shows, not the clock: a feed delayed by 15 minutes is not skipped over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter

from producers.vendors.answers import PollWindow
from schemas.clocks import EventTime, MarketTime
from schemas.deriving import content
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US
from schemas.records import Event
from schemas.streams import BAR_STREAM

# Of one request, by the length of its bars: Yahoo refuses more than 8 days of minutes, Finnhub more than a month of
# anything within a day, and all give years of days.
MAX_SPAN_US = 7 * DAY_US
MAX_INTRADAY_SPAN_US = 28 * DAY_US
MAX_DAILY_SPAN_US = 365 * DAY_US
SETTLED_US = HOUR_US  # what a vendor has not shown after an hour it has not got

Content = tuple[object, ...]
content_of: Callable[[Event], Content] = itemgetter(*content(BAR_STREAM))
"""Returns what a bar says, compared exactly, as the processor compares it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BarsPosition:
    """Position of bars of one symbol, and what was delivered of the part the next poll asks for again."""

    position: EventTime
    delivered: Mapping[EventTime, Content] = field(default_factory=dict)


def longest_span_us(step_us: int) -> int:
    """Return how much (µs) one request may ask for of bars of this length."""
    if step_us >= DAY_US:
        return MAX_DAILY_SPAN_US
    return MAX_INTRADAY_SPAN_US if step_us > MINUTE_US else MAX_SPAN_US


def next_window(bars: BarsPosition, now: MarketTime, *, step_us: int, overlap_us: int) -> PollWindow:
    """Return the window to ask for at market time `now`: from the overlap before the position, in whole bars.

    It ends with the bar in progress, or after the longest span of one request: a longer backlog is walked window by window.
    """
    start = min(bars.position, now) - overlap_us
    start -= start % step_us
    end = now - now % step_us + step_us
    span_us = longest_span_us(step_us)
    return PollWindow(start=EventTime(start), end=EventTime(min(end, start + span_us - span_us % step_us)))


def is_caught_up(window: PollWindow, now: MarketTime) -> bool:
    """Whether the window reached the present, so that only time brings more."""
    return window.end > now


def changed(bars: BarsPosition, events: Sequence[Event]) -> list[Event]:
    """Return the events that differ from what was last delivered of the same bar."""
    return [event for event in events if bars.delivered.get(event["event_time"]) != content_of(event)]


def delivered(
    bars: BarsPosition,
    window: PollWindow,
    events: Sequence[Event],
    now: MarketTime,
    *,
    step_us: int,
    overlap_us: int,
) -> BarsPosition:
    """Return the position, at market time `now`, after all of `events` (the whole answer) are confirmed by Kafka.

    Only call it then: this is the one place where the position moves, and it never moves back.
    """
    position: int = bars.position
    if window.end < now - SETTLED_US:
        position = max(position, window.end)
    newest = max((event["event_time"] for event in events if event["final"]), default=None)
    if newest is not None:
        position = max(position, newest + step_us)
    # A symbol that never trades must not ask for more than one request holds.
    position = max(position, min(window.end, now) - longest_span_us(step_us) + overlap_us + step_us)
    known = {**bars.delivered, **{event["event_time"]: content_of(event) for event in events}}
    kept = {moment: said for moment, said in known.items() if moment >= position - overlap_us - step_us}
    return replace(bars, position=EventTime(position), delivered=kept)
