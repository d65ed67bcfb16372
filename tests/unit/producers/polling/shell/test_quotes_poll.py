"""One poll of quotes: only news is published, and remembered only when Kafka has confirmed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, cast

import pytest

from infra.runtime.clock import Market
from producers.plan.plan import QuotesTask
from producers.polling.shell.quotes_poll import QuotesPoll
from producers.vendors.answers import Answer, Response
from schemas.calendar.sessions import calendar_of
from schemas.errors import BrokerUnavailable
from schemas.intervals import MINUTE_US, SECOND_US
from schemas.records import Event
from tests.support.builders import NINE_THIRTY, a_quote_event
from tests.support.producer_fakes import FixedClock, RecordingTopics

NOW = NINE_THIRTY + 3 * MINUTE_US
EVERY_US = 5 * SECOND_US
SPY, IBM = a_quote_event(), a_quote_event(symbol="IBM")


class _Vendor:
    """Answers what it was given, one after the other."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[Sequence[str]] = []

    async def quotes(self, symbols: Sequence[str]) -> Response:
        self.asked.append(symbols)
        return Response(endpoint="quote", received_time=7, answer=self.answers.pop(0))


def quotes_poll(vendor: _Vendor, raw: RecordingTopics, newest: dict[str, Event] | None = None) -> QuotesPoll:
    return QuotesPoll(
        QuotesTask(provider="yahoo", symbols=("SPY", "IBM"), every_us=EVERY_US),
        vendor,
        cast(Any, raw),
        market=Market(clock=FixedClock(NOW)),
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

    probed = await poll.probe()
    assert raw.placed == []
    await poll.poll(["SPY"])

    assert vendor.asked == [("SPY", "IBM"), ["SPY"]]
    assert raw.events == [SPY]
    assert probed.due_us == NOW + SECOND_US  # its place within the cadence


async def test_a_symbol_without_a_quote_is_said_when_it_begins(caplog: pytest.LogCaptureFixture) -> None:
    """Not at every poll, and again after it had one."""
    missing, whole = Answer(events=[SPY], missing=["IBM"]), Answer(events=[SPY, IBM])
    poll = quotes_poll(_Vendor(missing, missing, whole, missing), RecordingTopics())

    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            await poll.poll(poll.symbols)

    said = [record for record in caplog.records if record.message == "symbol_without_quote"]
    assert [record.__dict__["symbol"] for record in said] == ["IBM", "IBM"]
