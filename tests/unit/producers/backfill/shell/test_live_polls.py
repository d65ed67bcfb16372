"""Live polls beside a backlog, in virtual time: hundreds of jobs drain, and every poll is made when it would have been."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from typing import Any, cast

import pytest

from infra.runtime.clock import wall_us
from producers.backfill.planning import Window
from producers.backfill.shell.job_set import JobSet
from producers.budget.budget import BACKFILL_SHARE
from producers.plan.plan import PollPlan
from producers.vendors.yahoo.shell.client import YahooApi
from schemas.backfill import BackfillJob
from schemas.clocks import EventTime, MarketTime
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US
from schemas.providers.yahoo import FACTS as YAHOO
from schemas.streams import StreamId
from tests.support.backfill_world import Answer, NotedLeases, PlayedCollection, a_job
from tests.support.played_vendors import Collecting, Said, a_chart, bars_of, play, play_yahoo

pytestmark = pytest.mark.slow

CHART = "/v8/finance/chart/"
SYMBOLS = tuple(f"SYM{number}" for number in range(10))
JOBS, AT_ONCE, HOURS = 300, 4, 2.0
SEED = 3
WARM_UP_S = 60.0  # every poll is made at once when a collector begins
LATER = 1.2  # times as late as without a backlog, of a hundred polls the latest


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

    def late_s(self, share: float) -> float:
        """Return by how much this share of the polls came at most after the first of its minute.

        Not poll by poll against another story: what failed waits a random while, and others come in its place.
        """
        asked = [moment for times in self.live.values() for moment in times if moment >= WARM_UP_S]
        assert len(asked) >= len(SYMBOLS) * (HOURS * 60 - 1)
        first_s = min(moment % 60.0 for moment in asked)
        return sorted(moment % 60.0 - first_s for moment in asked)[int(share * len(asked))]

    @property
    def polls(self) -> int:
        """Return how many live polls there were."""
        return sum(map(len, self.live.values()))

    def round_s(self, share: float) -> float:
        """Return after how long this share of the polls of a symbol followed the one before at most."""
        waits = [later - earlier for times in self.live.values() for earlier, later in pairwise(times)]
        return sorted(waits)[int(share * len(waits))]


async def drain(leases: NotedLeases, collecting: Collecting) -> None:
    """Work the backlog off as the workers do, so many series at once."""

    async def fetch(series: StreamId, window: Window) -> Answer:
        poll = collecting.polls.bars(series.provider, "bars:1m", series.symbol)
        assert poll is not None
        return await collecting.attempts.backfill(poll, MarketTime(window[0]), MarketTime(window[1]), "job")

    collected, room = PlayedCollection(fetch), asyncio.Semaphore(AT_ONCE)

    async def work(job: BackfillJob) -> None:
        while job.order.job_id not in leases.ended:
            async with room:
                if collecting.http.gate.has_room("chart", "backfill"):
                    await JobSet(leases.hold(job), cast(Any, collected), cast(Any, leases)).run()
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


@pytest.mark.soak
def test_live_polls_do_not_feel_hundreds_of_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each symbol is polled as often, and as soon after its minute as without a backlog; the backlog drains."""
    alone, beside, leases = Market(), Market(), NotedLeases()
    random.seed(SEED)
    play_yahoo(monkeypatch, alone.answer, symbols=SYMBOLS, hours=HOURS)
    random.seed(SEED)
    play_yahoo(monkeypatch, beside.answer, symbols=SYMBOLS, hours=HOURS, beside=partial(drain, leases))

    assert (len(leases.ended), beside.past) == (JOBS, JOBS)
    assert alone.past == 0
    assert {path: len(times) for path, times in beside.live.items()} == {
        path: len(times) for path, times in alone.live.items()
    }
    assert beside.late_s(0.5) <= alone.late_s(0.5) * LATER
    assert beside.late_s(0.99) <= alone.late_s(0.99) * LATER


def test_where_live_takes_a_limit_whole_a_backlog_has_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty symbols want 50 requests of 33 a minute: each comes round hardly later, and the backlog gets on."""
    symbols, hours = tuple(f"SYM{number}" for number in range(50)), 0.5
    plan = PollPlan(bars=bars_of(YAHOO, symbols, every_s=60), quotes=())
    alone, beside, leases = Market(), Market(), NotedLeases()
    for market, run_beside in ((alone, None), (beside, partial(drain, leases))):
        random.seed(SEED)
        play(monkeypatch, YAHOO, YahooApi, plan, market.answer, hours=hours, beside=run_beside)
    assert YAHOO.limits.per_minute is not None
    share = BACKFILL_SHARE * YAHOO.limits.per_minute * hours * 60

    assert len(leases.ended) == beside.past >= 0.5 * share
    assert beside.past <= 1.1 * share
    assert beside.polls >= 0.95 * alone.polls
    assert beside.round_s(0.5) <= alone.round_s(0.5) * LATER
    assert beside.round_s(0.99) <= alone.round_s(0.99) * LATER
