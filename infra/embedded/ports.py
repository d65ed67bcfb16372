"""Whether the ports a command needs are free, in one sentence when they are not."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from infra.embedded.process_table import listener
from schemas.errors import ConfigurationError

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortNeed:
    """A TCP port on the loopback interface, what for, and the setting that moves it."""

    port: int
    purpose: str
    setting: str


def check_ports(needs: Iterable[PortNeed]) -> None:
    """Raise ConfigurationError for the first port that is taken or wanted twice."""
    wanted: dict[int, PortNeed] = {}
    for need in needs:
        if need.port in wanted:
            other = wanted[need.port]
            raise ConfigurationError(
                f"port {need.port} is wanted by {other.purpose} and by {need.purpose}",
                remedy=f"set {other.setting} or {need.setting} to another port",
            )
        wanted[need.port] = need
        check_port(need)


def check_port(need: PortNeed) -> None:
    """Raise ConfigurationError naming the port, the setting and, where it can be known, who holds the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT is not "taken"
        try:
            probe.bind((LOOPBACK, need.port))
        except OSError as error:
            if error.errno == errno.EACCES:
                problem = f"port {need.port} for {need.purpose} needs more rights than we have"
            else:
                holder = listener(need.port)
                problem = f"port {need.port} for {need.purpose} is in use" + (
                    f" by {holder}" if holder else ""
                )
            raise ConfigurationError(
                problem, remedy=f"stop that process or set {need.setting} to a free port"
            ) from error
