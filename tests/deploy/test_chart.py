"""The chart's objects: valid where schemas are closed, hardened, and in step with the code they start."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from gateway.http.shell import connections
from gateway.operations.shell.ops_ports import ops_urls
from gateway.settings import GatewaySettings
from infra.cli.__main__ import app
from infra.runtime import lifecycle, replicas
from infra.runtime.environment import Settings
from infra.runtime.kafka import publisher
from infra.runtime.settings import MdsSettings
from producers.collecting.shell import trades
from producers.jobs.shell import feed as jobs
from producers.settings import ProducersSettings
from sinks.reading.shell import feed
from sinks.settings import SinkSettings
from stream_processors.settings import ProcessorSettings
from stream_processors.shell import faust_app
from tests.conftest import free_port
from tests.support.charts import CHART, LEAST, TOOLS, containers, merged, pod_of, rendered
from tests.support.deployment_tools import answer_of

Objects = list[dict[str, Any]]
OLDEST, NEWEST = "1.27", "1.37"
MODELS: Mapping[str, type[Settings]] = {
    model.prefix: model
    for model in (MdsSettings, ProducersSettings, ProcessorSettings, SinkSettings, GatewaySettings)
}
OPS_PORTS = {
    "producers": ProducersSettings().ops_port,
    "processors": ProcessorSettings().ops_port,
    "sinks": SinkSettings().ops_port,
    "archive": SinkSettings().archive_ops_port,
    "gateway": GatewaySettings().ops_port,
}
# seconds that a stopping process may take, by the code it runs
DRAINS = {
    "producers": jobs.DRAIN_S + jobs.LEAVE_S + trades.DRAIN_S + publisher.STOP_FLUSH_S,
    "processors": faust_app.STOP_DEADLINE_S,
    "sinks": feed.REVOKE_WAIT_S + feed.CLOSE_WAIT_S,
    "gateway": max(connections.DRAIN_S + connections.SHUTDOWN_TIMEOUT_S, replicas.ENDS_WITHIN_S),
    "archive": feed.CLOSE_WAIT_S,
}


def settings_names() -> Iterator[str]:
    for prefix, model in MODELS.items():
        yield from (prefix + name.upper() for name in model.model_fields if name != "credentials")


def by_kind(chart: Objects, kind: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in chart if each["kind"] == kind}


def pods(chart: Objects) -> dict[str, dict[str, Any]]:
    """Return the specs of pods by the name of what makes them."""
    return {each["metadata"]["name"]: pod for each in chart if (pod := pod_of(each)) is not None}


def services(chart: Objects) -> dict[str, dict[str, Any]]:
    """Return the containers of services by their names, which are components."""
    found = (each for pod in pods(chart).values() for each in containers(pod))
    return {each["name"]: each for each in found if each["name"] in OPS_PORTS}


def variables(container: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables of a container: the text, or where it comes from."""
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


def test_every_object_is_valid_in_the_oldest_and_the_newest_kubernetes(charts: dict[str, Objects]) -> None:
    """By schemas that take no unknown key."""
    core = [each for chart in charts.values() for each in chart if "coreos" not in each["apiVersion"]]
    answers = answer_of(TOOLS / "closed_schemas.py", {"versions": [OLDEST, NEWEST], "objects": core})

    assert len(core) > 200
    assert [
        (each["kind"], each["metadata"]["name"], said)
        for each, said in zip(core, answers, strict=True)
        if said
    ] == []


def test_the_judge_of_objects_sees_what_is_wrong(charts: dict[str, Objects]) -> None:
    """A key that nobody knows, a text in place of a number."""
    unknown, wrong = (merged(by_kind(charts["least"], "Deployment")["mds-gateway"], {}) for _ in range(2))
    unknown["spec"]["template"]["spec"]["containers"][0]["comand"] = ["x"]
    wrong["spec"]["replicas"] = "two"
    answers = answer_of(TOOLS / "closed_schemas.py", {"versions": [NEWEST], "objects": [unknown, wrong]})

    assert "comand" in answers[0][0]
    assert "replicas" in answers[1][0]


