"""Unit tests stay inside their process: a socket opened here is a test in the wrong folder, and what runs them sets nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from pytest_socket import disable_socket, enable_socket

OURS = ("MDS_", "PRODUCERS_", "PROCESSORS_", "SINKS_", "GATEWAY_")  # prefixes of settings


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away the runner's own settings, such as those by which CI demands data: a unit test names what it needs."""
    for name in [name for name in os.environ if name.startswith(OURS)]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def no_network() -> Iterator[None]:
    """Refuse internet sockets; the event loop's own socket pair is allowed."""
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()
