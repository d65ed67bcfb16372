"""One poll of entries: what is asked for, what is published, and what moves when Kafka has confirmed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, cast

import pytest

from infra.runtime.clock import Market
from producers.plan.tasks import ActionsTask, MacroTask
from producers.polling.entries import EARLIEST, MACRO_OVERLAP_DAYS
from producers.polling.schedule import AT_ONCE
from producers.polling.shell import entries_poll
from producers.polling.shell.entries_poll import ActionsPoll, MacroPoll
from producers.vendors.answers import ActionsRequest, Answer, MacroRequest, RejectedValue, Response
from schemas.calendar.sessions import calendar_of
from schemas.clocks import MarketTime, WallTime, day_of
from schemas.errors import BrokerUnavailable, MarketDataError, ProviderUnavailable
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from schemas.streams import StreamId
from tests.support.builders import NINE_THIRTY
from tests.support.entries import an_action, an_observation
from tests.support.producer_fakes import FixedClock, RecordingTopics

NOW = NINE_THIRTY
TODAY = day_of(calendar_of("AAPL").date_of(NOW))
EVERY_US = 6 * HOUR_US
SERIES = "FRED:GDPC1"
BAD = RejectedValue(symbol="AAPL", reason="invalid_record", message="ratio 0:1", payload=b"{}")


class _Vendor:
    """Answers what it was given, or raises it, one after the other; the last of them for ever."""

    def __init__(self, *answers: Answer | MarketDataError) -> None:
        self.answers = list(answers) or [Answer()]
        self.asked: list[Any] = []

    async def actions(self, asked: ActionsRequest) -> Response:
        self.asked.append(asked)
        return self._next()

    async def macro(self, asked: MacroRequest) -> Response:
        self.asked.append(asked)
        return self._next()

    def _next(self) -> Response:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, MarketDataError):
            raise answer
        return Response(endpoint="actions", received_time=WallTime(7), answer=answer)


def actions_poll(
    vendor: _Vendor, raw: RecordingTopics, *symbols: str, clock: FixedClock | None = None
) -> ActionsPoll:
    task = ActionsTask(
        provider="alpaca",
        symbols=symbols or ("AAPL", "IBM"),
        every_us=EVERY_US,
        back_days=10,
        ahead_days=90,
    )
    return ActionsPoll(
        task,
        vendor,
        cast(Any, raw),
        market=Market(clock=clock or FixedClock(NOW)),
        calendars=[calendar_of("AAPL")],
        phase_us=SECOND_US,
    )


def macro_poll(vendor: _Vendor, raw: RecordingTopics, clock: FixedClock | None = None) -> MacroPoll:
    task = MacroTask(provider="fred", series=SERIES, every_us=HOUR_US)
    market = Market(clock=clock or FixedClock(NOW))
    return MacroPoll(task, vendor, cast(Any, raw), market=market, phase_us=SECOND_US)


def days(vendor: _Vendor) -> list[tuple[tuple[str, ...], int, int]]:
    return [(each.symbols, each.first - TODAY, each.last - TODAY) for each in vendor.asked]


async def test_all_is_asked_for_once_and_then_the_days_around_today() -> None:
    """Of each symbol for itself: what is new is asked for alone."""
    vendor, raw = _Vendor(), RecordingTopics()
    raw.watched.note([StreamId("actions", "", "alpaca", "AAPL")], NOW - 3 * DAY_US)
    poll = actions_poll(vendor, raw)

    await poll.poll(poll.symbols)
    await poll.poll(poll.symbols)

    assert days(vendor) == [
        (("AAPL",), -13, 90),
        (("IBM",), EARLIEST - TODAY, 90),
        (("AAPL", "IBM"), -10, 90),
    ]


async def test_decades_of_many_symbols_are_several_requests() -> None:
    """So that no answer has more pages than are read."""
    vendor, names = _Vendor(), tuple(f"SIM{number:03d}" for number in range(120))
    poll = actions_poll(vendor, RecordingTopics(), *names)

    await poll.poll(poll.symbols)

    assert [len(each.symbols) for each in vendor.asked] == [50, 50, 20]
    assert [name for each in vendor.asked for name in each.symbols] == list(names)


async def test_only_news_is_published_and_in_blocks_of_its_partition() -> None:
    """An action told again is nothing new; the answer's values that break a rule die alone, once."""
    first, second = an_action(), an_action(symbol="IBM")
    corrected = an_action(ratio_to=3.0)
    vendor = _Vendor(
        Answer(events=[first, second]),
        Answer(events=[first, second], rejected=[BAD]),
        Answer(events=[corrected, second], rejected=[BAD]),
    )
    raw = RecordingTopics()
    poll = actions_poll(vendor, raw)

    counts = [(await poll.poll(poll.symbols, job_id=f"job{number}")).events for number in range(3)]

    assert raw.events == [first, second, corrected]
    assert counts == [{"AAPL": 1, "IBM": 1}, {}, {"AAPL": 1}]
    assert {entry.block.route for entry in raw.placed} == {"primary"}
    assert [entry.block.job_id for entry in raw.placed] == ["job0", "job0", "job2"]
    assert [letter["topic"] for letter in raw.dead] == ["raw.actions.v1"]


