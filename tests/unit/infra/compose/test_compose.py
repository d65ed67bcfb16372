"""The Compose file: what each service is given, may reach and must not; nothing here needs an engine."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer
import yaml

from gateway.http.shell.connections import DRAIN_S as LIVE_DRAIN_S
from gateway.http.shell.connections import SHUTDOWN_TIMEOUT_S
from gateway.operations.shell.ops_ports import PORTS, ops_urls
from gateway.settings import GatewaySettings
from gateway.websocket.shell.farewell import CLOSE_GRACE_S
from infra.cli.__main__ import app
from infra.compose.prepare import CHOICES, prepare
from infra.embedded.home import MIN_FREE_BYTES
from infra.embedded.jars import KAFKA_VERSION
from infra.embedded.kafka import SERVER_PROPERTIES
from infra.embedded.postgres import INITDB_OPTIONS, MAX_CONNECTIONS
from infra.preflight.database import TRIED_SERVER
from infra.runtime.environment import Settings
from infra.runtime.kafka.publisher import STOP_FLUSH_S
from infra.runtime.kafka.releases import parse_release
from infra.runtime.lifecycle import OPS_SHUTDOWN_S
from infra.runtime.postgres.timescale import OLDEST
from infra.runtime.replicas import ENDS_WITHIN_S
from infra.runtime.settings import MdsSettings
from producers.collecting.shell.trades import DRAIN_S as TRADES_DRAIN_S
from producers.jobs.shell.feed import DRAIN_S as JOBS_DRAIN_S
from producers.polling.shell.timeliness import STOP_WITHIN_S
from producers.settings import ProducersSettings
from sinks.settings import SinkSettings
from stream_processors.settings import ProcessorSettings
from stream_processors.shell.faust_app import STOP_DEADLINE_S
from tests.support.compose_file import FILE, FOLDER, ROOT, MissingVariable, Project, env_file

OURS: Mapping[str, type[Settings]] = {
    "producers": ProducersSettings,
    "processors": ProcessorSettings,
    "sinks": SinkSettings,
    "gateway": GatewaySettings,
}
MODULES = {**dict.fromkeys(OURS), "processors": "stream_processors", "simulator": "infra.simulator"}
OUR_IMAGE = {*OURS, "migrate", "simulator"}
WITHOUT_PROFILE = {"kafka", "timescaledb", "migrate", *OURS}
MONITORING = {"prometheus", "blackbox", "grafana"}
BOTH = pytest.mark.parametrize("choice", sorted(CHOICES))
MIB = 1024 * 1024
SIZES = {"m": MIB, "g": 1024 * MIB}
SECRET = re.compile(r"^ +\w*(?:PASSWORD|KEY|TOKEN|SECRET|DSN)\w*: (?P<value>.+)$", re.MULTILINE)


def made(folder: Path, choice: str) -> Project:
    """Return the project as it is after `prepare.py`."""
    prepare(folder, choice)
    return Project(env_file(folder / ".env"), folder)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return the project of the demo."""
    return made(tmp_path, "demo")


def sources(service: Mapping[str, Any]) -> dict[str, str]:
    """Return what is mounted from this repository, by the place it is mounted at."""
    return {
        mount["target"]: mount["source"] for mount in service.get("volumes", []) if isinstance(mount, dict)
    }


def volumes(service: Mapping[str, Any]) -> dict[str, str]:
    """Return the named volumes of a service, by the place they are mounted at."""
    named = [mount.split(":") for mount in service.get("volumes", []) if isinstance(mount, str)]
    return {place: name for name, place in named}


def option(service: Mapping[str, Any], name: str) -> str:
    """Return the value of a --name=value of a service's command."""
    (found,) = (part.partition("=")[2] for part in service["command"] if part.startswith(f"{name}="))
    return str(found)


@BOTH
@pytest.mark.parametrize("name", OURS)
def test_settings_take_what_a_service_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], choice: str, name: str
) -> None:
    """Every variable is a setting of its own or of all, and its value one that the setting takes."""
    environment = made(tmp_path, choice).environment(name)

    OURS[name].from_env(environment)
    MdsSettings.from_env(environment)

    own = OURS[name].prefix
    assert [each for each in environment if not each.startswith(("MDS_", own))] == []
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["migrate", "simulator"])
def test_settings_take_what_a_command_is_given(project: Project, name: str) -> None:
    """They read what all share, and nothing else."""
    environment = project.environment(name)

    MdsSettings.from_env(environment)

    assert [each for each in environment if not each.startswith("MDS_")] == []


