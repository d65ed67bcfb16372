"""What the `mds` command says where it cannot do what was asked."""

from __future__ import annotations

import pytest

from tests.support.embedded_cli import Cli


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        pytest.param(("tail", "SPY"), 3, "start it with `mds up kafka`", id="no-broker"),
        pytest.param(("topics", "check"), 3, "start it with `mds up kafka`", id="no-broker-topics"),
        pytest.param(("migrate",), 3, "mds up", id="no-database"),
        pytest.param(("migrate", "--timescale"), 3, "mds up", id="no-database-to-move"),
        pytest.param(("simulator", "clock"), 3, "mds simulator serve", id="no-simulator"),
        pytest.param(("run", "--for", "x"), 2, "Invalid value for '--for'", id="usage"),
    ],
)
def test_what_cannot_be_done_says_what_to_do(
    mds: Cli, arguments: tuple[str, ...], code: int, says: str
) -> None:
    """One sentence with the remedy, an exit code, no traceback."""
    assert says in mds(*arguments, expect=code)
