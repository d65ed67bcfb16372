"""Budgets on the real simulator and the real database: what the vendor sees, and what a killed producer leaves behind."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from infra.runtime.clock import monotonic_s, wall_us
from infra.runtime.postgres.pool import pool
from infra.simulator.faults.exchange import Simulation
from infra.simulator.faults.injection import FaultPlan
from infra.simulator.faults.parsing import parse_scenario
from infra.simulator.faults.scenario import Fault
from producers.budget.shell.store import Addition, BudgetStore
from producers.budget.windows import SLOT_US
from schemas.errors import StoreUnavailable
from schemas.intervals import DAY_US, SECOND_US
from schemas.topics import RAW_BARS
from tests.conftest import free_port
from tests.support.eventually import eventually
from tests.support.producer_processes import as_json, configuration, producer, raw_events, simulator

SYMBOLS = "[SIM001, SIM002, SIM003, SIM004, SIM005, SIM006, SIM007, SIM008]"
# Between our start and when the simulator, in the loop of a test on a loaded machine, looks at its clock.
JITTER_S = 0.15
THROTTLE = (
    "{match: {vendor: yahoo, endpoint: chart}, when: {limit: %d}, fault: {type: status, status: 429%s}}"
)


class Arrivals(FaultPlan):
    """A scenario that also notes when each request came (monotonic seconds)."""

    def __init__(self, simulation: Simulation, scenario: str) -> None:
        super().__init__(parse_scenario(scenario), seed=7, begun=simulation.view.clock.now())
        self.times: list[float] = []

    def request_faults(self, vendor: Any, endpoint: Any, symbols: Collection[str], now: int) -> tuple[Fault, ...]:  # fmt: skip
        """Note the request."""
        self.times.append(monotonic_s())
        return super().request_faults(vendor, endpoint, symbols, now)


def limited(folder: Path, limits: str) -> dict[str, str]:
    return configuration(
        folder, symbols=SYMBOLS, streams="bars: {provider: yahoo, every_s: 60}",
        more=f"providers: {{yahoo: {{limits: {limits}}}}}\n",
    )  # fmt: skip


async def test_a_configured_budget_is_kept(
    kafka_bootstrap: str, topic_prefix: str, database: str, tmp_path: Path
) -> None:
    """Eight symbols a second want more than four a second: forty requests take the time that four a second take.

    That no window holds more, and how much of a budget is usable, is decided in virtual time: `test_gate.py`.
    """
    env = limited(tmp_path, "{per_second: 4, per_minute: 40}") | {"MDS_POSTGRES_DSN": database}
    async with simulator(speed="60") as (simulation, url):
        arrivals = simulation.plan = Arrivals(simulation, "rules: []")
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as running:
            await eventually(lambda: len(arrivals.times) >= 40, within_s=60.0)
            took_s = arrivals.times[39] - arrivals.times[0]
            ratio = await running.metric('mds_provider_budget_used_ratio{provider="yahoo",window="minute"}')

    assert took_s >= (40 - 4) / 4 - JITTER_S
    assert ratio > 0.5


async def test_a_storm_of_429_is_waited_out_and_the_budget_kept(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Requests under way are refused together, then one at a time after 2 and 4 seconds; bars come when it is over."""
    env = limited(tmp_path, "{per_second: 8, concurrency: 3}")
    async with simulator(speed="60") as (simulation, url):
        arrivals = simulation.plan = Arrivals(simulation, f"rules: [{THROTTLE % (5, '')}]")
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as running:
            await eventually(
                lambda: raw_events(kafka_bootstrap, topic_prefix, RAW_BARS, None), within_s=60.0, every_s=0.3
            )
            bans = await running.metric('mds_provider_bans{provider="yahoo"}')
    refused = as_json(simulation)["responses"]["yahoo.chart 429"]
    pauses = [later - earlier for earlier, later in zip(arrivals.times, arrivals.times[1:], strict=False)]

    assert refused == 5
    assert sum(pause >= 1.9 for pause in pauses[:6]) >= 3
    assert bans == 0


