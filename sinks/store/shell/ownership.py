"""Taking partitions over from whoever had them: evict, bump the epoch, and only then read where to go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from infra.runtime.postgres.errors import Connection
from schemas.clocks import CanonicalOffset, EventTime, KnowledgeTime, WallTime
from schemas.identity import gap_id
from schemas.partitions import TopicPartition
from schemas.records import Gap
from schemas.topics import CANONICAL_TOPICS
from sinks.progress.positions import Log, PartitionRefused, Resume, StoredPosition, start_position

EVICTION_MS = 5_000


# Taking over. $1 topics, $2 partitions.
EVICT = """
    SELECT pg_terminate_backend(a.pid, $3) FROM pg_stat_activity a WHERE a.pid <> pg_backend_pid()
    AND (a.pid, a.backend_start) IN (
        SELECT o.owner_pid, o.backend_start FROM sink_offsets o
        JOIN unnest($1::text[], $2::int[]) p(topic, partition) USING (topic, partition))
"""  # $3: how long to wait for it to be gone, ms
FIRST_SIGHT = """
    INSERT INTO sink_offsets (topic, partition, topic_id, leader_epoch, next_offset, owner_epoch)
    SELECT topic, partition, id, -1, log_start, 0
    FROM unnest($1::text[], $2::int[], $3::text[], $4::bigint[]) p(topic, partition, id, log_start)
    ON CONFLICT DO NOTHING
"""
LOCK_OFFSETS = """
    SELECT topic, partition, topic_id, next_offset FROM sink_offsets
    JOIN unnest($1::text[], $2::int[]) p(topic, partition) USING (topic, partition)
    ORDER BY topic, partition FOR UPDATE OF sink_offsets
"""  # in one order, so that two sinks taking over at once never wait for each other in a circle
TAKE_OVER = """
    UPDATE sink_offsets o SET owner_epoch = o.owner_epoch + 1, owner_pid = pg_backend_pid(),
        backend_start = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()),
        topic_id = p.topic_id, next_offset = p.next_offset
    FROM unnest($1::text[], $2::int[], $3::text[], $4::bigint[]) p(topic, partition, topic_id, next_offset)
    WHERE o.topic = p.topic AND o.partition = p.partition
    RETURNING o.topic, o.partition, o.owner_epoch
"""
LOAD_WATERMARKS = """
    SELECT topic, partition, complete_before FROM watermarks
    JOIN unnest($1::text[], $2::int[]) p(topic, partition) USING (topic, partition)
"""


@dataclass(slots=True)
class Owned:
    """A partition this connection owns: the epoch that fences others, and the position stored."""

    epoch: int
    next_offset: CanonicalOffset


@dataclass(slots=True)
class TakeOver:
    """Result of taking over: partitions owned, those refused, and gaps for records the log no longer holds."""

    owned: dict[TopicPartition, Owned] = field(default_factory=dict)
    refused: dict[TopicPartition, PartitionRefused] = field(default_factory=dict)
    lost: list[tuple[int, Gap]] = field(default_factory=list)


async def take_over(
    connection: Connection, logs: Mapping[TopicPartition, Log], *, now_us: WallTime
) -> TakeOver:
    """Own every partition of `logs`, inside the caller's deadline; its predecessor can write no more when this returns.

    A predecessor frozen inside COPY would block us without bound and no timeout would fire, so its backend is
    terminated first, where pid and start still match. `now_us` dates gaps of truncated logs.
    """
    topics, numbers = _columns(sorted(logs))
    await connection.fetch(EVICT, topics, numbers, EVICTION_MS)
    async with connection.transaction():
        first = [logs[partition] for partition in sorted(logs)]
        ids, starts = [log.topic_id for log in first], [log.start for log in first]
        await connection.execute(FIRST_SIGHT, topics, numbers, ids, starts)
        result, resumed = TakeOver(), dict[TopicPartition, Resume]()
        for row in await connection.fetch(LOCK_OFFSETS, topics, numbers):
            partition = TopicPartition(row["topic"], row["partition"])
            stored = StoredPosition(topic_id=row["topic_id"], next_offset=row["next_offset"])
            position = start_position(f"{partition.topic}/{partition.partition}", stored, logs[partition])
            if isinstance(position, PartitionRefused):
                result.refused[partition] = position
            else:
                resumed[partition] = position
        await _own(connection, logs, resumed, result)
        watermarks = await _watermarks(connection, resumed)
    for partition, position in resumed.items():
        if position.lost and partition.topic in CANONICAL_TOPICS:
            result.lost.append(
                (partition.partition, _lost(partition, watermarks.get(partition, KnowledgeTime(0)), now_us))
            )
    return result


async def _own(
    connection: Connection,
    logs: Mapping[TopicPartition, Log],
    resumed: Mapping[TopicPartition, Resume],
    result: TakeOver,
) -> None:
    topics, numbers = _columns(list(resumed))
    ids = [logs[partition].topic_id for partition in resumed]
    # A truncated partition keeps its position here: it moves with the gap, in one transaction.
    offsets = [position.lost[0] if position.lost else position.offset for position in resumed.values()]
    for row in await connection.fetch(TAKE_OVER, topics, numbers, ids, offsets):
        partition = TopicPartition(row["topic"], row["partition"])
        result.owned[partition] = Owned(epoch=row["owner_epoch"], next_offset=CanonicalOffset(0))
    for partition, offset in zip(resumed, offsets, strict=True):
        result.owned[partition].next_offset = offset


async def _watermarks(
    connection: Connection, partitions: Mapping[TopicPartition, Resume]
) -> dict[TopicPartition, KnowledgeTime]:
    rows = await connection.fetch(LOAD_WATERMARKS, *_columns(list(partitions)))
    return {TopicPartition(row["topic"], row["partition"]): row["complete_before"] for row in rows}


def _lost(partition: TopicPartition, since: KnowledgeTime, now_us: WallTime) -> Gap:
    """Return the gap of records nobody can read any more; its times are knowledge times: all such a loss leaves."""
    stream = f"{partition.topic}/{partition.partition}"
    return Gap(
        gap_id=gap_id(stream, since),
        stream=stream,
        symbol="",
        provider="",
        interval="",
        from_time=EventTime(since),
        to_time=EventTime(max(now_us, since + 1)),
        cause="log_truncated",
        confidence="proven",
        detector="sink",
        known_from=KnowledgeTime(now_us),
    )


def _columns(partitions: Sequence[TopicPartition]) -> tuple[list[str], list[int]]:
    return [topic for topic, _ in partitions], [number for _, number in partitions]
