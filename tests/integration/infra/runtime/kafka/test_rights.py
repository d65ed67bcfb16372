"""Rights that are refused, on a broker that asks for them: each is named, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AclOperation, ResourceType

from infra.preflight.running import AGAIN, meaning
from infra.runtime.clock import wall_us
from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.probing import GROUP, TRANSACTIONAL_ID, NotAllowed, Probe
from infra.runtime.kafka.topics import Topics
from schemas.topics import CONFIGURATION, catalogue, dead
from tests.conftest import READY_WITHIN_S, free_port, own_prefix
from tests.support.folders import server_folder
from tests.support.guarded_broker import GuardedKafka, lift_rules, rule

PROBED = dead(CONFIGURATION)


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """Bootstrap servers of a broker that asks what clients may do."""
    with server_folder() as folder:
        ports = {"port": free_port(), "controller_port": free_port()}
        with GuardedKafka(Path(folder) / "broker", short_lived=True, **ports) as broker:
            broker.wait_ready(READY_WITHIN_S)
            yield broker.bootstrap_servers
            broker.kill()


@pytest.fixture
def prefix(guarded: str) -> Iterator[str]:
    """A prefix under which the topic that is probed exists."""
    with own_prefix(guarded) as prefix:
        broker = Topics(guarded, "test")
        broker.create({prefix + PROBED: catalogue().topics[PROBED]}, partitions=1)
        yield prefix
        lift_rules(guarded)


def refusal(ask: Callable[[], object]) -> str:
    """Return what is refused, as a check says it."""
    with pytest.raises(NotAllowed) as caught:
        ask()
    finding = meaning(caught.value, AGAIN)
    assert finding.result == "failed"
    assert finding.remedy == f"allow the services to {caught.value.what}"
    return caught.value.what


def test_what_no_rule_is_about_may_be_done(guarded: str, prefix: str) -> None:
    """The transaction is taken and aborted."""
    probe = Probe(guarded, prefix=prefix, within_s=15)

    assert probe.attempt(prefix + PROBED, wall_us).appended is not None
    assert probe.read(prefix + PROBED) == 0


def test_a_transactional_id_that_may_not_be_used_is_named(guarded: str, prefix: str) -> None:
    """Before anything is written."""
    rule(guarded, ResourceType.TRANSACTIONAL_ID, prefix + TRANSACTIONAL_ID, AclOperation.ALL, allowed=False)
    probe = Probe(guarded, prefix=prefix, within_s=15)

    assert (
        refusal(lambda: probe.attempt(prefix + PROBED, wall_us))
        == f"use the transactional id {prefix}{TRANSACTIONAL_ID}"
    )


def test_a_group_whose_positions_may_not_be_kept_is_named(guarded: str, prefix: str) -> None:
    """The record that was written before is aborted."""
    rule(guarded, ResourceType.GROUP, prefix + GROUP, AclOperation.ALL, allowed=False)
    probe = Probe(guarded, prefix=prefix, within_s=15)

    assert (
        refusal(lambda: probe.attempt(prefix + PROBED, wall_us))
        == f"keep positions of the group {prefix}{GROUP}"
    )
    with LogReader(guarded, "test") as reader:
        assert list(reader.read(prefix + PROBED, 0, 0)) == []


def test_a_topic_that_may_be_read_alone_is_told_by_trying_and_by_asking(guarded: str, prefix: str) -> None:
    """Both say the same of it."""
    topic = prefix + PROBED
    rule(guarded, ResourceType.TOPIC, topic, AclOperation.READ, allowed=True)
    rule(guarded, ResourceType.TOPIC, topic, AclOperation.DESCRIBE_CONFIGS, allowed=True)
    probe = Probe(guarded, prefix=prefix, within_s=15)

    assert refusal(lambda: probe.attempt(topic, wall_us)) == f"write to {topic}"
    assert probe.read(topic) == 0
    operations = probe.topics([topic])[topic].operations
    assert operations is not None
    assert "READ" in operations
    assert "WRITE" not in operations


def test_a_topic_that_may_be_written_alone_is_told(guarded: str, prefix: str) -> None:
    """Reading is refused."""
    topic = prefix + PROBED
    rule(guarded, ResourceType.TOPIC, topic, AclOperation.WRITE, allowed=True)

    assert refusal(lambda: Probe(guarded, prefix=prefix, within_s=15).read(topic)) == f"read {topic}"
