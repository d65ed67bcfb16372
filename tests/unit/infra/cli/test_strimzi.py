"""Objects for Strimzi's operators: every topic as it is declared, every user with its rights and no more."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from infra.cli.__main__ import app
from infra.cli.strimzi import object_name, strimzi_manifest, user_name
from schemas.errors import ConfigurationError
from schemas.rights import Client, rights_of
from schemas.topics import PREFIX, catalogue

CLIENTS: tuple[Client, ...] = get_args(Client)
# of Kubernetes: parts between dots, each of which begins and ends with a letter or digit
OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def objects(kind: str, *, prefix: str = "", partitions: int = 4, replicas: int = 3) -> list[dict[str, Any]]:
    manifest = strimzi_manifest(
        cluster="main", prefix=prefix, partitions=partitions, replicas=replicas, authentication="tls"
    )
    return [each for each in yaml.safe_load_all(manifest) if each["kind"] == kind]


def test_every_topic_is_as_it_is_declared() -> None:
    """Those whose count was not chosen keep theirs; the broker stamps each record."""
    found = {
        each["spec"]["topicName"]: each["spec"] for each in objects("KafkaTopic", prefix="eu.", partitions=9)
    }

    assert found.keys() == {f"eu.{name}" for name in catalogue().topics}
    for topic in catalogue().topics.values():
        spec = found[f"eu.{topic.name}"]
        assert spec["partitions"] == topic.partitions(9)
        assert spec["replicas"] == 3
        assert spec["config"] == {**topic.config, "min.insync.replicas": "2"}
        assert spec["config"]["message.timestamp.type"] == "LogAppendTime"
    assert found["eu.configuration.v1"]["partitions"] == 1


@pytest.mark.parametrize(("replicas", "in_sync"), [(1, "1"), (2, "2"), (3, "2"), (4, "3"), (5, "3")])
def test_what_is_confirmed_is_known_to_a_majority(replicas: int, in_sync: str) -> None:
    """So that it is not lost with whoever goes; one broker of three may."""
    (first, *_) = objects("KafkaTopic", replicas=replicas)

    assert first["spec"]["config"]["min.insync.replicas"] == in_sync


@pytest.mark.parametrize("client", CLIENTS)
def test_a_user_has_the_rights_of_its_service_and_no_more(client: Client) -> None:
    """One rule a right."""
    (user,) = [
        each
        for each in objects("KafkaUser", prefix="eu.")
        if each["metadata"]["name"] == user_name(client, "eu.")
    ]
    rules = [
        (
            rule["resource"]["type"],
            rule["resource"]["name"],
            rule["resource"]["patternType"],
            rule["operations"],
        )
        for rule in user["spec"]["authorization"]["acls"]
    ]

    assert rules == [
        (right.resource, right.name, right.pattern, list(right.operations))
        for right in rights_of(client, prefix="eu.")
    ]
    assert user["spec"]["authentication"] == {"type": "tls"}


def test_every_object_is_of_the_cluster_and_has_a_name_of_its_own() -> None:
    """Operators look for the label."""
    found = [*objects("KafkaTopic", prefix="A_"), *objects("KafkaUser", prefix="A_")]

    assert {each["metadata"]["labels"]["strimzi.io/cluster"] for each in found} == {"main"}
    assert len({(each["kind"], each["metadata"]["name"]) for each in found}) == len(found)
    assert {user_name(client, "") for client in CLIENTS} == {
        "mds-producers", "mds-processors", "mds-sinks", "mds-archive", "mds-gateway", "mds-operator",
    }  # fmt: skip


@given(prefix=st.from_regex(PREFIX, fullmatch=True), other=st.from_regex(PREFIX, fullmatch=True))
def test_a_name_is_one_that_kubernetes_takes_and_two_are_never_one(prefix: str, other: str) -> None:
    """Two systems on one cluster differ by their prefix, be it by a capital alone."""
    name = object_name(f"{prefix}quotes.v1")

    assert OBJECT_NAME.fullmatch(name)
    assert len(name) <= 253
    assert (name == object_name(f"{other}quotes.v1")) == (prefix == other)


def test_a_name_that_kubernetes_takes_is_kept() -> None:
    """Whoever looks for the topic finds it."""
    assert object_name("eu-1.raw.quotes.v1") == "eu-1.raw.quotes.v1"
    assert object_name("EU.quotes.v1").startswith("eu.quotes.v1-")


def test_the_command_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """The option or the setting, and what to write."""
    with pytest.raises(ConfigurationError, match=r"MDS_TOPIC_PREFIX"):
        user_name("producers", "x" * 60)
    refused = CliRunner().invoke(app, ["topics", "render", "strimzi", "--cluster", "My Kafka"])
    assert isinstance(refused.exception, ConfigurationError)
    assert "--cluster 'My Kafka'" in str(refused.exception)


def test_the_command_prints_what_can_be_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the prefix and the partitions of the environment, and nothing else on standard output."""
    monkeypatch.setenv("MDS_TOPIC_PREFIX", "eu.")
    monkeypatch.setenv("MDS_PARTITIONS", "16")

    done = CliRunner().invoke(app, ["topics", "render", "strimzi", "--replicas", "1"])

    assert done.exit_code == 0
    assert done.stdout == strimzi_manifest(
        cluster="kafka", prefix="eu.", partitions=16, replicas=1, authentication="scram-sha-512"
    )
