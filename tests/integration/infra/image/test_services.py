"""The image's services, as the user it names, on a root that nobody can write: they serve, and end when asked."""

from __future__ import annotations

import json
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest

from tests.conftest import free_port
from tests.support.eventually import eventually
from tests.support.image_root import ImageRoot

pytestmark = pytest.mark.slow
SERVES_WITHIN_S = 120.0
WRITABLE = {"/tmp", "/var/lib/mds"}  # noqa: S108 - of the image
SERVICES = ("producers", "stream_processors", "sinks", "gateway")
LOOK = """
import errno, json, os, pathlib
def tried(folder):
    try:
        (pathlib.Path(folder) / "written").write_text("x")
    except OSError as error:
        return errno.errorcode[error.errno]
    return "written"
status = dict(line.split(":\\t", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines() if ":\\t" in line)
import producers
print(json.dumps({
    "ids": [os.getuid(), os.getgid(), os.getgroups()], "pid": os.getpid(), "folder": os.getcwd(),
    "privileges": [status["CapEff"].strip(), status["CapBnd"].strip(), status["NoNewPrivs"].strip()],
    "tried": {place: tried(place) for place in (
        "/", "/opt/mds", "/opt/mds/.venv/bin", str(pathlib.Path(producers.__file__).parent), "/usr", "/etc", "/dev",
        "/tmp", "/var/lib/mds")},
}))
"""


def test_only_tmp_and_the_home_can_be_written(image: ImageRoot) -> None:
    """Nor are there privileges to change that."""
    seen = json.loads(image.run("python", "-c", LOOK).stdout)
    written = {place for place, outcome in seen["tried"].items() if outcome == "written"}

    assert seen["ids"] == [65532, 65532, []]
    assert (seen["pid"], seen["folder"]) == (1, "/var/lib/mds")
    assert [int(value, 16) for value in seen["privileges"]] == [0, 0, 1]
    assert written == WRITABLE
    assert {outcome for outcome in seen["tried"].values() if outcome != "written"} == {"EROFS"}


def test_a_module_in_the_home_stands_in_for_none(image: ImageRoot) -> None:
    """A service may write its working folder: what lies there is never imported."""
    script = "echo 'raise SystemExit(7)' > producers.py; exec python -c 'import producers'"

    done = image.run("sh", "-c", script)

    assert done.returncode == 0, done.stderr


def test_the_command_line_runs(image: ImageRoot) -> None:
    """And says in a sentence what an image leaves out."""
    shown = image.run("mds", "--help")
    alone = image.run("mds", "up", "postgres")

    assert shown.returncode == 0, shown.stderr
    assert "preflight" in shown.stdout
    assert alone.returncode == 2
    assert "embedded" in alone.stderr
    assert "Traceback" not in alone.stderr


async def test_the_services_serve_and_end_when_asked(
    image: ImageRoot, kafka_bootstrap: str, topic_prefix: str, database: str
) -> None:
    """All four on the real broker and database: ready, prices come through, and SIGTERM ends each with 0."""
    ops = {name: free_port() for name in SERVICES}
    gateway, simulator = free_port(), free_port()
    settings: dict[str, Any] = {
        "MDS_KAFKA": kafka_bootstrap,
        "MDS_TOPIC_PREFIX": topic_prefix,
        "MDS_POSTGRES_DSN": database,
        "MDS_MARKET_CLOCK": "simulator",
        "MDS_SIMULATOR_URL": f"http://127.0.0.1:{simulator}",
        "MDS_SIMULATOR_PORT": str(simulator),
        "GATEWAY_PORT": str(gateway),
        "PROCESSORS_OPS_PORT": str(ops["stream_processors"]),
    } | {f"{name.upper()}_OPS_PORT": str(port) for name, port in ops.items() if name != "stream_processors"}

    preflight = image.run("mds", "preflight", "--json", **settings)
    checks = {check["name"]: check for check in json.loads(preflight.stdout)["checks"]}
    assert preflight.returncode in (0, 1, 3), preflight.stdout
    assert {
        checks[name]["result"] for name in ("broker", "topics", "transactions", "postgres", "migrations")
    } == {"ok"}

    with ExitStack() as running:
        market = running.enter_context(image.started("python", "-m", "infra.simulator", **settings))
        started = {
            name: running.enter_context(image.started("python", "-m", name, **settings)) for name in SERVICES
        }
        for name, service in started.items():
            is_ready = partial(service.answers, ops[name], "/readyz")
            await eventually(is_ready, within_s=SERVES_WITHIN_S, what=name)
        priced = partial(started["gateway"].answers, gateway, "/stocks/SIM001/price")
        await eventually(priced, within_s=SERVES_WITHIN_S, what="a price")

        assert {name: service.stop() for name, service in started.items()} == dict.fromkeys(SERVICES, 0)
        assert market.stop() == 0
