"""Answers of a pinned moment while a generation of calendars arrives: what they were made by decides whether they stand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from gateway.database.gap_pages import NO_GAPS
from gateway.entries.shell.actions import action_versions
from gateway.http.shell.answers import IMMUTABLE, REQUEST_ID, REVALIDATE
from gateway.market.shell.gaps import Ledger
from gateway.market.shell.history import BesideBars, History
from gateway.market.shell.naming import Naming
from infra.runtime.clock import WallMarketClock
from schemas.calendar.history import AnnouncedOverlay, CalendarHistory
from schemas.calendar.overlay import NO_OVERLAY, overlay_of
from schemas.calendar.sessions import calendars_in_force
from schemas.clocks import WallTime
from schemas.intervals import MINUTE_US, SECOND_US, micros
from schemas.symbology.naming import Symbology

AS_OF = micros(datetime(2026, 3, 11, 15, tzinfo=UTC))
GAPS = "/gaps?symbol=SPY&as_of=2026-03-11T15:00:00Z&start=2026-03-09T00:00:00Z"
BARS = "/stocks/SPY/history?interval=1m&as_of=2026-03-11T15:00:00Z&start=2026-03-09T14:00:00Z&end=2026-03-09T15:00:00Z"


class _Store:
    """A database without a row; `meanwhile` happens while it reads."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self._meanwhile = meanwhile
        self.closed: list[int] = []
        self.loaded: list[bool] = []

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[_Store]:
        yield self

    async def gaps(self, *_: object, **__: object) -> object:
        self.closed.append(len(calendars_in_force().overlay.of("XNYS").closed))
        self.loaded.append(calendars_in_force().holds("SPY"))
        self._meanwhile()
        return NO_GAPS

    async def nothing(self, *_: object, **__: object) -> list[object]:
        return []

    async def sources(self, *_: object) -> tuple[list[str], list[str]]:
        return [], []

    async def complete_before(self, *_: object) -> int:
        return AS_OF

    async def knows(self, _symbol: str) -> bool:
        return True

    async def unknown(self, *_: object) -> None:
        return None

    async def known_then(self, *_: object) -> int:
        return AS_OF

    bars = fetch = nothing
    kept_from = unknown
    evidence_known = first_known = was_known = known_then


class _Reached:
    def through(self, *_: object) -> int:
        return AS_OF

    async def reached(self, *_: object) -> None:
        """Everything is."""


def _ledger(store: Any, calendars: CalendarHistory) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    return Ledger(store, _Reached(), calendars, 4, b"key", names=lambda _: True).gaps  # type: ignore[arg-type]


def _history(
    store: Any, calendars: CalendarHistory, reached: _Reached | None = None
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    clock = WallMarketClock()
    naming = Naming(Symbology(), clock)
    marks = reached or _Reached()
    beside = BesideBars(calendars=calendars, actions=action_versions, believed=lambda: ())
    known = {"names": lambda _: True, "partitions": 4, "beside": beside}
    return History(store, marks, clock, b"key", naming=naming, **known).history  # type: ignore[arg-type]


@pytest.mark.parametrize(("make", "path"), [(_ledger, GAPS), (_history, BARS)])
async def test_what_an_older_generation_answered_is_not_called_immutable(make: Any, path: str) -> None:
    """A gateway lags by a minute; the generation that counted then comes while it reads, and settles the moment after."""
    calendars = CalendarHistory()
    calendars.take([AnnouncedOverlay(1, WallTime(0), NO_OVERLAY)])
    calendars.read_through(WallTime(AS_OF - MINUTE_US))

    def catches_up() -> None:
        late = overlay_of({"XNYS": ["2026-03-10", "2026-03-12"]}, {})
        calendars.take([AnnouncedOverlay(2, WallTime(AS_OF - 30 * SECOND_US), late)])
        calendars.read_through(WallTime(AS_OF + MINUTE_US))

    store = _Store(catches_up)
    answers = [await make(store, calendars)(_request(path)) for _ in range(2)]

    assert store.closed == [0, 2]
    assert [each.headers["Cache-Control"] for each in answers] == [REVALIDATE, IMMUTABLE]


@pytest.mark.parametrize(("make", "path"), [(_ledger, GAPS), (_history, BARS)])
async def test_calendars_of_the_default_moment_are_loaded_off_the_loop(make: Any, path: str) -> None:
    """What the history of calendars judges by is no book that is in force: its first market costs a second as well."""
    calendars, store = CalendarHistory(), _Store(lambda: None)
    calendars.take([AnnouncedOverlay(1, WallTime(0), overlay_of({"XNYS": ["2026-03-10"]}, {}))])
    await make(store, calendars)(_request(path.replace("&as_of=2026-03-11T15:00:00Z", "")))

    assert (store.closed, store.loaded) == ([1], [True])


def _request(path: str) -> web.Request:
    request = make_mocked_request("GET", path, match_info={"symbol": "SPY"})
    request[REQUEST_ID] = "one"
    return request


async def test_where_nothing_was_known_yet_no_bar_is_looked_for() -> None:
    """A year of minutes that was imported later would be gone through, bar by bar, for an empty answer."""
    store = _Store(lambda: None)
    looked: list[object] = []

    async def bars(*asked: object, **_: object) -> list[object]:
        looked.append(asked)
        return []

    store.bars = bars  # type: ignore[method-assign]
    calendars = CalendarHistory()
    calendars.settle()
    await _history(store, calendars)(_request(BARS))
    assert looked
    looked.clear()

    async def was_known(*_: object) -> bool:
        return False

    store.was_known = was_known  # type: ignore[method-assign,assignment]
    await _history(store, calendars)(_request(BARS))
    assert not looked


async def test_one_question_about_one_moment_is_looked_up_once() -> None:
    """By the promise of `as_of` its answer stays; of the moment after it is looked up again."""
    store, looked = _Store(lambda: None), 0

    async def bars(*_: object, **__: object) -> list[object]:
        nonlocal looked
        looked += 1
        return []

    store.bars = bars  # type: ignore[method-assign]
    calendars, reached = CalendarHistory(), _Reached()
    calendars.settle()
    ask = _history(store, calendars, reached)
    of_now = BARS.replace("&as_of=2026-03-11T15:00:00Z", "")
    for _ in range(3):
        await ask(_request(of_now))
    assert looked == 1
    await ask(_request(of_now + "&limit=7"))
    assert looked == 2
    reached.through = lambda *_: AS_OF + 1  # type: ignore[method-assign]
    await ask(_request(of_now))
    assert looked == 3
