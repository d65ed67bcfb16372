"""Helm, and the validators of Kubernetes' and others' files: in an environment of their own, where CI brings it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.requirements import absent

ENVIRONMENT = Path(sys.prefix) / "deploy"
HOW = "make setup EXTRA=deploy"


def deployment_tool(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command of that environment (`python`, `pip-audit`, …); ends the test where there is none."""
    program, *rest = arguments
    path = ENVIRONMENT / "bin" / program
    if not path.exists():
        absent(HOW)
    return subprocess.run(
        [path, *rest], input=stdin, capture_output=True, text=True, timeout=240, check=False
    )


def answer_of(script: Path, request: Any) -> Any:
    """Give a script of that environment JSON to read and return the JSON it writes."""
    done = deployment_tool("python", script, stdin=json.dumps(request))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
