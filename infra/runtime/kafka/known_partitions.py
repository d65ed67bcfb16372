"""The partition count of the cluster, read once by each process that starts: the cluster is the truth, never a setting."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from infra.runtime.backoff import STARTING_RETRY_S
from infra.runtime.kafka.topics import partition_count
from infra.runtime.lifecycle import Process
from infra.runtime.settings import MdsSettings
from infra.runtime.threads import in_daemon_thread
from schemas.errors import BrokerUnavailable, StoreUnavailable

PART = "partitions"
ASK_WITHIN_S = 4.0  # a process told to stop waits for one question at most

log = logging.getLogger(__name__)


async def known_partitions(
    process: Process, shared: MdsSettings, *, otherwise: Callable[[], Awaitable[int | None]] | None = None
) -> int | None:
    """Return the count that all topics share; waits, not ready, until the broker is up. None: told to stop meanwhile.

    While the broker is away `otherwise` may say it, for a process of use without one; it must be checked against the
    cluster as soon as that answers. None from it, or StoreUnavailable: it cannot.
    Raises ConfigurationError where topics are missing or differ: with a wrong count a symbol would be looked for, or
    written, where it does not live.
    """
    process.health.expect(PART)
    ask = partial(
        partition_count,
        shared.bootstrap_servers,
        prefix=shared.topic_prefix,
        client_id=f"{shared.topic_prefix}{process.name}-partitions",
        within_s=ASK_WITHIN_S,
    )
    while not process.stopping.is_set():
        try:
            count = await in_daemon_thread(ask, name="partitions")
        except BrokerUnavailable as error:
            process.health.report(PART, ready=False, waiting_for=str(error))
            stored = None if otherwise is None else await _remembered(otherwise)
            if stored is not None:
                process.health.report(PART, ready=True, count=stored, source="database")
                return stored
            with suppress(TimeoutError):
                await asyncio.wait_for(process.stopping.wait(), STARTING_RETRY_S)
            continue
        process.health.report(PART, ready=True, count=count)
        log.info("partitions_known", extra={"partitions": count})
        return count
    return None


async def _remembered(otherwise: Callable[[], Awaitable[int | None]]) -> int | None:
    try:
        return await otherwise()
    except StoreUnavailable:
        return None
