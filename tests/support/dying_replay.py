"""A gateway's replay of one dead event in a process of its own that is killed on the way: before it publishes, or right after.

python -m tests.support.dying_replay BOOTSTRAP PREFIX DSN EVENT_ID before|after
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from gateway.dead_events.shell.letters import Letters
from gateway.dead_events.shell.replaying import Replaying
from infra.runtime.kafka.publisher import Outgoing
from infra.runtime.postgres import dead_events as store
from infra.runtime.postgres import pool as postgres
from schemas.topics import DEFAULT_PARTITIONS

DIES_WITHIN_S = 60


class Dying(Letters):
    """Publishes or not, and dies."""

    publishes = False

    async def publish(self, records: Sequence[Outgoing]) -> list[int]:
        """Never return."""
        if self.publishes:
            await super().publish(records)
        os.kill(os.getpid(), signal.SIGKILL)
        return []


async def _main(bootstrap: str, prefix: str, dsn: str, dead_id: str, when: str) -> None:
    letters = Dying(bootstrap, prefix=prefix)
    letters.publishes = when == "after"
    async with (
        postgres.pool(dsn, service="test", size=1) as pool,
        postgres.connection(pool, within_s=DIES_WITHIN_S) as borrowed,
    ):
        assert await store.lock(borrowed)
        which = store.DeadFilter(states=("open",), dead_id=int(dead_id))
        events = await store.events(borrowed, which, below_id=None, limit=1)
        await Replaying(letters, DEFAULT_PARTITIONS).replay(borrowed, events, actor="who-died", replace=False)


def replay_and_die(bootstrap: str, prefix: str, dsn: str, dead_id: int, when: str) -> None:
    """Return once it was killed, by itself."""
    command = [sys.executable, "-m", "tests.support.dying_replay", bootstrap, prefix, dsn, str(dead_id), when]
    done = subprocess.run(command, timeout=DIES_WITHIN_S, check=False)
    assert done.returncode == -signal.SIGKILL


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
