"""The configuration's additions to the calendars: days a market was closed, and days on which it closed early.

Part of a generation of the configuration, so a process takes it up when it takes that up.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

from schemas.calendar import hours

RULES = 2  # raised with every change of schemas/calendar that makes another answer of the same tables


@dataclass(frozen=True, slots=True)
class MarketOverlay:
    """Of one market: its extra closed days (ISO dates), and (ISO date, close "HH:MM", its own time) of its short days."""

    closed: frozenset[str] = frozenset()
    early_closes: tuple[tuple[str, str], ...] = ()


NOTHING = MarketOverlay()


@dataclass(frozen=True, slots=True)
class CalendarOverlay:
    """The overlay of each market that has one, by the calendar's name, in order of the names; equal where they say the same."""

    markets: tuple[tuple[str, MarketOverlay], ...] = ()

    def of(self, name: str) -> MarketOverlay:
        """Return what it says of a calendar."""
        return next((each for market, each in self.markets if market == name), NOTHING)


NO_OVERLAY = CalendarOverlay()


def overlay_of(
    closures: Mapping[str, Iterable[str]], early_closes: Mapping[str, Mapping[str, str]]
) -> CalendarOverlay:
    """Return closed days and early closes, both by calendar, as one overlay."""
    markets = (
        (
            name,
            MarketOverlay(
                frozenset(closures.get(name, ())), tuple(sorted(early_closes.get(name, {}).items()))
            ),
        )
        for name in sorted({*closures, *early_closes})
    )
    return CalendarOverlay(tuple((name, each) for name, each in markets if each != NOTHING))


def calendar_fingerprint(overlay: CalendarOverlay) -> str:
    """Return 16 hex digits that two processes share where their calendars answer alike: library, tables and overlay."""
    told = [[name, sorted(each.closed), each.early_closes] for name, each in overlay.markets]
    return hashlib.sha256(json.dumps([tables(), told]).encode()).hexdigest()[:16]


@cache
def tables() -> list[str]:
    """Return what every calendar of this process is made of, whatever the overlay."""
    facts = repr((sorted(hours.HOURS.items()), sorted(hours.FX_HOLIDAYS), hours.FLOOR_HOLIDAY_CLOSE))
    return [version("exchange_calendars"), str(RULES), facts]
