"""What a raw topic tells of dead events that came in again, on a real broker."""

from __future__ import annotations

import asyncio

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from gateway.dead_events.judging import letter_name, records_of
from gateway.dead_events.shell.letters import Letters
from infra.runtime.clock import wall_us
from infra.runtime.kafka.publisher import Outgoing
from schemas.clocks import WallTime
from schemas.intervals import HOUR_US
from schemas.topics import DEFAULT_PARTITIONS, RAW_TRADES
from schemas.wire.codec import encode
from tests.support.builders import a_block, a_trade_event
from tests.support.dead_letters import NOW, judge, of_event

WITHIN_S = 60.0


async def test_only_what_came_from_letters_since_is_told(kafka_bootstrap: str, topic_prefix: str) -> None:
    """With its place; not what came before, nor after the moment asked about, nor vendors' blocks; and that it is deleted."""
    letters = Letters(kafka_bootstrap, prefix=topic_prefix)
    told = judge(*(of_event(RAW_TRADES, a_trade_event(), n) for n in range(3)))
    ((home, first),), ((_, second),), ((_, third),) = (
        records_of(each, DEFAULT_PARTITIONS, NOW) for each in told
    )
    names = [letter_name(each.event.place) for each in told]
    block = encode(RAW_TRADES, a_block(a_trade_event()))
    values = [first, block, second, block, third]
    await letters.publish([Outgoing(topic=RAW_TRADES, partition=home, value=value) for value in values])
    later, earlier = WallTime(wall_us() + HOUR_US), WallTime(wall_us() - HOUR_US)

    assert await letters.ends(RAW_TRADES, [home, home]) == {home: 5}
    assert await letters.brought(RAW_TRADES, home, 1, later) == {names[1]: 2, names[2]: 4}
    assert await letters.brought(RAW_TRADES, home, 5, later) == {}
    assert await letters.brought(RAW_TRADES, home, 1, earlier) == {}
    assert await letters.brought(RAW_TRADES, home, 6, later) is None
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    (deleted,) = admin.delete_records([TopicPartition(topic_prefix + RAW_TRADES, home, 3)]).values()
    await asyncio.to_thread(deleted.result, WITHIN_S)
    assert await letters.brought(RAW_TRADES, home, 1, later) is None
    assert await letters.brought(RAW_TRADES, home, 3, later) == {names[2]: 4}
