"""A Python module of ours as a part of a running system: `python -m <module>`, ready when its `/readyz` says so."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from infra.embedded.home import Home
from infra.embedded.ports import PortNeed, check_ports
from infra.embedded.process import ORPHAN_STOP_TIMEOUT_S, Launch, PidRecord, stop_recorded
from infra.runtime.installation import module_command
from schemas.errors import ConfigurationError

PROBE_TIMEOUT_S = 2.0
SERVICE_READY_TIMEOUT_S = 60.0
HTTP_OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePart:
    """One service. `ready_url` answers with 200 once it serves."""

    name: str
    module: str
    home: Home
    env: Mapping[str, str]
    ready_url: str
    ports: tuple[PortNeed, ...] = ()
    ready_timeout_s: float = SERVICE_READY_TIMEOUT_S

    def prepare(self) -> Launch:
        """Stop an orphan of a killed owner, check the ports and return what to start."""
        pid_file = self.home.pid_file(self.name)
        record = PidRecord.read(pid_file)
        launch = Launch(
            name=self.name,
            argv=tuple(module_command(self.module)),
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
        """Return whether its address answers 200."""
        return answers_ok(self.ready_url)


def answers_ok(url: str) -> bool:
    """Return whether `GET url` of this machine, over plain HTTP, answers 200 within PROBE_TIMEOUT_S."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == HTTP_OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
