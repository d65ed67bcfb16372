"""The Helm chart as tests render it: sets of values, and the objects that come of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from tests.support.deployment_tools import answer_of

ROOT = Path(__file__).parents[2]
CHART = ROOT / "infra" / "helm" / "market-data-service"
TOOLS = ROOT / "tests" / "deploy" / "tools"
Values = Mapping[str, Any]

# the least that must be given
LEAST: Values = {
    "config": {"content": "version: 1\n"},
    "kafka": {"bootstrapServers": "kafka:9092"},
    "postgres": {"existingSecret": "database"},
    "gateway": {"keys": {"existingSecret": "keys"}, "pageTokenKey": {"existingSecret": "pages"}},
}
USERS = {
    name: {"username": f"mds-{name}", "existingSecret": f"mds-{name}"}
    for name in ("producers", "processors", "sinks", "archive", "gateway", "operator")
}
RESOURCES = {"requests": {"cpu": 2, "memory": "1.5Gi"}, "limits": {"cpu": "2500m", "memory": "2Gi"}}
CASES: Mapping[str, Values] = {
    "least": {},
    "all": {
        "image": {"digest": "sha256:" + "a" * 64, "pullSecrets": ["registry"]},
        "settings": {"MDS_LOG_LEVEL": "debug", "MDS_OTEL": True, "MDS_OTEL_RATIO": 0.01},
        "kafka": {
            "bootstrapServers": "a.kafka:9093, b.kafka:9094",
            "topicPrefix": "eu.",
            "securityProtocol": "sasl_ssl",
            "saslMechanism": "SCRAM-SHA-512",
            "ca": {"existingSecret": "kafka-ca"},
            "users": USERS,
        },
        "postgres": {"migrations": {"existingSecret": "owner", "key": "uri"}},
        "producers": {
            "replicas": 3,
            "credentials": {
                "existingSecret": "vendors",
                "variables": ["PRODUCERS_FINNHUB_TOKEN", "ACME_KEY"],
            },
        },
        "archive": {"enabled": True, "storage": {"className": "fast"}},
        "gateway": {
            "ingress": {"enabled": True, "className": "nginx", "hosts": ["mds.example"], "tlsSecret": "tls"},
            "autoscaling": {"enabled": True},
        },
        "migrations": {"postUpgrade": True},
        "tests": {"kafkaVersion": "4.2.2"},
        "networkPolicy": {
            "gatewayFrom": [
                {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}
            ],
            "kafkaTo": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
            "postgresTo": [{"podSelector": {"matchLabels": {"app": "postgres"}}}],
            "kafkaPorts": [9095],
            "egress": [
                {"to": [{"podSelector": {"matchLabels": {"app": "otel"}}}], "ports": [{"port": 4318}]}
            ],
        },
        "monitoring": {
            "labels": {"release": "kube-prometheus-stack"},
            "serviceMonitors": {"enabled": True},
            "rules": {"enabled": True, "runbookBaseUrl": "https://git.example/mds/blob/main/"},
            "probes": {"enabled": True, "tcp": ["database:5432"]},
            "dashboards": {"enabled": True},
        },
    },
    "certificates": {"kafka": {"securityProtocol": "ssl", "ca": {"existingSecret": "ca"}, "users": USERS}},
    "server certificate alone": {"kafka": {"securityProtocol": "ssl"}},
    "password without encryption": {
        "kafka": {"securityProtocol": "sasl_plaintext", "saslMechanism": "PLAIN", "users": USERS}
    },
    "one of each": {
        "producers": {"replicas": 1},
        "processors": {"replicas": 1},
        "sinks": {"replicas": 1},
        "gateway": {"replicas": 1, "pageTokenKey": {"existingSecret": ""}},
    },
    "nothing optional": {
        "config": {"content": "", "existingConfigMap": "mine"},
        "migrations": {"enabled": False},
        "tests": {"enabled": False},
        "topologySpread": {"enabled": False},
        "networkPolicy": {"enabled": False},
        **{
            name: {"disruptionBudget": {"enabled": False}}
            for name in ("producers", "processors", "sinks", "gateway")
        },
    },
    "open to the outside": {
        "opsHost": "::",
        "kafka": {"bootstrapServers": "[fd00::5]:9092"},
        "gateway": {
            "service": {"type": "LoadBalancer", "port": 443, "annotations": {"example/internal": "true"}}
        },
    },
    "odd texts": {
        "fullnameOverride": "a-name-of-forty-characters-exactly-as-it",
        "config": {"content": 'a: "{{ .Values.secret }}"\nb: |\n  ${HOME} "quoted" \\ #\n\ttab: é\n'},
        "settings": {"MDS_SIMULATOR_URL": 'http://x/"{{ fail }}"'},
        "sinks": {
            "terminationGracePeriodSeconds": 321,
            "settings": {
                "SINKS_KEEP_DAYS": '{"quotes": 30}',
                "SINKS_BATCH_RECORDS": 200_000,
                "SINKS_WRITE_TIMEOUT_S": 300,
            },
        },
        "archive": {"enabled": True, "settings": {"SINKS_ARCHIVE_KEEP_FREE_MB": 2_000_000}},
        "gateway": {
            "preStopSeconds": 120,
            "terminationGracePeriodSeconds": 155,
            "settings": {
                "GATEWAY_KEY_UNITS_PER_S": 1_000_000,
                "GATEWAY_ADDRESS_UNITS_PER_S": 0.25,
                "GATEWAY_ORIGINS": "https://a.example,https://b.example",
            },
        },
        "producers": {"settings": {"PRODUCERS_ALLOW_INSECURE_VENDORS": False}},
        "migrations": {"timeoutSeconds": 86_400_000},
    },
    "placed": {
        name: {
            "resources": RESOURCES,
            "nodeSelector": {"disk": "fast"},
            "tolerations": [{"key": "data", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}],
            "affinity": {
                "podAntiAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": [
                        {"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}}
                    ]
                }
            },
            "priorityClassName": "high",
            "podAnnotations": {"a/b": "1"},
        }
        for name in ("producers", "processors", "sinks", "gateway")
    },
}


class StrictLoader(yaml.SafeLoader):
    """A loader that refuses what says one key twice; PyYAML and Kubernetes would each take the one they like."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping; raise where a key is there twice."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"twice in one mapping: {keys}"
        return super().construct_mapping(node, deep)


def merged(first: Values, second: Values) -> dict[str, Any]:
    """Return values as Helm merges them: mappings into each other, all else replaced."""
    both = deepcopy(dict(first))
    for name, value in second.items():
        both[name] = (
            merged(both[name], value)
            if isinstance(value, Mapping) and isinstance(both.get(name), Mapping)
            else value
        )
    return both


def rendered(cases: Sequence[Values], *, upgrade: bool = False) -> list[dict[str, Any]]:
    """Return for each set of values its manifests, or Helm's error; ends the test where Helm is absent."""
    request = {"chart": str(CHART), "values": [dict(each) for each in cases], "upgrade": upgrade}
    answers: list[dict[str, Any]] = answer_of(TOOLS / "rendering.py", request)
    return answers


def objects(manifests: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the objects of manifests; what is told to people is none."""
    for name, text in manifests.items():
        if not name.endswith(".txt"):
            yield from filter(None, yaml.load_all(text, StrictLoader))


def pod_of(each: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the pod's spec of an object that has one."""
    spec = each["spec"] if each["kind"] == "Pod" else each.get("spec", {}).get("template", {}).get("spec")
    return spec if isinstance(spec, dict) else None


def containers(pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the containers of a pod, those before the others included."""
    return [*pod.get("initContainers", []), *pod["containers"]]
