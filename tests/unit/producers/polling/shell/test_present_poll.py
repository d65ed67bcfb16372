"""Polls of the present: when a poll after one is late, and whose streams a task serves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from infra.runtime.clock import UNPACED, Market
from producers.plan.tasks import QuotesTask
from producers.polling.shell.present_poll import LATE_CADENCES, PresentPoll
from schemas.calendar.sessions import Calendar, calendar_of
from schemas.clocks import MarketTime
from schemas.intervals import HOUR_US, MINUTE_US, SECOND_US
from schemas.streams import QUOTE_STREAM, StreamId
from tests.support.builders import NINE_THIRTY
from tests.support.producer_fakes import FixedClock, RecordingTopics

NOW = NINE_THIRTY + HOUR_US
EVERY_US, WAIT_US = 10 * SECOND_US, MINUTE_US
SPY = StreamId("quotes", "", "yahoo", "SPY")


class EveryMinute(PresentPoll[QuotesTask]):
    """Polls a minute after each other, though the cadence says ten seconds."""

    stream = QUOTE_STREAM
    topic = QUOTE_STREAM.raw_topic
    calendars: Sequence[Calendar] = (calendar_of("SPY"),)
    phase_us = 0

    def _due_after(self, moment: MarketTime) -> MarketTime:
        return MarketTime(moment + WAIT_US)

    async def fail(self, cause: str, now: int) -> None:
        """Note that nobody answered."""
        await self._not_watched(self.symbols, cause, MarketTime(now))

    def missed(self, now: int) -> list[tuple[int | None, int, str]]:
        """Return what was missed until now, told when it is served again."""
        holes = self._missed(self._streams(self.symbols), MarketTime(now))
        return [(hole.from_time, hole.to_time, hole.cause) for hole in holes]


def a_poll(raw: RecordingTopics, clock: FixedClock) -> EveryMinute:
    """Return a poll of SPY."""
    task = QuotesTask(provider="yahoo", symbols=("SPY",), every_us=EVERY_US)
    return EveryMinute(task, task.symbols, cast(Any, raw), Market(clock=clock))


async def test_the_next_poll_is_due_as_its_heir_says() -> None:
    """After the moment the market's clock shows; there is nothing behind it to catch up with."""
    poll = a_poll(RecordingTopics(), FixedClock(NOW))
    assert poll.next_due() == NOW + WAIT_US
    assert not poll.is_behind


async def test_a_poll_is_late_two_cadences_after_the_one_that_was_due() -> None:
    """To the microsecond; and only where something failed meanwhile."""
    raw, clock = RecordingTopics(), FixedClock(NOW)
    poll = a_poll(raw, clock)
    raw.watched.note([SPY], NOW)
    late = NOW + WAIT_US + LATE_CADENCES * EVERY_US
    assert poll.missed(late + 1) == []
    await poll.fail("throttled", NOW + EVERY_US)
    assert poll.missed(late) == []
    assert poll.missed(late + 1) == [(NOW, late + 1, "throttled")]


async def test_where_time_stands_nothing_is_late() -> None:
    """A market that is played as fast as it goes has no cadence in hours of ours."""
    raw, clock = RecordingTopics(), FixedClock(NOW, speed=UNPACED)
    poll = a_poll(raw, clock)
    raw.watched.note([SPY], NOW)
    await poll.fail("throttled", NOW + EVERY_US)
    assert poll.missed(NOW + HOUR_US) == []


async def test_what_lasts_for_an_hour_is_told_while_it_lasts() -> None:
    """It may never be answered again."""
    raw, clock = RecordingTopics(), FixedClock(NOW)
    poll = a_poll(raw, clock)
    raw.watched.note([SPY], NOW)
    await poll.fail("budget", NOW + HOUR_US - 1)
    assert raw.holes == []
    await poll.fail("banned", NOW + HOUR_US)
    assert [(hole.from_time, hole.to_time, hole.cause) for hole in raw.holes] == [
        (NOW, NOW + HOUR_US, "budget")
    ]


def test_an_heir_that_says_nothing_of_when_is_none() -> None:
    """Each has sessions of its own to go by."""
    task = QuotesTask(provider="yahoo", symbols=("SPY",), every_us=EVERY_US)
    poll = type("Silent", (PresentPoll,), {"topic": QUOTE_STREAM.raw_topic})(
        task, task.symbols, cast(Any, RecordingTopics()), Market(clock=FixedClock(NOW))
    )
    with pytest.raises(NotImplementedError):
        poll.next_due()
