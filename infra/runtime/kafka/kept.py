"""Reach of logs into the past: a reader of their beginning must say what it cannot have seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from infra.runtime.clock import rfc3339
from infra.runtime.kafka.logs import LogReader, append_time_us


class Kept(NamedTuple):
    """A partition of a log as the broker still has it: offsets [start, end), all before `start` deleted."""

    topic: str
    partition: int
    start: int
    end: int
    since_us: int | None  # when the first record kept was appended; None where there is none


def kept(reader: LogReader, topic: str, partition: int) -> Kept:
    """Look at a partition; raises BrokerUnavailable."""
    low, high = reader.bounds(topic, partition)
    first = next(reader.read(topic, partition, low, high), None)
    return Kept(topic, partition, low, high, None if first is None else append_time_us(first))


def reach(parts: Sequence[Kept]) -> list[str]:
    """Return a line for each topic: how many records are kept, since when, and what is deleted."""
    by_topic: dict[str, list[Kept]] = {}
    for part in parts:
        by_topic.setdefault(part.topic, []).append(part)
    return [_line(topic, found) for topic, found in by_topic.items()]


def _line(topic: str, parts: Sequence[Kept]) -> str:
    records = sum(part.end - part.start for part in parts)
    since = min((part.since_us for part in parts if part.since_us is not None), default=None)
    line = f"{topic}: {records:,} records" + ("" if since is None else f" since {rfc3339(since)}")
    deleted = [part for part in parts if part.start]
    if not deleted:
        return f"{line}, nothing was deleted"
    lost = sum(part.start for part in deleted)
    whole = max((part.since_us for part in deleted if part.since_us is not None), default=None)
    complete = "" if whole is None else f"; complete from {rfc3339(whole)} on"
    return f"{line}; {lost:,} older ones are deleted and not in it{complete}"
