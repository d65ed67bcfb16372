"""What the tests of this folder are given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.embedded_cli import Cli, command_line


@pytest.fixture
def mds(open_path: Path) -> Iterator[Cli]:
    """The command, in a home of the test's own."""
    with command_line(open_path) as cli:
        yield cli
