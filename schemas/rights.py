"""Rights of each service on a cluster that asks: what it reads, writes, joins and begins, and nothing more.

An operation of Kafka's brings others along: whoever may read or write may describe.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from schemas.journals import JOURNALS
from schemas.topics import (
    CANONICAL_TOPICS,
    CONFIGURATION,
    EVIDENCE,
    GAPS,
    JOB_RESULTS,
    JOBS,
    PROGRESS,
    PROVIDER_HEALTH,
    RAW_TOPICS,
    STATE,
    WATCHED,
    catalogue,
    dead,
)

Client = Literal["producers", "stream_processors", "sinks", "archive", "gateway", "operator"]
"""Who is a user of its own: a service, its archive, or whoever runs `mds` commands."""
Resource = Literal["topic", "group", "transactionalId"]
Pattern = Literal["literal", "prefix"]
Operation = Literal["Read", "Write", "Describe", "Create", "Delete", "DescribeConfigs", "AlterConfigs"]

NO_GROUP = "mds-no-group"
"""Group of every reader that is in none: nobody joins it and nothing is committed to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """Operations that are allowed on one resource, or on all whose name begins with it."""

    resource: Resource
    name: str
    pattern: Pattern = "literal"
    operations: tuple[Operation, ...]


def rights_of(client: Client, *, prefix: str = "") -> tuple[Right, ...]:
    """Return the least rights with which a client does all of its work; names begin with the prefix of topics."""
    read, write = _TOPICS[client]
    rights = [
        Right(resource="topic", name=prefix + name, operations=_operations(name, read, write, client))
        for name in catalogue().topics
    ]
    groups = _GROUPS.get(client)
    if groups is not None:
        operations: tuple[Operation, ...] = ("Read", "Delete") if client == "operator" else ("Read",)
        rights.append(Right(resource="group", name=prefix + groups, operations=operations))
    rights.append(Right(resource="group", name=NO_GROUP, operations=("Describe",)))
    for name, pattern in _TRANSACTIONS.get(client, ()):
        rights.append(
            Right(resource="transactionalId", name=prefix + name, pattern=pattern, operations=("Write",))
        )
    return tuple(rights)


def _operations(
    name: str, read: Iterable[str], write: Iterable[str], client: Client
) -> tuple[Operation, ...]:
    if client == "operator":
        return ("Read", "Write", "Create", "DescribeConfigs", "AlterConfigs")
    found: list[Operation] = []
    if name in read:
        found.append("Read")
    if name in write:
        found.append("Write")
    # the partition count is agreed on by all topics, so that every service sees them
    return tuple(found) or ("Describe",)


def _dead(topics: Iterable[str]) -> frozenset[str]:
    return frozenset(map(dead, topics))


_EVERY = frozenset(catalogue().topics)
_DEAD = frozenset(name for name in _EVERY if catalogue().topics[name].kind == "dead")
_RAW, _CANONICAL = frozenset(RAW_TOPICS), frozenset(CANONICAL_TOPICS)
_STORED = _CANONICAL | {EVIDENCE, PROGRESS} | JOURNALS.keys()
# of each client the topics it reads, and those it writes
_TOPICS: dict[Client, tuple[frozenset[str], frozenset[str]]] = {
    "producers": (
        frozenset({JOBS, JOB_RESULTS, WATCHED, CONFIGURATION}),
        _RAW | _dead([*RAW_TOPICS, JOBS]) | JOURNALS.keys() | {JOBS, JOB_RESULTS, WATCHED, CONFIGURATION},
    ),
    "stream_processors": (
        _RAW | _CANONICAL | {EVIDENCE, PROGRESS, STATE, CONFIGURATION},
        # silence is ticked on raw topics
        _RAW | _CANONICAL | _dead(RAW_TOPICS) | {EVIDENCE, PROGRESS, STATE},
    ),
    "sinks": (_STORED | _DEAD | {CONFIGURATION}, _dead(_STORED) | {GAPS}),
    "archive": (_RAW, frozenset()),
    "gateway": (
        # of dead letters and of what came from them
        _RAW | _CANONICAL | _DEAD | {GAPS, EVIDENCE, PROVIDER_HEALTH, CONFIGURATION, JOB_RESULTS},
        # letters that are tried again, jobs that are asked for, generations that are announced
        _RAW | {JOBS, CONFIGURATION},
    ),
    "operator": (_EVERY, _EVERY),
}
_GROUPS: dict[Client, str] = {
    "producers": "producers",
    "stream_processors": "processors",
    "sinks": "sinks",
    "operator": "sinks-preflight",
}
_TRANSACTIONS: dict[Client, tuple[tuple[str, Pattern], ...]] = {
    "producers": (("configuration", "literal"),),
    "stream_processors": (("processor-", "prefix"),),
    "sinks": (("sinks-outbox-", "prefix"),),
    "gateway": (("configuration", "literal"),),
    "operator": (("processor-preflight", "literal"), ("configuration", "literal")),
}
