"""Checks of topics against their declaration, pure: there, with their partitions, stamped by the broker, kept and copied as they must be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from infra.preflight.findings import Finding, failed, ok, some, unknown, warning
from infra.runtime.kafka.probing import TopicState
from schemas.errors import ConfigurationError
from schemas.topics import DAY_MS, Topic, agreed_partitions, catalogue

APPLY = "run `mds topics apply`"
STAMPED, POLICY, RETENTION = "message.timestamp.type", "cleanup.policy", "retention.ms"
LARGEST, LEAST_COPIES = "max.message.bytes", "min.insync.replicas"
FOR_EVER, DELETED = -1, "delete"
NEEDED = frozenset({"READ", "WRITE"})
COPIES = 3  # of which one may be away while the two that confirm are there


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredTopics:
    """Partition counts of all topics of a cluster by their whole names, and the state of those we declare by declared names."""

    prefix: str
    counts: Mapping[str, int]
    states: Mapping[str, TopicState]
    brokers: int


def judge_presence(found: DeclaredTopics) -> Finding:
    """Judge whether all declared topics are there, with one partition count."""
    missing = [found.prefix + name for name in catalogue().topics if name not in found.states]
    try:
        agreed = agreed_partitions(found.counts, prefix=found.prefix)
    except ConfigurationError as error:
        return failed(error.problem, error.remedy)
    if missing:
        return failed(f"{len(missing)} topics are missing: {some(missing)}", APPLY)
    return ok(f"{len(found.states)} topics, of {agreed} partitions those of symbols")


def judge_stamps(found: DeclaredTopics) -> Finding:
    """Judge whether the broker stamps every record: its append time is knowledge time."""
    wrong = _differing(found, lambda topic, state: state.config.get(STAMPED) != topic.config[STAMPED])
    if wrong:
        return failed(
            f"{STAMPED} is not LogAppendTime: {some(wrong)}", _set(found, wrong, STAMPED, "LogAppendTime")
        )
    return ok("every record is stamped by the broker")


def judge_cleanup(found: DeclaredTopics) -> Finding:
    """Judge policies: what is compacted in place of being kept is lost, and the other way round."""
    wrong = _differing(
        found,
        lambda topic, state: _policies(state.config.get(POLICY, "")) != _policies(_declared_policy(topic)),
    )
    if wrong:
        first = catalogue().topics[wrong[0].removeprefix(found.prefix)]
        return failed(f"{POLICY} differs: {some(wrong)}", _set(found, wrong, POLICY, _declared_policy(first)))
    return ok("topics are compacted or kept as declared")


def judge_retention(found: DeclaredTopics) -> Finding:
    """Judge whether anything is kept shorter, or taken smaller, than declared."""
    small = _differing(found, lambda topic, state: _number(state, LARGEST) < topic.max_message_bytes)
    if small:
        least = max(catalogue().topics[name.removeprefix(found.prefix)].max_message_bytes for name in small)
        return failed(
            f"{LARGEST} is less than declared: {some(small)}", _set(found, small, LARGEST, str(least))
        )
    short = _differing(found, _is_short)
    if short:
        days = {
            (catalogue().topics[name.removeprefix(found.prefix)].retention_ms or 0) // DAY_MS
            for name in short
        }
        return warning(
            f"{RETENTION} is shorter than declared: {some(short)}",
            f"set it to {' or '.join(map(str, sorted(days)))} days, or see that backups are younger than what is kept",
        )
    return ok("records are kept as long as declared")


def judge_copies(found: DeclaredTopics) -> Finding:
    """Judge how many copies there are and how many confirm: what is confirmed by one is lost with it."""
    stuck = _differing(found, lambda _, state: _number(state, LEAST_COPIES) > state.replicas)
    if stuck:
        return failed(
            f"{LEAST_COPIES} is more than there are replicas, nothing can be written: {some(stuck)}",
            _set(found, stuck, LEAST_COPIES, str(min(2, found.brokers))),
        )
    if found.brokers == 1:
        return ok("one broker: there is one copy of everything, and its disk is all there is")
    few = _differing(found, lambda _, state: state.replicas < min(COPIES, found.brokers))
    if few:
        return warning(
            f"fewer than {min(COPIES, found.brokers)} replicas: {some(few)}",
            f"give them replicas with `kafka-reassign-partitions.sh`, and set default.replication.factor={COPIES}",
        )
    alone = _differing(found, lambda _, state: _number(state, LEAST_COPIES) < 2)
    if alone:
        return warning(
            f"one copy confirms, and a broker that dies may take it along: {some(alone)}",
            _set(found, alone, LEAST_COPIES, "2"),
        )
    rigid = _differing(found, lambda _, state: _number(state, LEAST_COPIES) == state.replicas)
    if rigid:
        return warning(
            f"every replica must confirm, one broker away stops writing: {some(rigid)}",
            f"have {COPIES} brokers and as many replicas",
        )
    return ok(f"at least {COPIES} replicas, of which 2 confirm")


def judge_rights(found: DeclaredTopics) -> Finding:
    """Judge whether every topic may be read and written by who asks, as services must."""
    silent = [found.prefix + name for name, state in found.states.items() if state.operations is None]
    lacking = _differing(
        found, lambda _, state: state.operations is not None and not state.operations >= NEEDED
    )
    if lacking:
        return failed(
            f"we may not read and write {some(lacking)}",
            f"allow READ and WRITE on topics that begin with {found.prefix or 'their names'}",
        )
    if silent:
        return unknown(
            f"the broker does not say what we may do with {some(silent)}", "see that it is 2.3 or newer"
        )
    return ok("every topic may be read and written")


TOPIC_CHECKS: Mapping[str, Callable[[DeclaredTopics], Finding]] = MappingProxyType(
    {
        "topics": judge_presence,
        "topic-timestamps": judge_stamps,
        "topic-cleanup": judge_cleanup,
        "topic-retention": judge_retention,
        "topic-replicas": judge_copies,
        "topic-rights": judge_rights,
    }
)


def _differing(found: DeclaredTopics, differs: Callable[[Topic, TopicState], bool]) -> list[str]:
    """Return the whole names of the topics of which it holds, in order of their declaration."""

    def names() -> Iterator[str]:
        for name, topic in catalogue().topics.items():
            state = found.states.get(name)
            if state is not None and differs(topic, state):
                yield found.prefix + name

    return list(names())


def _is_short(topic: Topic, state: TopicState) -> bool:
    kept_ms = _number(state, RETENTION)
    return topic.retention_ms is not None and kept_ms != FOR_EVER and kept_ms < topic.retention_ms


def _number(state: TopicState, key: str) -> int:
    """Return a setting of a topic; 0 where the broker does not tell a number."""
    text = state.config.get(key, "")
    return int(text) if text.removeprefix("-").isdecimal() else 0


def _declared_policy(topic: Topic) -> str:
    return topic.config.get(POLICY, DELETED)


def _policies(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(","))


def _set(found: DeclaredTopics, names: list[str], key: str, value: str) -> str:
    which = names[0] if len(names) == 1 else f"each of these {len(names)} of {len(found.states)}"
    value = f"[{value}]" if "," in value else value
    return f"set it with `kafka-configs.sh --alter --entity-type topics --entity-name {which} --add-config {key}={value}`"
