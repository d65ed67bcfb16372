"""Calendars are loaded before they are asked for, in a thread; `/calendar` never waits for one on the loop."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from gateway.http.problems import Problem
from gateway.http.shell.answers import REQUEST_ID, REVALIDATE
from gateway.market.shell.calendars import MarketCalendar, load_calendars
from infra.runtime.clock import WallMarketClock
from schemas.calendar import market_days, sessions
from schemas.calendar.history import AnnouncedOverlay, CalendarHistory
from schemas.calendar.overlay import NO_OVERLAY, overlay_of
from schemas.calendar.sessions import CalendarBook, calendars_in_force
from schemas.clocks import WallTime
from schemas.intervals import micros


async def test_the_first_of_a_market_is_loaded_off_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for a market, whatever is asked; texts that are no symbols cost nothing."""
    monkeypatch.setattr(sessions._InForce, "book", CalendarBook())  # noqa: SLF001 - no other test's calendars
    loaded: list[tuple[str, bool]] = []
    load = sessions.load_calendar

    def noted(name: str, *given: object) -> sessions.Calendar:
        loaded.append((name, threading.current_thread() is threading.main_thread()))
        return load(name, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(sessions, "load_calendar", noted)
    await load_calendars(["VOD.L", "BARC.L", "^FTSE", "SIM001", "", "what is this"])

    assert loaded == [("XLON", False), ("24/7", False), ("none", False)]
    assert all(calendars_in_force().holds(symbol) for symbol in ("HSBA.L", "BTC-USD", "^XYZ"))
    await load_calendars(["HSBA.L", "^XYZ"])
    assert len(loaded) == 3


async def test_a_past_moment_is_answered_by_the_calendars_that_counted_then_and_off_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The closure of the newest generation is not known before it counts; nothing is loaded on the loop."""
    closing = overlay_of({"XNYS": ["2026-03-10"]}, {})
    appended = micros(datetime(2026, 3, 9, 12, tzinfo=UTC))
    history = CalendarHistory()
    history.take(
        [AnnouncedOverlay(1, WallTime(0), NO_OVERLAY), AnnouncedOverlay(2, WallTime(appended), closing)]
    )
    monkeypatch.setattr(sessions._InForce, "book", CalendarBook(closing))  # noqa: SLF001 - no other test's calendars
    on_loop: list[str] = []
    load = sessions.load_calendar

    def noted(name: str, *given: object) -> sessions.Calendar:
        if threading.current_thread() is threading.main_thread():
            on_loop.append(name)
        return load(name, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(sessions, "load_calendar", noted)
    monkeypatch.setattr(market_days, "load_calendar", noted)
    served = MarketCalendar(WallMarketClock(), history)

    async def status(as_of: str) -> tuple[str, str]:
        query = f"/calendar/SPY?start=2026-03-10&end=2026-03-11{as_of}"
        request = make_mocked_request("GET", query, match_info={"symbol": "SPY"})
        request[REQUEST_ID] = "one"
        answer = await served.days(request)
        assert isinstance(answer, web.Response) and isinstance(answer.body, bytes)
        assert answer.headers["Cache-Control"] == REVALIDATE and answer.headers["ETag"]
        body = orjson.loads(answer.body)
        return body["data"][0]["status"], body["meta"]["as_of"]

    assert await status("") == ("holiday", None)
    assert await status("&as_of=2026-03-09T12:00:05Z") == ("trading", "2026-03-09T12:00:05.000000Z")
    assert (await status("&as_of=2026-03-09T12:01:00Z"))[0] == "holiday"
    assert on_loop == []


async def test_an_answer_the_caller_has_is_not_sent_again_and_the_future_is_refused() -> None:
    """304 by its tag; nobody knows yet what will be known."""
    served = MarketCalendar(WallMarketClock(), CalendarHistory())
    query = "/calendar/BTC-USD?start=2026-03-10&end=2026-03-11"

    async def get(path: str, tag: str = "") -> web.StreamResponse:
        request = make_mocked_request(
            "GET", path, headers={"If-None-Match": tag}, match_info={"symbol": "BTC-USD"}
        )
        request[REQUEST_ID] = "one"
        return await served.days(request)

    first = await get(query)
    assert (first.status, (await get(query, first.headers["ETag"])).status) == (200, 304)
    with pytest.raises(Problem) as refused:
        await get(f"{query}&as_of=2199-01-01T00:00:00Z")
    assert refused.value.errors[0].code == "in_future"
