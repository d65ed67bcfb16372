"""Live polls beside a backlog, in virtual time: hundreds of jobs drain, and every poll is made when it would have been."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import pytest

from infra.runtime.clock import wall_us
from producers.backfill.planning import Window
from producers.backfill.shell.series import SeriesWork
from producers.http.shell.client import VendorHttp
from producers.polling.shell.assignment import Polls
from producers.polling.shell.attempts import Attempts
from schemas.backfill import BackfillJob
from schemas.clocks import EventTime, MarketTime
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US
from schemas.streams import StreamId
from tests.support.backfill_world import Answer, NotedLeases, PlayedCollection, a_job
from tests.support.played_vendors import Said, a_chart, play_yahoo

CHART = "/v8/finance/chart/"
SYMBOLS = tuple(f"SYM{number}" for number in range(10))
JOBS, AT_ONCE, HOURS = 300, 4, 2.0
LATE_S = 2.5  # as other live polls may make one wait: Yahoo's four a second are used up, and again
MEAN_S = 0.05


class Market:
    """A Yahoo whose charts are well; keeps when live windows, and when past ones, were asked for."""

    def __init__(self) -> None:
        self.live: dict[str, list[float]] = {}
        self.past = 0

    def answer(self, path: str, query: Mapping[str, str]) -> Said:
        """Answer with a chart."""
        if not path.startswith(CHART):
            return Said(body=b'{"quoteResponse":{"result":[],"error":null}}')
        if int(query["period2"]) * 1_000_000 < wall_us() - HOUR_US:
            self.past += 1
        else:
            self.live.setdefault(path, []).append(asyncio.get_running_loop().time())
        return a_chart(path, query)


async def drain(leases: NotedLeases, polls: Polls, attempts: Attempts, http: VendorHttp) -> None:
    """Work the backlog off as the workers do, so many series at once."""

    async def fetch(series: StreamId, window: Window) -> Answer:
        poll = polls.bars(series.provider, "bars:1m", series.symbol)
        assert poll is not None
        return await attempts.backfill(poll, MarketTime(window[0]), MarketTime(window[1]), "job")

    collected, room = PlayedCollection(fetch), asyncio.Semaphore(AT_ONCE)

    async def work(job: BackfillJob) -> None:
        while job.order.job_id not in leases.ended:
            async with room:
                if http.gate.has_room("chart", "backfill"):
                    await SeriesWork(leases.hold(job), cast(Any, collected), cast(Any, leases)).run()
            await asyncio.sleep(leases.put.pop(job.order.job_id, (1.0,))[0])

    days = [wall_us() - (number % 15 + 2) * 8 * DAY_US for number in range(JOBS)]
    jobs = [
        a_job(
            series=StreamId("bars", "1m", "yahoo", SYMBOLS[number % len(SYMBOLS)]),
            from_time=EventTime(begin - begin % MINUTE_US),
            to_time=EventTime(begin - begin % MINUTE_US + HOUR_US),
            job_id=f"job-{number}",
        )
        for number, begin in enumerate(days)
    ]
    await asyncio.gather(*map(work, jobs))


def test_live_polls_do_not_feel_hundreds_of_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each symbol is polled as often, and each poll begins as it would without a backlog; the backlog drains."""
    alone, beside, leases = Market(), Market(), NotedLeases()
    play_yahoo(monkeypatch, alone.answer, symbols=SYMBOLS, hours=HOURS)
    play_yahoo(monkeypatch, beside.answer, symbols=SYMBOLS, hours=HOURS, beside=partial(drain, leases))

    assert (len(leases.ended), beside.past) == (JOBS, JOBS)
    assert alone.past == 0
    later = [
        with_jobs - without
        for path, times in alone.live.items()
        for without, with_jobs in zip(times, beside.live[path], strict=True)
    ]
    assert len(later) >= len(SYMBOLS) * HOURS * 60
    assert sum(later) / len(later) <= MEAN_S
    assert max(later) <= LATE_S
