"""What the sweeper polled is told in few records, and nothing of it is left out."""

from __future__ import annotations

from typing import Any, cast

import pytest

from infra.runtime.kafka.publisher import Publisher
from producers.jobs.shell import results as job_results
from producers.jobs.shell.results import JobResults
from producers.polling.slots import Outcome
from schemas.jobs import MAX_SYMBOLS, read_result
from tests.support.producer_fakes import RecordingPublisher

BARS = "bars:1m"


def done(*symbols: str, events: int = 1) -> dict[str, Outcome]:
    """Return outcomes of polls that were answered."""
    return {symbol: Outcome(status="done", events=events) for symbol in symbols}


def told(sent: RecordingPublisher) -> list[tuple[int, str, int, dict[str, int]]]:
    """Return (partition, provider, slot, events by symbol) of every result, and forget them."""
    found = [
        (
            record.partition,
            result.provider,
            result.slot,
            {each.symbol: each.events for each in result.outcomes},
        )
        for record in sent.records
        for result in [read_result(record.value)]
    ]
    sent.records.clear()
    return found


async def test_polls_of_one_slot_share_a_record_and_others_do_not() -> None:
    """Symbol, slot, provider and count of every poll can still be told apart; a backlog's polls are added up."""
    sent: Any = RecordingPublisher()
    results = JobResults(cast(Publisher, sent), prefix="", instance="one")
    results.swept(0, BARS, done("A"), 60, "yahoo")
    results.swept(0, BARS, done("B", events=2), 60, "yahoo")
    results.swept(0, BARS, done("A", events=7), 60, "yahoo")
    results.swept(0, BARS, done("A"), 120, "yahoo")
    results.swept(0, BARS, done("C"), 60, "finnhub")
    results.swept(3, BARS, done("D"), 60, "yahoo")

    await results.flush()
    assert told(sent) == [
        (0, "yahoo", 60, {"A": 8, "B": 2}),
        (0, "yahoo", 120, {"A": 1}),
        (0, "finnhub", 60, {"C": 1}),
        (3, "yahoo", 60, {"D": 1}),
    ]
    await results.flush()
    assert told(sent) == []


async def test_a_record_holds_no_more_symbols_than_a_job_may() -> None:
    """The rest goes into the next."""
    sent: Any = RecordingPublisher()
    results = JobResults(cast(Publisher, sent), prefix="", instance="one")
    names = [f"S{number}" for number in range(2 * MAX_SYMBOLS + 1)]
    results.swept(0, BARS, done(*names), 60, "yahoo")

    await results.flush()

    shares = [entry[-1] for entry in told(sent)]
    assert [len(share) for share in shares] == [MAX_SYMBOLS, MAX_SYMBOLS, 1]
    assert [symbol for share in shares for symbol in share] == names


async def test_a_broker_that_takes_nothing_costs_the_oldest_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept for it is bounded; the newest slot, which says most, is never given up."""
    monkeypatch.setattr(job_results, "MAX_BUFFERED", 3)
    sent: Any = RecordingPublisher()
    results = JobResults(cast(Publisher, sent), prefix="", instance="one")
    for slot in (60, 120, 180):
        results.swept(0, BARS, done("A", "B"), slot, "yahoo")

    await results.flush()

    assert [entry[2] for entry in told(sent)] == [180]
