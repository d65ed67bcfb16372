"""Workers and sweepers as real processes, killed and frozen beyond their leases: the queue drains, and each job ends once."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack

import pytest

from tests.conftest import ROOT
from tests.support.backfill_replica import LEASE_S
from tests.support.databases import execute
from tests.support.eventually import eventually
from tests.support.ledger_rows import told
from tests.support.sink_records import query
from tests.support.sink_writers import a_batch, a_minute, a_writer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]

MANY = int(os.environ.get("MDS_QUEUE_SEEDS", "0"))  # of `make soak`
SEEDS = range(1, 1 + (MANY or 2))
REPLICAS = ("worker-1", "worker-2", "sweeper-1", "sweeper-2")
GAPS = 60
FAULTS = 12 if MANY else 4
DRAINED_WITHIN_S = 60.0
# every change of a job's state, by whomever
WATCH = """
    CREATE TABLE changes (number bigint GENERATED ALWAYS AS IDENTITY, job_id text, was text, now text, owner text);
    CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO changes (job_id, was, now, owner) VALUES (NEW.job_id, OLD.state, NEW.state, coalesce(NEW.lease_owner, ''));
        RETURN NULL;
    END $$;
    CREATE TRIGGER note_change AFTER UPDATE OF state ON backfill_jobs FOR EACH ROW WHEN (OLD.state <> NEW.state)
        EXECUTE FUNCTION note_change();
"""
ENDED = ("done", "empty", "unrecoverable", "dead")


class Replicas:
    """Processes that are begun again when they die."""

    def __init__(self, dsn: str, seed: int) -> None:
        """Prepare."""
        self.dsn, self.random, self.starts = dsn, random.Random(seed), 0
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        """Begin one, under a name nobody had before."""
        self.starts += 1
        arguments = [
            name.partition("-")[0],
            self.dsn,
            f"{name}-{self.starts}",
            str(self.random.randrange(10**6)),
        ]
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-m", "tests.support.backfill_replica", *arguments],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )

    async def strike(self) -> None:
        """Kill one, or freeze it for up to two leases."""
        name = self.random.choice(REPLICAS)
        if self.random.random() < 0.5:
            self.processes[name].kill()
            self.processes[name].wait()
            await asyncio.sleep(self.random.uniform(0.0, 0.5))
            self.start(name)
        else:
            self.processes[name].send_signal(signal.SIGSTOP)
            await asyncio.sleep(self.random.uniform(0.3, 2 * LEASE_S))
            self.processes[name].send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Kill all."""
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.mark.parametrize("seed", SEEDS)
async def test_killed_and_frozen_they_leave_no_job_behind_and_end_none_twice(
    database: str, seed: int
) -> None:
    """As many gaps as the queue has no room for at once: each is asked for once, and its job done once."""
    await execute(database, WATCH)
    async with a_writer(database) as writer:
        blind = [told(3 * n + 1, 3 * n + 2, "blind", 10 + n) for n in range(GAPS)]
        await writer.write(a_batch(writer, a_minute(0), *blind, a_minute(3 * GAPS + 1)))
    replicas = Replicas(database, seed)
    with ExitStack() as stack:
        stack.callback(replicas.stop)
        for name in REPLICAS:
            replicas.start(name)
        await eventually(lambda: _states(database), within_s=DRAINED_WITHIN_S, every_s=0.2)
        for _ in range(FAULTS):
            await replicas.strike()

        async def drained() -> bool:
            found = await _states(database)
            assert found == {"done": GAPS}, found
            return True

        await eventually(drained, within_s=DRAINED_WITHIN_S, every_s=0.3, what="every gap's job is done")
        assert all(process.poll() is None for process in replicas.processes.values())
    changes = await query(database, "SELECT job_id, was, now, owner FROM changes ORDER BY number")

    ends = Counter(row["job_id"] for row in changes if row["now"] in ENDED)
    assert len(ends) >= GAPS
    assert set(ends.values()) == {1}
    assert {row["was"] for row in changes if row["now"] == "running"} == {"queued"}
    assert {row["was"] for row in changes if row["now"] in ENDED} == {"running"}


async def _states(dsn: str) -> Counter[str]:
    rows = await query(dsn, "SELECT state FROM backfill_jobs WHERE origin = 'gap'")
    return Counter(row["state"] for row in rows)
