"""Reads of the log's past: a block at a time, once for all who wait for it, kept within a budget of the process."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from gateway.live.blocks import Block, LoggedRecord, block_of, block_offsets
from gateway.live.shell.log import PAST_TUNING, REQUEST_TIMEOUT_S, TUNING, collect
from infra.runtime import metrics
from infra.runtime.backoff import RETRY_S
from infra.runtime.clock import monotonic_s
from infra.runtime.kafka.logs import LogReader
from schemas.clocks import CanonicalOffset
from schemas.errors import BrokerUnavailable
from schemas.partitions import TopicPartition

READERS = 2  # blocks read at a time in this process
READ_WITHIN_S = 5.0
PAST_BUDGET_BYTES = 67_108_864  # all blocks of the process together

Key = tuple[TopicPartition, int]


class Awaiting(Protocol):
    """Somebody who waits for blocks on behalf of his subscriptions."""

    def arrived(self, number: int) -> None:
        """Note that the block that subscription `number` waits for is there."""


class LogPast:
    """The past of every partition. Used from one event loop; reads happen on threads with a reader each."""

    def __init__(
        self, bootstrap: str, client_id: str, prefix: str, *, budget_bytes: int = PAST_BUDGET_BYTES
    ) -> None:
        """Connect lazily; `close` must be called."""
        self._bootstrap, self._client_id, self._prefix = bootstrap, f"{client_id}-reader", prefix
        self._budget_bytes = budget_bytes
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix=f"{client_id}-reader")
        self._own = threading.local()
        self._opened: list[LogReader] = []
        self._blocks: OrderedDict[Key, Block] = OrderedDict()
        self._wanted: OrderedDict[Key, dict[tuple[Awaiting, int], int]] = OrderedDict()
        self._reading: set[Key] = set()
        self._workers: set[asyncio.Task[None]] = set()
        self._logs = 0  # how many there were before this one
        self.number = 0  # of the read begun last

    def find(self, place: TopicPartition, offset: int, *, asked: int) -> Block | None:
        """Return the block that says what is at `offset`: one that holds it, or any that was read since read `asked`."""
        key = place, block_of(place.topic, offset)
        block = self._blocks.get(key)
        if block is None or not (block.holds(offset) or block.number > asked):
            return None
        self._blocks.move_to_end(key)
        return block

    def want(self, place: TopicPartition, offset: int, who: Awaiting, number: int) -> None:
        """Have the block of `offset` read, and `who` told."""
        self._wanted.setdefault((place, block_of(place.topic, offset)), {})[who, number] = offset
        if len(self._workers) < READERS:
            worker = asyncio.create_task(self._work(), name="past")
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    def forget(self, who: Awaiting) -> None:
        """Read nothing more for somebody."""
        for key, waiting in list(self._wanted.items()):
            for each in [each for each in waiting if each[0] is who]:
                del waiting[each]
            if not waiting:
                del self._wanted[key]

    def clear(self) -> None:
        """Forget every block: the log is another one."""
        self._blocks.clear()
        self._wanted.clear()
        self._logs += 1

    async def offset_at(self, place: TopicPartition, time_us: int) -> CanonicalOffset | None:
        """Return the offset below which everything was appended before `time_us`; None where that is expired.

        Raises BrokerUnavailable.
        """
        found: CanonicalOffset | None = await self._on_thread(self._offset_at, place, time_us)
        return found

    async def close(self) -> None:
        """Wait for reads under way, each bounded, and disconnect."""
        for worker in tuple(self._workers):
            worker.cancel()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        for reader in self._opened:
            reader.close()

    async def _work(self) -> None:
        while (key := next((key for key in self._wanted if key not in self._reading), None)) is not None:
            self._reading.add(key)
            waiting = self._wanted.pop(key)
            self.number += 1
            of_log = self._logs
            try:
                block = await self._on_thread(self._read, *key, self.number)
            except BrokerUnavailable:
                if of_log == self._logs:
                    self._wanted.setdefault(key, {}).update(waiting)
                await asyncio.sleep(RETRY_S)
                continue
            finally:
                self._reading.discard(key)
            metrics.WS_PAST_READS.inc()
            if of_log == self._logs:  # else it was read of a log that is no more, and so are they who waited
                self._keep(key, block)
                self._tell(key, block, waiting)

    def _keep(self, key: Key, block: Block) -> None:
        self._blocks[key] = block
        self._blocks.move_to_end(key)
        # What was decoded since counts too; the newest stays, whatever it costs.
        held = sum(each.cost_bytes for each in self._blocks.values())
        while held > self._budget_bytes and len(self._blocks) > 1:
            held -= self._blocks.popitem(last=False)[1].cost_bytes

    def _tell(self, key: Key, block: Block, waiting: dict[tuple[Awaiting, int], int]) -> None:
        late = self._wanted.get(key, {})  # they came while it was read: what it holds is for them as well
        for each in [each for each, offset in late.items() if block.holds(offset)]:
            waiting[each] = late.pop(each)
        if not late:
            self._wanted.pop(key, None)
        for who, number in waiting:
            who.arrived(number)

    async def _on_thread(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)

    def _reader(self) -> LogReader:
        if not hasattr(self._own, "reader"):
            self._own.reader = LogReader(
                self._bootstrap, self._client_id, within_s=REQUEST_TIMEOUT_S, tuning={**TUNING, **PAST_TUNING}
            )
            self._opened.append(self._own.reader)
        reader: LogReader = self._own.reader
        return reader

    def _offset_at(self, place: TopicPartition, time_us: int) -> CanonicalOffset | None:
        reader, name = self._reader(), self._prefix + place.topic
        low, high = reader.bounds(name, place.partition)
        found = reader.offset_at(name, place.partition, time_us)
        first = high if found is None else found
        return None if first <= low and low > 0 else CanonicalOffset(first)

    def _read(self, place: TopicPartition, index: int, number: int) -> Block:
        reader, name = self._reader(), self._prefix + place.topic
        low, high = reader.bounds(name, place.partition)
        size = block_offsets(place.topic)
        first, last = max(low, index * size), (index + 1) * size - 1
        by_key: dict[bytes, list[LoggedRecord]] = {}
        to = min(last, first - 1)
        if first <= last and first < high:
            reader.assign({TopicPartition(name, place.partition): first})
            try:
                messages, to = collect(reader, first - 1, last, monotonic_s() + READ_WITHIN_S)
            finally:
                reader.unassign()
            for message in messages:
                offset: Any = message.offset()  # not wrapped, as in `Tail.address_of`
                raw = LoggedRecord(offset, message.timestamp()[1] * 1_000, message.value())
                by_key.setdefault(message.key() or b"", []).append(raw)
        return Block(place, first, to, high=high, number=number, by_key=by_key)
