"""Runbooks: one shape, and every command, route and metric on them is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
import typer

from gateway.features import ENDPOINTS
from gateway.settings import GatewaySettings
from infra.cli.__main__ import app
from infra.runtime import metrics, objective_metrics
from producers.settings import ProducersSettings
from sinks.settings import SinkSettings
from stream_processors.settings import ProcessorSettings
from tests.support.alert_rules import RUNBOOKS, first_look

PAGES = sorted(path for path in RUNBOOKS.glob("*.md") if path.stem != "README")
HEADINGS = [
    "Meaning", "First look", "Causes, the most frequent first", "Cure", "When to wake whom", "How it was tested",
]  # fmt: skip
INLINE = re.compile(r"`(mds [^`]+)`")
ADDRESS = re.compile(r"'(http://127\.0\.0\.1:[^']+)'")
OPS_ROUTES = {"/livez", "/readyz", "/metrics"}
OPS_PORTS = {
    ProducersSettings().ops_port,
    ProcessorSettings().ops_port,
    SinkSettings().ops_port,
    SinkSettings().archive_ops_port,
    GatewaySettings().ops_port,
}
# says why nothing came, and ends where a process stands still
CURL = "curl -sSm 5"
MIN_COMMANDS, MAX_COMMANDS = 3, 5


def is_there(command: str) -> bool:
    """Whether `mds` has the command, and the command the options."""
    found, words = typer.main.get_command(app), shlex.split(command)[1:]
    while words and (within := getattr(found, "commands", None)) is not None:
        if words[0] not in within:
            return False
        found = within[words.pop(0)]
    options = {option for each in found.params for option in each.opts}
    return all(word in options for word in words if word.startswith("-"))


def is_answered(address: str) -> bool:
    """Whether an endpoint of the gateway, or an ops port, takes the path and each parameter."""
    parts = urlsplit(address)
    if parts.port in OPS_PORTS:
        return parts.path in OPS_ROUTES
    taking = [
        endpoint
        for endpoint in ENDPOINTS
        if endpoint.method == "GET"
        and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", endpoint.path), parts.path) is not None
    ]
    given = {name for name, _ in parse_qsl(parts.query)}
    return parts.port == GatewaySettings().port and any(
        given <= set(each.query.__annotations__) for each in taking
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_runbook_has_the_shape_of_all(page: Path) -> None:
    """Whoever was woken finds the place without reading: the name, what it means, where to look, about three commands."""
    text = page.read_text("utf-8")

    assert text.startswith(f"# {page.stem}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS
    assert MIN_COMMANDS <= len(first_look(page.stem)) <= MAX_COMMANDS


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_every_command_of_a_runbook_is_there(page: Path) -> None:
    """With its options, and every address with its parameters."""
    text = page.read_text("utf-8")
    asked = ADDRESS.findall(text)
    said = [line for line in first_look(page.stem) if line.startswith("mds ")] + INLINE.findall(text)

    assert [line for line in first_look(page.stem) if not line.startswith(("mds ", f"{CURL} 'http://"))] == []
    assert [command for command in said if not is_there(command)] == []
    assert [address for address in asked if not is_answered(address)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_every_metric_a_runbook_names_is_told(page: Path) -> None:
    """By the processes; names are in backticks."""
    told = {name for name, *_ in metrics.declared(objective_metrics)}
    named = re.findall(r"`(\w+_(?:total|seconds|ratio|ms|gauge)|mds_\w+)`", page.read_text("utf-8"))

    assert set(named) <= told


def test_a_command_that_is_not_there_is_seen() -> None:
    """The search itself."""
    assert is_there("mds dlq replay --cause 0123456789ab")
    assert not is_there("mds dlq replay --nothing")
    assert not is_there("mds dlq show")
    assert is_answered("http://127.0.0.1:8001/calendar/SPY?start=2026-11-23")
    assert not is_answered("http://127.0.0.1:8001/health?nothing=1")
    assert not is_answered("http://127.0.0.1:8103/health")