async def test_a_large_answer_is_several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them holds up the loop, and all of it is there, in order."""
    monkeypatch.setattr(entries_poll, "PUBLISHED_AT_ONCE", 10)
    events = [an_observation(period_start=day, period_end=day + 91) for day in range(25)]
    raw = RecordingTopics()
    poll = macro_poll(_Vendor(Answer(events=events)), raw)

    polled = await poll.poll(poll.symbols)

    assert [len(entry.block.events) for entry in raw.placed] == [10, 10, 5]
    assert raw.events == events
    assert polled.events == {SERIES: 25}


@pytest.mark.parametrize("make", [actions_poll, macro_poll])
async def test_what_kafka_did_not_confirm_is_asked_for_and_published_again(
    make: Callable[..., ActionsPoll | MacroPoll],
) -> None:
    """From the beginning: nothing was watched, and no hole is told, for entries are told whole again."""
    event = an_action() if make is actions_poll else an_observation()
    vendor, raw = _Vendor(Answer(events=[event])), RecordingTopics()
    raw.failing = [BrokerUnavailable("away")]
    poll = make(vendor, raw)

    with pytest.raises(BrokerUnavailable):
        await poll.poll(poll.symbols)
    assert poll.asked_until(poll.symbols[0]) is None
    await poll.poll(poll.symbols)

    assert raw.events == [event]
    assert raw.holes == []
    assert [poll.asked_until(symbol) for symbol in poll.symbols] == [NOW] * len(poll.symbols)
    assert vendor.asked[0] == vendor.asked[1]


async def test_an_outage_tells_no_hole_and_is_made_up_for() -> None:
    """What failed for weeks is asked for from ten days before."""
    clock, raw = FixedClock(NOW), RecordingTopics()
    vendor = _Vendor(Answer(), ProviderUnavailable("away"), Answer())
    poll = actions_poll(vendor, raw, "AAPL", clock=clock)

    await poll.poll(poll.symbols)
    clock.now += 20 * DAY_US
    with pytest.raises(ProviderUnavailable):
        await poll.poll(poll.symbols)
    await poll.poll(poll.symbols)

    assert (raw.placed, raw.holes) == ([], [])
    assert vendor.asked[-1].first == TODAY - 10


async def test_what_the_vendor_does_not_name_is_not_asked_for_yet(caplog: pytest.LogCaptureFixture) -> None:
    """It is said once, another provider may have it, and it is asked for whole the next time."""
    vendor, raw = _Vendor(Answer(missing=["IBM"])), RecordingTopics()
    poll = actions_poll(vendor, raw)

    with caplog.at_level(logging.WARNING):
        polled = [await poll.poll(poll.symbols) for _ in range(2)]

    assert [record.symbol for record in caplog.records] == ["IBM"]  # type: ignore[attr-defined]
    assert set(polled[0].evidence.absent) == {"IBM"}
    assert poll.asked_until("IBM") is None
    assert poll.asked_until("AAPL") == NOW


async def test_a_probe_is_judged_and_not_published() -> None:
    """Nor does what is probed beside what is served move anything."""
    vendor, raw = _Vendor(Answer(events=[an_action(), an_action(symbol="IBM")])), RecordingTopics()
    poll = actions_poll(vendor, raw)
    raw.watched.note([poll.series("AAPL")], NOW)

    await poll.probe(["IBM"])
    polled = await poll.poll(["AAPL"], probed=["IBM"])

    assert [event["symbol"] for event in raw.events] == ["AAPL"]
    assert set(polled.evidence.asked) == {"AAPL", "IBM"}
    assert poll.asked_until("IBM") is None
    assert {each.first - TODAY for each in vendor.asked} == {-10}


async def test_a_series_is_asked_for_whole_once_and_then_since_it_was_asked() -> None:
    """Less a week, for what a source shows late; a failure in between makes the question longer."""
    clock, raw = FixedClock(NOW), RecordingTopics()
    vendor = _Vendor(Answer(events=[an_observation()]), ProviderUnavailable("away"), Answer())
    poll = macro_poll(vendor, raw, clock)
    asked = NOW // DAY_US

    await poll.poll(poll.symbols)
    clock.now += 9 * DAY_US
    with pytest.raises(ProviderUnavailable):
        await poll.poll(poll.symbols)
    await poll.poll(poll.symbols)
    await poll.poll(poll.symbols)

    since = [each.since for each in vendor.asked]
    before = asked - MACRO_OVERLAP_DAYS
    assert since == [None, before, before, before + 9]


def test_a_market_that_began_anew_has_been_asked_nothing() -> None:
    """What was asked ahead of it is of another market."""
    raw = RecordingTopics()
    raw.watched.note([StreamId("macro", "", "fred", SERIES)], NOW + 1)

    assert macro_poll(_Vendor(), raw).asked_until(SERIES) is None


def test_the_first_poll_has_its_place_where_time_passes() -> None:
    """And is at once where it does not."""
    paced, raw = macro_poll(_Vendor(), RecordingTopics()), RecordingTopics()
    standing = macro_poll(_Vendor(), raw, FixedClock(NOW, speed=float("inf")))

    assert (paced.first_due(), standing.first_due()) == (NOW + SECOND_US, AT_ONCE)
    saturday = MarketTime(NOW + 5 * DAY_US + 13 * MINUTE_US)
    closed = macro_poll(_Vendor(), raw, FixedClock(saturday))
    assert saturday < closed.next_due() <= saturday + HOUR_US


@pytest.mark.parametrize("make", [actions_poll, macro_poll])
@pytest.mark.parametrize("is_probe", [False, True])
async def test_a_slot_that_begins_while_a_source_answers_is_not_left_out(
    make: Callable[..., ActionsPoll | MacroPoll], *, is_probe: bool
) -> None:
    """However little before its beginning was asked: what is said in it would be known a whole cadence late."""
    clock = FixedClock(NOW)

    class _Slow(_Vendor):
        def _next(self) -> Response:
            clock.now += 400_000
            return super()._next()

    poll = make(_Slow(), RecordingTopics(), clock=clock)
    begins = poll.next_due()
    clock.now = begins - 150_000

    polled = await (poll.probe(poll.symbols) if is_probe else poll.poll(poll.symbols))

    assert clock.now > begins
    assert polled.due_us == begins
    clock.now = begins
    assert (await poll.poll(poll.symbols)).due_us == begins + poll.every_us


async def test_what_a_source_said_is_asked_for_again_once() -> None:
    """Since a day, or all of it; the poll after that goes on from the last answer, and a failed one keeps no wish."""
    vendor, raw = _Vendor(), RecordingTopics()
    raw.watched.note([StreamId("macro", "", "fred", SERIES)], NOW)
    poll = macro_poll(vendor, raw)

    for start in (1, (TODAY - 30) * DAY_US, NOW):
        poll.ask_from(MarketTime(start))
        await poll.poll(poll.symbols)
    await poll.poll(poll.symbols)

    overlap = MACRO_OVERLAP_DAYS
    since = [None if each.since is None else TODAY - each.since for each in vendor.asked]
    assert since == [None, 30, overlap, overlap]


async def test_a_source_is_told_whether_standard_times_count() -> None:
    """As the configuration has it, from the next poll on."""
    vendor, raw = _Vendor(), RecordingTopics()
    poll = macro_poll(vendor, raw)
    await poll.poll(poll.symbols)
    poll.exchange(
        MacroTask(provider="fred", series=SERIES, every_us=HOUR_US, scheduled=True), vendor, SECOND_US
    )
    await poll.poll(poll.symbols)

    assert [each.scheduled for each in vendor.asked] == [False, True]