def test_objects_of_the_prometheus_operator_are_valid(charts: dict[str, Objects]) -> None:
    """By its own types, with no key that they do not know."""
    own = [each for each in charts["all"] if "coreos" in each["apiVersion"]]
    broken = [merged(each, {"spec": {"intervall": "1s"}}) for each in own]
    answers = answer_of(TOOLS / "prometheus_operator.py", [*own, *broken])

    assert {each["kind"] for each in own} == {"ServiceMonitor", "Probe", "PrometheusRule"}
    assert [said for said in answers[: len(own)] if said] == []
    assert [said for said in answers[len(own) :] if said != [".spec.intervall"]] == []


def test_names_leave_room_for_what_is_put_behind_them(chart: Objects) -> None:
    """Labels and host names have 63 characters: of a set's pods with a revision behind, of a Job's with five."""
    most = {"StatefulSet": 52, "Job": 57, "Service": 63}
    for each in chart:
        assert len(each["metadata"]["name"]) <= most.get(each["kind"], 253)
    assert len({(each["kind"], each["metadata"]["name"]) for each in chart}) == len(chart)


def test_pods_are_nobody_and_may_do_nothing(chart: Objects) -> None:
    """Each, those of Jobs and tests included."""
    for pod in pods(chart).values():
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 65532
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        for each in containers(pod):
            assert each["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_every_container_says_what_it_needs_and_may_take(chart: Objects) -> None:
    """A node is neither overbooked by what is silent, nor starved by what leaks."""
    for pod in pods(chart).values():
        for each in containers(pod):
            assert {"cpu", "memory"} <= each["resources"]["requests"].keys()
            assert "memory" in each["resources"]["limits"]


def test_what_is_mounted_is_there_and_only_two_volumes_are_written(chart: Objects) -> None:
    """Secrets are of their owner and its group alone, as preflight demands."""
    for pod in pods(chart).values():
        volumes = {each["name"]: each for each in pod["volumes"]} | {"archive": {}}
        for container in containers(pod):
            for mount in container["volumeMounts"]:
                assert mount["name"] in volumes
                assert mount.get("readOnly") or mount["name"] in ("scratch", "archive")
        assert {each["secret"]["defaultMode"] for each in volumes.values() if "secret" in each} <= {0o440}


def test_every_variable_is_a_setting_and_is_given_once(chart: Objects) -> None:
    """An unknown one of ours would stop the service at its start."""
    known = {*settings_names(), "PRODUCERS_FINNHUB_TOKEN", "ACME_KEY"}
    for pod in pods(chart).values():
        for container in containers(pod):
            names = [each["name"] for each in container["env"]]
            assert set(names) <= known
            assert len(names) == len(set(names)), container["name"]


def test_services_take_the_settings_they_are_given(charts: dict[str, Objects]) -> None:
    """Also numbers of a million, which Helm would write with an exponent, and texts with templates in them."""
    taken: dict[str, dict[str, Settings]] = {}
    for case in ("least", "open to the outside", "odd texts", "one of each"):
        for name, container in services(charts[case]).items():
            env = {key: value for key, value in variables(container).items() if isinstance(value, str)}
            taken.setdefault(case, {})[name] = MODELS[_prefix(name)].from_env(env)
            MdsSettings.from_env(env)

    gateway, sinks = taken["odd texts"]["gateway"], taken["odd texts"]["sinks"]
    assert isinstance(gateway, GatewaySettings)
    assert isinstance(sinks, SinkSettings)
    assert (gateway.key_units_per_s, gateway.address_units_per_s) == (1e6, 0.25)
    archive = taken["odd texts"]["archive"]
    assert isinstance(archive, SinkSettings)
    assert archive.archive_keep_free_mb == 2_000_000
    assert (sinks.batch_records, sinks.keep_days) == (200_000, {"quotes": 30.0})
    shared = MdsSettings.from_env(_texts(services(charts["odd texts"])["gateway"], "MDS_"))
    assert shared.simulator_url == 'http://x/"{{ fail }}"'


def _prefix(component: str) -> str:
    return {"archive": "SINKS_"}.get(component, f"{component.upper()}_")


def _texts(container: Mapping[str, Any], prefix: str) -> dict[str, str]:
    given = variables(container)
    return {
        name: value for name, value in given.items() if name.startswith(prefix) and isinstance(value, str)
    }


def test_the_configuration_arrives_as_it_was_given(charts: dict[str, Objects]) -> None:
    """Whatever it holds, templates and tabs too."""
    (found,) = by_kind(charts["odd texts"], "ConfigMap").values()

    assert found["data"] == {
        "mds.yaml": 'a: "{{ .Values.secret }}"\nb: |\n  ${HOME} "quoted" \\ #\n\ttab: é\n'
    }


def test_ops_ports_are_those_of_the_code(chart: Objects) -> None:
    """No setting is given for them."""
    found = services(chart)
    for name, container in found.items():
        ports = {each["name"]: each["containerPort"] for each in container["ports"]}
        assert ports["ops"] == OPS_PORTS[name]
        assert ports.get("http") == (GatewaySettings().port if name == "gateway" else None)
        assert variables(container)["MDS_OPS_HOST"] in ("0.0.0.0", "::")
    assert found.keys() >= {"producers", "processors", "sinks", "gateway"}


async def test_probes_ask_what_is_answered(charts: dict[str, Objects]) -> None:
    """By a real ops port."""
    port = free_port()
    async with lifecycle.running("sinks", port, MdsSettings.from_env({})) as process:
        process.health.report("part", ready=True)
        for container in services(charts["all"]).values():
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                asked = container[probe]["httpGet"]
                assert asked["port"] == "ops"
                url = f"http://127.0.0.1:{port}{asked['path']}"
                with await asyncio.to_thread(urllib.request.urlopen, url) as answer:
                    assert answer.status == 200


def test_commands_are_there_and_take_their_arguments(chart: Objects) -> None:
    """Modules that can be run, and commands of `mds` with options that it knows."""
    command = typer.main.get_command(app)
    for pod in pods(chart).values():
        for container in containers(pod):
            first, *rest = container["command"]
            if first == "python":
                assert importlib.util.find_spec(f"{rest[1]}.__main__") is not None
            elif first == "mds":
                _parse(command, rest)
            else:
                assert (first, rest[0]) == ("sh", "-c")
                _parse(command, [rest[1].split()[1], *container["args"]])


def _parse(command: Any, arguments: list[str]) -> None:
    while hasattr(command, "commands"):
        command, arguments = command.commands[arguments[0]], arguments[1:]
    command.make_context("mds", list(arguments))


@pytest.mark.parametrize(("code", "passed"), [(0, True), (1, True), (2, False), (3, False)])
def test_a_preflight_with_warnings_passes(
    charts: dict[str, Objects], tmp_path: Path, code: int, *, passed: bool
) -> None:
    """Helm knows no warnings: a pod that ends with any code but 0 has failed."""
    (container,) = pods(charts["all"])["mds-preflight"]["containers"]
    command = tmp_path / "mds"
    command.write_text(f'#!/bin/sh\necho "$@"\nexit {code}\n', "utf-8")
    command.chmod(0o700)

    done = subprocess.run(
        [*container["command"], *container["args"]],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) is passed
    assert done.stdout == "preflight --gateways 8 --kafka-version 4.2.2\n"


def test_a_pod_is_not_killed_while_it_drains(chart: Objects) -> None:
    """Killed it loses nothing, but makes others wait for its partitions."""
    for pod in pods(chart).values():
        for container in pod["containers"]:
            if container["name"] in DRAINS:
                waits = (
                    container.get("lifecycle", {})
                    .get("preStop", {})
                    .get("exec", {})
                    .get("command", ["", "0"])
                )
                needed = float(waits[1]) + DRAINS[container["name"]] + lifecycle.OPS_SHUTDOWN_S
                if container["name"] == "sinks":
                    given = _texts(container, "SINKS_")
                    needed += SinkSettings.from_env(given).write_timeout_s
                assert pod["terminationGracePeriodSeconds"] > needed, container["name"]


def test_secrets_are_only_pointed_at(chart: Objects) -> None:
    """None is a value of the chart, none is made by it, none is in a ConfigMap."""
    secret = {
        prefix + name.upper()
        for prefix, model in MODELS.items()
        for name, field in model.model_fields.items()
        if "SecretStr" in str(field.annotation)
    } | {"PRODUCERS_FINNHUB_TOKEN", "ACME_KEY"}
    assert {"MDS_POSTGRES_DSN", "MDS_KAFKA_PASSWORD", "GATEWAY_PAGE_TOKEN_KEY"} <= secret
    assert by_kind(chart, "Secret") == {}
    for pod in pods(chart).values():
        for container in containers(pod):
            for name, value in variables(container).items():
                assert (name in secret) == isinstance(value, dict), name
                assert isinstance(value, str) or value.keys() == {"secretKeyRef"}
            assert "envFrom" not in container


def test_a_service_is_shown_no_secret_but_its_own(charts: dict[str, Objects]) -> None:
    """Vendors' keys to producers, the database to who uses it, a user of Kafka each."""
    found = services(charts["all"])
    given = {name: variables(container) for name, container in found.items()}

    assert {name for name in given if "PRODUCERS_FINNHUB_TOKEN" in given[name]} == {"producers"}
    assert {name for name in given if "MDS_POSTGRES_DSN" in given[name]} == {"producers", "sinks", "gateway"}
    assert {name: each["MDS_KAFKA_USERNAME"] for name, each in given.items()} == {
        name: f"mds-{name}" for name in found
    }
    assert {each["MDS_KAFKA_PASSWORD"]["secretKeyRef"]["name"] for each in given.values()} == {
        f"mds-{name}" for name in found
    }
    migrate = {each["name"]: variables(each) for each in containers(pods(charts["all"])["mds-migrate-pre"])}
    assert migrate["migrate"]["MDS_POSTGRES_DSN"]["secretKeyRef"] == {"name": "owner", "key": "uri"}
    assert "MDS_POSTGRES_DSN" not in migrate["topics"]


def test_with_certificates_each_service_has_its_own(charts: dict[str, Objects]) -> None:
    """Strimzi's Secrets have the keys that the chart asks for by itself."""
    for name, pod in pods(charts["certificates"]).items():
        secrets = {each["name"]: each["secret"] for each in pod["volumes"] if "secret" in each}
        component = name.removeprefix("mds-")
        expected = f"mds-{component}" if component in OPS_PORTS else "mds-operator"
        assert secrets["kafka-user"]["secretName"] == expected
        assert [each["key"] for each in secrets["kafka-user"]["items"]] == ["user.crt", "user.key"]
        assert secrets["kafka-ca"]["secretName"] == "ca"
    alone = services(charts["server certificate alone"])["sinks"]
    assert not {"MDS_KAFKA_CERTIFICATE_FILE", "MDS_KAFKA_CA_FILE"} & variables(alone).keys()


def test_selectors_find_the_pods_they_mean(chart: Objects) -> None:
    """Services, budgets and policies: each one kind of pod, and by labels that never change."""
    labels = {
        each["metadata"]["name"]: (each if each["kind"] == "Pod" else each["spec"]["template"])["metadata"][
            "labels"
        ]
        for each in chart
        if pod_of(each) is not None
    }
    for each in chart:
        spec = each.get("spec", {})
        selector = spec.get("podSelector") or spec.get("selector")
        if each["kind"] == "ServiceMonitor" or selector is None:
            continue
        wanted = selector.get("matchLabels", selector)
        chosen = {name for name, having in labels.items() if wanted.items() <= having.items()}
        component = each["metadata"]["labels"]["app.kubernetes.io/component"]
        assert {labels[name]["app.kubernetes.io/component"] for name in chosen} <= {component}
        assert chosen or component in {"mds-migrate", "mds-preflight"}, each["metadata"]["name"]
        assert not {"helm.sh/chart", "app.kubernetes.io/version"} & wanted.keys()


def test_the_gateway_asks_every_replica_by_the_name_it_has(charts: dict[str, Objects]) -> None:
    """A Service in front of them would tell of another one each time."""
    given = variables(services(charts["all"])["gateway"])
    urls = ops_urls(given["GATEWAY_SERVICES"], {}, "")
    sets, addresses = by_kind(charts["all"], "StatefulSet"), by_kind(charts["all"], "Service")

    assert sorted(urls) == sorted(
        ["producers-0", "producers-1", "producers-2", "processors-0", "processors-1", "sinks-0", "sinks-1"]
    )
    for url in urls.values():
        match = re.fullmatch(r"http://(([\w-]+)-(\d+))\.([\w-]+):(\d+)", url)
        assert match is not None
        _, name, number, domain, port = match.groups()
        assert int(number) < sets[name]["spec"]["replicas"]
        assert sets[name]["spec"]["serviceName"] == domain
        assert addresses[domain]["spec"]["clusterIP"] == "None"
        assert [each["port"] for each in addresses[domain]["spec"]["ports"]] == [int(port)]


def test_every_pod_has_a_policy_that_lets_out_what_it_needs(charts: dict[str, Objects]) -> None:
    """And no more: only producers reach vendors, the ports of brokers are those that were named."""
    chart = charts["all"]
    policies = {
        name.removeprefix("mds-"): each["spec"] for name, each in by_kind(chart, "NetworkPolicy").items()
    }
    out = {
        name: {port["port"] for rule in spec["egress"] for port in rule["ports"]}
        for name, spec in policies.items()
    }
    into = {
        name: {port["port"] for rule in spec["ingress"] for port in rule["ports"]}
        for name, spec in policies.items()
    }

    assert policies.keys() == {*OPS_PORTS, "migrate", "preflight"}
    assert all(ports >= {53, 4318, 9093, 9094, 9095} for ports in out.values())
    assert {name for name in out if 443 in out[name]} == {"producers"}
    assert {name for name in out if 5432 not in out[name]} == {"processors", "archive"}
    assert {name for name in out if OPS_PORTS["sinks"] in out[name]} == {"gateway"}
    assert into == {name: {"ops"} for name in OPS_PORTS} | {
        "gateway": {"ops", "http"},
        "migrate": set(),
        "preflight": set(),
    }
    assert all(spec["policyTypes"] == ["Ingress", "Egress"] for spec in policies.values())


def test_ops_ports_are_on_no_service_that_is_open_to_the_outside(chart: Objects) -> None:
    """They ask nobody for a key."""
    for each in by_kind(chart, "Service").values():
        ports = {port["name"] for port in each["spec"]["ports"]}
        assert ports == {"http"} if each["spec"].get("type") == "LoadBalancer" else "ops" in ports


def test_the_ingress_keeps_websockets_open(charts: dict[str, Objects]) -> None:
    """Its controllers cut what was silent for a minute."""
    (ingress,) = by_kind(charts["all"], "Ingress").values()

    assert ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-read-timeout"] == "3600"
    assert ingress["spec"]["rules"][0]["host"] == "mds.example"
    assert ingress["spec"]["tls"] == [{"secretName": "tls", "hosts": ["mds.example"]}]


def test_a_gateway_that_is_scaled_has_no_number_of_its_own(charts: dict[str, Objects]) -> None:
    """Each upgrade would set it back."""
    assert "replicas" not in by_kind(charts["all"], "Deployment")["mds-gateway"]["spec"]
    assert by_kind(charts["least"], "Deployment")["mds-gateway"]["spec"]["replicas"] == 2


def test_migrations_run_around_the_rollout(charts: dict[str, Objects]) -> None:
    """What is left for the end runs after an upgrade only on request: the old version may still be there."""

    def hooks(case: str) -> dict[str, str]:
        return {
            name: job["metadata"]["annotations"]["helm.sh/hook"]
            for name, job in by_kind(charts[case], "Job").items()
        }

    assert hooks("least") == {
        "mds-migrate-pre": "pre-install,pre-upgrade",
        "mds-migrate-post": "post-install",
    }
    assert hooks("all")["mds-migrate-post"] == "post-install,post-upgrade"
    for job in by_kind(charts["least"], "Job").values():
        # what Helm makes later is not there yet
        assert not [each for each in pod_of(job)["volumes"] if "configMap" in each]  # type: ignore[index]


def test_the_rules_are_those_of_the_repository(charts: dict[str, Objects]) -> None:
    """With the runbooks where they are read."""
    files = sorted((CHART.parents[1] / "monitoring").glob("*.yaml"))
    texts = {
        each.stem: each.read_text("utf-8") for each in files if each.stem.startswith(("alerts", "recording"))
    }
    found = {
        name.removeprefix("mds-"): each for name, each in by_kind(charts["all"], "PrometheusRule").items()
    }
    base = "https://git.example/mds/blob/main/"

    assert found.keys() == texts.keys()
    for name, text in texts.items():
        moved = text.replace("runbook_url: docs/", f"runbook_url: {base}docs/")
        assert found[name]["spec"] == yaml.safe_load(moved)
        assert found[name]["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    assert "runbook_url: https" in yaml.safe_dump(found["alerts-slo"]["spec"])


def test_jobs_of_monitors_are_those_the_alerts_go_by(charts: dict[str, Objects]) -> None:
    """The label of the Service, whose port is named `ops`."""
    monitors, addresses = by_kind(charts["all"], "ServiceMonitor"), by_kind(charts["all"], "Service")
    jobs_found = set()
    for monitor in monitors.values():
        assert monitor["metadata"]["labels"]["release"] == "kube-prometheus-stack"
        (endpoint,) = monitor["spec"]["endpoints"]
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        (address,) = [each for each in addresses.values() if wanted <= each["metadata"]["labels"].items()]
        assert endpoint["port"] in [port["name"] for port in address["spec"]["ports"]]
        jobs_found.add(address["metadata"]["labels"][monitor["spec"]["jobLabel"]])

    assert jobs_found == {f"mds-{name}" for name in OPS_PORTS}


def test_probes_ask_by_names_that_are_there(charts: dict[str, Objects]) -> None:
    """The gateway's Service, the brokers, and what is named beside them."""
    targets = {
        name: each["spec"]["targets"]["staticConfig"]["static"]
        for name, each in by_kind(charts["all"], "Probe").items()
    }

    assert targets == {
        "mds-blackbox-http": ["http://mds-gateway.market:8001/health"],
        "mds-blackbox-ws": ["mds-gateway.market:8001"],
        "mds-blackbox-tcp": ["a.kafka:9093", "b.kafka:9094", "database:5432"],
    }


def test_dashboards_are_files_that_the_sidecar_finds(charts: dict[str, Objects]) -> None:
    """As they are in the repository."""
    boards = {
        name: text
        for each in by_kind(charts["all"], "ConfigMap").values()
        if each["metadata"]["labels"].get("grafana_dashboard") == "1"
        for name, text in each["data"].items()
    }
    files = (CHART.parents[1] / "monitoring" / "dashboards").glob("*.json")

    assert boards == {each.name: each.read_text("utf-8") for each in files}


def test_an_upgrade_and_a_package_give_the_same(charts: dict[str, Objects], tmp_path: Any) -> None:
    """Nothing that is needed is left out of the archive that others pull."""
    values = merged(LEAST, {"monitoring": {"rules": {"enabled": True}, "dashboards": {"enabled": True}}})
    request = {"chart": str(CHART), "values": [values], "upgrade": False}
    packaged = answer_of(TOOLS / "archived.py", {**request, "folder": str(tmp_path)})

    assert packaged["lint"] == []
    assert packaged["answers"] == rendered([values])
    assert rendered([values], upgrade=True) == rendered([values])


def test_notes_say_which_label_an_operator_selects_by() -> None:
    """Objects without it are ignored without a word."""
    on = {"monitoring": {"rules": {"enabled": True}}}
    labelled = merged(on, {"monitoring": {"labels": {"release": "prometheus"}}})
    silent, told, well = (
        answer["manifests"]["market-data-service/templates/NOTES.txt"]
        for answer in rendered([merged(LEAST, each) for each in ({}, on, labelled)])
    )

    assert "monitoring.labels.release" in silent
    assert "WARNING: monitoring.labels is empty" in told
    assert "WARNING" not in well
