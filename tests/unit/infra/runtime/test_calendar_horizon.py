"""How far ahead calendars are known: shown for those in use, and warned of below 60 days."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from infra.runtime import calendar_horizon, metrics
from infra.runtime.calendar_horizon import HorizonWatch, horizons
from infra.runtime.lifecycle import Health
from schemas.calendar import sessions
from schemas.calendar.overlay import overlay_of
from schemas.calendar.sessions import CalendarBook, calendar_of
from schemas.intervals import DAY_US, micros

END = micros(datetime(2037, 1, 1, 5, tzinfo=UTC))  # of New York's year 2036


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process that has used no calendar, at 61 days before New York's ends."""
    monkeypatch.setattr(sessions._InForce, "book", CalendarBook())  # noqa: SLF001 - no other test's calendars
    monkeypatch.setattr(calendar_horizon, "wall_us", lambda: END - 61 * DAY_US)
    metrics.CALENDAR_HORIZON_DAYS.clear()
    yield
    metrics.CALENDAR_HORIZON_DAYS.clear()


def shown() -> dict[str, float]:
    """Return what the next scrape shows, by calendar."""
    head = 'mds_calendar_horizon_days{calendar="'
    lines = [line for line in metrics.render()[0].decode().splitlines() if line.startswith(head)]
    return {line.removeprefix(head).partition('"')[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_calendars_in_use_are_shown_and_no_others() -> None:
    """What never closes and what nobody knows have no horizon; a market joins when it is first asked for."""
    watch = HorizonWatch(Health())
    watch.look(END)
    assert shown() == {}
    for symbol in ("SPY", "BTC-USD", "^NSEI"):
        calendar_of(symbol)
    watch.look(END)
    assert shown() == {"XNYS": 61.0}
    calendar_of("7203.T")
    watch.look(END)
    assert shown() == {"XNYS": 61.0, "XTKS": 61.0 - 14 / 24}


def test_the_metric_is_computed_when_it_is_scraped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not when somebody looked last; and by the book in force, whatever was exchanged."""
    calendar_of("SPY")
    HorizonWatch(Health()).look(END - 61 * DAY_US)
    monkeypatch.setattr(calendar_horizon, "wall_us", lambda: END + DAY_US)
    sessions.put_in_force(overlay_of({"XNYS": ["2026-03-10"]}, {}))

    assert shown() == {"XNYS": -1.0}


def test_below_sixty_days_health_warns_and_the_log_says_it_once(caplog: pytest.LogCaptureFixture) -> None:
    """The service stays ready: what it judges today is right. Each calendar is one line."""
    caplog.set_level(logging.WARNING)
    health = Health()
    watch = HorizonWatch(health)
    calendar_of("SPY")

    watch.look(END - 60 * DAY_US)
    before = health.document()["calendars"]
    assert before["horizon_days"] == 60.0 and "warning" not in before
    for now in (END - 60 * DAY_US + 1, END - 59 * DAY_US, END, END + 20 * DAY_US):
        watch.look(now)
        part = health.document()["calendars"]
        assert part["ready"] and health.ready() and "XNYS" in part["warning"]
    assert part["horizon_days"] == -20.0
    calendar_of("VOD.L")
    watch.look(END - 30 * DAY_US)

    assert [(line.message, line.__dict__["calendar"]) for line in caplog.records] == [
        ("calendar_ends", "XNYS"),
        ("calendar_ends", "XLON"),
    ]


def test_without_a_calendar_in_use_there_is_nothing_to_say() -> None:
    """A system of coins has no horizon."""
    health = Health()
    calendar_of("BTC-USD")
    HorizonWatch(health).look(END)

    assert dict(horizons(sessions.calendars_in_force(), END)) == {}
    assert health.ready() and not {"horizon_days", "warning"} & health.document()["calendars"].keys()


async def test_it_looks_for_as_long_as_the_service_runs() -> None:
    """At once, and until it is cancelled."""
    health = Health()
    calendar_of("SPY")
    running = asyncio.ensure_future(HorizonWatch(health).run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running

    assert health.document()["calendars"]["horizon_days"] == 61.0
