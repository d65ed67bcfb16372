"""The values of the chart: each described, each refused where it is wrong, by its name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from gateway.settings import GatewaySettings
from infra.runtime.environment import Settings
from infra.runtime.settings import MdsSettings
from producers.settings import ProducersSettings
from sinks.settings import SinkSettings
from stream_processors.settings import ProcessorSettings
from tests.support.charts import CHART, LEAST, merged, rendered

SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text("utf-8"))
DEFAULTS: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
# What is no value: given by the chart itself, or of one machine that runs everything.
CHARTS = {
    "mdsSettings": "home config kafka postgres_dsn partitions topic_prefix ops_host",
    "producersSettings": "ops_port credentials",
    "processorsSettings": "ops_port",
    "sinksSettings": "ops_port archive replay_dsn",
    "archiveSettings": "archive_ops_port",
    "gatewaySettings": "host port ops_port replica keys_file page_token_key services archive tls_certificate tls_key",
}
OF_ONE_MACHINE = {
    "mdsSettings": "kafka_port postgres_port simulator_host simulator_port simulator_data simulator_start simulator_speed "
    "simulator_seed simulator_scenario map_files api_key iceberg_catalog_uri iceberg_warehouse iceberg_namespace "
    "iceberg_token iceberg_credential",
}
MODELS: Mapping[str, tuple[type[Settings], str]] = {
    "mdsSettings": (MdsSettings, ""),
    "producersSettings": (ProducersSettings, ""),
    "processorsSettings": (ProcessorSettings, ""),
    "sinksSettings": (SinkSettings, ""),
    "archiveSettings": (SinkSettings, "archive_"),
    "gatewaySettings": (GatewaySettings, ""),
}


def nodes(schema: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each value's schema with its place, definitions where they are used."""
    if "$ref" in schema:
        found = SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]]
        schema = {**found, **{key: value for key, value in schema.items() if key != "$ref"}}
    yield at, schema
    for name, below in schema.get("properties", {}).items():
        yield from nodes(below, f"{at}.{name}".lstrip("."))


PLACES = dict(nodes(SCHEMA))


def test_every_value_is_described() -> None:
    """In a sentence."""
    silent = [at for at, node in PLACES.items() if at and not node.get("description", "").endswith(".")]

    assert len(PLACES) > 150
    assert silent == []


def test_no_level_takes_what_it_does_not_know() -> None:
    """But labels, annotations and what Kubernetes judges itself."""
    open_levels = {
        at.rsplit(".", 1)[-1]
        for at, node in PLACES.items()
        if node.get("type") == "object" and node.get("additionalProperties") is not False
    }

    assert open_levels == {
        "global", "podAnnotations", "nodeSelector", "annotations", "labels", "matchLabels",
        "nodeAffinity", "podAffinity", "podAntiAffinity",
    }  # fmt: skip


def leaves(values: Any, at: str = "") -> Iterator[str]:
    if isinstance(values, dict) and values:
        for name, below in values.items():
            yield from leaves(below, f"{at}.{name}".lstrip("."))
    else:
        yield at


def test_every_value_has_its_default_and_every_default_is_a_value() -> None:
    """One reads values.yaml to learn what there is."""
    given = set(leaves(DEFAULTS))
    open_below = tuple(
        f"{at}."
        for at, node in PLACES.items()
        if at and "additionalProperties" in node and not node.get("properties")
    )
    known = {at for at in PLACES if at}
    closed = {at for at in known if "properties" not in PLACES[at] or at.endswith(("settings", "affinity"))}
    # what may be set in one of them, and is by default in none
    inner = {
        at
        for at in closed
        if any(part in at for part in ("ettings.", "affinity.", "ephemeral", "limits.cpu"))
    }

    assert {at for at in given if at not in known and not at.startswith(open_below)} == set()
    assert {
        at
        for at in closed - inner - {"global"}
        if not any(each == at or each.startswith(f"{at}.") for each in given)
    } == set()


@pytest.mark.parametrize("name", MODELS)
def test_every_setting_is_a_value_or_the_charts_own(name: str) -> None:
    """A new one is decided on; a secret is none of either."""
    model, part = MODELS[name]
    fields = {
        field
        for field, about in model.model_fields.items()
        if field.startswith(part) and "SecretStr" not in str(about.annotation)
    }
    if name == "sinksSettings":
        fields = {field for field in fields if not field.startswith("archive_")}
    if name == "mdsSettings":  # of kafka.*
        fields = {field for field in fields if not field.startswith("kafka_") or field == "kafka_port"}
    own = {*CHARTS[name].split(), *OF_ONE_MACHINE.get(name, "").split()}

    values = {key.removeprefix(model.prefix).lower() for key in SCHEMA["$defs"][name]["properties"]}
    assert values == fields - own
    assert own <= model.model_fields.keys()


