"""Taking partitions over from whoever had them: evict, bump the epoch, and only then read where to go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from schemas.identity import gap_id
from schemas.records import Gap
from schemas.topics import CANONICAL_TOPICS
from sinks.progress.positions import Log, Refused, Resume, Stored, start_position
from sinks.progress.watermark import Partition
from sinks.store import statements
from sinks.store.shell.session import Connection

EVICTION_MS = 5_000


@dataclass(slots=True)
class Owned:
    """A partition this connection owns: the epoch that fences others, and the position stored."""

    epoch: int
    next_offset: int


@dataclass(slots=True)
class TakeOver:
    """Result of taking over: partitions owned, those refused, and gaps for records the log no longer holds."""

    owned: dict[Partition, Owned] = field(default_factory=dict)
    refused: dict[Partition, Refused] = field(default_factory=dict)
    lost: list[tuple[int, Gap]] = field(default_factory=list)


async def take_over(connection: Connection, logs: Mapping[Partition, Log], *, now_us: int) -> TakeOver:
    """Own every partition of `logs`, inside the caller's deadline; its predecessor can write no more when this returns.

    A predecessor frozen inside COPY would block us without bound and no timeout would fire, so its backend is
    terminated first, where pid and start still match. `now_us` dates gaps of truncated logs.
    """
    topics, numbers = _columns(sorted(logs))
    await connection.fetch(statements.EVICT, topics, numbers, EVICTION_MS)
    async with connection.transaction():
        first = [(topic, number, logs[topic, number]) for topic, number in sorted(logs)]
        ids, starts = [log.topic_id for *_, log in first], [log.start for *_, log in first]
        await connection.execute(statements.FIRST_SIGHT, topics, numbers, ids, starts)
        result, resumed = TakeOver(), dict[Partition, Resume]()
        for row in await connection.fetch(statements.LOCK_OFFSETS, topics, numbers):
            partition = (row["topic"], row["partition"])
            stored = Stored(topic_id=row["topic_id"], next_offset=row["next_offset"])
            position = start_position(f"{partition[0]}/{partition[1]}", stored, logs[partition])
            if isinstance(position, Refused):
                result.refused[partition] = position
            else:
                resumed[partition] = position
        await _own(connection, logs, resumed, result)
        watermarks = await _watermarks(connection, resumed)
    for partition, position in resumed.items():
        if position.lost and partition[0] in CANONICAL_TOPICS:
            result.lost.append((partition[1], _lost(partition, watermarks.get(partition, 0), now_us)))
    return result


async def _own(
    connection: Connection,
    logs: Mapping[Partition, Log],
    resumed: Mapping[Partition, Resume],
    result: TakeOver,
) -> None:
    topics, numbers = _columns(list(resumed))
    ids = [logs[partition].topic_id for partition in resumed]
    # A truncated partition keeps its position here: it moves with the gap, in one transaction.
    offsets = [position.lost[0] if position.lost else position.offset for position in resumed.values()]
    for row in await connection.fetch(statements.TAKE_OVER, topics, numbers, ids, offsets):
        partition = (row["topic"], row["partition"])
        result.owned[partition] = Owned(epoch=row["owner_epoch"], next_offset=0)
    for partition, offset in zip(resumed, offsets, strict=True):
        result.owned[partition].next_offset = offset


async def _watermarks(connection: Connection, partitions: Mapping[Partition, Resume]) -> dict[Partition, int]:
    rows = await connection.fetch(statements.LOAD_WATERMARKS, *_columns(list(partitions)))
    return {(row["topic"], row["partition"]): row["complete_before"] for row in rows}


def _lost(partition: Partition, since_us: int, now_us: int) -> Gap:
    """Return the gap of records nobody can read any more; its times are knowledge times: all such a loss leaves."""
    stream = f"{partition[0]}/{partition[1]}"
    return Gap(
        gap_id=gap_id(stream, since_us),
        stream=stream,
        symbol="",
        provider="",
        interval="",
        from_time=since_us,
        to_time=max(now_us, since_us + 1),
        cause="log_truncated",
        confidence="proven",
        detector="sink",
        known_from=now_us,
    )


def _columns(partitions: Sequence[Partition]) -> tuple[list[str], list[int]]:
    return [topic for topic, _ in partitions], [number for _, number in partitions]
