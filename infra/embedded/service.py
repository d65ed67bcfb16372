"""A Python module of ours as a part of a running system: `python -m <module>`, ready when its `/readyz` says so."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from infra.embedded.home import Home
from infra.embedded.ports import LOOPBACK, PortNeed, check_ports
from infra.embedded.process import ORPHAN_STOP_TIMEOUT_S, Launch, PidRecord, stop_recorded
from schemas.errors import ConfigurationError

PROBE_TIMEOUT_S = 2.0
SERVICE_READY_TIMEOUT_S = 60.0
HTTP_OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePart:
    """One service. `ready_port` answers `GET ready_path` with 200 once it serves."""

    name: str
    module: str
    home: Home
    env: Mapping[str, str]
    ready_port: int
    ready_path: str = "/readyz"
    ports: tuple[PortNeed, ...] = ()
    ready_timeout_s: float = SERVICE_READY_TIMEOUT_S

    def prepare(self) -> Launch:
        """Stop an orphan of a killed owner, check the ports and return what to start."""
        pid_file = self.home.pid_file(self.name)
        record = PidRecord.read(pid_file)
        launch = Launch(
            name=self.name,
            argv=(sys.executable, "-m", self.module),
            log=self.home.log_file(self.name),
            pid_file=pid_file,
            env=self.env,
        )
        if record is not None and not record.is_orphan:
            raise ConfigurationError(
                f"{self.name} already runs on {self.home.root} (pid {record.process.pid})",
                remedy="stop it with `mds down`",
            )
        stop_recorded(pid_file, ORPHAN_STOP_TIMEOUT_S)
        check_ports(self.ports)
        return launch

    def is_ready(self) -> bool:
        """Return whether the readiness path answers 200."""
        return answers_ok(self.ready_port, self.ready_path)


def answers_ok(port: int, path: str) -> bool:
    """Return whether `GET path` on a local port answers 200 within PROBE_TIMEOUT_S."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == HTTP_OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
