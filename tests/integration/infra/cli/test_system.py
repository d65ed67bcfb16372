"""The `mds` command on a machine of its own: background servers, topics, migrations, tail, and errors as sentences."""

from __future__ import annotations

import os
import socket

import pytest

from tests.support.embedded_cli import Cli


@pytest.mark.parametrize(
    ("setting", "purpose"),
    [
        pytest.param("MDS_KAFKA_PORT", "Kafka", id="kafka"),
        pytest.param("MDS_POSTGRES_PORT", "PostgreSQL", id="postgres"),
        pytest.param("MDS_SIMULATOR_PORT", "the simulator", id="simulator"),
        pytest.param("GATEWAY_PORT", "the gateway", id="gateway"),
        pytest.param("SINKS_OPS_PORT", "sinks ops", id="ops"),
    ],
)
def test_a_taken_port_is_one_sentence_before_anything_starts(mds: Cli, setting: str, purpose: str) -> None:
    """The sentence names port, purpose, process and setting."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(mds.env[setting])))
        taken.listen()
        said = mds("run", "--for", "1", expect=2).strip()
    port = mds.env[setting]
    assert said.startswith(f"error: port {port} for {purpose} is in use by ")
    assert f"(pid {os.getpid()})" in said
    assert said.endswith(f"stop that process or set {setting} to a free port")
    assert "\n" not in said


def test_a_mistyped_setting_is_refused_with_a_suggestion(mds: Cli) -> None:
    """A typo is never a default."""
    assert "did you mean MDS_KAFKA_PORT?" in mds("env", expect=2, MDS_KAFKA_PRT="1")