@pytest.mark.parametrize(
    ("choice", "clock", "configuration", "token"),
    [("demo", "simulator", None, "simulator"), ("live", "wall", "/etc/mds/mds.yaml", "")],
)
def test_the_choice_is_the_market_and_what_is_collected(
    tmp_path: Path, choice: str, clock: str, configuration: str | None, token: str
) -> None:
    """In the demo all that the simulator offers; else what the mounted configuration says."""
    project = made(tmp_path, choice)
    shared = {name: MdsSettings.from_env(project.environment(name)) for name in OURS}
    producers = ProducersSettings.from_env(project.environment("producers"))

    assert {each.market_clock for each in shared.values()} == {clock}
    assert {str(each.configuration_path) for each in shared.values()} == {str(configuration)}
    assert producers.secret("PRODUCERS_FINNHUB_TOKEN", {}).get_secret_value() == token
    for name in OURS:
        (place,) = (target for target in sources(project.services[name]) if target == "/etc/mds")
        assert (FOLDER / sources(project.services[name])[place] / "mds.yaml").exists()


@pytest.mark.parametrize(
    ("profiles", "expected"),
    [
        pytest.param([], WITHOUT_PROFILE, id="none"),
        pytest.param(["demo"], {*WITHOUT_PROFILE, "simulator"}, id="demo"),
        pytest.param(["monitoring"], WITHOUT_PROFILE | MONITORING, id="monitoring"),
        pytest.param(["demo", "monitoring"], {*WITHOUT_PROFILE, *MONITORING, "simulator"}, id="both"),
    ],
)
def test_a_profile_starts_what_it_says(project: Project, profiles: list[str], expected: set[str]) -> None:
    """And whoever needs something that no profile started goes without it."""
    started = project.started(profiles)

    assert started == expected
    for name in started:
        for needed, how in project.services[name].get("depends_on", {}).items():
            assert needed in started or how.get("required", True) is False, (name, needed)


@BOTH
def test_the_choice_starts_its_profiles(tmp_path: Path, choice: str) -> None:
    """Those of .env, which Compose takes without being asked."""
    variables = env_file(tmp_path / ".env") if prepare(tmp_path, choice) else {}
    started = Project(variables).started(variables["COMPOSE_PROFILES"].split(","))

    assert started == {*WITHOUT_PROFILE, *MONITORING, *(["simulator"] if choice == "demo" else [])}


@pytest.mark.parametrize("missing", ["PASSWORD_SERVICES", "PASSWORD_READER", "KEY_GRAFANA"])
@pytest.mark.parametrize("empty", [False, True], ids=["unset", "empty"])
def test_a_missing_secret_is_named(tmp_path: Path, missing: str, *, empty: bool) -> None:
    """With what to do; there is no default that everybody knows."""
    prepare(tmp_path, "live")
    variables = env_file(tmp_path / ".env")
    variables.pop(missing)
    if empty:
        variables[missing] = ""

    with pytest.raises(MissingVariable, match=f"{missing}.*prepare.py"):
        Project(variables, tmp_path)


def test_no_secret_is_in_the_file() -> None:
    """A value is a required variable, an address with one for a password, or a file that is mounted."""
    values = [match["value"] for match in SECRET.finditer(FILE.read_text("utf-8"))]
    required = re.compile(r"\$\{(?:PASSWORD|KEY)_[A-Z]+:\?[^}]+\}")

    assert len(values) > 5
    for value in values:
        address = re.fullmatch(r"&dsn postgresql://mds:(.+)@timescaledb:5432/mds", value)
        assert (
            value.startswith("/run/")
            or value == "*dsn"
            or required.fullmatch(address[1] if address else value)
        )


