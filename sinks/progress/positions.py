"""Start position of a sink in a partition, or why it must not read: PostgreSQL's word against what Kafka's log holds."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.clocks import CanonicalOffset


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A partition as the broker has it: offsets [start, end)."""

    topic_id: str
    start: CanonicalOffset
    end: CanonicalOffset


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Read on from `offset`; `lost` are the offsets [from, to) that no longer exist and were never stored."""

    offset: CanonicalOffset
    lost: tuple[CanonicalOffset, CanonicalOffset] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionRefused:
    """Reading on would lose or mix records: an operator decides."""

    problem: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPosition:
    """A partition as PostgreSQL has it; an empty topic_id is not known yet."""

    topic_id: str
    next_offset: CanonicalOffset


def start_position(name: str, stored: StoredPosition, log: Log) -> Resume | PartitionRefused:
    """Return where to go on in the partition `name`; never silently "the end" or "the beginning"."""
    if stored.topic_id not in ("", log.topic_id):
        return PartitionRefused(
            problem=f"{name} is another topic than the one stored so far: it was deleted and created again",
            remedy="restore the topic, or point MDS_POSTGRES_DSN at an empty, migrated database: positions of the two "
            "logs must not mix",
        )
    if stored.next_offset > log.end:
        return PartitionRefused(
            problem=f"{name} ends at {log.end}, but records up to {stored.next_offset} were stored: the log lost its end",
            remedy="restore the broker's log, or set next_offset of its row in sink_offsets to its end",
        )
    if stored.next_offset < log.start:
        return Resume(offset=log.start, lost=(stored.next_offset, log.start))
    return Resume(offset=stored.next_offset)
