"""The `mds` command on a machine of its own: background servers, topics, migrations, tail, and errors as sentences."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from schemas.partitions import partition_of
from schemas.topics import BARS, catalogue, partition_count
from schemas.wire.codec import encode
from tests.support.builders import a_bar
from tests.support.embedded_cli import Cli, command_line


@pytest.fixture
def mds(tmp_path: Path) -> Iterator[Cli]:
    """The command, in a home of the test's own."""
    with command_line(tmp_path) as cli:
        yield cli


def states(mds: Cli) -> dict[str, bool]:
    """Return which parts are ready; exit 1 because the services are not."""
    return {part["name"]: part["ready"] for part in json.loads(mds("status", "--json", expect=1))}


def test_servers_run_in_the_background_until_down(mds: Cli) -> None:
    """Up, again up, status, topics, migrations, a record read back, down, again down."""
    up = mds("up")
    assert "kafka is up" in up
    assert "postgres is up" in up
    assert "already runs" in mds("up", "kafka")
    ready = states(mds)
    assert (ready["kafka"], ready["postgres"], ready["gateway"]) == (True, True, False)
    mds("topics", "check", expect=1)
    assert mds("topics", "apply").count("created") == len(catalogue().topics)
    assert mds("topics", "apply").strip() == "nothing to create"
    mds("topics", "check")
    assert "applied 0001" in mds("migrate")
    assert mds("migrate").strip() == "nothing to apply"
    bar = a_bar(symbol="BRK.B")
    publish(mds, bar.symbol, encode(BARS, bar))
    line = json.loads(mds("tail", "BRK.B", "--stream", "bars", "--from-start", "-n", "1"))
    assert (line["symbol"], line["close"], line["event_time"]) == ("BRK.B", bar.close, bar.event_time)
    assert (line["topic"], line["partition"]) == (BARS, partition_of("BRK.B", partition_count()))
    down = mds("down")
    assert "kafka stopped" in down
    assert "postgres stopped" in down
    assert mds("down").strip() == "nothing runs"
    assert not any(states(mds).values())


def publish(mds: Cli, symbol: str, value: bytes) -> None:
    """Write a record where the symbol belongs."""
    producer = Producer({"bootstrap.servers": f"127.0.0.1:{mds.env['MDS_KAFKA_PORT']}"})
    producer.produce(BARS, value, symbol.encode(), partition=partition_of(symbol, partition_count()))
    assert producer.flush(30) == 0


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


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        pytest.param(("tail", "SPY"), 3, "start it with `mds up kafka`", id="no-broker"),
        pytest.param(("topics", "check"), 3, "start it with `mds up kafka`", id="no-broker-topics"),
        pytest.param(("migrate",), 3, "mds up", id="no-database"),
        pytest.param(("simulator", "clock"), 3, "mds simulator serve", id="no-simulator"),
        pytest.param(("run", "--for", "x"), 2, "Invalid value for '--for'", id="usage"),
    ],
)
def test_what_cannot_be_done_says_what_to_do(
    mds: Cli, arguments: tuple[str, ...], code: int, says: str
) -> None:
    """One sentence with the remedy, an exit code, no traceback."""
    assert says in mds(*arguments, expect=code)


def test_a_mistyped_setting_is_refused_with_a_suggestion(mds: Cli) -> None:
    """A typo is never a default."""
    assert "did you mean MDS_KAFKA_PORT?" in mds("env", expect=2, MDS_KAFKA_PRT="1")