def test_secrets_stay_out_of_commits_and_images() -> None:
    """Git ignores each file that is written, and a build of the image is given nothing that lies beside it."""
    names = [".env", "providers.env", "secrets/desk_key", "secrets/gateway/keys.yaml"]
    command = ["git", "check-ignore", "--no-index", *(f"infra/compose/{name}" for name in names)]
    ignored = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    rules = [
        line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if not line.startswith("#")
    ]

    assert ignored == command[3:]
    assert rules[0] == "*"
    assert not [rule for rule in rules if rule.rstrip("/*") in ("!infra", "!infra/compose")]


@pytest.mark.parametrize("name", MODULES)
def test_a_service_runs_a_module_that_is_there(project: Project, name: str) -> None:
    """The one whose settings it is given."""
    python, flag, module = project.services[name]["command"]

    assert (python, flag, module) == ("python", "-m", MODULES[name] or name)
    assert importlib.util.find_spec(f"{module}.__main__") is not None


def parsed(arguments: list[str]) -> str:
    """Return the name of the command of `mds` that arguments name; raises what its parser does where they do not fit it."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command, arguments = command.commands[arguments[0]], arguments[1:]
    command.make_context(command.name, arguments)
    return str(command.name)


def test_the_migration_runs_commands_that_are_there(project: Project) -> None:
    """Read by the parser of `mds` itself; one that fails stops what comes after it."""
    shell, flags, line = project.services["migrate"]["command"]
    commands = [command.split() for command in line.split(" && ")]

    assert (shell, flags) == ("sh", "-euc")
    assert [command[0] for command in commands] == ["mds", "mds"]
    assert [parsed(command[1:]) for command in commands] == ["migrate", "apply"]
    assert re.search(r"[;|<>$`]", line) is None


def test_the_migration_has_the_room_it_asks_for(project: Project) -> None:
    """`mds` refuses a home with less; one in memory would be that small."""
    service, environment = project.services["migrate"], project.environment("migrate")
    in_memory = [mount.partition(":")[0] for mount in service["tmpfs"]]

    assert MIN_FREE_BYTES > 64 * MIB
    assert environment["MDS_HOME"] in volumes(service)
    assert environment["MDS_HOME"] not in in_memory


def test_what_writes_to_its_home_has_one_that_stays(project: Project) -> None:
    """The gateway's page token key: made anew, it would refuse every page token that is out."""
    writing = {name for name in OUR_IMAGE if "/var/lib/mds" in volumes(project.services[name])}

    assert writing == {"gateway", "migrate"}
    assert {project.environment(name)["MDS_HOME"] for name in OUR_IMAGE} == {"/var/lib/mds"}


def test_every_mounted_file_is_there_and_only_read(tmp_path: Path) -> None:
    """A missing one would be made, by Docker, as an empty folder."""
    project = made(tmp_path, "live")
    for name, service in project.services.items():
        for mount in service.get("volumes", []):
            if isinstance(mount, str):
                assert mount.partition(":")[0] in project.document["volumes"]
                continue
            base = tmp_path if "secrets" in mount["source"] else FOLDER
            assert (base / mount["source"]).exists(), (name, mount["source"])
            assert (mount["type"], mount["read_only"], mount["bind"]) == (
                "bind",
                True,
                {"create_host_path": False},
            )
    for secret in project.document["secrets"].values():
        assert (tmp_path / secret["file"]).is_file()


def test_nothing_listens_beyond_this_machine(project: Project) -> None:
    """Every published port is on the loopback address, and its number may be another."""
    published = {name: service["ports"] for name, service in project.services.items() if "ports" in service}
    variables = re.findall(r'"127\.0\.0\.1:\$\{PORT_([A-Z]+):-(\d+)\}:\d+"', FILE.read_text("utf-8"))

    assert published == {
        "kafka": ["127.0.0.1:19092:19092"],
        "timescaledb": ["127.0.0.1:15432:5432"],
        "gateway": ["127.0.0.1:8001:8001"],
        "prometheus": ["127.0.0.1:9090:9090"],
        "grafana": ["127.0.0.1:3000:3000"],
    }
    assert len(variables) == len(published)
    shared = MdsSettings()
    assert dict(variables)["KAFKA"] == str(shared.kafka_port)
    assert dict(variables)["POSTGRES"] == str(shared.postgres_port)
    assert dict(variables)["GATEWAY"] == str(GatewaySettings().port)


