"""Topics on the broker against their declaration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from infra.preflight.topics import TOPIC_CHECKS, DeclaredTopics
from infra.runtime.kafka.probing import TopicState
from schemas.topics import BARS, CONFIGURATION, DAY_MS, PROGRESS, RAW_BARS, catalogue

PREFIX = "trial."
MAY = frozenset({"READ", "WRITE", "DESCRIBE"})
BROKER = {"cleanup.policy": "delete", "retention.ms": "604800000", "min.insync.replicas": "1"}
Change = Callable[[DeclaredTopics], DeclaredTopics]


def declared(*, brokers: int = 1, replicas: int = 1, confirming: int = 1) -> DeclaredTopics:
    """Return all topics as they are declared."""
    topics = catalogue().topics
    states = {
        name: TopicState(
            replicas=replicas,
            config={**BROKER, "min.insync.replicas": str(confirming), **topic.config},
            operations=MAY,
        )
        for name, topic in topics.items()
    }
    counts = {PREFIX + name: topic.partitions(4) for name, topic in topics.items()}
    return DeclaredTopics(prefix=PREFIX, counts={**counts, "theirs": 9}, states=states, brokers=brokers)


def without(name: str) -> Change:
    """Return what takes a topic away."""

    def change(found: DeclaredTopics) -> DeclaredTopics:
        counts = {each: count for each, count in found.counts.items() if each != PREFIX + name}
        return replace(found, counts=counts, states={n: s for n, s in found.states.items() if n != name})

    return change


def counted(name: str, count: int) -> Change:
    """Return what gives a topic another partition count."""
    return lambda found: replace(found, counts={**found.counts, PREFIX + name: count})


def kept(name: str, **settings: str) -> Change:
    """Return what changes settings of a topic; a dot is spelt as two underscores."""
    given = {key.replace("__", "."): value for key, value in settings.items()}

    def change(found: DeclaredTopics) -> DeclaredTopics:
        state = replace(found.states[name], config={**found.states[name].config, **given})
        return replace(found, states={**found.states, name: state})

    return change


def allowed(name: str, operations: frozenset[str] | None) -> Change:
    """Return what changes our rights on a topic."""

    def change(found: DeclaredTopics) -> DeclaredTopics:
        return replace(
            found, states={**found.states, name: replace(found.states[name], operations=operations)}
        )

    return change


def judged(found: DeclaredTopics) -> dict[str, str]:
    """Return the result of every check."""
    return {name: judge(found).result for name, judge in TOPIC_CHECKS.items()}


def test_topics_as_declared_are_well() -> None:
    """Of one broker one copy is all there can be; of others' topics nothing is said."""
    assert set(judged(declared()).values()) == {"ok"}
    assert set(judged(declared(brokers=3, replicas=3, confirming=2)).values()) == {"ok"}


@pytest.mark.parametrize(
    ("check", "change", "result", "says", "remedy"),
    [
        pytest.param("topics", without(RAW_BARS), "failed", f"1 topics are missing: {PREFIX}{RAW_BARS}", "mds topics apply", id="missing"),
        pytest.param("topics", counted(BARS, 5), "failed", "must share one partition count", "mds topics move", id="another-count"),
        pytest.param("topics", counted(CONFIGURATION, 2), "failed", "it must have 1", "delete it and run `mds topics apply`", id="a-fixed-count"),
        pytest.param("topic-timestamps", kept(BARS, message__timestamp__type="CreateTime"), "failed", f"not LogAppendTime: {PREFIX}{BARS}", f"--entity-name {PREFIX}{BARS} --add-config message.timestamp.type=LogAppendTime", id="stamps"),
        pytest.param("topic-cleanup", kept(RAW_BARS, cleanup__policy="compact"), "failed", f"differs: {PREFIX}{RAW_BARS}", "cleanup.policy=delete", id="a-log-is-compacted"),
        pytest.param("topic-cleanup", kept(PROGRESS, cleanup__policy="delete"), "failed", f"differs: {PREFIX}{PROGRESS}", "cleanup.policy=compact", id="state-is-deleted"),
        pytest.param("topic-retention", kept(RAW_BARS, retention__ms=str(DAY_MS)), "warning", f"shorter than declared: {PREFIX}{RAW_BARS}", "14 days", id="kept-shorter"),
        pytest.param("topic-retention", kept(RAW_BARS, max__message__bytes="1000"), "failed", "max.message.bytes is less", "max.message.bytes=2097152", id="large-records-are-refused"),
        pytest.param("topic-replicas", kept(BARS, min__insync__replicas="2"), "failed", "nothing can be written", "min.insync.replicas=1", id="more-must-confirm-than-there-are"),
        pytest.param("topic-rights", allowed(BARS, frozenset({"READ"})), "failed", f"may not read and write {PREFIX}{BARS}", f"begin with {PREFIX}", id="no-write"),
        pytest.param("topic-rights", allowed(BARS, None), "unknown", "does not say", "2.3 or newer", id="rights-not-told"),
    ],
)  # fmt: skip
def test_each_thing_that_differs_is_one_finding(
    check: str, change: Change, result: str, says: str, remedy: str
) -> None:
    """It names the topic and the command, and no other check changes."""
    found = change(declared())
    finding = TOPIC_CHECKS[check](found)

    assert finding.result == result
    assert says in finding.says
    assert remedy in finding.remedy
    assert {name: each for name, each in judged(found).items() if each != "ok"} == {check: result}


@pytest.mark.parametrize("retention", ["-1", str(400 * DAY_MS)])
def test_what_is_kept_longer_is_kept(retention: str) -> None:
    """For ever, too."""
    assert judged(kept(RAW_BARS, retention__ms=retention)(declared()))["topic-retention"] == "ok"


def test_the_order_of_policies_means_nothing() -> None:
    """Brokers write them as they were given."""
    (name,) = [
        each
        for each, topic in catalogue().topics.items()
        if topic.config.get("cleanup.policy") == "compact,delete"
    ]

    assert judged(kept(name, cleanup__policy="delete, compact")(declared()))["topic-cleanup"] == "ok"


@pytest.mark.parametrize(
    ("copies", "result", "says"),
    [
        pytest.param({"brokers": 3, "replicas": 1, "confirming": 1}, "warning", "fewer than 3 replicas", id="one-of-three"),
        pytest.param({"brokers": 3, "replicas": 3, "confirming": 1}, "warning", "one copy confirms", id="one-confirms"),
        pytest.param({"brokers": 3, "replicas": 3, "confirming": 3}, "warning", "every replica must confirm", id="all-confirm"),
        pytest.param({"brokers": 2, "replicas": 2, "confirming": 2}, "warning", "every replica must confirm", id="two-brokers"),
        pytest.param({"brokers": 4, "replicas": 3, "confirming": 2}, "ok", "of which 2 confirm", id="as-it-should-be"),
    ],
)  # fmt: skip
def test_copies_are_judged_by_what_a_lost_broker_would_take_along(
    copies: dict[str, Any], result: str, says: str
) -> None:
    """With three brokers three copies, of which two confirm."""
    finding = TOPIC_CHECKS["topic-replicas"](declared(**copies))

    assert (finding.result, says in finding.says) == (result, True)
