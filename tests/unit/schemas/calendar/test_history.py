"""Calendars of a past moment, and who judges by them."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, date, datetime, timedelta

import pytest

from schemas.calendar import sessions
from schemas.calendar.history import COUNTS_AFTER_US, HELD_BOOKS, AnnouncedOverlay, CalendarHistory
from schemas.calendar.overlay import NO_OVERLAY, CalendarOverlay, overlay_of
from schemas.calendar.sessions import CalendarBook, calendar_of, calendars_in_force, judging_by
from schemas.clocks import KnowledgeTime, WallTime
from schemas.intervals import DAY_US, SECOND_US, micros

ONE = overlay_of({"XNYS": ["2026-03-10"]}, {})
TWO = overlay_of({"XNYS": ["2026-03-10", "2026-03-11"]}, {})
TENTH = micros(datetime(2026, 3, 10, 15, tzinfo=UTC))


def announced(number: int, at_s: int, overlay: object = ONE) -> AnnouncedOverlay:
    """Return what was announced at a second."""
    return AnnouncedOverlay(number, WallTime(at_s * SECOND_US), overlay)  # type: ignore[arg-type]


def closed_days(history: CalendarHistory, at_s: float) -> int:
    """Return how many days the calendars of a second close in New York."""
    return len(history.at(KnowledgeTime(int(at_s * SECOND_US))).overlay.of("XNYS").closed)


def test_each_moment_has_the_overlay_that_counted_then() -> None:
    """From ten seconds after it was announced, in whatever order and however often it was read."""
    told = [announced(3, 100), announced(5, 200, TWO), announced(7, 300, NO_OVERLAY)]
    for order in itertools.permutations(told):
        history = CalendarHistory()
        for each in (*order, order[0]):
            history.take([each])
        found = [
            closed_days(history, at_s) for at_s in (0, 109.999999, 110, 209.999999, 210, 309, 310, 9_999)
        ]
        assert found == [1, 1, 1, 1, 2, 2, 0, 0]


def test_a_generation_that_says_the_same_changes_nothing() -> None:
    """Not even which book answers, so that what it has loaded stays loaded."""
    history = CalendarHistory()
    history.take([announced(1, 100)])
    book = history.at(KnowledgeTime(0))
    history.take([announced(2, 200), announced(3, 300, TWO), announced(4, 400)])

    assert history.at(KnowledgeTime(250 * SECOND_US)) is book
    assert history.at(KnowledgeTime(500 * SECOND_US)) is book


def test_a_broker_whose_clock_went_back_does_not_reorder_generations() -> None:
    """The newer counts no earlier than the older."""
    history = CalendarHistory()
    history.take([announced(1, 10, NO_OVERLAY), announced(2, 900), announced(3, 300, TWO)])

    assert [closed_days(history, at_s) for at_s in (500, 909, 910, 911)] == [0, 0, 1, 2]


def test_what_is_still_to_come_cannot_count_at_a_settled_moment() -> None:
    """Nothing is settled before the log was read; without a configuration everything is."""
    history, read = CalendarHistory(), 1_000 * SECOND_US
    assert not history.is_settled(KnowledgeTime(0))
    history.read_through(WallTime(read))
    moments = (read, read + COUNTS_AFTER_US // 2, read + COUNTS_AFTER_US // 2 + 1, read + DAY_US)
    assert [history.is_settled(KnowledgeTime(each)) for each in moments] == [True, True, False, False]
    history.settle()
    assert history.is_settled(KnowledgeTime(read + 99_999 * DAY_US))


def test_thousands_of_overlays_are_not_held_at_once() -> None:
    """A caller walks through all that ever was; the book of now, which everybody asks for, stays loaded."""
    history, days = CalendarHistory(), range(1, 2_001)
    year = datetime(2031, 1, 1, tzinfo=UTC)
    overlays = [overlay_of({"XNYS": [f"{year + timedelta(days=day):%Y-%m-%d}"]}, {}) for day in days]
    history.take([announced(day, 60 * day, overlay) for day, overlay in zip(days, overlays, strict=True)])
    newest = history.at(KnowledgeTime(10**9 * SECOND_US))
    newest.calendar_of("BTC-USD")
    books = list[CalendarBook]()
    for day in days[:-1]:
        book = history.at(KnowledgeTime((60 * day + 11) * SECOND_US))
        assert book.calendar_of("BTC-USD").always_open
        books.append(book)
        assert history.at(KnowledgeTime(10**9 * SECOND_US)).holds("BTC-USD")

    assert len({id(book) for book in books}) == len(books)
    assert sum(book.holds("BTC-USD") for book in books) == HELD_BOOKS - 1


def test_without_a_history_what_is_in_force_answers() -> None:
    """A broker that never answered is no reason to answer nothing."""
    assert CalendarHistory().at(KnowledgeTime(0)) is calendars_in_force()


async def test_one_task_judges_by_another_moment_and_others_do_not() -> None:
    """Threads it starts do as it does; afterwards it judges as before."""
    book, inside, leave = CalendarBook(ONE), asyncio.Event(), asyncio.Event()

    async def judge() -> list[bool]:
        with judging_by(book):
            inside.set()
            await leave.wait()
            then = [is_open(), await asyncio.to_thread(is_open)]
        return [*then, is_open()]

    task = asyncio.create_task(judge())
    await inside.wait()
    beside = is_open()
    leave.set()

    assert (beside, await task) == (True, [False, False, True])


def is_open() -> bool:
    """Whether New York trades at eleven on 10 March 2026, as far as this task judges."""
    return calendar_of("SPY").session_at(TENTH) is not None  # type: ignore[arg-type]


def test_thousands_of_generations_cost_what_each_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was known before makes no calendars once more, be it told again or among 3,000 that differ."""
    made: list[CalendarOverlay] = []

    def counted(overlay: CalendarOverlay) -> str:
        made.append(overlay)
        return ""

    monkeypatch.setattr(sessions, "calendar_fingerprint", counted)
    days = [(date(2001, 1, 1) + timedelta(days=number)).isoformat() for number in range(40)]
    told = [
        announced(number, 60 * number, overlay_of({"XHKG": [days[number % 40]]}, {}))
        for number in range(3_000)
    ]
    history = CalendarHistory()
    history.take(told)
    assert len(made) == 40
    history.take([announced(3_001, 180_060, overlay_of({"XHKG": days[:2]}, {})), told[7]])
    assert len(made) == 41