def test_another_port_of_kafka_is_the_one_it_tells_clients(tmp_path: Path) -> None:
    """A client asks the advertised address, whatever it was told first."""
    prepare(tmp_path, "demo")
    kafka = Project({**env_file(tmp_path / ".env"), "PORT_KAFKA": "29092"}).services["kafka"]

    assert kafka["ports"] == ["127.0.0.1:29092:19092"]
    assert "HOST://127.0.0.1:29092" in kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"]


def test_every_service_can_do_as_little_as_possible(project: Project) -> None:
    """No write but to its volumes and its memory, no capability, no other user, bounds on memory, processes and log."""
    for name, service in project.services.items():
        uid, _, _ = service["user"].partition(":")

        assert int(uid) > 0, name
        assert (uid == "65532") == (name in OUR_IMAGE), name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert any(mount.startswith("/tmp:") for mount in service["tmpfs"]), name  # noqa: S108
        assert all("size=" in mount for mount in service["tmpfs"]), name
        assert service["pids_limit"] <= 1024, name
        assert service["mem_limit"], name
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}, name
        assert "privileged" not in service, name
        assert "network_mode" not in service, name
        assert service["restart"] == ("no" if name == "migrate" else "unless-stopped"), name


def test_kafka_has_room_for_its_heap_and_its_check(project: Project) -> None:
    """Half as much again outside of the heap: its buffers, its threads, and the process that asks whether it is well."""
    kafka = project.services["kafka"]
    (heap,) = re.findall(r"-Xmx(\d+)([mg])", kafka["environment"]["KAFKA_HEAP_OPTS"])
    limit, unit = kafka["mem_limit"][:-1], kafka["mem_limit"][-1]

    assert int(heap[0]) * SIZES[heap[1]] * 3 / 2 <= int(limit) * SIZES[unit]


def test_only_kafka_may_run_what_it_writes(project: Project) -> None:
    """Its codecs are libraries that it unpacks at run time; without them it refuses every compressed batch."""
    executable = {
        name: [mount.partition(":")[0] for mount in service["tmpfs"] if "exec" in re.split("[:,]", mount)]
        for name, service in project.services.items()
    }

    assert executable.pop("kafka") == ["/tmp"]  # noqa: S108
    assert not any(executable.values())


REACHED = {
    "kafka": {"migrate", *OURS, "blackbox"},
    "timescaledb": {"migrate", "producers", "sinks", "gateway", "blackbox"},
    "simulator": {"producers", "sinks", "gateway"},
    "prometheus": {*OURS, "blackbox", "grafana"},
    "grafana": {"prometheus", "gateway"},
}


def test_networks_keep_apart_who_has_nothing_to_say_to_another(project: Project) -> None:
    """Prometheus, Grafana and the simulator reach neither broker nor database; processors have no database to reach."""
    networks, services = project.document["networks"], project.services
    talking = {name for name, network in networks.items() if name != "host"}
    for name, expected in REACHED.items():
        mine = talking & set(services[name]["networks"])
        near = {other for other, each in services.items() if mine & set(each["networks"]) and other != name}

        assert near == expected, name


def test_only_producers_and_the_plugins_of_grafana_reach_the_internet(project: Project) -> None:
    """What publishes a port needs a network that is not internal; that one lets nobody out, nor at each other."""
    networks, services = project.document["networks"], project.services
    outside = {name for name, network in networks.items() if not (network or {}).get("internal")}
    bridge = "com.docker.network.bridge"

    assert outside == {"host", "vendors", "plugins"}
    assert {name for name, each in services.items() if "vendors" in each["networks"]} == {"producers"}
    assert {name for name, each in services.items() if "plugins" in each["networks"]} == {"grafana"}
    assert {name for name, each in services.items() if "host" in each["networks"]} == {
        name for name, each in services.items() if "ports" in each
    }
    assert networks["host"]["driver_opts"] == {
        f"{bridge}.enable_icc": "false", f"{bridge}.enable_ip_masquerade": "false",
    }  # fmt: skip


