"""What polled streams missed is told before anything else is."""

from __future__ import annotations

from typing import Any, cast

import pytest

from producers.collecting.shell.starting import tell_missed
from producers.plan.plan import PollPlan
from producers.plan.tasks import BarsTask, OptionsTask, QuotesTask
from producers.raw.watched import WatchedStreams
from schemas.calendar.sessions import calendar_of
from schemas.intervals import DAY_US, MINUTE_US
from schemas.streams import StreamId
from tests.support.builders import NINE_THIRTY
from tests.support.producer_fakes import RecordingTopics, a_router

NOW = NINE_THIRTY + 60 * MINUTE_US
CALENDARS = {"SPY": calendar_of("SPY")}


def a_plan() -> PollPlan:
    """Return a plan of SPY's bars and quotes, of Yahoo and, held ready, of Finnhub."""
    names = ("yahoo", "finnhub")
    return PollPlan(
        bars=[
            BarsTask(provider=name, symbol="SPY", interval="1m", every_us=MINUTE_US, overlap_us=MINUTE_US)
            for name in names
        ],
        quotes=[QuotesTask(provider=name, symbols=("SPY",), every_us=MINUTE_US) for name in names],
    )


async def told(**changes: Any) -> list[tuple[str, str, str, int | None, int]]:
    """Return the holes told: provider, symbol, interval, from and to."""
    raw, plan = RecordingTopics(), a_plan()
    given = {"new": frozenset(plan.polled_streams()), "cursors": {}} | changes
    router = a_router("yahoo", "finnhub")
    await tell_missed(plan, raw=cast(Any, raw), router=router, calendars=CALENDARS, now=NOW, **given)
    return [
        (entry.block.provider, hole.symbol, hole.interval, hole.from_time, hole.to_time)
        for entry in raw.placed
        for hole in entry.block.discontinuities
    ]


async def test_every_new_stream_of_who_serves_has_a_hole_since_its_cursor() -> None:
    """Since nobody knows when where there is no cursor; whoever is held ready has missed nothing."""
    (bars,) = [
        stream for stream in a_plan().polled_streams() if stream.interval and stream.provider == "yahoo"
    ]

    assert await told(cursors={bars: NINE_THIRTY}) == [
        ("yahoo", "SPY", "1m", NINE_THIRTY, NOW),
        ("yahoo", "SPY", "", None, NOW),
    ]


async def test_a_stream_that_goes_on_has_missed_nothing() -> None:
    """Only what is new in a plan is told of."""
    assert await told(new=frozenset()) == []


async def test_what_a_start_told_is_not_missed_a_second_time() -> None:
    """Watching counts from there: neither polls that fail after it nor another start tell it again; others say nothing."""
    raw, plan = RecordingTopics(), a_plan()
    (quotes,) = [each for each in plan.polled_streams() if not each.interval and each.provider == "yahoo"]
    new, router = frozenset(plan.polled_streams()), a_router("yahoo", "finnhub")

    for now in (NOW, NOW + MINUTE_US):
        await tell_missed(
            plan, new, {quotes: NINE_THIRTY}, raw=cast(Any, raw), router=router, calendars=CALENDARS, now=now
        )

    told = [(hole.from_time, hole.to_time) for hole in raw.holes if not hole.interval]
    assert told == [(NINE_THIRTY, NOW), (NOW, NOW + MINUTE_US)]
    assert raw.watched.since(list(new), {}).keys() == {each for each in new if not each.interval}


async def test_what_another_provider_served_is_told_before_what_nobody_watched() -> None:
    """Bars of more than a day are not gone back over, and were not absent; those of less are fetched, and need no word."""
    raw, plan = RecordingTopics(), a_plan()
    own, other = (StreamId("bars", "1m", name, "SPY") for name in ("yahoo", "finnhub"))
    killed, new = NOW - 5 * MINUTE_US, frozenset(plan.polled_streams())
    for left in (NOW - 2 * DAY_US, NOW - DAY_US):
        raw.watched = WatchedStreams()
        raw.watched.note([own], left)
        raw.watched.note([other], killed)
        await tell_missed(
            plan,
            new,
            {},
            raw=cast(Any, raw),
            router=a_router("yahoo", "finnhub"),
            calendars=CALENDARS,
            now=NOW,
        )

    assert [(hole.from_time, hole.to_time, hole.cause) for hole in raw.holes if hole.interval] == [
        (NOW - 2 * DAY_US, killed, "served_elsewhere"),
        (killed, NOW, "producer_down"),
        (killed, NOW, "producer_down"),
    ]


@pytest.mark.parametrize(
    ("stopped", "now", "is_told"),
    [
        pytest.param(NOW - 10 * MINUTE_US, NOW, False, id="shorter than polls may be late"),
        pytest.param(NOW - 40 * MINUTE_US, NOW, True, id="longer"),
        pytest.param(NINE_THIRTY - DAY_US, NOW, True, id="since a day before, a Sunday: the open was missed"),
        pytest.param(NINE_THIRTY - DAY_US, NINE_THIRTY + 8 * MINUTE_US, False, id="over a closed day, soon after the open"),
        pytest.param(None, NOW, False, id="never watched"),
    ],
)  # fmt: skip
async def test_a_stop_is_a_hole_in_a_chain_where_its_polls_would_have_been_late(
    stopped: int | None, now: int, is_told: bool
) -> None:
    """Chains are asked for every five minutes while options are traded: what nobody was to ask for is not missing."""
    raw = RecordingTopics()
    task = OptionsTask(
        provider="yahoo", symbol="SPY", every_us=5 * MINUTE_US, near_days=60, far_every_us=60 * MINUTE_US, is_by_expiry=True
    )  # fmt: skip
    plan, router = PollPlan(options=[task]), a_router("yahoo")
    if stopped is not None:
        raw.watched.note(task.streams, stopped)
    for _ in range(2):
        await tell_missed(
            plan,
            frozenset(task.streams),
            {},
            raw=cast(Any, raw),
            router=router,
            calendars=CALENDARS,
            now=now,  # type: ignore[arg-type]
        )

    assert [(hole.from_time, hole.to_time) for hole in raw.holes] == ([(stopped, now)] if is_told else [])
