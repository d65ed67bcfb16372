"""promtool, Prometheus' own judge of rules: CI brings it, a user need not have it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.support.requirements import AT_START, absent

HOW = "apt-get download prometheus && dpkg -x prometheus_*.deb promtool, then MDS_TEST_PROMTOOL=promtool/usr/bin/promtool"


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run it: that of MDS_TEST_PROMTOOL, else of the PATH; ends the test where there is none."""
    program = AT_START.get("MDS_TEST_PROMTOOL") or shutil.which("promtool")
    if program is None:
        absent(f"no promtool on this machine; nothing need be installed: {HOW}")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120, check=False)
