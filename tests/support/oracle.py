"""What must be true, worked out from the raw topics alone and without any of the service's rules.

The oracle re-reads the logs with a plain consumer and a naive model: a dictionary of every key's current
value, never evicted, never rebuilt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from infra.runtime.kafka.logs import LogReader
from schemas.records import RawBlock
from schemas.streams import BY_RAW_TOPIC, STREAMS
from schemas.topics import DEFAULT_PARTITIONS
from schemas.wire.codec import decode_block, decode_value
from tests.support.hostile_records import is_poison
from tests.support.vintage_versions import Telling, kept_versions

CLOCKS_AND_ORIGIN = {"provider", "route", "received_time", "known_from", "raw_offset", "index"}
INDEXES = 65_536  # more than a block has events
PRECISIONS = ("none", "date", "scheduled", "time")
NAMED_BY = {
    "actions": ("action_id",), "macro": ("period_start", "vintage_start"), "options": ("root", "expiry"),
}  # fmt: skip
PAIRS = {stream.raw_topic: stream.topic for stream in STREAMS}


@dataclass(frozen=True)
class Expected:
    """What one raw topic must become."""

    versions: Mapping[int, list[tuple[int, int]]]  # partition → (raw offset, index) in order
    stored: Mapping[int, list[tuple[int, int]]]  # those a database keeps: forming bars are no history
    # of entries what says nothing new, and may be told of all the same
    repeats: Mapping[int, set[tuple[int, int]]]
    known_from: Mapping[tuple[int, int], int]  # (partition, raw offset) → µs
    blocks: int
    ticks: int


def raw_blocks(
    bootstrap: str, prefix: str, topic: str, partition: int
) -> Iterable[tuple[int, int, RawBlock]]:
    """Yield (offset, append time µs, block) of a raw partition from its start."""
    consumer = LogReader(bootstrap, "oracle")
    try:
        low, _ = consumer.bounds(prefix + topic, partition)
        for message in consumer.read(prefix + topic, partition, low):
            if not is_poison(topic, message.value()):
                known = message.timestamp()[1] * 1000
                yield message.offset() or 0, known, decode_block(topic, message.value())
    finally:
        consumer.close()


def canonical(bootstrap: str, prefix: str, topic: str, partition: int) -> list[dict[str, Any]]:
    """Return the committed records of a canonical partition in log order, each with its `offset`."""
    consumer = LogReader(bootstrap, "oracle")
    try:
        low, _ = consumer.bounds(prefix + topic, partition)
        messages = consumer.read(prefix + topic, partition, low)
        return [
            decode_value(topic, message.value()) | {"offset": message.offset()}
            for message in messages
            if not is_poison(topic, message.value())
        ]
    finally:
        consumer.close()


def expected(bootstrap: str, prefix: str, raw_topic: str) -> Expected:
    """Return the versions the raw topic holds, by the naive model."""
    versions: dict[int, list[tuple[int, int]]] = {}
    stored: dict[int, list[tuple[int, int]]] = {}
    known: dict[tuple[int, int], int] = {}
    repeats: dict[int, set[tuple[int, int]]] = {}
    stream = BY_RAW_TOPIC[raw_topic]
    blocks = ticks = 0
    for partition in range(DEFAULT_PARTITIONS):
        current: dict[tuple[Any, ...], Any] = {}
        vintages: dict[tuple[Any, ...], list[Telling]] = {}
        finals: dict[tuple[Any, ...], Any] = {}
        kept = stored.setdefault(partition, [])
        frames: dict[str, dict[int, int]] = {}
        running, out, again = 0, versions.setdefault(partition, []), repeats.setdefault(partition, set())
        for offset, append_time, block in raw_blocks(bootstrap, prefix, raw_topic, partition):
            running = max(running + 1, append_time)
            known[(partition, offset)] = running
            blocks += 1
            ticks += not (block.events or block.discontinuities)
            for index, event in enumerate(block.events):
                if stream.versions == "occurrences":
                    seen = frames.setdefault(block.connection_id, {})
                    first = seen.setdefault(event["frame_hash"], event["frame_sequence"])
                    new = keep = first == event["frame_sequence"]
                elif stream.versions == "entries":
                    key = (event["symbol"], block.provider, *(event[name] for name in NAMED_BY[stream.name]))
                    # when it was said is no part of what was said
                    left_out = CLOCKS_AND_ORIGIN | {"event_time"}
                    said = {name: value for name, value in event.items() if name not in left_out}
                    new = keep = current.get(key) != said
                    current[key] = said
                    if not new:
                        again.add((offset, index))
                    elif stream.name == "macro":
                        vintages.setdefault(key, []).append(_telling(offset, index, said))
                        keep = False  # here; which of them are versions is seen when all are told
                else:
                    key = (event["symbol"], block.provider, event.get("interval"), event["event_time"])
                    content = {name: value for name, value in event.items() if name not in CLOCKS_AND_ORIGIN}
                    new = current.get(key) != content
                    current[key] = content
                    keep = new and event.get("final", True) and finals.get(key) != content
                    if keep:
                        finals[key] = content
                if new:
                    out.append((offset, index))
                if keep:
                    kept.append((offset, index))
        places = sorted(each.position for told in vintages.values() for each in kept_versions(told))
        kept += [divmod(place, INDEXES) for place in places]
    return Expected(
        versions=versions, stored=stored, repeats=repeats, known_from=known, blocks=blocks, ticks=ticks
    )


def _telling(offset: int, index: int, said: dict[str, Any]) -> Telling:
    """Return what a source says of a vintage at a place of the raw log."""
    stamps = {"published_precision", "published_at", "vintage_end"}
    return Telling(
        position=offset * INDEXES + index,
        value={name: each for name, each in said.items() if name not in stamps},
        precision=PRECISIONS.index(said["published_precision"]),
        published=said["published_at"],
        end=said["vintage_end"],
    )


def canonical_agrees(bootstrap: str, prefix: str, raw_topic: str, want: Expected) -> str:
    """Return "" where the canonical topic has each version exactly once, in raw order, else what differs.

    Of entries it may have repeats as well, each once: what a processor remembers of them is bounded.
    """
    for partition, versions in want.versions.items():
        got = [
            (record["raw_offset"], record["index"])
            for record in canonical(bootstrap, prefix, PAIRS[raw_topic], partition)
        ]
        if got == sorted(set(got)):
            got = [place for place in got if place not in want.repeats[partition]]
        if got != versions:
            return f"{PAIRS[raw_topic]}/{partition}: {_difference(got, versions)}"
    return ""


async def database_agrees(dsn: str, raw_topic: str, want: Expected, partition_of_symbol: Any) -> str:
    """Return "" where the database has each version exactly once with its own known_from, else what differs."""
    stream = BY_RAW_TOPIC[raw_topic]
    table = f"v_{stream.name}_all" if stream.versions == "slots" else f"v_{stream.name}"
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(f"SELECT symbol, raw_offset, idx, known_from FROM {table}")  # noqa: S608
    finally:
        await connection.close()
    got: dict[int, list[tuple[int, int]]] = {partition: [] for partition in want.stored}
    for row in rows:
        partition = partition_of_symbol(row["symbol"])
        got[partition].append((row["raw_offset"], row["idx"]))
        if micros(row["known_from"]) != want.known_from[(partition, row["raw_offset"])]:
            return f"{table}: known_from of {dict(row)} differs"
    for partition, versions in want.stored.items():
        if sorted(got[partition]) != versions:
            return f"{table}/{partition}: {_difference(sorted(got[partition]), versions)}"
    return ""


def micros(moment: datetime) -> int:
    """Return microseconds since the epoch of an aware moment, exactly."""
    return round(moment.timestamp() * 1_000_000)


def _difference(got: list[tuple[int, int]], want: list[tuple[int, int]]) -> str:
    have, need = Counter(got), Counter(want)
    lost, extra = need - have, have - need
    order = "" if lost or extra else ", only the order differs"
    return f"{len(lost)} lost {list(lost)[:3]}, {sum(extra.values())} extra {list(extra)[:3]} of {len(want)}{order}"
