"""The moment a vintage of FRED's became public: its own word, the time its release is scheduled for, or the end of its day; pure.

A vintage names a day. Until the end of that day, in New York, nobody can be sure to have known it; a vintage whose
`last_updated` was seen is known from that moment, which is FRED's and later than the agency's. Standard times are a
table's and no proof: releases are late at times, so they are asked for by who wants them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time

from producers.vendors.fred.series import LastUpdate
from producers.vendors.macro_rows import NEW_YORK, PublishedMoment, end_of_day
from producers.vendors.periods import date_of
from schemas.clocks import Day, EventTime, WallTime
from schemas.intervals import SECOND_US
from schemas.macro_keys import series_key

EARLY, PRODUCTION, LATER_MORNING = time(8, 30), time(9, 15), time(10, 0)

# New York. bls.gov/schedule and bea.gov/news/schedule: 08:30; claims: dol.gov/ui, Thursdays 08:30; census.gov economic
# indicator calendar: retail and housing starts 08:30; federalreserve.gov G.17: 09:15; JOLTS: bls.gov/jlt, 10:00.
RELEASE_TIMES: Mapping[str, time] = {
    **dict.fromkeys(("CPIAUCSL", "CPILFESL", "UNRATE", "PAYEMS", "PPIFIS"), EARLY),
    **dict.fromkeys(("GDPC1", "PCEPI", "PCEPILFE", "PCEC96", "A261RX1Q020SBEA", "BOPTIMP"), EARLY),
    **dict.fromkeys(("ICSA", "RSAFS", "HOUST", "DGORDER"), EARLY),
    **dict.fromkeys(("INDPRO", "TCU"), PRODUCTION),
    **dict.fromkeys(("JTSJOL", "HSN1F", "WHLSLRIMSA"), LATER_MORNING),
}
"""Standard times of releases, by FRED's name of the series."""


def scheduled_time(series: str, day: Day) -> EventTime | None:
    """Return when a series is released on a day by the table, µs; None where the table has no time for it."""
    at = RELEASE_TIMES.get(series)
    if at is None:
        return None
    moment = datetime.combine(date_of(day), at, NEW_YORK)
    return EventTime(int(moment.timestamp()) * SECOND_US)


def published(
    key: str,
    vintage: Day,
    updated: LastUpdate | None,
    received_time: WallTime,
    *,
    scheduled: bool = False,
) -> PublishedMoment:
    """Return when the vintage that begins on a day was published; `updated` is the series' last change as it was seen.

    A moment that lies after we saw the value is none of it. Raises InvalidRecord for a day that no clock knows.
    """
    if updated is not None and updated.day == vintage and updated.moment <= received_time:
        return PublishedMoment(moment=updated.moment, precision="time")
    planned = scheduled_time(series_key(key).series, vintage) if scheduled else None
    if planned is not None and planned <= received_time:
        return PublishedMoment(moment=planned, precision="scheduled")
    return PublishedMoment(moment=end_of_day(vintage), precision="date")