def test_what_a_service_names_is_in_its_reach(project: Project) -> None:
    """Every address is that of a service on a network of both, at a port it listens on."""
    listening = {
        "kafka": {9092}, "timescaledb": {5432}, "prometheus": {9090}, "blackbox": {9115},
        "simulator": {MdsSettings().simulator_port},
        "gateway": {GatewaySettings().port, GatewaySettings().ops_port},
        **{name: {OURS[name]().ops_port} for name in OURS if name != "gateway"},
    }  # fmt: skip
    named = {
        (name, address)
        for name in (*OURS, "migrate", "grafana")
        for value in project.environment(name).values()
        for address in re.findall(r"(?:^|//|@)([a-z]+:\d+)\b", value)
    }
    services = ops_urls(project.environment("gateway")["GATEWAY_SERVICES"], {}, "")
    named |= {("gateway", urlsplit(url).netloc) for url in services.values()}
    for job in _document("prometheus.yaml")["scrape_configs"]:
        asking = "blackbox" if "params" in job else "prometheus"
        targets = [target for each in job["static_configs"] for target in each["targets"]]
        named |= {(asking, urlsplit(target).netloc or target) for target in targets}

    assert services.keys() == PORTS.keys()
    assert len(named) > 20
    for name, address in named:
        host, _, port = address.partition(":")
        if host == "localhost":
            continue
        common = set(project.services[name]["networks"]) & set(project.services[host]["networks"]) - {"host"}

        assert common, (name, address)
        assert int(port) in listening[host], (name, address)


def test_a_check_asks_the_port_that_the_service_has(project: Project) -> None:
    """On its ops port whether it can serve; of a simulator, the path that `mds run` asks."""
    asked = {
        name: re.search(
            r"127\.0\.0\.1', (\d+).*'GET', '([/a-z]+)'", project.services[name]["healthcheck"]["test"][-1]
        )
        for name in (*OURS, "simulator")
    }
    ports = {name: settings().ops_port for name, settings in OURS.items()}

    assert {name: each and (int(each[1]), each[2]) for name, each in asked.items()} == {
        **{name: (port, "/readyz") for name, port in ports.items()},
        "simulator": (MdsSettings().simulator_port, "/simulator/health"),
    }
    for name in OURS:
        assert project.environment(name)["MDS_OPS_HOST"] == "0.0.0.0"


def test_every_service_but_the_one_that_ends_is_checked(project: Project) -> None:
    """A check gives up before the next one begins."""
    checks = {name: each.get("healthcheck") for name, each in project.services.items()}

    assert [name for name, check in checks.items() if check is None] == ["migrate"]
    for name, check in checks.items():
        if check is not None:
            assert int(check["timeout"][:-1]) < int(check["interval"][:-1]), name
    for name, service in project.services.items():
        for needed, how in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if needed == "migrate" else "service_healthy"
            assert how["condition"] == wanted, (name, needed)


def test_nothing_collects_before_there_is_a_place_for_it(project: Project) -> None:
    """Topics and tables come first, and before them the servers that hold them."""
    needs = {name: set(each.get("depends_on", {})) for name, each in project.services.items()}

    assert {name for name, needed in needs.items() if "migrate" in needed} == set(OURS)
    assert needs["migrate"] == {"kafka", "timescaledb"}


def test_a_service_may_finish_what_it_has_begun(project: Project) -> None:
    """SIGKILL comes after the longest that stopping may take by the code, with half as much again for a busy machine."""
    sink = SinkSettings()
    longest = {
        "producers": JOBS_DRAIN_S + TRADES_DRAIN_S + STOP_WITHIN_S + 2 * STOP_FLUSH_S,
        "processors": STOP_DEADLINE_S + 2 * STOP_FLUSH_S,
        "sinks": sink.write_timeout_s + sink.session_timeout_s,
        "gateway": max(ENDS_WITHIN_S * 2 / 3, LIVE_DRAIN_S + CLOSE_GRACE_S + SHUTDOWN_TIMEOUT_S),
    }
    for name, stopping_s in longest.items():
        grace_s = int(project.services[name]["stop_grace_period"].removesuffix("s"))

        assert grace_s >= 1.5 * (stopping_s + OPS_SHUTDOWN_S), (name, stopping_s)
    assert int(project.services["gateway"]["stop_grace_period"].removesuffix("s")) > ENDS_WITHIN_S


