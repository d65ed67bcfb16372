"""Calendars before they are asked for: the first of a market costs a second of work, which the loop does not wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from schemas.calendar.sessions import calendar_of, calendars_in_force


async def load_calendars(symbols: Iterable[str]) -> None:
    """Return once the calendars of all symbols are loaded."""
    for symbol in symbols:
        if not calendars_in_force().holds(symbol):
            await asyncio.to_thread(calendar_of, symbol)
