"""promtool, Prometheus' own judge of rules: CI brings it, a user need not have it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.requirements import debian_program


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run it; ends the test where there is none."""
    program = debian_program("promtool", "prometheus", "MDS_TEST_PROMTOOL")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120, check=False)
