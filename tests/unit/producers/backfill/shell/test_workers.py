"""Who is fetched with whom: what costs no request of its own is taken along, and nothing that does."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any, cast

import pytest

from producers.backfill.planning import Capacity, Window
from producers.backfill.shell.workers import BackfillWorkers, JobSets, by_series
from schemas.backfill import BackfillJob
from schemas.configuration.backfill import Backfill
from schemas.errors import StoreUnavailable
from schemas.streams import StreamId
from tests.support.backfill_world import Answer, PlayedCollection, all_minutes, an_order
from tests.support.played_queue import PlayedQueue
from tests.support.played_vendors import SILENT, virtual_clock
from tests.support.virtual_time import run

CAPACITY = Capacity(series=3, bars=100)


def series(symbol: str, provider: str = "alpaca", interval: str = "1m") -> StreamId:
    return StreamId("bars", interval, provider, symbol)


def a_queue(*wanted: tuple[StreamId, int]) -> PlayedQueue:
    """Return a queue of single minutes, in the order of their turns."""
    queue = PlayedQueue()
    queue.enqueue(an_order(low, low + 1, each) for each, low in wanted)
    return queue


def sets(
    queue: PlayedQueue, capacity: Capacity, *, claimed: int = 1, provider: str = "alpaca"
) -> list[list[tuple[str, int]]]:
    """Claim so many jobs by rank and return the sets around them, as symbols and minutes."""

    async def story() -> list[list[BackfillJob]]:
        jobs = await queue.claim({0}, {provider: claimed}, "rank")
        found: list[list[BackfillJob]] = []
        await JobSets(cast(Any, PlayedCollection(capacities=capacity)), cast(Any, queue)).around(jobs, found)
        return found

    begin = an_order().from_time
    return [
        [(job.order.series.symbol, (job.order.from_time - begin) // 60_000_000) for job in some]
        for some in run(story())
    ]


def test_who_fits_into_the_request_is_taken_along() -> None:
    """Of the same provider and length of bars; whoever would need a request of its own waits for its turn."""
    queue = a_queue(
        (series("SPY"), 5), (series("IBM"), 7), (series("SPY"), 9), (series("F"), 400), (series("T"), 8),
        (series("GE"), 8), (series("X", interval="5m"), 5), (series("Y", "yahoo"), 5),
    )  # fmt: skip

    assert sets(queue, CAPACITY) == [[("SPY", 5), ("IBM", 7), ("GE", 8), ("SPY", 9)]]
    assert {job.order.series.symbol for job in queue.queued.values()} == {"F", "T", "X", "Y"}
    assert {job.attempts for job in queue.running.values()} == {1}


def test_there_are_no_more_sets_than_jobs_that_were_due() -> None:
    """Two of one request are one set; two that are far apart are two."""
    near = a_queue((series("SPY"), 5), (series("IBM"), 7), (series("F"), 900))
    far = a_queue((series("SPY"), 5), (series("IBM"), 700), (series("F"), 702), (series("T"), 1_500))

    assert sets(near, CAPACITY, claimed=2) == [[("SPY", 5), ("IBM", 7)]]
    assert sets(far, CAPACITY, claimed=2) == [[("SPY", 5)], [("IBM", 700), ("F", 702)]]


def test_where_a_request_holds_one_series_all_of_it_is_taken() -> None:
    """As before: its windows are as few as can be."""
    queue = a_queue((series("SPY"), 5), (series("IBM"), 7), (series("SPY"), 90_000), (series("SPY"), 9))

    assert sets(queue, Capacity()) == [[("SPY", 5), ("SPY", 9), ("SPY", 90_000)]]


def test_who_was_taken_meanwhile_is_left_out() -> None:
    """Another producer may have had it in hand."""
    queue = a_queue((series("SPY"), 5), (series("IBM"), 7), (series("F"), 8))
    near = queue.near

    async def quicker(
        jobs: Sequence[BackfillJob], partitions: Collection[int], span_us: int
    ) -> list[BackfillJob]:
        found = await near(jobs, partitions, span_us)
        del queue.queued[found[0].order.job_id]
        return found

    queue.near = quicker  # type: ignore[method-assign]
    assert sets(queue, CAPACITY) == [[("SPY", 5), ("F", 8)]]


def test_what_was_put_together_before_the_database_went_away_is_not_lost() -> None:
    """It stays in the list that was given: whoever holds a job works it off."""
    queue = a_queue((series("SPY"), 5), (series("IBM"), 7), (series("Y", "yahoo"), 5))

    async def away(_: Collection[BackfillJob]) -> list[BackfillJob]:
        raise StoreUnavailable("away")

    async def story() -> tuple[list[list[BackfillJob]], list[BackfillJob]]:
        jobs = await queue.claim({0}, {"alpaca": 1, "yahoo": 1}, "rank")
        found: list[list[BackfillJob]] = []
        collected = PlayedCollection()
        collected.capacity = lambda each: CAPACITY if each.provider == "alpaca" else Capacity()  # type: ignore[method-assign]
        queue.claim_beside = away  # type: ignore[method-assign]
        with pytest.raises(StoreUnavailable):
            await JobSets(cast(Any, collected), cast(Any, queue)).around(jobs, found)
        return found, jobs

    found, jobs = run(story())
    assert [[job.order.series.symbol for job in some] for some in found] == [["SPY", "IBM"]]
    assert [len(some) for some in by_series(jobs)] == [1, 1]


def test_every_eighth_request_begins_with_the_oldest_job_though_others_are_taken_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Urgent gaps in pairs that one request brings: an old job of the last rank is begun as the eighth all the same."""
    monkeypatch.setattr("infra.runtime.clock.time", virtual_clock())
    queue = PlayedQueue()
    old = [
        an_order(90_000 + n * 15_000, 90_001 + n * 15_000, series("OLD"), tier="T2", origin="bulk")
        for n in range(2)
    ]
    urgent = [
        an_order(n * 500 + m, n * 500 + m + 1, series(f"S{n}{m}"), tier="T0")
        for n in range(20)
        for m in range(2)
    ]
    queue.enqueue([*old, *urgent])
    collected = PlayedCollection(preferred=("alpaca",), settings=Backfill(concurrency=1), capacities=CAPACITY)
    begun: list[list[str]] = []

    async def noted(parts: Sequence[tuple[Any, Window, str]]) -> Sequence[Answer]:
        begun.append([each.symbol for each, _, _ in parts])
        return [all_minutes(each, window) for each, window, _ in parts]

    async def alone(poll: Any, window: Window, job_id: str) -> Answer:
        begun.append([poll.symbol])
        return all_minutes(poll, window)

    collected.fetch_together, collected.fetch = noted, alone  # type: ignore[method-assign, assignment]

    async def story() -> None:
        workers = BackfillWorkers("", cast(Any, collected), owner="one", health=SILENT)
        with suppress(TimeoutError):
            async with asyncio.timeout(60.0):
                await workers.work(cast(Any, queue))

    run(story())
    assert [n for n, symbols in enumerate(begun) if symbols == ["OLD"]] == [7, 15]
    assert [len(symbols) for symbols in begun if symbols != ["OLD"]] == [2] * 20
