"""The topic catalogue: names, schemas, retention and dead-letter twins, of the declared streams and topics.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Literal

import yaml

from schemas.errors import ConfigurationError
from schemas.streams import BAR_STREAM, QUOTE_STREAM, STREAMS, TRADE_STREAM, Stream

Kind = Literal["raw", "canonical", "ledger", "progress", "state", "journal", "configuration", "jobs", "dead"]
DAY_MS = 86_400_000
DEFAULT_PARTITIONS = 4  # of a cluster whose topics are made without a word about their number
MAX_PARTITIONS = 1_024
# a broker takes 249 characters, of which our longest name needs 30
PREFIX = re.compile(r"[A-Za-z0-9._\-]{0,200}")
# Header of a moved raw record: "<partition>/<offset>/<known_from>" (µs) of where it was.
MOVED_FROM = "mds-moved-from"

RAW_QUOTES, QUOTES = QUOTE_STREAM.raw_topic, QUOTE_STREAM.topic
RAW_TRADES, TRADES = TRADE_STREAM.raw_topic, TRADE_STREAM.topic
RAW_BARS, BARS = BAR_STREAM.raw_topic, BAR_STREAM.topic
GAPS = "gaps.v1"
EVIDENCE = "evidence.v1"
WATCHED = "watched.v1"
PROGRESS = "progress.v1"
STATE = "state.v1"
PROVIDER_HEALTH = "provider-health.v1"
CADENCE = "cadence.v1"
CONFIGURATION = "configuration.v1"
JOBS = "jobs.v1"
JOB_RESULTS = "job-results.v1"
RAW_TOPICS = tuple(stream.raw_topic for stream in STREAMS)
CANONICAL_TOPICS = tuple(stream.topic for stream in STREAMS)
VALUE_TOPICS = (QUOTES, TRADES, BARS)  # of values that a price may be made of


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One declared topic: kept for `retention_ms`, or compacted (then it may be None), or both.

    `fixed_partitions` None: it has as many as were chosen for the cluster, because symbols are partitioned in it.
    """

    name: str
    kind: Kind
    key: str
    schema: str
    schema_id: int
    fixed_partitions: int | None
    retention_ms: int | None
    max_message_bytes: int
    canonical: str | None = None
    compacted: bool = False
    segment_bytes: int | None = None  # only a closed segment is compacted

    def partitions(self, chosen: int) -> int:
        """Return how many partitions it has where `chosen` is the count of the cluster."""
        return chosen if self.fixed_partitions is None else self.fixed_partitions

    @property
    def config(self) -> dict[str, str]:
        """Broker settings of the topic."""
        config = {
            "max.message.bytes": str(self.max_message_bytes),
            # Append time is knowledge time (docs/concepts/knowledge-time.md), so the broker stamps, never the client.
            "message.timestamp.type": "LogAppendTime",
        }
        if self.compacted:
            config["cleanup.policy"] = "compact" if self.retention_ms is None else "compact,delete"
        if self.retention_ms is not None:
            config["retention.ms"] = str(self.retention_ms)
        if self.segment_bytes is not None:
            config["segment.bytes"] = str(self.segment_bytes)
        return config


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Every topic by name, and the pinned schema ids of the packaged registry."""

    topics: Mapping[str, Topic]
    schema_ids: Mapping[int, str]


def is_prefix(text: str) -> bool:
    """Whether a broker takes a text before every name of ours."""
    return PREFIX.fullmatch(text) is not None


def checked_prefix(prefix: str) -> str:
    """Return a prefix of topics; raise ValueError where it is none, saying what one looks like."""
    if not is_prefix(prefix):
        raise ValueError(
            "a prefix of topics is up to 200 letters, digits, dots, underscores and dashes; write one such as trial."
        )
    return prefix


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """Return the catalogue of the declared streams and of the other topics, which topics.yaml declares."""
    return catalogue_of(STREAMS)


def catalogue_of(streams: Sequence[Stream]) -> Catalogue:
    """Return the catalogue with these streams; raise ValueError where two schemas claim one id."""
    document = yaml.safe_load(resources.files("schemas").joinpath("topics.yaml").read_text("utf-8"))
    pinned = [(int(number), name) for number, name in document["schemas"].items()]
    pinned += [(stream.raw_id, stream.raw_schema) for stream in streams]
    pinned += [(stream.canonical_id, stream.schema) for stream in streams]
    ids = dict(sorted(pinned))
    if len(ids) < len(pinned):
        raise ValueError("two schemas claim one id; give the newer stream the next free ones")
    by_schema = {name: number for number, name in ids.items()}
    defaults, topics = document["defaults"], {}
    for name, entry in ({**_of_streams(streams), **document["topics"]}).items():
        retention_days = entry.get("retention_days")
        fixed_partitions = entry.get("partitions")
        topics[name] = Topic(
            name=name,
            kind=entry["kind"],
            key=entry["key"],
            schema=entry["schema"],
            schema_id=by_schema[entry["schema"]],
            fixed_partitions=fixed_partitions,
            retention_ms=None if retention_days is None else retention_days * DAY_MS,
            max_message_bytes=defaults["max_message_bytes"],
            canonical=entry.get("canonical"),
            compacted="compact" in entry.get("cleanup", ""),
            segment_bytes=entry.get("segment_bytes"),
        )
        topics[dead(name)] = Topic(
            name=dead(name),
            kind="dead",
            key=entry["key"],
            schema="dead_letter.v1",
            schema_id=by_schema["dead_letter.v1"],
            fixed_partitions=fixed_partitions,
            retention_ms=defaults["dead_retention_days"] * DAY_MS,
            max_message_bytes=defaults["dead_max_message_bytes"],
        )
    return Catalogue(topics=topics, schema_ids=ids)


def _of_streams(streams: Sequence[Stream]) -> dict[str, dict[str, Any]]:
    """Return the two topics of each stream in the words of topics.yaml, raw ones first."""
    raw = {
        stream.raw_topic: {
            "kind": "raw",
            "key": "none",
            "schema": stream.raw_schema,
            "retention_days": stream.raw_retention_days,
            "canonical": stream.topic,
        }
        for stream in streams
    }
    canonical = {
        stream.topic: {
            "kind": "canonical",
            "key": "symbol",
            "schema": stream.schema,
            "retention_days": stream.retention_days,
        }
        for stream in streams
    }
    return {**raw, **canonical}


def dead(topic: str) -> str:
    """Return the dead-letter twin of a topic."""
    return f"{topic}.dead"


def canonical_of(raw_topic: str) -> str:
    """Return the canonical topic a raw topic is processed into."""
    canonical = catalogue().topics[raw_topic].canonical
    if canonical is None:
        raise KeyError(f"{raw_topic} is not a raw topic")
    return canonical


def agreed_partitions(existing: Mapping[str, int], *, prefix: str = "") -> int | None:
    """Return the partition count that the declared topics among `existing` share; None where there is none of them.

    `existing` are counts by name, as the broker has them, topics of others included. Raises ConfigurationError naming
    the topics that differ: a symbol would live in another partition of each.
    """
    by_count: dict[int, list[str]] = {}
    for topic in catalogue().topics.values():
        name = prefix + topic.name
        if name not in existing:
            continue
        if topic.fixed_partitions is None:
            by_count.setdefault(existing[name], []).append(name)
        elif existing[name] != topic.fixed_partitions:
            raise ConfigurationError(
                f"topic {name} has {existing[name]} partitions, it must have {topic.fixed_partitions}",
                remedy=f"make it again with {topic.fixed_partitions}: delete it and run `mds topics apply`",
            )
    if len(by_count) > 1:
        mix = "; ".join(f"{count}: {' '.join(names)}" for count, names in sorted(by_count.items()))
        raise ConfigurationError(
            f"topics that must share one partition count differ: {mix}",
            remedy="delete those made by mistake and run `mds topics apply`, or where they hold records "
            "`mds topics move --to-prefix NEW --partitions N`: a count never changes in place",
        )
    return next(iter(by_count), None)


def progress_key(raw_topic: str, partition: int) -> bytes:
    """Return the record key of a raw partition's progress: compaction keeps the newest of each."""
    return f"{raw_topic}:{partition}".encode()


def state_key(raw_topic: str, partition: int, chunk: int, places: int) -> bytes:
    """Return the record key of a part of a raw partition's saved state: compaction keeps the newest of each."""
    return f"{raw_topic}:{partition}:{chunk}:{places}".encode()
