"""The topic catalogue: names, schemas, partitions, retention and dead-letter twins, read once from topics.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Literal

import yaml

Kind = Literal["raw", "canonical", "ledger", "progress", "health", "configuration", "jobs", "dead"]
DAY_MS = 86_400_000

RAW_QUOTES = "raw.quotes.v1"
RAW_TRADES = "raw.trades.v1"
RAW_BARS = "raw.bars.v1"
QUOTES = "quotes.v1"
TRADES = "trades.v1"
BARS = "bars.v1"
GAPS = "gaps.v1"
PROGRESS = "progress.v1"
PROVIDER_HEALTH = "provider-health.v1"
CONFIGURATION = "configuration.v1"
JOBS = "jobs.v1"
JOB_RESULTS = "job-results.v1"
RAW_TOPICS = (RAW_QUOTES, RAW_TRADES, RAW_BARS)
CANONICAL_TOPICS = (QUOTES, TRADES, BARS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One declared topic: kept for `retention_ms`, or compacted (then it may be None), or both."""

    name: str
    kind: Kind
    key: str
    schema: str
    schema_id: int
    partitions: int
    retention_ms: int | None
    max_message_bytes: int
    canonical: str | None = None
    compacted: bool = False

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
        return config


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Every topic by name, and the pinned schema ids of the packaged registry."""

    topics: Mapping[str, Topic]
    schema_ids: Mapping[int, str]
    partitions: int


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """Return the catalogue declared in topics.yaml."""
    document = yaml.safe_load(resources.files("schemas").joinpath("topics.yaml").read_text("utf-8"))
    ids = {int(number): name for number, name in document["schemas"].items()}
    by_schema = {name: number for number, name in ids.items()}
    defaults, topics = document["defaults"], {}
    for name, entry in document["topics"].items():
        retention_days = entry.get("retention_days")
        partitions = entry.get("partitions", document["partitions"])
        topics[name] = Topic(
            name=name,
            kind=entry["kind"],
            key=entry["key"],
            schema=entry["schema"],
            schema_id=by_schema[entry["schema"]],
            partitions=partitions,
            retention_ms=None if retention_days is None else retention_days * DAY_MS,
            max_message_bytes=defaults["max_message_bytes"],
            canonical=entry.get("canonical"),
            compacted="compact" in entry.get("cleanup", ""),
        )
        topics[dead(name)] = Topic(
            name=dead(name),
            kind="dead",
            key=entry["key"],
            schema="dead_letter.v1",
            schema_id=by_schema["dead_letter.v1"],
            partitions=partitions,
            retention_ms=defaults["dead_retention_days"] * DAY_MS,
            max_message_bytes=defaults["dead_max_message_bytes"],
        )
    return Catalogue(topics=topics, schema_ids=ids, partitions=document["partitions"])


def dead(topic: str) -> str:
    """Return the dead-letter twin of a topic."""
    return f"{topic}.dead"


def canonical_of(raw_topic: str) -> str:
    """Return the canonical topic a raw topic is processed into."""
    canonical = catalogue().topics[raw_topic].canonical
    if canonical is None:
        raise KeyError(f"{raw_topic} is not a raw topic")
    return canonical


def raw_of(canonical_topic: str) -> str:
    """Return the raw topic a canonical topic is processed from."""
    return next(topic.name for topic in catalogue().topics.values() if topic.canonical == canonical_topic)


def partition_count() -> int:
    """Return the number of partitions every partitioned topic has."""
    return catalogue().partitions


def progress_key(raw_topic: str, partition: int) -> bytes:
    """Return the record key of a raw partition's progress: compaction keeps the newest of each."""
    return f"{raw_topic}:{partition}".encode()


def health_key(capability: str, provider: str) -> str:
    """Return the record key of a provider's health in one capability; its hash is the partition, as of a symbol."""
    return f"{capability}|{provider}"