def test_a_container_has_the_bounds_of_a_pod(project: Project) -> None:
    """What a service may take, and how long it may stop, is no question of who runs it."""
    chart = ROOT / "infra" / "helm" / "market-data-service" / "values.yaml"
    values = yaml.safe_load(chart.read_text("utf-8")) if chart.exists() else {}
    units = {"Mi": "m", "Gi": "g"}
    pods = {name: values[name] for name in OURS if name in values}

    assert bool(values) == bool(pods)
    for name, pod in pods.items():
        memory, unit = pod["resources"]["limits"]["memory"][:-2], pod["resources"]["limits"]["memory"][-2:]

        assert project.services[name]["mem_limit"] == memory + units[unit], name
        assert project.services[name]["stop_grace_period"] == f"{pod['terminationGracePeriodSeconds']}s", name


def test_every_image_is_pinned_and_may_be_another(project: Project) -> None:
    """By a variable; its default is one version, never the newest of a name."""
    lines = re.findall(r"^ +image: (.+)$", FILE.read_text("utf-8"), re.MULTILINE)
    images = dict(re.findall(r"^\$\{IMAGE_([A-Z]+):-([^}]+)\}$", "\n".join(lines), re.MULTILINE))
    tags = {name: image.rpartition(":")[2] for name, image in images.items()}

    assert images.keys() == {"SERVICE", "KAFKA", "TIMESCALEDB", "PROMETHEUS", "BLACKBOX", "GRAFANA"}
    assert len(lines) == len(images)
    assert tags.pop("SERVICE") == "local"
    assert all(re.fullmatch(r"v?\d+\.\d+\.\d+(?:-pg\d+)?", tag) for tag in tags.values())
    assert {project.services[name]["image"] for name in OUR_IMAGE} == {"market-data-service:local"}


def test_broker_and_database_are_of_releases_that_are_tested(project: Project) -> None:
    """The broker's is the embedded one's, and none that loses what it confirmed."""
    kafka = parse_release(project.services["kafka"]["image"].rpartition(":")[2])
    tag = project.services["timescaledb"]["image"].rpartition(":")[2]
    timescale, _, postgres = tag.partition("-pg")

    assert str(kafka) == KAFKA_VERSION
    assert kafka.loses_transactions is False
    assert tuple(map(int, timescale.split(".")[:2])) >= OLDEST
    assert int(postgres) >= TRIED_SERVER


def _properties(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))


def test_the_broker_is_set_as_the_embedded_one() -> None:
    """But for addresses and places, and for what only a small or a killed machine wants."""
    embedded = _properties(SERVER_PROPERTIES.template)
    ours = _properties((FOLDER / "kafka" / "server.properties").read_text("utf-8"))
    of_one_machine = {
        "listeners", "advertised.listeners", "broker.session.timeout.ms", "broker.heartbeat.interval.ms",
        "num.network.threads", "num.io.threads",
    }  # fmt: skip
    places = {"controller.quorum.voters", "log.dirs"}
    of_two_listeners = {"listener.security.protocol.map", "inter.broker.listener.name"}

    assert embedded.keys() - ours.keys() == of_one_machine
    assert ours.keys() - embedded.keys() == of_two_listeners
    assert {name: ours[name] for name in ours.keys() & embedded.keys() - places} == {
        name: embedded[name] for name in embedded.keys() & ours.keys() - places
    }


def test_the_broker_writes_to_its_volume_and_answers_whom_it_should(project: Project) -> None:
    """The controller is asked by nobody but the process it is in."""
    kafka = project.services["kafka"]
    file = _properties((FOLDER / "kafka" / "server.properties").read_text("utf-8"))
    listeners = dict(each.split("://") for each in kafka["environment"]["KAFKA_LISTENERS"].split(","))

    assert volumes(kafka) == {file["log.dirs"]: "kafka"}
    assert listeners["CONTROLLER"] == file["controller.quorum.voters"].partition("@")[2]
    assert listeners["CONTROLLER"].startswith("127.0.0.1:")
    assert listeners.keys() == {
        each.split(":")[0] for each in file["listener.security.protocol.map"].split(",")
    }
    assert sources(kafka)["/mnt/shared/config"] == "./kafka"
    assert kafka["environment"]["KAFKA_LOG4J_OPTS"].endswith("=/mnt/shared/config/log4j2.xml")
    assert (FOLDER / "kafka" / "log4j2.xml").exists()


