"""The wheel, installed as `pipx install` does: no checkout, an empty home, somebody's own folder to work in."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.embedded.jars import cache_folder
from infra.runtime.lifecycle import VERSION
from scripts.distributions import build, export
from tests.conftest import free_port
from tests.support.eventually import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
UV = ROOT / ".venv" / "uv" / "bin" / "uv"
INSTALLED_WITHIN_S = 240.0  # where the cache is empty
ANSWERED_WITHIN_S = 60.0
READY_WITHIN_S = 60.0
FIRST_BAR_WITHIN_S = 240.0  # of a new environment, which compiles all it imports, beside other tests
STOPPED_WITHIN_S = 20.0
PORTS = (
    "MDS_KAFKA_PORT", "MDS_POSTGRES_PORT", "MDS_SIMULATOR_PORT", "GATEWAY_PORT", "GATEWAY_OPS_PORT",
    "PRODUCERS_OPS_PORT", "PROCESSORS_OPS_PORT", "SINKS_OPS_PORT",
)  # fmt: skip
OF_A_CHECKOUT = re.compile(r"\bmake (?:run|setup|install|docs|down|status|check|test|lock)\b|LIVE=1|\.venv")
HELP = """
import click, typer.main
from infra.cli.__main__ import app
def show(command, names):
    context = click.Context(command, info_name=" ".join(names))
    print(command.get_help(context))
    for name, inner in getattr(command, "commands", {}).items():
        show(inner, [*names, name])
show(typer.main.get_command(app), ["mds"])
"""


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment that has the wheel, a home, and a working directory with modules named like ours in it."""

    folder: Path

    @property
    def packages(self) -> Path:
        """Where the wheel was installed to."""
        (found,) = (self.folder / "env" / "lib").glob("python*/site-packages")
        return found

    @property
    def env(self) -> dict[str, str]:
        """Of a user who set nothing; jars of the broker are not fetched again."""
        return {
            "HOME": str(self.folder / "user"),
            "XDG_CACHE_HOME": str(cache_folder().parent),
            "PATH": os.defpath,
        }

    def program(self, name: str) -> str:
        """Return the path of a program of the environment."""
        return str(self.folder / "env" / "bin" / name)

    def mds(self, *arguments: str, expect: int = 0, env: Mapping[str, str] | None = None) -> str:
        """Run `mds`, check its exit code and return what it printed."""
        return self._answer([self.program("mds"), *arguments], expect, env or {})

    def start(self, *arguments: str, env: Mapping[str, str], said: Path) -> subprocess.Popen[bytes]:
        """Start `mds`, saying what it says to `said`."""
        with said.open("w") as out:
            return subprocess.Popen(
                [self.program("mds"), *arguments],
                cwd=self.folder / "work",
                env=self.env | dict(env),
                stdout=out,
                stderr=out,
            )

    def python(self, code: str) -> str:
        """Run code in the environment and return what it printed."""
        return self._answer([self.program("python"), "-P", "-c", code], 0, {})

    def _answer(self, command: list[str], expect: int, env: Mapping[str, str]) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder / "work",
            env=self.env | dict(env),
            capture_output=True,
            text=True,
            timeout=ANSWERED_WITHIN_S,
            check=False,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of change of every file below a folder, but Python's caches of code."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def installed() -> Iterator[Installed]:
    """Build the wheel of the checkout as it stands and install it with the locked versions of what it asks for.

    Not in a folder of pytest's: another pytest that starts shuts it to the database's own user.
    """
    with tempfile.TemporaryDirectory(prefix="mds-test-", ignore_cleanup_errors=True) as scratch:
        yield _installed(Path(scratch))


def _installed(folder: Path) -> Installed:
    git = ["git", "-C", str(ROOT), "stash", "create"]
    commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip() or "HEAD"
    epoch_s = export(ROOT, commit, folder / "tree")
    build(folder / "tree", folder / "dist", epoch_s=epoch_s)
    shutil.rmtree(folder / "tree")
    (wheel,) = (folder / "dist").glob("market_data_service-*.whl")
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, folder / "env"], check=True)
    install = [UV, "pip", "install", "--quiet", "--constraint", ROOT / "requirements.lock", wheel]
    env = os.environ | {"VIRTUAL_ENV": str(folder / "env")}
    cached = subprocess.run(
        [*install, "--offline"], env=env, capture_output=True, check=False, timeout=INSTALLED_WITHIN_S
    )
    if cached.returncode != 0:
        subprocess.run(install, env=env, check=True, timeout=INSTALLED_WITHIN_S)
    (folder / "user").mkdir()
    (folder / "work").mkdir()
    for name in ("gateway", "infra", "producers", "schemas", "sinks", "stream_processors"):
        (folder / "work" / f"{name}.py").write_text("raise SystemExit('somebody else is imported')\n")
    return Installed(folder)


def test_the_command_says_its_version_and_helps(installed: Installed) -> None:
    """Every command's help, and nothing in it of a checkout that is not there."""
    helped = installed.python(HELP)

    assert installed.mds("--version") == f"mds {VERSION}\n"
    assert helped.count("Usage: mds") > 40
    assert OF_A_CHECKOUT.findall(helped) == []


def test_without_a_home_there_is_one_for_the_user(installed: Installed) -> None:
    """Wherever the command is called; what to collect lies in it, and a run without says how to begin."""
    home = installed.folder / "user" / ".local" / "share" / "market-data-service"

    assert json.loads(installed.mds("env", "--json"))["MDS_HOME"] == str(home)
    assert "trading" in installed.mds("calendar", "SPY", "--start", "2026-11-30", "--end", "2026-12-01")
    refused = installed.mds("run", "--live", expect=2)
    assert f"{home / 'mds.yaml'} is not there" in refused
    assert f"mds example > {home / 'mds.yaml'}" in refused
    (home / "mds.yaml").write_text(installed.mds("example"))
    assert "ECB:" in installed.mds("macro", "keys")
    shutil.rmtree(installed.folder / "user" / ".local")


async def test_the_whole_system_runs_and_writes_to_its_home_alone(installed: Installed) -> None:
    """To its first bar; `mds status` and `mds down` know it, and Ctrl-C ends it in order."""
    folder = installed.folder
    env = {name: str(free_port()) for name in PORTS} | {"MDS_HOME": str(folder / "system")}
    before = listing(installed.packages), listing(folder / "work")
    said = folder / "said"
    run = installed.start("run", "--for", "400", env=env, said=said)
    try:
        first = await eventually(
            lambda: re.search("first bar in|stopped", said.read_text()), within_s=FIRST_BAR_WITHIN_S
        )
        assert first[0] == "first bar in", said.read_text()
        told = await eventually(
            lambda: installed.mds("status", "--json", env=env), within_s=READY_WITHIN_S, every_s=1.0
        )
        parts = json.loads(told)
        bars = installed.mds("tail", "SIM001", "--from-start", "-n", "1", env=env)
    finally:
        run.send_signal(signal.SIGINT)
        code = run.wait(STOPPED_WITHIN_S)

    assert code == 0, said.read_text()
    assert all(part["ready"] for part in parts)
    assert json.loads(bars)["symbol"] == "SIM001"
    assert OF_A_CHECKOUT.findall(said.read_text()) == []
    assert "nothing runs" in installed.mds("down", env=env)
    assert {"VERSION", "kafka", "logs", "postgres", "run"} <= {
        path.name for path in (folder / "system").iterdir()
    }
    assert (listing(installed.packages), listing(folder / "work")) == before
    assert list((folder / "user").iterdir()) == []
