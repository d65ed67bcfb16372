"""Taking partitions over from whoever had them (evict, bump the epoch, and only then read where to go on), and moving on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.runtime.postgres.errors import Connection
from schemas.clocks import CanonicalOffset, EventTime, KnowledgeTime, WallTime
from schemas.errors import Fenced
from schemas.partitions import TopicPartition
from schemas.records import Evidence
from schemas.streams import BY_TOPIC, StreamId
from schemas.topics import CANONICAL_TOPICS, PROGRESS
from sinks.batch.batch import Batch
from sinks.ledger.lost import lost_evidence
from sinks.progress.positions import Log, PartitionRefused, StoredPosition, start_position
from sinks.progress.watermark import Claims

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
STORED_POSITIONS = """
    SELECT topic, partition, topic_id, next_offset, leader_epoch FROM sink_offsets
    JOIN unnest($1::text[], $2::int[]) p(topic, partition) USING (topic, partition)
"""
LOCK_OFFSETS = """
    SELECT topic, partition, topic_id, next_offset, leader_epoch FROM sink_offsets
    JOIN unnest($1::text[], $2::int[]) p(topic, partition) USING (topic, partition)
    ORDER BY topic, partition FOR UPDATE OF sink_offsets
"""  # in one order, so that two sinks taking over at once never wait for each other in a circle
TAKE_OVER = """
    UPDATE sink_offsets o SET owner_epoch = o.owner_epoch + 1, owner_pid = pg_backend_pid(),
        backend_start = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()),
        topic_id = p.topic_id, next_offset = p.next_offset, leader_epoch = GREATEST(o.leader_epoch, p.leader_epoch)
    FROM unnest($1::text[], $2::int[], $3::text[], $4::bigint[], $5::int[])
        p(topic, partition, topic_id, next_offset, leader_epoch)
    WHERE o.topic = p.topic AND o.partition = p.partition
    RETURNING o.topic, o.partition, o.owner_epoch, o.next_offset
"""
# $3 from, $4 to, $5 leader epoch, $6 owner epoch: a row not updated means that somebody newer owns the partition.
MOVE_OFFSETS = """
    UPDATE sink_offsets o SET next_offset = m.next_offset, leader_epoch = GREATEST(o.leader_epoch, m.leader_epoch)
    FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[], $5::int[], $6::bigint[])
        m(topic, partition, previous, next_offset, leader_epoch, owner_epoch)
    WHERE o.topic = m.topic AND o.partition = m.partition
        AND o.owner_epoch = m.owner_epoch AND o.next_offset = m.previous
    RETURNING 1
"""
LOAD_WATERMARKS = """
    SELECT topic, partition, complete_before FROM watermarks
    JOIN unnest($1::text[], $2::int[]) p(topic, partition) USING (topic, partition)
"""

# of one partition and kind, what has any row that counts
LOAD_LAST_SEEN = """
    SELECT kind, interval, provider, symbol, last_seen FROM streams
    WHERE partition = $1 AND kind = $2 AND last_seen IS NOT NULL ORDER BY stream_id
