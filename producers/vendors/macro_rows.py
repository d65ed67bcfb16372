"""Observations of macro series: texts → values, values → events; pure, and one verdict for all vendors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from producers.vendors.answers import RejectedValue
from producers.vendors.periods import date_of
from producers.vendors.vintages import Vintage
from schemas.clocks import Day, EventTime, WallTime
from schemas.entries import Frequency, PublishedPrecision, Rights
from schemas.errors import InvalidRecord
from schemas.intervals import SECOND_US
from schemas.records import Event

MISSING = frozenset({"", ".", "N/A", "NA", "NAN"})
MAX_VALUE = 1e21  # no statistic of any country, in any currency, is near it
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
MAX_NUMBER_CHARACTERS = 64
NEW_YORK = ZoneInfo("America/New_York")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedMoment:
    """The moment a source published something, as far as that is known; µs."""

    moment: EventTime | None = None
    precision: PublishedPrecision = "none"


UNTOLD = PublishedMoment()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesFacts:
    """One macro series as its source describes it; `simulated` where nobody ever published it."""

    key: str
    units: str = ""
    seasonal: str = ""
    frequency: Frequency
    rights: Rights = "unknown"
    simulated: bool = False


def observed_value(text: str) -> float | None:
    """Return a value, None where the source says that it has none; raise InvalidRecord for what is no number."""
    given = text.strip()
    if given.upper() in MISSING:
        return None
    if len(given) > MAX_NUMBER_CHARACTERS or NUMBER.fullmatch(given) is None:
        raise InvalidRecord(f"value is {given[:40]!r}, which is no number")
    number = float(given)
    if not abs(number) <= MAX_VALUE:
        raise InvalidRecord(f"value is {given[:40]}, larger than any statistic")
    return number


def start_of_day(day: Day, zone: ZoneInfo = NEW_YORK) -> EventTime:
    """Return the first moment of a calendar day in a zone, µs; raise InvalidRecord where no clock goes as far."""
    try:
        moment = date_of(day)
        return EventTime(
            int(datetime(moment.year, moment.month, moment.day, tzinfo=zone).timestamp()) * SECOND_US
        )
    except (ValueError, OverflowError):
        raise InvalidRecord(f"day {day} is none of the calendar's") from None


def end_of_day(day: Day, zone: ZoneInfo = NEW_YORK) -> EventTime:
    """Return the last microsecond of a calendar day in a zone; raise InvalidRecord where no clock goes as far."""
    return EventTime(start_of_day(Day(day + 1), zone) - 1)


def observation(
    series: SeriesFacts,
    vintage: Vintage,
    publication: PublishedMoment,
    received_time: WallTime,
    *,
    with_vintages: bool = True,
) -> Event:
    """Return the event of one vintage; it was said when it was published, and at the latest when we saw it.

    Without vintages the source tells no day from which on it said so.
    """
    moment = publication.moment
    seen = EventTime(received_time)
    return {
        "symbol": series.key,
        "event_time": seen if moment is None else min(moment, seen),
        "period_start": vintage.period_start,
        "vintage_start": vintage.start if with_vintages else None,
        "period_end": vintage.period_end,
        "vintage_end": vintage.end if with_vintages else None,
        "value": vintage.value,
        "published_at": moment,
        "units": series.units,
        "seasonal": series.seasonal,
        "frequency": series.frequency,
        "rights": series.rights,
        "published_precision": publication.precision,
        "simulated": series.simulated,
    }


def contradiction(key: str, vintage: Vintage, why: str) -> RejectedValue:
    """Return what is dead-lettered of a statement that contradicts another one."""
    told = f"{date_of(vintage.period_start)},{date_of(vintage.start)},{vintage.end and date_of(vintage.end)},{vintage.value}"
    return RejectedValue(symbol=key, reason=InvalidRecord.reason, message=why, payload=told.encode())
