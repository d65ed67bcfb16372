"""Whatever befalls the backfill queue and the ledger, in any order: no job is lost or run twice at once, every gap ends.

The world is `tests/support/healing_world.py`: a real sink's writer and sweep, real workers, a real PostgreSQL that is restarted.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from infra.embedded.postgres import EmbeddedPostgres
from producers.backfill.shell import leases
from schemas.universe import TIERS
from sinks.store.shell import healing
from tests.conftest import free_port
from tests.support.databases import execute, lay_out, with_database
from tests.support.folders import server_folder
from tests.support.healing_world import PROVIDERS, SESSION, SYMBOLS, HealingWorld, Worker

EXAMPLES = int(os.environ.get("MDS_QUEUE_EXAMPLES", "6"))
STEPS = 30
RESTARTS = 1  # of one example
TEMPLATE = "queue_template"
T = TypeVar("T")

symbols, providers, tiers = st.sampled_from(list(SYMBOLS)), st.sampled_from(PROVIDERS), st.sampled_from(TIERS)
places, lengths = st.integers(1, SESSION - 40), st.integers(1, 30)
clocks = st.floats(-300.0, 300.0)
outcomes = st.sampled_from(["done", "half", "empty", "failed", "throttled"])
numbers = st.integers(0, 1_000)


class Machine(RuleBasedStateMachine):
    """All that may happen."""

    server: EmbeddedPostgres
    runner: asyncio.Runner

    def run(self, work: Awaitable[T]) -> T:
        """Wait for something."""

        async def waited() -> T:
            return await work

        return self.runner.run(waited())

    @initialize(skews=st.lists(clocks, min_size=2, max_size=3))
    def begin(self, skews: list[float]) -> None:
        """A fresh database; each worker has a clock of its own."""
        name = f"queue_{uuid.uuid4().hex[:8]}"
        self.run(execute(self.server.dsn, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}"))
        self.world = HealingWorld(with_database(self.server.dsn, name))
        self.name, self.restarts, self.rushed = name, 0, False
        self.run(self.world.open(skews))

    def worker(self, number: int) -> Worker:
        """Return one of the workers."""
        return self.world.workers[number % len(self.world.workers)]

    @rule(symbol=symbols, first=places, count=lengths)
    def nobody_watches(self, symbol: str, first: int, count: int) -> None:
        """A gap opens, or some."""
        self.run(self.world.blind(symbol, first, count))

    @rule(symbol=symbols, provider=providers, tier=tiers, first=places, count=lengths)
    def somebody_asks(self, symbol: str, provider: str, tier: Any, first: int, count: int) -> None:
        """A job, the one there is, or none beyond the bound."""
        answer = self.run(self.world.ask(symbol, provider, tier, first, count))
        assert (answer.job is None) == (answer.refusal != "")
        assert answer.refusal in ("", "full")

    @rule(number=numbers)
    def a_worker_looks(self, number: int) -> None:
        """It takes what it has room for."""
        self.run(self.world.look(self.worker(number)))

    @rule(number=numbers, which=numbers, outcome=outcomes, data_first=st.booleans())
    def a_job_comes_to_something(self, number: int, which: int, outcome: str, data_first: bool) -> None:
        """Its rows are stored before it ends, or after."""
        worker = self.worker(number)
        held = [job for job in worker.jobs if self.world.holds(worker, job)]
        if held:
            job = held[which % len(held)]
            self.run(self.world.finish(worker, job, outcome, data_first=data_first))
            worker.jobs.remove(job)

    @rule(number=numbers)
    def a_worker_says_it_is_alive(self, number: int) -> None:
        """It renews its leases, if it still has them."""
        worker = self.worker(number)
        self.run(self.world.as_worker(worker, worker.leases._renewed))  # noqa: SLF001

    @rule(number=numbers, skew=clocks)
    def a_worker_dies_and_another_comes(self, number: int, skew: float) -> None:
        """What it held is nobody's until the leases run out."""
        self.world.workers.remove(self.worker(number))
        self.run(self.world.hire(skew))

    @rule(number=numbers)
    def a_worker_freezes_beyond_its_leases(self, number: int) -> None:
        """Another one takes what it had."""
        self.run(self.world.freeze(self.worker(number), self.worker(number + 1)))

    @rule(number=numbers)
    def a_worker_stops(self, number: int) -> None:
        """It hands back what it has."""
        worker = self.worker(number)
        self.run(self.world.as_worker(worker, lambda: worker.leases.hand_back_all("stopped")))
        worker.jobs = []

    @rule(seconds=st.sampled_from([1.0, 20.0, 50.0, 61.0, 130.0, 3_700.0]))
    def time_passes(self, seconds: float) -> None:
        """Leases and waits run out."""
        self.run(self.world.passes(seconds))

    @precondition(lambda self: not self.rushed)
    @rule(number=numbers, rounds=st.integers(1, 12))
    def urgent_jobs_keep_coming(self, number: int, rounds: int) -> None:
        """Once in an example: others must have their turn all the same."""
        self.rushed = True
        self.run(self.world.rush(self.worker(number), rounds))

    @rule()
    def the_sink_sweeps(self) -> None:
        """What found no room is queued where there is some now."""
        self.run(self.world.sweep())

    @rule(which=numbers)
    def a_job_is_queued_again(self, which: int) -> None:
        """By an operator."""
        ended = sorted(
            row["job_id"] for row in self.run(self.world.jobs()) if row["state"] in ("dead", "unrecoverable")
        )
        if ended:
            self.run(self.world.requeue(ended[which % len(ended)]))

    @rule()
    def dead_jobs_are_purged(self) -> None:
        """By an operator, too."""
        self.run(self.world.purge())

    @precondition(lambda self: self.restarts < RESTARTS)
    @rule()
    def the_database_restarts(self) -> None:
        """Every connection ends."""
        self.restarts += 1
        self.server.stop()
        self.server.start().wait_ready()

    @invariant()
    def all_holds(self) -> None:
        """After each step."""
        if hasattr(self, "world"):
            self.run(self.world.check())

    def teardown(self) -> None:
        """Every gap ends; then the database goes."""
        if hasattr(self, "world"):
            try:
                self.run(self.world.drain())
            finally:
                self.run(self.world.close())
                self.run(execute(self.server.dsn, f"DROP DATABASE {self.name} WITH (FORCE)"))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Machine]]:
    """The machine on a server of its own, which it may restart."""
    monkeypatch.setattr(leases, "monotonic_s", leases.monotonic_s)  # put back what the world sets
    monkeypatch.setattr(healing, "LOOK_EVERY_S", healing.LOOK_EVERY_S)
    monkeypatch.setattr(leases, "AGAIN_S", 0.1)
    with (
        # PostgreSQL's own user must reach it, as it does not reach a folder of pytest's
        server_folder() as home,
        EmbeddedPostgres(Path(home), port=free_port(), durable=False) as server,
        asyncio.Runner() as runner,
    ):
        server.wait_ready()
        runner.run(execute(server.dsn, f"CREATE DATABASE {TEMPLATE}"))
        runner.run(lay_out(with_database(server.dsn, TEMPLATE)))
        Machine.server, Machine.runner = server, runner
        yield Machine


def test_nothing_is_lost_run_twice_or_left_open_whatever_happens(machine: type[Machine]) -> None:
    """Caps and the bound of fairness are kept; `make soak` plays more of them (MDS_QUEUE_EXAMPLES)."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate, Phase.shrink] if EXAMPLES > 50 else [Phase.generate],
            database=None,
        ),
    )