"""


@dataclass(slots=True)
class Owned:
    """A partition this connection owns: the epoch that fences others, and the position stored."""

    epoch: int
    next_offset: CanonicalOffset


@dataclass(slots=True)
class TakeOver:
    """Result of taking over: partitions owned, those refused, and where those go on whose loss must be told first."""

    owned: dict[TopicPartition, Owned] = field(default_factory=dict)
    refused: dict[TopicPartition, PartitionRefused] = field(default_factory=dict)
    lost: dict[TopicPartition, CanonicalOffset] = field(default_factory=dict)
    watermarks: dict[TopicPartition, KnowledgeTime] = field(default_factory=dict)


async def take_over(connection: Connection, logs: Mapping[TopicPartition, Log]) -> TakeOver:
    """Own every partition of `logs`, inside the caller's deadline; its predecessor can write no more when this returns.

    A predecessor frozen inside COPY would block us without bound and no timeout would fire, so its backend is
    terminated first, where pid and start still match.
    """
    topics, numbers = _columns(sorted(logs))
    await connection.fetch(EVICT, topics, numbers, EVICTION_MS)
    async with connection.transaction():
        first = [logs[partition] for partition in sorted(logs)]
        ids, starts = [log.topic_id for log in first], [log.start for log in first]
        await connection.execute(FIRST_SIGHT, topics, numbers, ids, starts)
        result, resumed = TakeOver(), list[tuple[TopicPartition, str, CanonicalOffset, int]]()
        for partition, stored in _positions(await connection.fetch(LOCK_OFFSETS, topics, numbers)).items():
            log = logs[partition]
            position = start_position(f"{partition.topic}/{partition.partition}", stored, log)
            if isinstance(position, PartitionRefused):
                result.refused[partition] = position
            elif position.lost and partition.topic in CANONICAL_TOPICS:
                # Position and epoch stay as they are here: they move with the evidence, in one transaction.
                result.lost[partition] = position.offset
                resumed.append((partition, log.topic_id, stored.next_offset, stored.leader_epoch))
            else:
                resumed.append((partition, log.topic_id, position.offset, log.leader_epoch))
        result.owned = await _own(connection, resumed)
        result.watermarks = await _watermarks(connection, list(result.owned))
    return result


async def _own(
    connection: Connection, resumed: Sequence[tuple[TopicPartition, str, CanonicalOffset, int]]
) -> dict[TopicPartition, Owned]:
    topics, numbers = _columns([partition for partition, *_ in resumed])
    ids, offsets, epochs = ([row[at] for row in resumed] for at in (1, 2, 3))
    rows = await connection.fetch(TAKE_OVER, topics, numbers, ids, offsets, epochs)
    return {
        TopicPartition(row["topic"], row["partition"]): Owned(
            epoch=row["owner_epoch"], next_offset=row["next_offset"]
        )
        for row in rows
    }


async def stored_positions(
    connection: Connection, partitions: Collection[TopicPartition]
) -> dict[TopicPartition, StoredPosition]:
    """Return how far partitions are stored, whoever owns them; one never stored is left out."""
    return _positions(await connection.fetch(STORED_POSITIONS, *_columns(list(partitions))))


def _positions(rows: Iterable[Any]) -> dict[TopicPartition, StoredPosition]:
    return {
        TopicPartition(row["topic"], row["partition"]): StoredPosition(
            topic_id=row["topic_id"], next_offset=row["next_offset"], leader_epoch=row["leader_epoch"]
        )
        for row in rows
    }


async def move(
    connection: Connection,
    owned: Mapping[TopicPartition, Owned],
    ends: Mapping[TopicPartition, tuple[CanonicalOffset, int]],
    claims: Claims,
) -> dict[TopicPartition, CanonicalOffset]:
    """Move the positions to `ends` (with leader epochs), and return those that moved.

    Progress stays before the first of `claims` that do not hold yet. Raises Fenced where a position is not ours any more.
    """
    rows, moves = [], dict[TopicPartition, CanonicalOffset]()
    for partition, (end, leader_epoch) in ends.items():
        topic, number = partition
        ours = owned.get(partition)
        if ours is None:
            raise Fenced(f"{topic}/{number} is not owned by this connection")
        waiting = claims.first_offset(number) if topic == PROGRESS else None
        target = end if waiting is None else min(end, waiting)
        if target != ours.next_offset:  # back, where the log was cut before what was stored of it
            rows.append((topic, number, ours.next_offset, target, leader_epoch, ours.epoch))
            moves[partition] = target
    if rows:
        done = await connection.fetch(MOVE_OFFSETS, *map(list, zip(*rows, strict=True)))
        if len(done) != len(rows):
            raise Fenced("a newer owner holds a partition of this batch; everything was rolled back")
    return moves


async def _watermarks(
    connection: Connection, partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, KnowledgeTime]:
    rows = await connection.fetch(LOAD_WATERMARKS, *_columns(partitions))
    return {TopicPartition(row["topic"], row["partition"]): row["complete_before"] for row in rows}


async def loss_of(
    connection: Connection, taken: TakeOver, logs: Mapping[TopicPartition, Log], *, now_us: WallTime
) -> Batch:
    """Return the batch that tells what the log no longer holds, and moves the positions past it."""
    told: list[tuple[int, Evidence]] = []
    for partition in taken.lost:
        rows = await connection.fetch(LOAD_LAST_SEEN, partition.partition, BY_TOPIC[partition.topic].name)
        series = ((StreamId(*row[:4]), EventTime(row["last_seen"])) for row in rows)
        since = taken.watermarks.get(partition, KnowledgeTime(0))
        lost = lost_evidence(partition, since, now_us, series)
        told += ((partition.partition, each) for each in lost)
    ends = {partition: (offset, logs[partition].leader_epoch) for partition, offset in taken.lost.items()}
    return Batch(evidence=told, ends=ends)


def _columns(partitions: Sequence[TopicPartition]) -> tuple[list[str], list[int]]:
    return [topic for topic, _ in partitions], [number for _, number in partitions]
