"""Waiting in our own queue is nobody's fault: the vendor has its whole deadline, and no latency for it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from infra.runtime import clock
from producers.http.shell.client import VendorHttp
from producers.http.shell.waiting import RequestDeadline, timed
from schemas.errors import BudgetExhausted, MarketDataError, ProviderUnavailable
from tests.support.played_vendors import PlayedSession, Said, a_client, virtual_clock
from tests.support.virtual_time import run

DEADLINE_S = 10.0


@pytest.fixture(autouse=True)
def _virtual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "time", virtual_clock())


async def all_of(http: VendorHttp, count: int, endpoint: str = "chart") -> list[tuple[str, float]]:
    """Ask so many times at once; return what came of each, and the vendor's seconds of it."""

    async def one() -> tuple[str, float]:
        try:
            _, took_s = await timed(http.get(endpoint, f"https://vendor.example/{endpoint}"))
        except MarketDataError as error:
            return type(error).__name__, 0.0
        return "answered", took_s

    return await asyncio.gather(*(one() for _ in range(count)))


@pytest.mark.parametrize(("limits", "count"), [({"per_second": 1}, 5), ({"concurrency": 2}, 5), ({"per_second": 2, "concurrency": 3}, 9)])  # fmt: skip
@pytest.mark.parametrize("answers_after_s", [1.5, 4.5, 9.5])
def test_a_request_that_queued_gives_the_vendor_its_whole_deadline(
    limits: dict[str, int], count: int, answers_after_s: float
) -> None:
    """Each is answered, or was never sent; none is an outage, and its latency is that of the vendor alone."""

    async def story() -> None:
        http = a_client(PlayedSession(lambda *_: Said(latency_s=answers_after_s)), **limits)
        outcomes = await all_of(http, count)

        assert set(Counter(what for what, _ in outcomes)) <= {"answered", "BudgetExhausted"}
        assert all(
            took_s == pytest.approx(answers_after_s, abs=0.01)
            for what, took_s in outcomes
            if what == "answered"
        )
        assert http.breakers.worst == "closed"

    run(story())


def test_a_vendor_that_is_slower_than_its_deadline_is_an_outage_all_the_same() -> None:
    """Queued or not: the third waits until the first was answered, and then as long as the second."""

    async def story() -> None:
        latencies_s = iter([0.1])
        slow_s = DEADLINE_S + 0.5
        vendor = PlayedSession(lambda *_: Said(latency_s=next(latencies_s, slow_s)))
        http = a_client(vendor, per_second=2)

        assert Counter(what for what, _ in await all_of(http, 3)) == {"answered": 1, "Unanswered": 2}

    run(story())


def test_nobody_waits_in_our_queue_for_more_than_half_the_deadline_over_all_attempts() -> None:
    """What is retried queues again, within what is left of that."""

    async def story() -> float:
        http = a_client(PlayedSession(lambda *_: Said(503, latency_s=0.1)), per_minute=2)
        begun_s = asyncio.get_running_loop().time()
        with pytest.raises(BudgetExhausted):
            await http.get("chart", "https://vendor.example/chart")
        return asyncio.get_running_loop().time() - begun_s

    assert run(story()) <= 0.5 * DEADLINE_S + 3.0


def test_sixty_four_at_once_of_one_vendor_keep_another_from_nothing() -> None:
    """As many as may be configured, slow, while a healthy one is asked: it answers in its own time."""

    async def story() -> None:
        slow = a_client(PlayedSession(lambda *_: Said(latency_s=5.5)), concurrency=64)
        quick = a_client(PlayedSession(lambda *_: Said(latency_s=0.1)))
        under_way = asyncio.ensure_future(all_of(slow, 64))
        await asyncio.sleep(0.2)
        healthy = await all_of(quick, 3)

        assert Counter(what for what, _ in await under_way) == {"answered": 64}
        assert healthy == [("answered", pytest.approx(0.1, abs=0.01))] * 3

    run(story())


def test_what_one_asks_costs_another_no_time() -> None:
    """The account is that of one asking: two side by side, one of which queued, are timed apart."""

    async def queued(asking: Callable[[], Awaitable[None]], seconds: float) -> None:
        with RequestDeadline(DEADLINE_S).queueing():
            await asyncio.sleep(seconds)
        await asking()

    async def story() -> list[float]:
        works = [queued(lambda: asyncio.sleep(1.0), 3.0), queued(lambda: asyncio.sleep(2.0), 0.0)]
        return [took_s for _, took_s in await asyncio.gather(*map(timed, works))]

    assert run(story()) == pytest.approx([1.0, 2.0], abs=0.01)


def test_an_error_is_the_askers() -> None:
    """What asking raises goes on."""

    async def failing() -> None:
        raise ProviderUnavailable("down")

    with pytest.raises(ProviderUnavailable):
        run(timed(failing()))
