"""The first look of runbooks on a system that is well: no command is wrong, and what the page tells to read is in the answers.

Runbooks whose alert is provoked have theirs taken meanwhile, in `tests/e2e/test_monitoring.py`.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import pytest

from infra.runtime.exit_codes import ExitCode
from tests.conftest import free_port
from tests.support.alert_rules import ROOT, RUNBOOKS, first_look
from tests.support.eventually import eventually
from tests.support.prometheus import at_ports
from tests.support.system import READY_WITHIN_S, System

pytestmark = pytest.mark.slow

PROVOKED = "tests/e2e/test_monitoring.py"
PAGES = sorted(page.stem for page in RUNBOOKS.glob("Mds*.md") if PROVOKED not in page.read_text("utf-8"))
SYMBOL, SHOWN = "SPY", "SIM001"  # pages say to put another symbol in its place
ARCHIVE_PORT = 8105
WITHIN_S = 60.0
AT_ONCE = 2
READ = re.compile(r"^## First look\n.*?^```sh\n.*?^```\n(.*?)^## ", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`([a-z]+(?:_[a-z0-9]+)*)`")
ELSEWHERE = {"pg_stat_activity"}  # of the database itself

Looks = Mapping[str, subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def looks(running: System) -> Iterator[Looks]:
    """Every command of these pages, run once, with an archive beside the services."""
    port = free_port()
    env = running.env | {"SINKS_ARCHIVE_OPS_PORT": str(port)}
    command = [sys.executable, "-m", "infra.cli", "archive", "run"]
    archive = subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    ports = {
        8001: int(running.env["GATEWAY_PORT"]),
        8101: running.ports["producers"],
        8102: running.ports["stream_processors"],
        8103: running.ports["sinks"],
        8104: running.ports["gateway"],
        ARCHIVE_PORT: port,
    }

    def look(line: str) -> subprocess.CompletedProcess[str]:
        words = shlex.split(at_ports(line, ports).replace(SYMBOL, SHOWN))
        if words[0] == "mds":
            words[:1] = [sys.executable, "-m", "infra.cli"]
        return subprocess.run(
            words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=WITHIN_S, check=False
        )

    try:
        asyncio.run(_archived(port))
        lines = sorted({line for page in PAGES for line in first_look(page)})
        with ThreadPoolExecutor(AT_ONCE) as at_once:
            yield dict(zip(lines, at_once.map(look, lines), strict=True))
    finally:
        archive.terminate()
        archive.wait(WITHIN_S)


async def _archived(port: int) -> None:
    """Wait until something is archived, so that its age is told."""
    timeout = aiohttp.ClientTimeout(total=5)

    async def is_told() -> bool:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"http://127.0.0.1:{port}/readyz") as answer,
        ):
            return answer.status == 200

    await eventually(is_told, within_s=READY_WITHIN_S, what="an archive")


@pytest.mark.parametrize("page", PAGES)
def test_a_first_look_can_be_taken(page: str, looks: Looks) -> None:
    """Each command ends as one that was answered, and says something."""
    for line in first_look(page):
        done = looks[line]
        expected = {ExitCode.DONE, ExitCode.NO} if line.startswith("mds ") else {ExitCode.DONE}

        assert done.returncode in expected, (line, done)
        assert done.stdout.strip() or (done.returncode == ExitCode.NO and done.stderr), (line, done)
        assert "Traceback" not in done.stderr, (line, done)
        assert '"status":4' not in done.stdout and '"status":5' not in done.stdout, (line, done)


@pytest.mark.parametrize("page", PAGES)
def test_what_a_runbook_tells_to_read_is_in_the_answers(page: str, looks: Looks) -> None:
    """Metrics, members and parts that stand below the commands."""
    (words,) = READ.findall((RUNBOOKS / f"{page}.md").read_text("utf-8"))
    answers = "\n".join(looks[line].stdout for line in first_look(page))
    named = set(NAMED.findall(words)) - ELSEWHERE

    assert sorted(name for name in named if not re.search(rf"\b{name}", answers)) == []
