"""Start position of a sink in a partition, or why it must not read: PostgreSQL's word against what Kafka's log holds."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.clocks import CanonicalOffset

UNKNOWN_EPOCH = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochStart:
    """The first record of a leader epoch."""

    offset: CanonicalOffset
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A partition as the broker has it: offsets [start, end), led in `leader_epoch`.

    `newer` is where, before the position stored, records begin that were written in a later epoch than the one stored.
    """

    topic_id: str
    start: CanonicalOffset
    end: CanonicalOffset
    leader_epoch: int = UNKNOWN_EPOCH
    newer: EpochStart | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Read on from `offset`; `lost`: the log may have held records that were never stored and are gone."""

    offset: CanonicalOffset
    lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionRefused:
    """Reading on would lose or mix records: an operator decides."""

    problem: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPosition:
    """A partition as PostgreSQL has it; an empty topic_id is not known yet.

    `leader_epoch` is at least that of every record before the position, and at most the leader's when it was stored:
    of the control records behind the last one the consumer tells no epoch. So a record before the position that is of a
    later epoch was written after the log was cut.
    """

    topic_id: str
    next_offset: CanonicalOffset
    leader_epoch: int = UNKNOWN_EPOCH


def start_position(name: str, stored: StoredPosition, log: Log) -> Resume | PartitionRefused:
    """Return where to go on in the partition `name`; never silently "the end" or "the beginning"."""
    if stored.topic_id not in ("", log.topic_id):
        return PartitionRefused(
            problem=f"{name} is another topic than the one stored so far: it was deleted and created again",
            remedy="restore the topic, or point MDS_POSTGRES_DSN at an empty, migrated database: positions of the two "
            "logs must not mix",
        )
    if UNKNOWN_EPOCH < log.leader_epoch < stored.leader_epoch:
        return PartitionRefused(
            problem=f"{name} is led in epoch {log.leader_epoch}, but was stored in epoch {stored.leader_epoch}, and epochs "
            "never fall: the broker was set back to an older copy",
            remedy="restore the broker's newer log, or set in its row of sink_offsets next_offset to where the two logs "
            "part and leader_epoch to -1",
        )
    newer = log.newer
    if (
        newer is not None
        and newer.offset < stored.next_offset
        and UNKNOWN_EPOCH < stored.leader_epoch < newer.epoch
    ):
        return Resume(offset=newer.offset, lost=True)
    if stored.next_offset > log.end:
        return PartitionRefused(
            problem=f"{name} ends at {log.end}, but records up to {stored.next_offset} were stored: the log lost its end",
            remedy="restore the broker's log, or set next_offset of its row in sink_offsets to its end",
        )
    if stored.next_offset < log.start:
        return Resume(offset=log.start, lost=True)
    return Resume(offset=stored.next_offset)
