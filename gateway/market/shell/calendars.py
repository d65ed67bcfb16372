"""Calendars before they are asked for, and `/calendar`: the first of a market costs a second of work, which the loop does not wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import ClassVar

from aiohttp import web

from gateway.database.knowledge import check_not_future
from gateway.http.shell.answers import Serves, cacheable
from gateway.market.calendar_days import calendar_answer
from gateway.market.calendar_request import CALENDAR, calendar_request
from infra.runtime.clock import MarketClock, wall_us
from schemas.calendar.history import CalendarHistory
from schemas.calendar.sessions import calendar_of, calendars_in_force


async def load_calendars(symbols: Iterable[str]) -> None:
    """Return once the calendars of all symbols are loaded."""
    for symbol in symbols:
        if not calendars_in_force().holds(symbol):
            await asyncio.to_thread(calendar_of, symbol)


class MarketCalendar:
    """Answers without the database: a calendar follows from a symbol's spelling."""

    def __init__(self, clock: MarketClock, calendars: CalendarHistory) -> None:
        """Today is what `clock` shows; a past moment is answered from `calendars`."""
        self._clock = clock
        self._calendars = calendars

    async def days(self, request: web.Request) -> web.StreamResponse:
        """GET /calendar/{symbol}; never immutable, since a newer library may know of another holiday."""
        symbol = request.match_info["symbol"]
        await load_calendars([symbol])
        ask = calendar_request(symbol, request.query.items(), calendar_of(symbol), self._clock.now_us())
        if ask.as_of is not None:
            check_not_future(ask.as_of, wall_us())
        book = calendars_in_force() if ask.as_of is None else self._calendars.at(ask.as_of)
        data, meta = await asyncio.to_thread(calendar_answer, ask, book)
        return await cacheable(data, meta, request, immutable=False)

    serves: ClassVar[Serves] = ((CALENDAR, days),)
