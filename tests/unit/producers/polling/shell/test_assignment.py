"""From a plan to polls: where each begins, what goes on, what is shared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from infra.runtime.clock import Market
from producers.plan.plan import PollPlan
from producers.plan.tasks import ActionsTask, BarsTask, MacroTask, QuotesTask
from producers.polling.schedule import first_position
from producers.polling.shell.assignment import Assignment, Polls, cadences_of, markets_of
from producers.polling.slots import Duty, slot_of
from producers.polling.timeliness import CadenceGroup, PlannedCadence
from producers.vendors.answers import Answer, BarsRequest, PollWindow, Response
from schemas.calendar.sessions import calendar_of
from schemas.clocks import MarketTime
from schemas.intervals import HOUR_US, MINUTE_US
from schemas.streams import StreamId
from tests.support.builders import NINE_THIRTY
from tests.support.producer_fakes import FixedClock, RecordingTopics, a_router

NOW = NINE_THIRTY + 3 * HOUR_US
SPY = calendar_of("SPY")


class _Vendor:
    """Answers nothing, and keeps what it was asked for."""

    def __init__(self) -> None:
        self.windows: list[PollWindow] = []

    async def bars(self, asked: BarsRequest) -> Response:
        self.windows.append(asked.window)
        return Response(endpoint="chart", received_time=7, answer=Answer())


class _Vendors:
    """Two of them."""

    def __init__(self) -> None:
        self.apis = {"yahoo": _Vendor(), "finnhub": _Vendor(), "fred": _Vendor()}


def bars(provider: str, symbol: str = "SPY", every_us: int = MINUTE_US) -> BarsTask:
    return BarsTask(
        provider=provider, symbol=symbol, interval="1m", every_us=every_us, overlap_us=5 * MINUTE_US
    )


def assigned(
    plan: PollPlan,
    vendors: _Vendors | None = None,
    *,
    cursors: dict[StreamId, int] | None = None,
    start: int | None = None,
) -> Assignment:
    return Assignment(
        plan=plan,
        vendors=cast(Any, vendors or _Vendors()),
        market=Market(clock=FixedClock(NOW)),
        calendars={"SPY": SPY, "IBM": SPY},
        cursors=cursors or {},
        start=start,
        simulated=frozenset(),
    )


def some_polls(duty: Duty | None = None) -> Polls:
    raw, router = cast(Any, RecordingTopics()), a_router("yahoo", "finnhub")
    return Polls(raw=raw, router=router, duty=duty or Duty(4))


async def begun(assignment: Assignment, vendors: _Vendors, provider: str = "yahoo") -> int:
    """Return where the first poll of SPY's bars begins, without its overlap."""
    polls = some_polls()
    polls.exchange(assignment)
    poll = polls.bars(provider, "bars:1m", "SPY")
    assert poll is not None
    await poll.poll(poll.symbols)
    return vendors.apis[provider].windows[0].start + 5 * MINUTE_US


async def test_bars_begin_at_their_cursor_the_data_or_the_day() -> None:
    """A cursor that lies ahead of the market is none."""
    vendors, plan, key = _Vendors(), PollPlan(bars=[bars("yahoo")]), StreamId("bars", "1m", "yahoo", "SPY")
    ahead = {key: NOW + HOUR_US}

    assert await begun(assigned(plan, vendors, cursors={key: NOW - HOUR_US}), vendors) == NOW - HOUR_US
    for provider in vendors.apis.values():
        provider.windows.clear()
    assert await begun(assigned(plan, vendors, start=NINE_THIRTY), vendors) == NINE_THIRTY
    for provider in vendors.apis.values():
        provider.windows.clear()
    assert await begun(assigned(plan, vendors, cursors=ahead), vendors) == first_position(NOW, SPY)


async def test_a_provider_without_a_cursor_begins_where_the_one_that_serves_had_come() -> None:
    """What was served is not fetched again from the beginning of the day."""
    vendors = _Vendors()
    cursors = {StreamId("bars", "1m", "yahoo", "SPY"): NOW - HOUR_US}
    plan = PollPlan(bars=[bars("yahoo"), bars("finnhub")])

    assert await begun(assigned(plan, vendors, cursors=cursors), vendors, "finnhub") == NOW - HOUR_US


def test_polls_of_the_same_streams_go_on_in_another_plan() -> None:
    """With another cadence they are the same poll; those that are no more are gone."""
    polls, plan = some_polls(), PollPlan(bars=[bars("yahoo"), bars("yahoo", "IBM")])
    polls.exchange(assigned(plan))
    before = polls.bars("yahoo", "bars:1m", "SPY")
    slower = PollPlan(bars=[bars("yahoo", every_us=5 * MINUTE_US)])

    polls.exchange(assigned(slower))
    after = polls.bars("yahoo", "bars:1m", "SPY")

    assert after is before
    assert after is not None
    assert after.every_us == 5 * MINUTE_US
    assert polls.bars("yahoo", "bars:1m", "IBM") is None


def test_a_stream_that_was_polled_by_others_is_not_behind() -> None:
    """A takeover of partitions does not walk through what its predecessor has done."""
    duty = Duty(4)
    duty.done("bars:1m", ["SPY"], NOW)
    polls = some_polls(duty)

    polls.exchange(assigned(PollPlan(bars=[bars("yahoo"), bars("yahoo", "IBM")])))
    behind = {symbol: polls.bars("yahoo", "bars:1m", symbol) for symbol in ("SPY", "IBM")}

    assert {symbol: poll.is_behind for symbol, poll in behind.items() if poll} == {"SPY": False, "IBM": True}


