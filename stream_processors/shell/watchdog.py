"""A thread that ends the process when it was frozen, or when progress stands still: a restart converges, waiting may not.

A worker frozen longer than its Kafka session can wake up, rejoin, own partitions and never fetch again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from confluent_kafka import Consumer

from infra.runtime.clock import monotonic_s
from infra.runtime.kafka.clients import consumer_config, offsets
from infra.runtime.standstill import EXIT_FROZEN
from schemas.errors import BrokerUnavailable

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
EXIT_STALLED = 71


class Worked(Protocol):
    """An owned raw partition: when its progress last moved, and the newest offset in it."""

    key: tuple[str, int]
    moved_at_s: float
    done: int


class Watchdog:
    """Watches from a thread of its own; `leave(code)` must end the process without asking anybody."""

    def __init__(
        self,
        owned: Callable[[], Sequence[Worked]],
        *,
        bootstrap: str,
        prefix: str,
        frozen_after_s: float,
        stalled_after_s: float,
        leave: Callable[[int], None],
    ) -> None:
        """Watch nothing before `start`."""
        self._owned, self._leave, self._prefix = owned, leave, prefix
        self._frozen_after_s, self._stalled_after_s = frozen_after_s, stalled_after_s
        self._consumer_config = consumer_config(bootstrap, f"{prefix}processor-watchdog")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, within a look."""
        self._stopping.set()
        self._thread.join(2 * LOOK_EVERY_S)

    def _watch(self) -> None:
        consumer = Consumer(self._consumer_config)
        looked_at_s = monotonic_s()
        while not self._stopping.wait(LOOK_EVERY_S):
            now_s = monotonic_s()
            if now_s - looked_at_s > self._frozen_after_s:
                log.critical("process_was_frozen", extra={"seconds": round(now_s - looked_at_s, 1)})
                self._leave(EXIT_FROZEN)
            for lane in self._owned():
                if now_s - lane.moved_at_s > self._stalled_after_s and self._behind(consumer, lane):
                    log.critical("progress_stalled", extra={"topic": lane.key[0], "partition": lane.key[1]})
                    self._leave(EXIT_STALLED)
            looked_at_s = now_s
        consumer.close()

    def _behind(self, consumer: Consumer, lane: Worked) -> bool:
        """Return whether records wait; a broker that does not answer is not our stall."""
        try:
            _, high = offsets(consumer, self._prefix + lane.key[0], lane.key[1])
        except BrokerUnavailable:
            return False
        return high > lane.done + 1
