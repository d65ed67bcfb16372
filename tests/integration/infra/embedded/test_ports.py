"""Ports a command needs: free, or one sentence."""

from __future__ import annotations

import os
import socket

import pytest

from infra.embedded.ports import PortNeed, check_port, check_ports
from schemas.errors import ConfigurationError
from tests.conftest import free_port


def need(port: int, purpose: str = "Kafka", setting: str = "MDS_KAFKA_PORT") -> PortNeed:
    return PortNeed(port=port, purpose=purpose, setting=setting)


def test_free_ports_are_taken_by_nobody_after_the_look() -> None:
    """The probe lets go at once: what is started next can bind."""
    port = free_port()

    check_ports([need(port), need(free_port(), "PostgreSQL", "MDS_POSTGRES_PORT")])

    with socket.socket() as server:
        server.bind(("127.0.0.1", port))


def test_a_taken_port_names_its_holder_purpose_and_setting() -> None:
    """All that is needed to decide what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError) as refused:
            check_port(need(port))

    assert refused.value.problem.startswith(f"port {port} for Kafka is in use by ")
    assert f"(pid {os.getpid()})" in refused.value.problem
    assert "MDS_KAFKA_PORT" in refused.value.remedy


def test_a_port_whose_connections_linger_is_free() -> None:
    """A server that was stopped a moment ago leaves its port to the next one."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
    accepted.close()  # first: its side waits, as a stopped server's does
    client.close()

    check_port(need(port))


def test_a_port_wanted_twice_names_both() -> None:
    """Before anything is started that would take it from the other."""
    port = free_port()

    with pytest.raises(ConfigurationError, match="wanted by Kafka and by the gateway") as refused:
        check_ports([need(port), need(port, "the gateway", "GATEWAY_PORT")])

    assert "MDS_KAFKA_PORT or GATEWAY_PORT" in refused.value.remedy