def test_a_symbols_quotes_are_found_whatever_request_they_are_part_of() -> None:
    """By the provider that was asked for."""
    quotes = QuotesTask(provider="yahoo", symbols=("SPY", "IBM"), every_us=MINUTE_US)
    polls = some_polls()
    polls.exchange(assigned(PollPlan(quotes=[quotes], bars=[bars("finnhub")])))

    found = polls.covering("yahoo", "quotes", "IBM")

    assert found is not None
    assert tuple(found.symbols) == ("SPY", "IBM")
    assert polls.covering("yahoo", "quotes", "QQQ") is None
    assert polls.covering("finnhub", "quotes", "IBM") is None


ACTIONS = ActionsTask(
    provider="yahoo", symbols=("SPY", "IBM"), every_us=6 * HOUR_US, back_days=1, ahead_days=1
)
GDP = MacroTask(provider="fred", series="FRED:GDPC1", every_us=HOUR_US)
ENTRIES = PollPlan(actions=[ACTIONS], macro=[GDP])


def test_entries_are_found_by_their_symbol_or_their_series() -> None:
    """A series is asked of nobody but its source."""
    polls = some_polls()
    polls.exchange(assigned(ENTRIES))

    found = polls.covering("yahoo", "actions", "IBM")

    assert found is not None
    assert tuple(found.symbols) == ("SPY", "IBM")
    assert (polls.source_of("FRED:GDPC1"), polls.source_of("FRED:DFF")) == ("fred", "")
    assert polls.alone("fred", "macro", "FRED:GDPC1") is not None


def test_a_restart_asks_for_no_entries_of_a_slot_that_was_asked() -> None:
    """Watched time outlives the process: five hours ago is this slot of SPY's, what nobody noted is open."""
    duty = Duty(4)
    polls = some_polls(duty)
    task = replace(ACTIONS, every_us=24 * HOUR_US)
    polls.raw.watched.note([StreamId("actions", "", "yahoo", "SPY")], NOW - 5 * HOUR_US)
    polls.raw.watched.note([GDP.streams[0]], NOW - 5 * HOUR_US)

    polls.exchange(assigned(replace(ENTRIES, actions=[task])))
    (poll, series) = (polls.covering("yahoo", "actions", "SPY"), polls.alone("fred", "macro", GDP.series))

    assert poll is not None
    assert series is not None
    slot = slot_of(MarketTime(NOW), every_us=poll.every_us, phase_us=poll.phase_us)
    assert duty.asked("actions", poll.symbols, slot) == ("IBM",)
    assert duty.asked("macro", series.symbols, MarketTime(NOW - HOUR_US)) == (GDP.series,)


def test_polls_of_entries_go_on_in_another_plan() -> None:
    """What they told is not told again for another cadence."""
    polls = some_polls()
    polls.exchange(assigned(ENTRIES))
    before = {name: dict(each) for name, each in polls.by_provider.items()}
    slower = [replace(ACTIONS, every_us=8 * HOUR_US)]

    polls.exchange(assigned(PollPlan(actions=slower, macro=[replace(GDP, every_us=2 * HOUR_US)])))

    after = [poll for each in polls.by_provider.values() for poll in each.values()]
    assert {id(poll) for poll in after} == {id(poll) for each in before.values() for poll in each.values()}
    assert {poll.every_us for poll in after} == {8 * HOUR_US, 2 * HOUR_US}


def test_cadences_are_counted_by_capability_provider_and_tier() -> None:
    """All symbols of a group are one plan."""
    plan = PollPlan(
        bars=[bars("yahoo"), bars("yahoo", "IBM")],
        quotes=[QuotesTask(provider="yahoo", symbols=("SPY",), every_us=5, tier="T0")],
    )

    assert cadences_of(plan) == {
        CadenceGroup("bars:1m", "yahoo", "T1"): PlannedCadence(every_us=MINUTE_US, symbols=["SPY", "IBM"]),
        CadenceGroup("quotes", "yahoo", "T0"): PlannedCadence(every_us=5, symbols=["SPY"]),
    }
    assert markets_of({"SPY": SPY, "IBM": SPY}, ["SPY", "IBM"]) == [SPY]


async def test_a_start_knows_how_far_another_provider_had_come() -> None:
    """Who served alone for more than a day is gone on from; less is gone back over. One that stored nothing goes on, too."""
    own, other = (StreamId("bars", "1m", name, "SPY") for name in ("yahoo", "finnhub"))
    plan = PollPlan(bars=[bars("yahoo"), bars("finnhub")])
    begins = []
    for cursors in ({own: NOW - 49 * HOUR_US}, {own: NOW - 5 * HOUR_US}, {}, {own: NOW - MINUTE_US}):
        vendors = _Vendors()
        given = {other: NOW - HOUR_US, **cursors}
        begins.append(NOW - await begun(assigned(plan, vendors, cursors=given), vendors))

    assert begins == [HOUR_US, 5 * HOUR_US, HOUR_US, MINUTE_US]
