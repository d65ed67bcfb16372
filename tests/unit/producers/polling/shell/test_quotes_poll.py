"""One poll of quotes: only news is published, and remembered only when Kafka has confirmed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any, cast

import pytest

from infra.runtime.clock import Market
from producers.plan.tasks import QuotesTask
from producers.polling.schedule import next_due
from producers.polling.shell.quotes_poll import QuotesPoll
from producers.raw.blocks import MAX_BLOCK_DISCONTINUITIES
from producers.vendors.answers import Answer, Response
from schemas.calendar.sessions import calendar_of
from schemas.clocks import MarketTime
from schemas.errors import (
    BrokerUnavailable,
    BudgetExhausted,
    MarketDataError,
    ProviderBanned,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
    UnknownSymbol,
)
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from schemas.partitions import partition_of
from schemas.records import Event, Evidence
from schemas.streams import StreamId
from schemas.topics import RAW_QUOTES
from stream_processors.block import process
from stream_processors.memory import PartitionState
from tests.support.builders import NINE_THIRTY, a_quote_event
from tests.support.producer_fakes import FixedClock, RecordingTopics

NOW = NINE_THIRTY + 3 * MINUTE_US
EVERY_US = 5 * SECOND_US
SPY, IBM = a_quote_event(), a_quote_event(symbol="IBM")


class _Vendor:
    """Answers what it was given, or raises it, one after the other; the last of them for ever."""

    def __init__(self, *answers: Answer | MarketDataError) -> None:
        self.answers = list(answers)
        self.asked: list[Sequence[str]] = []

    async def quotes(self, symbols: Sequence[str]) -> Response:
        self.asked.append(symbols)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, MarketDataError):
            raise answer
        return Response(endpoint="quote", received_time=7, answer=answer)


def quotes_poll(
    vendor: _Vendor,
    raw: RecordingTopics,
    newest: dict[str, Event] | None = None,
    *,
    clock: FixedClock | None = None,
    provider: str = "yahoo",
    symbols: Sequence[str] = ("SPY", "IBM"),
) -> QuotesPoll:
    return QuotesPoll(
        QuotesTask(provider=provider, symbols=tuple(symbols), every_us=EVERY_US),
        vendor,
        cast(Any, raw),
        market=Market(clock=clock or FixedClock(NOW)),
        calendars=[calendar_of("SPY")],
        phase_us=SECOND_US,
        newest=newest,
    )


async def test_only_changed_quotes_are_published() -> None:
    """Quotes of one response are compared symbol by symbol with what was delivered."""
    moved = a_quote_event(bid=167.39)
    raw = RecordingTopics()
    raw.failing = [BrokerUnavailable("away")]
    answers = [Answer(events=[SPY, IBM])] * 3 + [Answer(events=[moved, IBM])]
    poll = quotes_poll(_Vendor(*answers), raw)

    with pytest.raises(BrokerUnavailable):
        await poll.poll(poll.symbols)
    for _ in range(3):
        await poll.poll(poll.symbols)

    assert sorted(raw.events, key=str) == sorted([SPY, IBM, moved], key=str)


async def test_polls_of_one_provider_share_what_was_delivered() -> None:
    """A symbol that moved to another request is not published again for that."""
    raw, newest = RecordingTopics(), dict[str, Event]()
    await quotes_poll(_Vendor(Answer(events=[SPY])), raw, newest).poll(["SPY"])

    polled = await quotes_poll(_Vendor(Answer(events=[SPY, IBM])), raw, newest).poll(["SPY", "IBM"])

    assert raw.events == [SPY, IBM]
    assert polled.events == {"IBM": 1}


async def test_a_probe_asks_for_all_and_publishes_nothing() -> None:
    """What it brought is news to the poll after it."""
    raw = RecordingTopics()
    vendor = _Vendor(Answer(events=[SPY]), Answer(events=[SPY]))
    poll = quotes_poll(vendor, raw)

    probed = await poll.probe(["SPY", "IBM"])
    assert raw.placed == []
    await poll.poll(["SPY"])

    assert vendor.asked == [["SPY", "IBM"], ["SPY"]]
    assert raw.events == [SPY]
    assert probed.due_us == NOW + SECOND_US  # its place within the cadence


async def test_what_is_probed_beside_others_is_judged_and_not_published() -> None:
    """One request: the evidence is of both, the events of one; what is missing of the probed is not missed here."""
    raw = RecordingTopics()
    poll = quotes_poll(_Vendor(Answer(events=[SPY, IBM]), Answer(events=[SPY], missing=["IBM"])), raw)

    polled = await poll.poll(["SPY"], probed=["IBM"])
    await poll.poll(["SPY"], probed=["IBM"])

    assert set(polled.evidence.prices) == {"SPY", "IBM"}
    assert raw.events == [SPY]
    assert polled.events == {"SPY": 1}


async def test_a_symbol_without_a_quote_is_said_when_it_begins(caplog: pytest.LogCaptureFixture) -> None:
    """Not at every poll, and again after it had one."""
    missing, whole = Answer(events=[SPY], missing=["IBM"]), Answer(events=[SPY, IBM])
    poll = quotes_poll(_Vendor(missing, missing, whole, missing), RecordingTopics())

    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            await poll.poll(poll.symbols)

    said = [record for record in caplog.records if record.message == "symbol_without_quote"]
    assert [record.__dict__["symbol"] for record in said] == ["IBM", "IBM"]


BOTH = Answer(events=[SPY, IBM])
THROTTLED = ProviderThrottled("yahoo", 30.0)


async def polled(poll: QuotesPoll, clock: FixedClock, *moments: int) -> None:
    """Poll at each moment; the vendor's errors are the poller's to deal with."""
    for moment in moments:
        clock.now = moment
        with suppress(MarketDataError):
            await poll.poll(poll.symbols)


def told(raw: RecordingTopics) -> list[tuple[str, str, int | None, int, str]]:
    """Return what was told as missed: of whom, of what, from when to when, and why."""
    return [
        (entry.block.provider, hole.symbol, hole.from_time, hole.to_time, hole.cause)
        for entry in raw.placed
        for hole in entry.block.discontinuities
    ]


async def test_an_hour_of_429_is_one_stretch_of_each_symbol_and_is_told_before_what_follows() -> None:
    """From the last answer to the next, once, however often it was tried meanwhile; so the processor makes one gap of it."""
    raw, clock, end = RecordingTopics(), FixedClock(NOW), NOW + HOUR_US
    tries = range(NOW + EVERY_US, end, 30 * SECOND_US)
    moved = [a_quote_event(event_time=end, bid=1.0), a_quote_event(event_time=end, bid=1.0, symbol="IBM")]
    poll = quotes_poll(_Vendor(BOTH, *[THROTTLED] * len(tries), Answer(events=moved)), raw, clock=clock)

    await polled(poll, clock, NOW, *tries, end, end + EVERY_US)

    assert told(raw) == [("yahoo", name, NOW, end, "throttled") for name in ("SPY", "IBM")]
    state = PartitionState(
        raw_topic=RAW_QUOTES, partition=partition_of("SPY", raw.partitions), partitions=raw.partitions
    )
    evidence: list[Evidence] = []
    for offset, entry in enumerate(each for each in raw.placed if each.partition == state.partition):
        output = process(state, offset, end + DAY_US, entry.block)
        assert output.dead == []
        evidence += [each for each in output.evidence if each.kind == "blind" and each.symbol == "SPY"]
    assert [(each.from_time, each.to_time, each.cause) for each in evidence] == [(NOW, end, "throttled")]


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (BudgetExhausted("yahoo", 1.0, limit="100 a minute", setting="limits"), "budget"),
        (ProviderBanned("yahoo", 1.0), "banned"),
        (ProviderRefused("no"), "refused"),
        (ProviderUnavailable("down"), "provider_unavailable"),
        (UnknownSymbol("who"), "not_offered"),
    ],
)
async def test_the_first_failure_says_why(error: MarketDataError, cause: str) -> None:
    """What the vendor or our brakes say after it is a consequence."""
    raw, clock = RecordingTopics(), FixedClock(NOW)
    poll = quotes_poll(_Vendor(BOTH, error, THROTTLED, BOTH), raw, clock=clock)

    await polled(poll, clock, NOW, NOW + EVERY_US, NOW + 2 * EVERY_US, NOW + MINUTE_US)

    assert {each[4] for each in told(raw)} == {cause}


async def test_a_failure_that_is_made_up_for_and_a_slow_poll_are_not_told() -> None:
    """Three cadences may pass between two answers, and any time where nobody was asked and nothing failed."""
    raw, clock = RecordingTopics(), FixedClock(NOW)
    poll = quotes_poll(_Vendor(BOTH, THROTTLED, BOTH), raw, clock=clock)

    await polled(poll, clock, NOW, NOW + EVERY_US, NOW + 2 * EVERY_US)  # answered after it failed
    await polled(poll, clock, NOW + HOUR_US)

    assert told(raw) == []


async def test_a_symbol_the_vendor_leaves_out_was_not_watched() -> None:
    """Others of the same answer were."""
    raw, clock = RecordingTopics(), FixedClock(NOW)
    without = Answer(events=[SPY], missing=["IBM"])
    poll = quotes_poll(_Vendor(BOTH, *[without] * 4, BOTH), raw, clock=clock)
    moments = [NOW + number * EVERY_US for number in range(6)]

    await polled(poll, clock, *moments)

    assert told(raw) == [("yahoo", "IBM", NOW, moments[-1], "not_offered")]


async def test_a_symbol_that_never_was_has_nothing_to_lose() -> None:
    """Not even after a night of refusals."""
    raw, clock = RecordingTopics(), FixedClock(NOW)

    await polled(quotes_poll(_Vendor(THROTTLED, BOTH), raw, clock=clock), clock, NOW, NOW + DAY_US)

    assert told(raw) == []


async def test_whoever_answers_next_tells_what_nobody_watched() -> None:
    """In its own stream; and what another provider watched meanwhile is not missing."""
    raw, clock = RecordingTopics(), FixedClock(NOW)
    yahoo = quotes_poll(_Vendor(BOTH, THROTTLED, BOTH), raw, clock=clock)
    alpaca = quotes_poll(_Vendor(BOTH), raw, clock=clock, provider="alpaca")

    await polled(yahoo, clock, NOW, NOW + EVERY_US)
    await polled(alpaca, clock, NOW + MINUTE_US, NOW + HOUR_US)
    await polled(yahoo, clock, NOW + HOUR_US + EVERY_US)

    assert told(raw) == [("alpaca", name, NOW, NOW + MINUTE_US, "throttled") for name in ("SPY", "IBM")]


async def test_what_kafka_did_not_confirm_is_told_again() -> None:
    """From the same moment on."""
    raw, clock = RecordingTopics(), FixedClock(NOW)
    poll = quotes_poll(_Vendor(BOTH, THROTTLED, BOTH), raw, clock=clock, symbols=["SPY"])
    await polled(poll, clock, NOW, NOW + EVERY_US)
    raw.failing = [BrokerUnavailable("away")]

    await polled(poll, clock, NOW + MINUTE_US, NOW + 2 * MINUTE_US)

    assert told(raw) == [("yahoo", "SPY", NOW, NOW + 2 * MINUTE_US, "throttled")]


async def test_a_clock_that_steps_makes_no_stretch_of_its_own() -> None:
    """Nothing failed while it went forward; and a stretch never runs backwards."""
    raw, clock = RecordingTopics(), FixedClock(NOW)
    poll = quotes_poll(_Vendor(BOTH, BOTH, THROTTLED, BOTH), raw, clock=clock)

    await polled(poll, clock, NOW, NOW + HOUR_US, NOW + MINUTE_US, NOW + 2 * MINUTE_US)

    assert told(raw) == []


async def test_while_markets_are_closed_the_slow_cadence_counts() -> None:
    """A poll in fifteen minutes is no lapse there, though it failed; the first one that is late is told."""
    raw, evening = RecordingTopics(), NINE_THIRTY + 12 * HOUR_US
    clock = FixedClock(evening)
    poll = quotes_poll(_Vendor(BOTH, THROTTLED, BOTH, THROTTLED, BOTH), raw, clock=clock, symbols=["SPY"])
    quarter = 15 * MINUTE_US

    await polled(poll, clock, evening, evening + quarter - EVERY_US, evening + quarter + EVERY_US)
    assert told(raw) == []
    began = clock.now
    await polled(poll, clock, began + EVERY_US, began + DAY_US)

    assert told(raw) == [("yahoo", "SPY", began, began + DAY_US, "throttled")]


async def test_ten_thousand_symbols_cost_ten_times_a_thousand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is told once, in blocks of a few thousand, and the calendar is asked once for all of them."""
    asked: list[int] = []

    def counted(now: int, *given: Any, **named: Any) -> int:
        asked.append(now)
        return next_due(MarketTime(now), *given, **named)

    monkeypatch.setattr("producers.polling.shell.quotes_poll.next_due", counted)
    raw, clock = RecordingTopics(), FixedClock(NOW)
    symbols = [f"S{number}" for number in range(10_000)]
    poll = quotes_poll(_Vendor(Answer(), THROTTLED, Answer()), raw, clock=clock, symbols=symbols)

    await polled(poll, clock, NOW, NOW + EVERY_US, NOW + HOUR_US)

    assert sorted(each[1] for each in told(raw)) == sorted(symbols)
    assert max(len(entry.block.discontinuities) for entry in raw.placed) <= MAX_BLOCK_DISCONTINUITIES
    assert asked.count(NOW) == 2  # for the next poll, and once for what was missed