REFUSED: Mapping[str, tuple[dict[str, Any], str]] = {
    "unknown at the top": ({"replicaz": 1}, "replicaz"),
    "unknown below": ({"producers": {"replica": 1}}, "replica"),
    "unknown deep below": ({"gateway": {"ingress": {"host": ["a"]}}}, "host"),
    "unknown in resources": ({"sinks": {"resources": {"requests": {"gpu": 1}}}}, "gpu"),
    "unknown setting": ({"sinks": {"settings": {"SINKS_BATCH_RECORD": 1}}}, "SINKS_BATCH_RECORD"),
    "setting of another service": ({"sinks": {"settings": {"GATEWAY_PROCESSES": 1}}}, "GATEWAY_PROCESSES"),
    "setting that the chart gives": ({"settings": {"MDS_KAFKA": "x"}}, "MDS_KAFKA"),
    "secret as a setting": ({"settings": {"MDS_POSTGRES_DSN": "postgresql://a:b@c/d"}}, "MDS_POSTGRES_DSN"),
    "password as a value": ({"kafka": {"users": {"sinks": {"password": "x"}}}}, "password"),
    "text for a number": ({"producers": {"replicas": "two"}}, "/producers/replicas"),
    "no replicas": ({"processors": {"replicas": 0}}, "/processors/replicas"),
    "number for a text": ({"image": {"tag": 1.2}}, "/image/tag"),
    "short digest": ({"image": {"digest": "sha256:abc"}}, "/image/digest"),
    "no brokers": ({"kafka": {"bootstrapServers": ""}}, "/kafka/bootstrapServers"),
    "broker without a port": ({"kafka": {"bootstrapServers": "kafka"}}, "/kafka/bootstrapServers"),
    "unknown protocol": ({"kafka": {"securityProtocol": "tls"}}, "/kafka/securityProtocol"),
    "no database": ({"postgres": {"existingSecret": ""}}, "/postgres/existingSecret"),
    "no keys": ({"gateway": {"keys": {"existingSecret": ""}}}, "/gateway/keys/existingSecret"),
    "short grace": ({"sinks": {"terminationGracePeriodSeconds": 5}}, "/sinks/terminationGracePeriodSeconds"),
    "grace below a transaction": (
        {"sinks": {"settings": {"SINKS_WRITE_TIMEOUT_S": "120"}}},
        "sinks.terminationGracePeriodSeconds is less than SINKS_WRITE_TIMEOUT_S",
    ),
    "grace below the wait before it": (
        {"gateway": {"preStopSeconds": 60}},
        "gateway.terminationGracePeriodSeconds is less than gateway.preStopSeconds",
    ),
    "egress to everywhere": ({"networkPolicy": {"egress": [{"to": []}]}}, "/networkPolicy/egress/0"),
    "list for a mapping": ({"monitoring": {"labels": ["release"]}}, "/monitoring/labels"),
    "long name": ({"fullnameOverride": "x" * 41}, "/fullnameOverride"),
    "no memory limit": ({"gateway": {"resources": {"limits": {"memory": None}}}}, "memory"),
    "several replicas without a shared key": (
        {"gateway": {"pageTokenKey": {"existingSecret": ""}}},
        "gateway.pageTokenKey.existingSecret is needed with more than one replica",
    ),
    "no configuration": ({"config": {"content": ""}}, "config.content is empty"),
    "two configurations": (
        {"config": {"existingConfigMap": "x"}},
        "config.content and config.existingConfigMap",
    ),
    "login without a user": (
        {"kafka": {"securityProtocol": "sasl_ssl", "saslMechanism": "PLAIN"}},
        "kafka.users.",
    ),
    "login without a mechanism": ({"kafka": {"securityProtocol": "sasl_ssl"}}, "kafka.saslMechanism"),
    "credentials from nowhere": (
        {"producers": {"credentials": {"variables": ["PRODUCERS_FINNHUB_TOKEN"]}}},
        "producers.credentials.existingSecret",
    ),
    "ingress for nobody": ({"gateway": {"ingress": {"enabled": True}}}, "gateway.ingress.hosts is empty"),
}


@pytest.fixture(scope="session")
def answers() -> dict[str, dict[str, Any]]:
    """What Helm says of each."""
    given = rendered([merged(LEAST, values) for values, _ in REFUSED.values()])
    return dict(zip(REFUSED, given, strict=True))


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_value_is_refused_by_its_name(case: str, answers: dict[str, dict[str, Any]]) -> None:
    """Before anything is installed."""
    assert REFUSED[case][1] in answers[case].get("error", "it was taken")


@pytest.mark.parametrize("absent", ["config", "kafka", "postgres", "gateway"])
def test_what_must_be_given_is_asked_for(absent: str) -> None:
    """None of it has a default that could be right."""
    (answer,) = rendered([{name: value for name, value in LEAST.items() if name != absent}])

    assert absent in answer["error"]
