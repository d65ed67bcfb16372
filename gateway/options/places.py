"""Places of stored slices: which of them make up the chain of a moment, and which expiries it lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from gateway.database.knowledge import latest_event
from gateway.http.problems import about
from gateway.options.chain import nearest_expiries
from schemas.calendar.sessions import Calendar
from schemas.clocks import Day, EventTime, KnowledgeTime, date_of, day_of
from schemas.intervals import DAY_US

LISTED_DAYS = 10  # an expiry of which nothing was said for so long is not listed any more


@dataclass(frozen=True, slots=True, kw_only=True)
class SlicePlace:
    """A slice as it is found in the database, without its legs; times are µs."""

    provider: str
    stream_id: int
    root: str
    expiry: date
    event_time: EventTime
    position: int
    known_from: KnowledgeTime

    @property
    def key(self) -> tuple[int, int]:
        """The name of this version of the slice."""
        return self.stream_id, self.position


P = TypeVar("P", bound=SlicePlace)


def listed_places(places: Sequence[P], calendar: Calendar) -> Sequence[P]:
    """Return the slices of whoever told last, without expiries that are over by the newest stamp among them."""
    if not places:
        return ()
    last = max(places, key=lambda each: (each.known_from, each.position))
    own = [each for each in places if each.provider == last.provider]
    today = calendar.date_of(max(each.event_time for each in own))
    return [each for each in own if each.expiry >= today]


def check_listed(asked: Sequence[date], places: Sequence[SlicePlace]) -> None:
    """Raise the Problem of an expiry that is not listed, with those nearest to it."""
    listed = [place.expiry for place in places]
    wrong = next((each for each in asked if each not in listed), None)
    if wrong is not None and listed:
        near = ", ".join(each.isoformat() for each in nearest_expiries(wrong, listed))
        detail = f"no contract listed then expires on {wrong.isoformat()}; the nearest are {near}"
        raise about("expiry", "unknown_expiry", detail)


def listed_span(as_of: KnowledgeTime) -> tuple[EventTime, EventTime]:
    """Return between which stamps (µs, the second exclusive) the slices lie that are listed at a moment of the wall's market."""
    latest = latest_event(as_of, wall_market=True)
    return month_before(EventTime(as_of), LISTED_DAYS), EventTime(latest + 1)


def month_before(moment: EventTime, days: int) -> EventTime:
    """Return the begin of the month (UTC, µs) in which the moment so many days before lies."""
    day = date_of(Day(moment // DAY_US - days))
    return EventTime(day_of(day.replace(day=1)) * DAY_US)
