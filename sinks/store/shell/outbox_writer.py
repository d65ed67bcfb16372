"""The only publisher of one partition number's outbox rows, fenced by a transactional id that names the number."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from infra.runtime.kafka.publisher import Outgoing
from infra.runtime.kafka.transactions import FencedWriter
from schemas.errors import Fenced

WITHIN_S = 10.0  # for taking over, and for one transaction
TRANSACTION_TIMEOUT_MS = 15_000  # above WITHIN_S: we learn of a failure before the broker acts
# of one partition number's producer
TUNING = {"queue.buffering.max.messages": 5_000, "queue.buffering.max.kbytes": 32_768}


class OutboxWriter:
    """Publishes pieces of the outbox, each whole or not at all; every method blocks, one thread at a time.

    After an error it is of no more use: whether the piece is in the log is settled by the next one's `take_over`,
    before that one can publish anything.
    """

    def __init__(self, bootstrap: str, number: int, *, prefix: str) -> None:
        """Publish for the partition `number` of topics named with `prefix`; `take_over` connects."""
        self._bootstrap, self._number, self._prefix = bootstrap, number, prefix
        self._writer: FencedWriter | None = None

    def take_over(self) -> None:
        """Fence any predecessor: what it has not committed by now never appears. Raises BrokerUnavailable."""
        self._writer = FencedWriter(
            self._bootstrap,
            f"{self._prefix}sinks-outbox-{self._number}",
            timeout_ms=TRANSACTION_TIMEOUT_MS,
            linger_ms=0,
            tuning=TUNING,
        )
        self._writer.take_over(WITHIN_S)

    def publish(self, records: Sequence[Outgoing]) -> None:
        """Publish records of this partition number in order, topics without prefix.

        Raises Fenced where somebody took over since, BrokerUnavailable where the outcome is not known.
        """
        if self._writer is None:
            raise Fenced(f"the outbox of partition {self._number} is not ours; take it over first")
        self._writer.begin()
        for topic, group in groupby(records, key=lambda record: record.topic):
            pairs = [(record.key, record.value) for record in group]
            self._writer.write(self._prefix + topic, self._number, pairs, within_s=WITHIN_S)
        self._writer.commit(WITHIN_S)

    def close(self) -> None:
        """Let go of the producer; what is not committed is dropped."""
        self._writer = None