def test_the_database_is_made_as_the_embedded_one(project: Project) -> None:
    """It sorts alike, and takes as many sessions."""
    service = project.services["timescaledb"]
    options = set(service["environment"]["POSTGRES_INITDB_ARGS"].split())

    assert set(INITDB_OPTIONS) - options == {"--auth=scram-sha-256", "--no-instructions"}
    assert options - set(INITDB_OPTIONS) == {"--data-checksums"}
    assert f"max_connections={MAX_CONNECTIONS}" in service["command"]


def _document(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text("utf-8"))
    return found


def test_prometheus_has_the_jobs_of_one_machine(project: Project) -> None:
    """At the addresses that services have here, without the archive, which is none of them."""
    names = {
        8101: "producers",
        8102: "processors",
        8103: "sinks",
        8104: "gateway",
        8001: "gateway",
        9115: "blackbox",
    }
    there = (ROOT / "infra" / "monitoring" / "prometheus-config.yaml").read_text("utf-8")
    for port, name in names.items():
        there = there.replace(f"127.0.0.1:{port}", f"{name}:{port}")
    there = there.replace("127.0.0.1:19092", "kafka:9092").replace("127.0.0.1:15432", "timescaledb:5432")
    expected, ours = yaml.safe_load(there), _document("prometheus.yaml")
    expected["scrape_configs"] = [
        job for job in expected["scrape_configs"] if job["job_name"] != "mds-archive"
    ]
    expected["rule_files"] = [f"monitoring/{pattern}" for pattern in expected["rule_files"]]
    service = project.services["prometheus"]

    assert ours == expected
    assert sources(service)[option(service, "--config.file")] == "./prometheus.yaml"
    assert sources(service)["/etc/prometheus/monitoring"] == "../monitoring"
    assert volumes(service) == {option(service, "--storage.tsdb.path"): "prometheus"}


def test_the_exporter_has_the_modules_with_a_key(project: Project) -> None:
    """The gateway asks whoever is not on its own machine for one; its name is that of the service."""
    there = (ROOT / "infra" / "blackbox-exporter" / "blackbox.yml").read_text("utf-8")
    expected = yaml.safe_load(there.replace("Host: 127.0.0.1:8001", "Host: gateway:8001"))
    ours = _document("blackbox.yml")
    authorization = ours["modules"]["http_2xx"]["http"].pop("authorization")
    service = project.services["blackbox"]

    assert ours == expected
    assert authorization == {"credentials_file": "/run/secrets/blackbox_key"}
    assert service["secrets"] == ["blackbox_key"]
    assert sources(service)[option(service, "--config.file")] == "./blackbox.yml"


def test_grafana_reads_what_is_provisioned(project: Project) -> None:
    """The files of this repository, with the addresses and the key that they name."""
    service, environment = project.services["grafana"], project.environment("grafana")
    provisioning = ROOT / "infra" / "monitoring" / "grafana" / "provisioning"
    wanted = set(
        re.findall(
            r"\$__env\{(\w+)\}", "".join(path.read_text("utf-8") for path in provisioning.rglob("*.yaml"))
        )
    )

    assert wanted == {name for name in environment if name.startswith("GRAFANA_")}
    assert (FOLDER / sources(service)[environment["GF_PATHS_PROVISIONING"]]).resolve() == provisioning
    dashboards = FOLDER / sources(service)[environment["GRAFANA_MDS_DASHBOARDS"]]
    assert list(dashboards.glob("mds-*.json"))


def test_the_page_names_the_variables_that_are_there() -> None:
    """Ports, images and passwords: no name of the page is unknown to the file, and none that somebody would set is left out."""
    page = (ROOT / "docs" / "OPERATIONS.md").read_text("utf-8")
    section = page[page.index("\n## Compose\n") :]
    pattern = re.compile(r"\b((?:PORT|IMAGE|PASSWORD|KEEP)_[A-Z]+|MARKET_CLOCK|PYTHON_DIGEST)\b")
    in_file = set(pattern.findall(FILE.read_text("utf-8")))

    assert set(pattern.findall(section)) == in_file