async def test_a_symbol_that_never_comes_back_is_told_every_hour_all_the_same() -> None:
    """Of the series that was watched, while its market is open, piece by piece without a hole between them."""
    raw, clock = RecordingTopics(), FixedClock(NOW)
    without = Answer(events=[SPY], missing=["IBM"])
    poll = quotes_poll(_Vendor(BOTH, without), raw, clock=clock)
    end = NOW + 3 * HOUR_US + MINUTE_US

    await polled(poll, clock, *range(NOW, end, MINUTE_US))
    pieces = told(raw)
    await polled(poll, clock, *range(NOW + 12 * HOUR_US, NOW + 14 * HOUR_US, MINUTE_US))

    hours = [NOW + number * HOUR_US for number in range(4)]
    assert pieces == [("yahoo", "IBM", start, stop, "not_offered") for start, stop in pairwise(hours)]
    assert told(raw) == pieces  # at night nothing could be watched


async def test_one_that_was_watched_of_another_provider_is_that_ones_to_tell() -> None:
    """A series nobody has ever seen has no hole."""
    raw, clock = RecordingTopics(), FixedClock(NOW)
    raw.watched.note([StreamId("quotes", "", "finnhub", "IBM")], NOW)
    poll = quotes_poll(_Vendor(Answer(events=[SPY], missing=["IBM"])), raw, clock=clock)

    await polled(poll, clock, *range(NOW, NOW + 2 * HOUR_US, MINUTE_US))

    assert told(raw) == []