async def test_a_killed_producer_is_followed_by_one_that_knows_pause_and_count(
    kafka_bootstrap: str, topic_prefix: str, database: str, tmp_path: Path
) -> None:
    """Kill -9 in the middle of a pause: the next process asks nothing until it is over; the count is not too low.

    The pause is the endpoint's, the count the provider's.
    """
    env = limited(tmp_path, "{per_minute: 1000, per_day: 100000}")
    env |= {"MDS_POSTGRES_DSN": database, "PRODUCERS_CURSOR_WAIT_S": "10"}
    rule = THROTTLE % (1, ", retry_after: 12")
    async with simulator(speed="60") as (simulation, url):
        arrivals = simulation.plan = Arrivals(
            simulation, f"rules: [{rule.replace('limit', 'after_requests: 20, limit')}]"
        )
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as first:
            row = await eventually(lambda: _paused(database), within_s=30.0, every_s=0.1)
            first.process.kill()
            first.process.wait()
        counted, asked = await _row(database), len(arrivals.times)
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as second:
            await eventually(lambda: len(arrivals.times) > asked, within_s=40.0)
            first_ask_us = wall_us() - int((monotonic_s() - arrivals.times[asked]) * SECOND_US)
            assert "budgets_unremembered" not in second.events()
        stored, refused = await _row(database), await _row(database, "chart")

    assert counted["used"] >= asked
    assert first_ask_us >= int(row["paused_until"].timestamp() * SECOND_US) - SECOND_US // 10
    assert stored["used"] >= len(arrivals.times)
    assert refused["reason"] == "status 429, too many requests"


async def test_rows_add_up_and_are_read_back(database: str) -> None:
    """Two processes with one key, two days, a pause that only grows: the table holds the sum and the longest."""
    now = 20_000 * DAY_US + SLOT_US // 2
    slot = now // SLOT_US
    async with pool(database, service="producers", size=1) as opened:
        store = BudgetStore(opened)
        for paused, bans, reason in ((now + 60, 1, "status 429"), (now + 30, 2, "")):
            slots = {slot: 40, slot - 1: 5}
            await store.add([Addition(provider="acme", endpoint="", slots=slots, paused_until=paused, bans=bans, reason=reason)], now)  # fmt: skip
        await store.add([Addition(provider="acme", endpoint="", slots={slot: -30}, paused_until=0, bans=0, reason="")], now + 5)  # fmt: skip
        rows = await store.read(now)
        later = await store.read(now + 2 * DAY_US)

    assert dict(slot for row in rows for slot in row.slots) == {slot: 50, slot - 1: 10}
    assert max(row.paused_until for row in rows) == now + 60
    assert sum(row.bans for row in rows) == 3
    assert {row.reason for row in rows if row.bans} == {"status 429"}
    assert max(row.updated_at for row in rows) == now + 5
    assert later == []


async def test_what_a_clock_that_was_days_ahead_wrote_counts_no_more(database: str) -> None:
    """Its pause and its day would be in force until then; those of tomorrow are of a clock somewhat ahead of ours."""
    now = 20_000 * DAY_US + 3 * SLOT_US
    async with pool(database, service="producers", size=1) as opened:
        store = BudgetStore(opened)
        for days in (0, 1, 2, 400):
            then = now + days * DAY_US
            addition = Addition(
                provider="acme", endpoint="chart", slots={then // SLOT_US: 7}, paused_until=then + 9, bans=1, reason=""
            )  # fmt: skip
            await store.add([addition], then)
        rows = await store.read(now)

    assert sorted(row.updated_at - now for row in rows) == [0, DAY_US]


@pytest.mark.parametrize("migrated", [True, False])
async def test_no_database_and_no_table_are_said_in_time(database: str, *, migrated: bool) -> None:
    """Both are the store's own error, within seconds; the second names the remedy."""
    dsn = f"postgresql://mds:mds@127.0.0.1:{free_port()}/absent"
    if not migrated:
        connection = await asyncpg.connect(database)
        await connection.execute("DROP TABLE provider_budgets")
        await connection.close()
        dsn = database
    async with pool(dsn, service="producers", size=1) as opened:
        begun_s = monotonic_s()
        with pytest.raises(StoreUnavailable, match="PostgreSQL" if migrated else "mds migrate"):
            await BudgetStore(opened).read(wall_us())

    assert monotonic_s() - begun_s < 5.0


async def _paused(dsn: str) -> Any:
    row = await _row(dsn, "chart")
    return row if row is not None and row["paused_until"] is not None else None


async def _row(dsn: str, endpoint: str = "") -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        statement = (
            "SELECT * FROM provider_budgets WHERE provider = 'yahoo' AND endpoint = $1 ORDER BY day DESC"
        )
        return await connection.fetchrow(statement, endpoint)
    finally:
        await connection.close()
