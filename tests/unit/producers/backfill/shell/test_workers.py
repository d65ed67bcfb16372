"""Who is fetched with whom: what costs no request of its own is taken along, and nothing that does."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, cast

import pytest

from producers.backfill.planning import Capacity
from producers.backfill.shell.workers import JobSets, by_series
from schemas.backfill import BackfillJob
from schemas.errors import StoreUnavailable
from schemas.streams import StreamId
from tests.support.backfill_world import PlayedCollection, an_order
from tests.support.played_queue import PlayedQueue
from tests.support.virtual_time import run

REACH = Capacity(series=3, bars=100)


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

    assert sets(queue, REACH) == [[("SPY", 5), ("IBM", 7), ("GE", 8), ("SPY", 9)]]
    assert {job.order.series.symbol for job in queue.queued.values()} == {"F", "T", "X", "Y"}
    assert {job.attempts for job in queue.running.values()} == {1}


def test_there_are_no_more_sets_than_jobs_that_were_due() -> None:
    """Two of one request are one set; two that are far apart are two."""
    near = a_queue((series("SPY"), 5), (series("IBM"), 7), (series("F"), 900))
    far = a_queue((series("SPY"), 5), (series("IBM"), 700), (series("F"), 702), (series("T"), 1_500))

    assert sets(near, REACH, claimed=2) == [[("SPY", 5), ("IBM", 7)]]
    assert sets(far, REACH, claimed=2) == [[("SPY", 5)], [("IBM", 700), ("F", 702)]]


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
    assert sets(queue, REACH) == [[("SPY", 5), ("F", 8)]]


def test_what_was_put_together_before_the_database_went_away_is_not_lost() -> None:
    """It stays in the list that was given: whoever holds a job works it off."""
    queue = a_queue((series("SPY"), 5), (series("IBM"), 7), (series("Y", "yahoo"), 5))

    async def away(_: Collection[BackfillJob]) -> list[BackfillJob]:
        raise StoreUnavailable("away")

    async def story() -> tuple[list[list[BackfillJob]], list[BackfillJob]]:
        jobs = await queue.claim({0}, {"alpaca": 1, "yahoo": 1}, "rank")
        found: list[list[BackfillJob]] = []
        collected = PlayedCollection()
        collected.capacity = lambda each: REACH if each.provider == "alpaca" else Capacity()  # type: ignore[method-assign]
        queue.claim_beside = away  # type: ignore[method-assign]
        with pytest.raises(StoreUnavailable):
            await JobSets(cast(Any, collected), cast(Any, queue)).around(jobs, found)
        return found, jobs

    found, jobs = run(story())
    assert [[job.order.series.symbol for job in some] for some in found] == [["SPY", "IBM"]]
    assert [len(some) for some in by_series(jobs)] == [1, 1]
