"""A provider that is out for an hour: its jobs wait until it is back; what a vendor says of one request counts as ever.

The gate, the breakers, the clients, the polls and the workers are the real ones, time, the network and the table of jobs are played.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping

import pytest

from producers.backfill import endings
from producers.backfill.shell import job_set
from producers.plan.plan import PollPlan
from producers.vendors.yahoo.shell.client import YahooApi
from schemas.backfill import MAX_ATTEMPTS
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, MINUTE_US
from schemas.providers.yahoo import FACTS as YAHOO
from schemas.streams import StreamId
from tests.support.backfill_world import an_order
from tests.support.played_queue import PlayedQueue, collected_by, worked_off
from tests.support.played_vendors import Collecting, Said, a_chart, bars_of, play
from tests.support.virtual_time import BEGIN_US

HOUR_S = 3_600.0
OUT_FROM_S, OUT_TO_S = 300.0, 300.0 + HOUR_S
ONCE = 1  # charged for an outage
PAST = EventTime((BEGIN_US - 3 * DAY_US) // DAY_US * DAY_US + 15 * 60 * MINUTE_US)
JOBS = 8


def is_past(query: Mapping[str, str]) -> bool:
    """Whether a job asks."""
    return int(query["period2"]) * 1_000_000 < BEGIN_US


def worked(
    monkeypatch: pytest.MonkeyPatch, answering: object, *, hours: float, queued_s: float, every_s: int = 300
) -> PlayedQueue:
    """Poll two symbols, and after a while let a worker have some jobs of each."""
    queue = PlayedQueue()

    async def work(collecting: Collecting) -> None:
        await asyncio.sleep(queued_s)
        queue.enqueue(
            an_order(
                series=StreamId("bars", "1m", YAHOO.name, ("SPY", "QQQ")[number % 2]),
                from_time=EventTime(PAST + number * 10 * MINUTE_US),
                to_time=EventTime(PAST + (number * 10 + 5) * MINUTE_US),
            )
            for number in range(JOBS)
        )
        await worked_off(queue, collected_by(collecting, YAHOO.name))

    random.seed(5)
    plan = PollPlan(bars=bars_of(YAHOO, ("SPY", "QQQ"), every_s=every_s), quotes=())
    play(monkeypatch, YAHOO, YahooApi, plan, answering, hours=hours, tick_s=5.0, beside=work)  # type: ignore[arg-type]
    return queue


@pytest.mark.parametrize(
    "outage",
    [
        pytest.param(Said(status=503), id="errors"),
        pytest.param(OSError("no route"), id="no connection"),
        pytest.param(Said(latency_s=60.0), id="no answer"),
        pytest.param(Said(status=429), id="throttled"),
    ],
)
def test_jobs_wait_through_an_outage(monkeypatch: pytest.MonkeyPatch, outage: Said | BaseException) -> None:
    """None of them dies of it, hardly an attempt is spent, and all are fetched soon after its end."""

    def answer(path: str, query: Mapping[str, str]) -> Said | BaseException:
        is_out = OUT_FROM_S <= asyncio.get_running_loop().time() < OUT_TO_S
        return outage if is_out else a_chart(path, query)

    queue = worked(monkeypatch, answer, hours=OUT_TO_S / HOUR_S + 0.5, queued_s=OUT_FROM_S + 1)

    assert len(queue.ended) == JOBS
    assert {ending.state for ending, _ in queue.ended.values()} <= {"done", "empty"}
    assert all(OUT_TO_S <= moment <= OUT_TO_S + 1_200 for _, moment in queue.ended.values())
    assert max(queue.attempts.values()) <= 1 + ONCE


def test_what_fails_while_the_vendor_serves_others_is_charged_and_dies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Live polls and the past of another symbol are answered: what is said to the rest is said of these requests."""

    def answer(path: str, query: Mapping[str, str]) -> Said:
        return Said(status=500) if is_past(query) and path.endswith("QQQ") else a_chart(path, query)

    queue = worked(monkeypatch, answer, hours=1.0, queued_s=301.0, every_s=15)

    dead = [job_id for job_id, (ending, _) in queue.ended.items() if ending.state == "dead"]
    assert (len(queue.ended), len(dead)) == (JOBS, JOBS // 2)
    assert {queue.attempts[job_id] for job_id in dead} == {MAX_ATTEMPTS}


def test_after_a_day_without_any_answer_every_try_is_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half an hour here: nobody dies before, and all do after it, though the breaker lets hardly a request through."""
    for module in (endings, job_set):
        monkeypatch.setattr(module, "OUTAGE_BORNE_S", HOUR_S / 2)

    def answer(_path: str, _query: Mapping[str, str]) -> Said:
        return Said(status=500)

    queue = worked(monkeypatch, answer, hours=2.0, queued_s=301.0)

    assert Counter(ending.state for ending, _ in queue.ended.values()) == {"dead": JOBS}
    assert min(moment for _, moment in queue.ended.values()) >= HOUR_S / 2
