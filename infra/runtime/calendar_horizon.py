"""The horizon of the calendars that a process judges by: shown at every scrape, and warned of in time.

Beyond its horizon a market is as one whose hours are not known: no hole of it would be seen. A newer release, whose tables
end later, mends that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from functools import partial
from math import inf

from infra.runtime import metrics
from infra.runtime.clock import wall_us
from infra.runtime.lifecycle import Health
from schemas.calendar.sessions import CalendarBook, calendars_in_force
from schemas.clocks import WallTime
from schemas.intervals import DAY_US

PART = "calendars"
WARN_BELOW_DAYS = 60
LOOK_EVERY_S = 5.0  # a market somebody asks about for the first time is shown within that

log = logging.getLogger(__name__)


class HorizonWatch:
    """The calendars in force that are loaded, and which of them were warned of."""

    def __init__(self, health: Health) -> None:
        """Report the part `calendars`, which is always ready: what is judged today is judged rightly."""
        self._health = health
        self._shown: set[str] = set()
        self._warned: set[str] = set()

    async def run(self) -> None:
        """Look for ever."""
        while True:
            self.look(wall_us())
            await asyncio.sleep(LOOK_EVERY_S)

    def look(self, now: WallTime) -> None:
        """Show calendars that came into use, and say which of all end within 60 days of `now`; logged once each."""
        found = dict(sorted(horizons(calendars_in_force(), now)))
        for name in found.keys() - self._shown:
            gauge = metrics.CALENDAR_HORIZON_DAYS.labels(name)
            metrics.compute_at_scrape(gauge, partial(_days_now, name))
            self._shown.add(name)
        near = {name: days for name, days in found.items() if days < WARN_BELOW_DAYS}
        for name in near.keys() - self._warned:
            log.warning("calendar_ends", extra={"calendar": name, "horizon_days": round(near[name], 1)})
        self._warned = set(near)
        least = min(found.values(), default=inf)
        detail: dict[str, float | str] = {} if least == inf else {"horizon_days": round(least, 1)}
        if near:
            text = f"known for less than {WARN_BELOW_DAYS} days: {' '.join(near)}; update before they end"
            detail |= {"warning": text}
        self._health.report(PART, ready=True, **detail)


def horizons(book: CalendarBook, now: WallTime) -> Iterator[tuple[str, float]]:
    """Yield each loaded calendar that has a horizon, and how many days of 24 h that lies after `now`; negative behind it."""
    for name in book.names():
        horizon = book.calendar(name).horizon
        if horizon is not None:
            yield name, (horizon - now) / DAY_US


def _days_now(name: str) -> float:
    return dict(horizons(calendars_in_force(), wall_us()))[name]
