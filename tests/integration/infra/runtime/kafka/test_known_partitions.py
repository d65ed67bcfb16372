"""What a process that starts learns of the cluster, waits for and refuses."""

from __future__ import annotations

import asyncio

import pytest

from infra.runtime.kafka.known_partitions import PART, known_partitions
from infra.runtime.lifecycle import Health, Process
from infra.runtime.settings import MdsSettings
from schemas.errors import ConfigurationError, StoreUnavailable
from schemas.topics import DEFAULT_PARTITIONS
from tests.conftest import free_port
from tests.support.eventually import eventually


def a_process() -> Process:
    """Return a process that has just begun."""
    return Process(name="test", stopping=asyncio.Event(), health=Health())


def settings(bootstrap: str, prefix: str, **others: str) -> MdsSettings:
    """Return the settings of a process on that broker."""
    return MdsSettings.from_env({"MDS_KAFKA": bootstrap, "MDS_TOPIC_PREFIX": prefix, **others})


async def test_the_cluster_is_the_truth(kafka_bootstrap: str, topic_prefix: str) -> None:
    """A setting of another number moves nobody."""
    process = a_process()
    asked = settings(kafka_bootstrap, topic_prefix, MDS_PARTITIONS="9")

    assert await known_partitions(process, asked) == DEFAULT_PARTITIONS
    assert process.health.document()[PART]["count"] == DEFAULT_PARTITIONS
    assert process.health.ready()


async def test_without_topics_nothing_starts(kafka_bootstrap: str) -> None:
    """How many there are to be is not for a service to choose."""
    with pytest.raises(ConfigurationError, match="mds topics apply"):
        await known_partitions(a_process(), settings(kafka_bootstrap, "absent."))


async def test_a_broker_that_is_away_is_waited_for(kafka_bootstrap: str, topic_prefix: str) -> None:
    """Not ready meanwhile, and why is told; a process told to stop does."""
    port = free_port()
    asked = settings(f"127.0.0.1:{port}", topic_prefix)
    process = a_process()
    waiting = asyncio.ensure_future(known_partitions(process, asked))
    await eventually(lambda: "waiting_for" in process.health.document()[PART], within_s=20)
    assert not process.health.ready()
    process.stopping.set()

    assert await asyncio.wait_for(waiting, 10) is None


async def test_a_process_of_use_without_a_broker_may_remember(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Where the broker is away the database says it, where that is away too nobody does; else the cluster alone."""

    async def stored() -> int:
        return 7

    async def away() -> int:
        raise StoreUnavailable("the database is away")

    assert (
        await known_partitions(a_process(), settings(kafka_bootstrap, topic_prefix), otherwise=stored)
        == DEFAULT_PARTITIONS
    )
    process, absent = a_process(), settings(f"127.0.0.1:{free_port()}", topic_prefix)
    assert await known_partitions(process, absent, otherwise=stored) == 7
    assert process.health.ready()
    process = a_process()
    waiting = asyncio.ensure_future(known_partitions(process, absent, otherwise=away))
    await eventually(lambda: "waiting_for" in process.health.document()[PART], within_s=20)
    process.stopping.set()
    assert await asyncio.wait_for(waiting, 10) is None
