"""The rules of healing: how many jobs the queue takes by the configuration in force."""

from __future__ import annotations

from schemas.configuration.backfill import QueuedJobs
from sinks.store.shell.healing import Healing
from tests.support.queued_gaps import healing


async def test_the_queue_takes_what_its_tiers_do_together() -> None:
    """By the caps of the configuration; a tier it does not name keeps its default."""
    text = "symbols: [{symbol: SPY, tier: T0}]\nbackfill: {queued_jobs: {T0: 2, T1: 30}}"
    caps = QueuedJobs()

    assert (await healing(text)).most_jobs == 2 + 30 + caps.T2


def test_the_queue_has_its_usual_size_before_a_configuration_is_in_force() -> None:
    """What it holds is counted against something from the first look on."""
    caps = QueuedJobs()

    assert Healing(partitions=4).most_jobs == caps.T0 + caps.T1 + caps.T2
