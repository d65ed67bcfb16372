"""Ticks: where a raw partition stayed silent, its owner appends an empty block, so idleness is claimed by the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from infra.runtime.clock import monotonic_s, wall_us
from infra.runtime.kafka.publisher import Outgoing, Publisher
from schemas.clocks import RawOffset
from schemas.errors import BrokerUnavailable
from schemas.partitions import TopicPartition
from schemas.records import NO_OFFSET, RawBlock
from schemas.wire.codec import encode

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.2
RETRY_AFTER_S = 1.0
GIVE_UP_AFTER_S = 60.0  # without ticks nothing says that the partition is idle
# Of all owned partitions together: what idleness costs does not grow with their number, how late it is told does.
TICKS_PER_S = 64.0


class OwnedPartition(Protocol):
    """An owned raw partition: when a record was last heard, and the newest offset heard."""

    key: TopicPartition
    heard_at_s: float
    fed: RawOffset


async def tick(
    publisher: Publisher, owned: Callable[[], Sequence[OwnedPartition]], *, prefix: str, silent_s: float
) -> None:
    """For ever append an empty block to each owned raw partition that was silent for `silent_s` seconds.

    Where so many are owned that they would get more than 64 ticks a second, each is given as much longer.
    One tick at a time per partition: the next waits until the last was heard, so a stalled reader is not buried.
    Raises BrokerUnavailable when appending failed for a minute.
    """
    sent: dict[TopicPartition, RawOffset] = {}
    worked_at_s = monotonic_s()
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        now_s = monotonic_s()
        lanes = owned()
        patience_s = max(silent_s, len(lanes) / TICKS_PER_S)
        sent = {lane.key: sent[lane.key] for lane in lanes if lane.key in sent}
        silent = [
            lane
            for lane in lanes
            if now_s - lane.heard_at_s >= patience_s and lane.fed >= sent.get(lane.key, NO_OFFSET)
        ]
        if not silent:
            worked_at_s = now_s
            continue
        try:
            offsets = await publisher.publish([_tick(lane.key, prefix) for lane in silent])
        except BrokerUnavailable as error:
            log.warning("tick_not_appended", extra={"error": str(error)})
            if monotonic_s() - worked_at_s > GIVE_UP_AFTER_S:
                raise
            await asyncio.sleep(RETRY_AFTER_S)
            continue
        worked_at_s = monotonic_s()
        sent.update({lane.key: RawOffset(offset) for lane, offset in zip(silent, offsets, strict=True)})


def _tick(key: TopicPartition, prefix: str) -> Outgoing:
    topic, partition = key
    block = RawBlock(provider="", endpoint="tick", route="primary", received_time=wall_us())
    return Outgoing(topic=prefix + topic, partition=partition, value=encode(topic, block))
