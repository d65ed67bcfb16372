"""The `mds` command on a machine of its own: a home and ports nobody else uses."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import free_port

COMMAND_TIMEOUT_S = 90.0


class Cli:
    """Runs `mds` in a home and on ports of its own."""

    def __init__(self, home: Path) -> None:
        """Choose free ports for everything."""
        self.home = home
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("MDS_", "GATEWAY_"))
        }
        ports = (
            "MDS_KAFKA_PORT",
            "MDS_POSTGRES_PORT",
            "MDS_SIMULATOR_PORT",
            "GATEWAY_PORT",
            "GATEWAY_OPS_PORT",
        )
        services = ("PRODUCERS_OPS_PORT", "PROCESSORS_OPS_PORT", "SINKS_OPS_PORT")
        self.env = kept | {"MDS_HOME": str(home)} | {name: str(free_port()) for name in ports + services}

    def __call__(self, *arguments: str, expect: int = 0, **env: str) -> str:
        """Run a command, check its exit code, and return what it printed on stdout and stderr."""
        command = [sys.executable, "-m", "infra.cli", *arguments]
        done = subprocess.run(
            command,
            env=self.env | env,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr


@contextmanager
def command_line(folder: Path) -> Iterator[Cli]:
    """Give the command; whatever it leaves running is stopped afterwards."""
    cli = Cli(folder / "home")
    yield cli
    cli("down")
