"""Topics and users as objects of Strimzi's operators, of what the code declares: `mds topics render strimzi`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Literal, get_args

import yaml

from schemas.errors import ConfigurationError
from schemas.rights import Client, Right, rights_of
from schemas.topics import Topic, catalogue

Authentication = Literal["scram-sha-512", "tls"]
API_VERSION = "kafka.strimzi.io/v1"
# What the chart calls who is called otherwise here.
COMPONENTS: Mapping[Client, str] = {"stream_processors": "processors"}
CLUSTER = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
MAX_USER_CHARS = 64  # of the name in a certificate
HASH_CHARS = 8
HEAD = """\
# Written by `mds topics render strimzi` from what the code declares; write it anew after an upgrade.
# To delete a KafkaTopic is to delete the topic. With the chart: migrations.topics=false, and these users in kafka.users.
"""


def strimzi_manifest(
    *, cluster: str, prefix: str, partitions: int, replicas: int, authentication: Authentication
) -> str:
    """Return the YAML of a KafkaTopic for each declared topic and a KafkaUser for each service, under `prefix`.

    `partitions` is how many the topics have that symbols are partitioned in, `replicas` how many brokers hold each.
    Raises ConfigurationError where `cluster` is no name of an object, or a user's name becomes too long.
    """
    if CLUSTER.fullmatch(cluster) is None:
        raise ConfigurationError(
            f"--cluster {cluster!r} is no name of a Kafka object",
            remedy="write small letters, digits and dashes, 63 at most, a letter first, as in `kubectl get kafka`",
        )
    labels = {"strimzi.io/cluster": cluster, "app.kubernetes.io/part-of": "market-data-service"}
    topics = [
        _object(
            "KafkaTopic",
            object_name(prefix + topic.name),
            labels,
            _topic(topic, prefix, partitions, replicas),
        )
        for topic in catalogue().topics.values()
    ]
    users = [
        _object("KafkaUser", user_name(client, prefix), labels, _user(client, prefix, authentication))
        for client in get_args(Client)
    ]
    return HEAD + yaml.safe_dump_all([*topics, *users], sort_keys=False, explicit_start=True, width=200)


def object_name(name: str) -> str:
    """Return a name that Kubernetes takes: the same where it does, else a like one of its own."""
    plain = re.sub(r"[^a-z0-9.-]", "-", name.lower())
    # parts between dots begin and end with a letter or digit
    plain = re.sub(r"[.-]*\.[.-]*", ".", plain).strip(".-")
    if plain == name:
        return name
    # EU. and eu. are two systems: neither may have the other's objects
    return f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:HASH_CHARS]}"


def user_name(client: Client, prefix: str) -> str:
    """Return the name of a client's user, which is that of its Secret too; raises ConfigurationError where it is too long."""
    name = object_name(f"{prefix}mds-{COMPONENTS.get(client, client)}")
    if len(name) > MAX_USER_CHARS:
        raise ConfigurationError(
            f"a user would be called {name}, which is longer than the {MAX_USER_CHARS} characters of a certificate",
            remedy="set MDS_TOPIC_PREFIX to a shorter one",
        )
    return name


def _object(kind: str, name: str, labels: Mapping[str, str], spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": dict(spec),
    }


def _topic(topic: Topic, prefix: str, partitions: int, replicas: int) -> dict[str, Any]:
    return {
        "topicName": prefix + topic.name,
        "partitions": topic.partitions(partitions),
        "replicas": replicas,
        # a majority has what is confirmed: whoever is left knows it
        "config": {**topic.config, "min.insync.replicas": str(replicas // 2 + 1)},
    }


def _user(client: Client, prefix: str, authentication: Authentication) -> dict[str, Any]:
    rules = [_rule(right) for right in rights_of(client, prefix=prefix)]
    return {
        "authentication": {"type": authentication},
        "authorization": {"type": "simple", "acls": rules},
    }


def _rule(right: Right) -> dict[str, Any]:
    return {
        "resource": {"type": right.resource, "name": right.name, "patternType": right.pattern},
        "operations": list(right.operations),
    }
