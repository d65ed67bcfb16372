"""One try at one job: what it comes to, and when it is tried again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from infra.runtime.clock import wall_us
from producers.jobs.history import JobHistory
from producers.jobs.queue import Queued
from producers.jobs.shell.attempt import NOT_COLLECTED, JobWork
from producers.polling.slots import Outcome
from schemas.errors import BrokerUnavailable, ProviderUnavailable
from schemas.intervals import HOUR_US, MINUTE_US, SECOND_US
from schemas.records import Job, JobResult

NOW = 1_381_152_600_000_000
DONE = Outcome(status="done", events=2)
QUEUED = Outcome(status="queued", reason="backfill job 77")


A_BACKFILL: Mapping[str, Any] = {
    "type": "backfill",
    "capability": "bars:1m",
    "symbols": ("SPY",),
    "slot": 0,
    "start": 60,
    "end": 120,
    "provider": "yahoo",
}


class _Collecting:
    """Answers as told, and keeps what it was asked."""

    def __init__(self, *answers: Mapping[str, Outcome] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[Any, ...]] = []

    async def own(self, partitions: frozenset[int], slots: Mapping[tuple[str, str], int]) -> None:
        raise AssertionError(f"an attempt owns nothing: {partitions}, {slots}")

    def sweep(self, partitions: frozenset[int]) -> None:
        raise AssertionError(f"an attempt sweeps nothing: {partitions}")

    async def poll(
        self,
        capability: str,
        symbols: Sequence[str],
        slot: int,
        *,
        provider: str,
        job_id: str,
        start: int = 0,
    ) -> Mapping[str, Outcome]:
        self.asked.append((capability, tuple(symbols), slot, provider, job_id, *([start] if start else [])))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def backfill(self, job: Job) -> Outcome:
        self.asked.append((job.job_id, job.symbols, job.start, job.end))
        answer = self.answers.pop(0) if self.answers else {"SPY": QUEUED}
        if isinstance(answer, Exception):
            raise answer
        return answer["SPY"]


def queued(**changes: Any) -> Queued:
    """Return a poll of two symbols that has an hour to live."""
    fields = {
        "version": 1, "job_id": "j", "type": "poll", "source": "t", "created_time": 1, "slot": NOW,
        "deadline": wall_us() + HOUR_US, "capability": "quotes", "symbols": ("SPY", "IBM"),
    }  # fmt: skip
    return Queued(job=Job(**(fields | changes)), partition=0, offset=0, ready_us=0)


def some_work(known: Sequence[str] = ("SPY", "IBM")) -> JobWork:
    return JobWork(instance="me", symbols_known=lambda symbol: symbol in known, market_now=lambda: NOW)


def statuses(result: JobResult | Queued) -> dict[str, str]:
    assert isinstance(result, JobResult)
    return {outcome.symbol: outcome.status for outcome in result.outcomes}


async def test_a_poll_that_brought_all_is_a_result() -> None:
    """It is signed, and says how many tries it took."""
    collecting = _Collecting({"SPY": DONE, "IBM": DONE})

    result = await some_work().attempt(queued(), JobHistory(), collecting)

    assert collecting.asked == [("quotes", ("SPY", "IBM"), NOW, "", "j")]
    assert statuses(result) == {"SPY": "done", "IBM": "done"}
    assert isinstance(result, JobResult)
    assert (result.status, result.instance, result.attempts) == ("done", "me", 1)


async def test_what_failed_is_asked_for_again_alone_and_later() -> None:
    """What was done stays done; a vendor that said how long is not asked before."""
    collecting = _Collecting(
        {"SPY": DONE, "IBM": Outcome(status="failed", retry_after_s=30.0)}, {"IBM": DONE}
    )
    work, history, begun = some_work(), JobHistory(), wall_us()

    again = await work.attempt(queued(), history, collecting)
    assert isinstance(again, Queued)
    result = await work.attempt(again, history, collecting)

    assert again.ready_us >= begun + 30 * SECOND_US
    assert [asked[1] for asked in collecting.asked] == [("SPY", "IBM"), ("IBM",)]
    assert statuses(result) == {"SPY": "done", "IBM": "done"}


async def test_a_job_that_cannot_be_tried_again_in_time_fails_at_once() -> None:
    """Its maker need not wait for the deadline to hear of it."""
    failed = Outcome(status="failed", retry_after_s=60.0)
    entry = queued(deadline=wall_us() + 10 * SECOND_US, symbols=("SPY",))

    assert statuses(await some_work().attempt(entry, JobHistory(), _Collecting({"SPY": failed}))) == {
        "SPY": "failed"
    }


async def test_nothing_is_asked_for_what_is_refused_repeated_or_too_late() -> None:
    """An unknown symbol, a slot in the future, one that was polled, and a job whose time is over."""
    collecting, history = _Collecting(), JobHistory()
    history.done("quotes", {"SPY": DONE, "IBM": DONE}, NOW)
    ahead = queued(slot=NOW + 2 * MINUTE_US)

    unknown = await some_work(known=()).attempt(queued(), JobHistory(), collecting)
    future = await some_work().attempt(ahead, JobHistory(), collecting)
    repeated = await some_work().attempt(queued(), history, collecting)
    expired = await some_work().attempt(queued(deadline=wall_us() - 1), JobHistory(), collecting)

    assert isinstance(unknown, JobResult)
    assert {outcome.reason for outcome in unknown.outcomes} == {NOT_COLLECTED}
    assert set(statuses(future).values()) == {"refused"}
    assert set(statuses(repeated).values()) == {"duplicate"}
    assert isinstance(expired, JobResult)
    assert expired.status == "expired"
    assert collecting.asked == []


async def test_a_vendor_that_fails_as_a_whole_fails_each_symbol() -> None:
    """The reason is the vendor's; a dead publisher is no outcome and ends the process."""
    entry = queued(deadline=wall_us() + SECOND_US // 10)
    result = await some_work().attempt(entry, JobHistory(), _Collecting(ProviderUnavailable("down")))

    assert isinstance(result, JobResult)
    assert [(each.status, each.reason) for each in result.outcomes] == [("failed", "down")] * 2
    with pytest.raises(BrokerUnavailable):
        await some_work().attempt(queued(), JobHistory(), _Collecting(BrokerUnavailable("dead")))


async def test_a_backfill_is_queued_and_that_is_its_first_result() -> None:
    """Nobody waits here for what becomes of it; a repeat of one that was done is not queued."""
    collecting, entry = _Collecting(), queued(**A_BACKFILL)
    history = JobHistory()

    result = await some_work().attempt(entry, history, collecting)
    assert isinstance(result, JobResult)
    history.note(result)
    again = await some_work().attempt(entry, history, collecting)
    history.note(replace(result, status="done"))
    repeated = await some_work().attempt(entry, history, collecting)

    assert collecting.asked == [("j", ("SPY",), 60, 120)] * 2
    assert (result.status, result.reason) == ("queued", "backfill job 77")
    assert statuses(again) == {"SPY": "queued"}
    assert statuses(repeated) == {"SPY": "duplicate"}


async def test_a_backfill_waits_for_the_database_until_its_deadline() -> None:
    """It is tried again, as long after as was said; then its result says why."""
    away = Outcome(status="failed", reason="the database is away", retry_after_s=5.0)
    collecting = _Collecting({"SPY": away}, {"SPY": away}, {"SPY": QUEUED})

    waits = await some_work().attempt(queued(**A_BACKFILL), JobHistory(), collecting)
    assert isinstance(waits, Queued)
    assert waits.ready_us >= wall_us() + 4 * SECOND_US
    last = await some_work().attempt(
        queued(**A_BACKFILL, deadline=wall_us() + SECOND_US), JobHistory(), collecting
    )
    came = await some_work().attempt(waits, JobHistory(), collecting)

    assert isinstance(last, JobResult)
    assert (last.status, last.reason) == ("failed", "the database is away")
    assert statuses(came) == {"SPY": "queued"}
