"""Freshness of the stored rows of each interval: how far they have come, and how far that lies behind an open market."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

import numpy as np

from schemas.calendar.expected_bars import first_expected
from schemas.calendar.sessions import Calendar, calendar_name, calendars_in_force
from schemas.clocks import EventTime, MarketTime
from schemas.intervals import SLOT_US, interval_label
from schemas.streams import StreamId
from sinks.batch.batch import Rows

KNOWN_SERIES = 32_768
FINEST = "1m"

Newest = dict[tuple[str, str], int]
"""By interval and calendar's name, up to when rows tell what was (µs): the end of a bar, the moment of a quote or trade."""


def newest_of(batch: Iterable[Rows]) -> Newest:
    """Return how far the rows of a batch have come; calendars are loaded, which may take a second."""
    newest: Newest = {}
    for rows in batch:
        streams = rows.streams
        if not len(streams.names):
            continue
        moments = np.maximum.reduceat(rows.columns.integers("event_time")[streams.order], streams.firsts)
        _add(newest, zip(streams.names, moments.tolist(), strict=True))
    return newest


def reached(last_seen: Mapping[StreamId, EventTime]) -> Newest:
    """Return how far series have come by the event_time of the newest row of each; loads calendars like `newest_of`."""
    newest: Newest = {}
    _add(newest, last_seen.items())
    return newest


class Freshness:
    """Newest rows by interval and calendar. A series that trades round the clock hides none of a venue with hours."""

    def __init__(self) -> None:
        """Know nothing."""
        self._newest: Newest = {}

    @property
    def intervals(self) -> set[str]:
        """The intervals there are rows of; a stream without intervals is under its own name."""
        return {interval for interval, _ in self._newest}

    @property
    def calendars(self) -> set[str]:
        """The names of the calendars there are rows of."""
        return {calendar for _, calendar in self._newest}

    def note(self, newest: Newest, now: MarketTime) -> None:
        """Take in rows that are stored by `now`: what they say of later is not known yet, however it is stamped."""
        for place, moment in newest.items():
            known = min(moment, now)
            self._newest[place] = max(self._newest.get(place, known), known)

    def lag_us(self, interval: str, now: MarketTime) -> int:
        """Return how long ago the newest row of an interval was, of the calendar that lags most; 0 while all are closed."""
        book = calendars_in_force()  # closures of the configuration may come at any time
        of_interval = ((each, moment) for (name, each), moment in self._newest.items() if name == interval)
        return max((_behind(book.calendar(each), moment, now) for each, moment in of_interval), default=0)


def _behind(calendar: Calendar, moment: int, now: MarketTime) -> int:
    """Return the time from the first moment of the market after the newest row; nights between two sessions count."""
    if not calendar.is_open(now):
        return 0
    if not calendar.is_open(moment):
        moment = first_expected(calendar, FINEST, EventTime(moment), EventTime(now)) or now
    return max(0, now - moment)


def _add(newest: Newest, series: Iterable[tuple[StreamId, int]]) -> None:
    for name, moment in series:
        place, end = _place(name), moment + SLOT_US.get(name.interval, 0)
        newest[place] = max(newest.get(place, end), end)


@lru_cache(maxsize=KNOWN_SERIES)
def _place(series: StreamId) -> tuple[str, str]:
    name = calendar_name(series.symbol)
    calendars_in_force().load([name])
    return interval_label(series.interval, series.name), name
