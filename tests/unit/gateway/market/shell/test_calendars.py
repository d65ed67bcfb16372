"""Calendars are loaded before they are asked for, in a thread."""

from __future__ import annotations

import threading

import pytest

from gateway.market.shell.calendars import load_calendars
from schemas.calendar import sessions
from schemas.calendar.sessions import CalendarBook, calendars_in_force


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
