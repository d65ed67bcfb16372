"""The clocks are types for mypy alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MIXED = """
from schemas.clocks import EventTime, KnowledgeTime, MarketTime, WallTime

def until(moment: {asked}) -> int:
    return moment

until({given}(1))
"""
CLOCKS = ("EventTime", "MarketTime", "WallTime", "KnowledgeTime")


@pytest.mark.slow
@pytest.mark.parametrize("asked", CLOCKS)
def test_a_moment_of_one_clock_is_refused_where_another_is_asked_for(asked: str, tmp_path: Path) -> None:
    """Each of the three others is an error of mypy, its own is none."""
    given = [clock for clock in CLOCKS if clock != asked]
    file = tmp_path / "mixed.py"
    file.write_text(
        MIXED.format(asked=asked, given=asked) + "".join(f"until({clock}(1))\n" for clock in given)
    )
    # What mypy knows of the tree is copied meanwhile for the lists of CONTRIBUTING: it is not written to here.
    options = ("--no-error-summary", "--follow-imports=silent", f"--cache-dir={tmp_path / 'types'}")
    command = [sys.executable, "-m", "mypy", *options, str(file)]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout

    assert found.count("[arg-type]") == len(given), found
