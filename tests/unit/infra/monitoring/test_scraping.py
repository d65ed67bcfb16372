"""Scraping: jobs and ports are those the rules and the settings go by, and nothing is counted twice."""

from __future__ import annotations

import re
from typing import Any

import yaml

from gateway.settings import GatewaySettings
from infra.runtime.settings import MdsSettings
from producers.settings import ProducersSettings
from sinks.settings import SinkSettings
from stream_processors.settings import ProcessorSettings
from tests.support.alert_rules import ALERT_FILES, MONITORING, ROOT, alerts, document

CONFIG: dict[str, Any] = document(MONITORING / "prometheus-config.yaml")
JOBS: dict[str, Any] = {job["job_name"]: job for job in CONFIG["scrape_configs"]}
PORTS = {
    "mds-producers": ProducersSettings().ops_port,
    "mds-processors": ProcessorSettings().ops_port,
    "mds-sinks": SinkSettings().ops_port,
    "mds-gateway": GatewaySettings().ops_port,
    "mds-archive": SinkSettings().archive_ops_port,
}
SERVICES = [job for job in PORTS if job != "mds-archive"]
PROBES = {"mds-blackbox-http": "http_2xx", "mds-blackbox-ws": "ws_101", "mds-blackbox-tcp": "tcp_connect"}
PART_OF = "app.kubernetes.io/part-of"
COMPONENT = "app.kubernetes.io/component"


def objects(kind: str) -> dict[str, dict[str, Any]]:
    """Return the objects of a kind for the Prometheus Operator, by name."""
    documents = yaml.safe_load_all((MONITORING / "servicemonitors.yaml").read_text("utf-8"))
    return {each["metadata"]["name"]: each for each in documents if each["kind"] == kind}


def targets(job: str) -> list[str]:
    """Return the targets of a job."""
    return [target for each in JOBS[job]["static_configs"] for target in each["targets"]]


def test_a_process_is_scraped_at_the_ops_port_it_has_by_default() -> None:
    """One job a service, and one of the archive."""
    assert JOBS.keys() == {*PORTS, *PROBES}
    assert {job: targets(job) for job in PORTS} == {job: [f"127.0.0.1:{port}"] for job, port in PORTS.items()}


def test_the_union_of_the_gateway_is_not_scraped_beside_what_it_unites() -> None:
    """Every counter would be there twice; a target that somebody adds is dropped."""
    port = GatewaySettings().port
    (rule,) = JOBS["mds-gateway"]["relabel_configs"]

    assert not any(target.endswith(f":{port}") for job in PORTS for target in targets(job))
    assert rule["action"] == "drop"
    assert re.fullmatch(rule["regex"], f"127.0.0.1:{port}")
    assert not any(re.fullmatch(rule["regex"], target) for target in targets("mds-gateway"))


def test_every_file_of_rules_is_read() -> None:
    """By Prometheus, from beside its configuration."""
    read = {path for pattern in CONFIG["rule_files"] for path in MONITORING.glob(pattern)}

    assert read == {*ALERT_FILES, MONITORING / "recording.yaml"}


def test_rules_go_by_jobs_that_are_there() -> None:
    """Each service is missed when it is down and when nobody scrapes it."""
    down, absent = alerts()["MdsDown"]["expr"], alerts()["MdsAbsent"]["expr"]
    (among,) = re.findall(r'job=~"([^"]+)"', down)

    assert [job for job in JOBS if re.fullmatch(among, job)] == SERVICES
    assert re.findall(r'absent\(up\{job="([^"]+)"\}\)', absent) == SERVICES
    (among,) = re.findall(r'job=~"([^"]+)"', alerts()["MdsBlackboxFailing"]["expr"])
    assert [job for job in JOBS if re.fullmatch(among, job)] == list(PROBES)


def test_probes_ask_the_exporter_of_the_target() -> None:
    """The target is a parameter, the label of what is told, and not the address that is scraped."""
    shared = MdsSettings()
    for job, module in PROBES.items():
        as_parameter, as_instance, exporter = JOBS[job]["relabel_configs"]

        assert (JOBS[job]["metrics_path"], JOBS[job]["params"]) == ("/probe", {"module": [module]})
        assert as_parameter == {"source_labels": ["__address__"], "target_label": "__param_target"}
        assert as_instance == {"source_labels": ["__param_target"], "target_label": "instance"}
        assert exporter["target_label"] == "__address__"
    assert targets("mds-blackbox-http") == [f"http://127.0.0.1:{GatewaySettings().port}/health"]
    assert targets("mds-blackbox-ws") == [f"127.0.0.1:{GatewaySettings().port}"]
    assert targets("mds-blackbox-tcp") == [
        f"127.0.0.1:{shared.kafka_port}",
        f"127.0.0.1:{shared.postgres_port}",
    ]


def test_the_operator_finds_the_same_jobs() -> None:
    """By the port named `ops` alone: the gateway's other port has the union."""
    monitors, found = objects("ServiceMonitor"), set()

    assert list(monitors) == SERVICES
    for name, monitor in monitors.items():
        spec = monitor["spec"]
        (endpoint,) = spec["endpoints"]
        selected = spec["selector"]
        wanted = selected["matchLabels"].get(COMPONENT)
        (more,) = selected.get("matchExpressions", [{"values": [wanted]}])

        assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
        assert monitor["metadata"]["labels"]["release"]
        assert (endpoint["port"], endpoint["path"]) == ("ops", "/metrics")
        assert spec["jobLabel"] == COMPONENT
        assert selected["matchLabels"][PART_OF] == "market-data-service"
        assert name in more["values"]
        found |= set(more["values"])
    assert found == PORTS.keys()


def test_the_operator_probes_the_same_modules() -> None:
    """Under the same jobs, with the target as instance."""
    probes = objects("Probe")

    assert {each["spec"]["jobName"]: each["spec"]["module"] for each in probes.values()} == PROBES
    values = document(ROOT / "infra" / "blackbox-exporter" / "values.yaml")
    for name, probe in probes.items():
        spec = probe["spec"]
        static = spec["targets"]["staticConfig"]

        assert name == spec["jobName"]
        assert probe["metadata"]["labels"]["release"]
        assert spec["prober"]["url"].startswith(f"{values['fullnameOverride']}:")
        assert static["static"]
        assert static["relabelingConfigs"] == [
            {"sourceLabels": ["__param_target"], "targetLabel": "instance"}
        ]
