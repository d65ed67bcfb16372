"""A vendor counts requests when they arrive, we only know when they began and ended: still it never counts too many."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from producers.budget.limits import VendorLimits
from producers.budget.shell.gate import Gate
from schemas.intervals import MINUTE_US, SECOND_US
from schemas.providers.facts import Limits
from tests.support.virtual_time import now_us, run

HOUR_S = 3_600.0
COUNTED = {"per_second": SECOND_US, "per_minute": MINUTE_US}


class ExactVendor:
    """Counts every arrival in a sliding window, in one laid by the clock, and in one that its first request begins."""

    def __init__(self, limit: int, length_us: int) -> None:
        self.limit, self.length_us = limit, length_us
        self.refused, self.arrivals = 0, list[int]()
        self._sliding: deque[int] = deque()
        self._by_clock, self._by_first = (0, 0), (0, 0)  # when the window began, how many it holds

    def take(self) -> None:
        """Count a request that arrives now."""
        now = now_us()
        while self._sliding and self._sliding[0] + self.length_us <= now:
            self._sliding.popleft()
        self._sliding.append(now)
        began, count = self._by_clock
        self._by_clock = (now - now % self.length_us, count + 1 if now < began + self.length_us else 1)
        began, count = self._by_first
        self._by_first = (began, count + 1) if now < began + self.length_us else (now, 1)
        self.arrivals.append(now)
        self.refused += max(len(self._sliding), self._by_clock[1], self._by_first[1]) > self.limit


async def send(
    gate: Gate, vendor: ExactVendor, opening_s: float, answer_s: float, *, patience_s: float
) -> None:
    """Make one request that takes so long to arrive, and so long to be answered; one given up may still arrive."""
    async with gate.admitted("quote", "live", within_s=HOUR_S):
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await asyncio.sleep(opening_s)
                vendor.take()
                await asyncio.sleep(answer_s)


times_s = st.sampled_from([0.0, 0.001, 0.02, 0.2, 1.0, 3.0, 9.9]) | st.floats(0.0, 20.0)


@settings(deadline=None, max_examples=150)
@given(
    name=st.sampled_from(sorted(COUNTED)),
    limit=st.integers(1, 60),
    rounds=st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.3, 1.0, 20.0, 59.0, 60.0]),
            st.lists(st.tuples(times_s, times_s), min_size=1, max_size=60),
        ),
        min_size=1,
        max_size=4,
    ),
    concurrency=st.none() | st.integers(1, 8),
    patience_s=st.sampled_from([0.5, 10.0, HOUR_S]),
)
@example(
    name="per_minute",
    limit=60,
    rounds=[(0.0, [(3.0, 0.02)] * 60), (0.0, [(0.0, 0.02)] * 60)],
    concurrency=None,
    patience_s=10.0,
)
def test_no_request_is_refused_however_long_it_travels(
    name: str,
    limit: int,
    rounds: Sequence[tuple[float, Sequence[tuple[float, float]]]],
    concurrency: int | None,
    patience_s: float,
) -> None:
    """Sixty that open their connections for seconds, and sixty that find them open: no window holds both."""
    vendor = ExactVendor(limit, COUNTED[name])

    async def rush() -> int:
        limits = Limits(**{name: limit}, concurrency=concurrency)
        gate = Gate("test", VendorLimits(whole=limits), now_us=now_us)
        async with asyncio.TaskGroup() as tasks:
            for pause_s, requests in rounds:
                await asyncio.sleep(pause_s)
                for opening_s, answer_s in requests:
                    tasks.create_task(send(gate, vendor, opening_s, answer_s, patience_s=patience_s))
        return int(gate.document()["used"]["in_flight"])

    assert run(rush()) == 0
    assert vendor.refused == 0


@pytest.mark.parametrize(("limit", "workers"), [(60, 8), (5, 2), (200, 64)])
def test_answers_of_a_fifth_of_a_second_cost_little_of_a_minute(limit: int, workers: int) -> None:
    """Who always wants more gets 97 of 100 of what the vendor allows, and no refusal."""
    vendor = ExactVendor(limit, MINUTE_US)

    async def worker(gate: Gate) -> None:
        while True:
            await send(gate, vendor, 0.1, 0.1, patience_s=HOUR_S)

    async def greedy() -> int:
        gate = Gate("test", VendorLimits(whole=Limits(per_minute=limit)), now_us=now_us)
        tasks = [asyncio.ensure_future(worker(gate)) for _ in range(workers)]
        await asyncio.sleep(30.0)  # what a first minute may have at once would hide what the others lose
        before = len(vendor.arrivals)
        await asyncio.sleep(HOUR_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return len(vendor.arrivals) - before

    assert run(greedy()) >= 0.97 * limit * 60
    assert vendor.refused == 0


def test_tasks_that_die_leave_no_place_taken() -> None:
    """Cancelled before leave, in the moment of it, on the way or while it is answered: a window later all is free."""
    vendor = ExactVendor(20, MINUTE_US)

    async def deaths() -> None:
        gate = Gate("test", VendorLimits(whole=Limits(per_minute=20)), now_us=now_us)
        for after_s in (0.0, 0.001, 0.5, 1.5, 3.0):
            tasks = [
                asyncio.ensure_future(send(gate, vendor, 1.0, 1.0, patience_s=HOUR_S)) for _ in range(30)
            ]
            await asyncio.sleep(after_s)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(61.0)
        used = gate.document()["used"]
        assert (used["minute"], used["in_flight"]) == (0, 0)
        begun = now_us()
        await asyncio.gather(*[send(gate, vendor, 0.0, 0.0, patience_s=HOUR_S) for _ in range(20)])
        assert now_us() - begun < SECOND_US

    run(deaths())
    assert vendor.refused == 0


@pytest.mark.parametrize(("before", "after"), [(None, 10), (10, None), (10, 20), (20, 10)])
def test_a_reload_amid_requests_counts_those_under_way(before: int | None, after: int | None) -> None:
    """Limits that come, go and change while requests travel: who is under way has its place, and one alone."""
    vendor = ExactVendor(10**6 if after is None else after, MINUTE_US)

    async def reloading() -> None:
        gate = Gate("test", VendorLimits(whole=Limits(per_minute=before)), now_us=now_us)
        travelling = [
            asyncio.ensure_future(send(gate, vendor, 30.0, 1.0, patience_s=HOUR_S)) for _ in range(10)
        ]
        await asyncio.sleep(1.0)
        gate.limit(VendorLimits(whole=Limits(per_minute=after)))
        later = [asyncio.ensure_future(send(gate, vendor, 0.0, 1.0, patience_s=HOUR_S)) for _ in range(25)]
        await asyncio.gather(*travelling, *later)
        gate.limit(VendorLimits(whole=Limits(per_minute=3)))
        await asyncio.sleep(61.0)
        assert gate.document()["used"]["minute"] == 0

    run(reloading())
    assert vendor.refused == 0
