"""One process with TimescaleDB for the session; a database for each module, for a module's tests follow one another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.requirements import absent
from tests.support.timescale_bridge import Bridge, node_home, running_bridge


@pytest.fixture(scope="session")
def bridge_home() -> Path:
    """The installed bridge; CI installs Node, a user need not have it."""
    try:
        return node_home()
    except FileNotFoundError as error:
        absent(str(error))


@pytest.fixture(scope="session")
def timescale_process(bridge_home: Path) -> Iterator[Bridge]:
    """The process."""
    with running_bridge(bridge_home) as bridge:
        yield bridge


@pytest.fixture
def empty(timescale_process: Bridge) -> Bridge:
    """A database of this test alone, with nothing in it."""
    timescale_process.open()
    return timescale_process
