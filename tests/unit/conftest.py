"""Unit tests stay inside their process: a socket opened here is a test in the wrong folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_socket import disable_socket, enable_socket


@pytest.fixture(autouse=True)
def no_network() -> Iterator[None]:
    """Refuse internet sockets; the event loop's own socket pair is allowed."""
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()
