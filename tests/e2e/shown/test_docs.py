"""Every command in the documents works: each is run here, or by the script that is CI."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys

import pytest

from infra.embedded.postgres import program_folder
from tests.support.system import ROOT, System

pytestmark = pytest.mark.slow

DOCUMENTS = (
    "README.md", "CONTRIBUTING.md", "docs/CONTINUITY.md", "docs/MACRO.md", "docs/OPTIONS.md",
    "docs/QUICKSTART.md", "docs/INTEGRATION_GUIDE.md",
)  # fmt: skip
RUN_BY_CI = {"make run", "make test", "make check"}  # .ci/run, from an empty clone
FENCE = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
PROGRAM = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:\.venv/bin/|make )[^`]*)`")
BOUNDED_S = 60
GIVEN = [
    f"docs/{name}.md"
    for name in (
        "COMPLETE_SUMMARY", "ENHANCEMENTS", "FILE_TREE", "IMPLEMENTATION", "KNOWN_ISSUES", "RELEASE_NOTES", "SECURITY",
    )
]  # fmt: skip


def commands() -> list[tuple[str, str]]:
    """Return (document, command) of every fenced shell line; what stands in several documents, of the first."""
    found: dict[str, str] = {}
    for name in (*DOCUMENTS, *GIVEN):
        for block in FENCE.findall((ROOT / name).read_text("utf-8")):
            for line in block.splitlines():
                if line and not line.startswith("#"):
                    found.setdefault(line, name)
    return [(name, command) for command, name in found.items()]


def programs() -> list[tuple[str, str]]:
    """Return (document, program) of every fence of Python that is a whole program."""
    return [
        (name, program) for name in DOCUMENTS for program in PROGRAM.findall((ROOT / name).read_text("utf-8"))
    ]


def _localised(command: str, running: System) -> str:
    """Return a command, or a program, against this test's servers and topics instead of the defaults."""
    here = command.replace("127.0.0.1:8001", f"127.0.0.1:{running.env['GATEWAY_PORT']}")
    here = here.replace("127.0.0.1:19092", running.env["MDS_KAFKA"])
    here = here.replace(
        "postgresql://mds:mds@127.0.0.1:15432/mds", shlex.quote(running.env["MDS_POSTGRES_DSN"])
    )
    return re.sub(r"""(-t |\[")(\S+\.v\d)""", rf"\1{running.env['MDS_TOPIC_PREFIX']}\2", here)


def _with_psql(env: dict[str, str]) -> dict[str, str]:
    """Return the environment with the server's own psql behind all that is on the PATH."""
    return env | {"PATH": f"{env['PATH']}{os.pathsep}{program_folder()}"}


@pytest.mark.parametrize(
    ("document", "command"),
    [pair for pair in commands() if pair[1] not in RUN_BY_CI],
    ids=lambda value: value[:50],
)
def test_a_command_of_the_documents_works(
    document: str, command: str, running: System, request: pytest.FixtureRequest
) -> None:
    """It exits with 0 and prints something; a stream is read for a moment and then left."""
    if shlex.split(command)[0] == "kcat":
        request.getfixturevalue("kcat")
    endless = "websockets" in command
    script = _localised(command, running)
    if endless:
        script = f"timeout --preserve-status -s INT 5 {script} < <(sleep 5)"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=ROOT,
        env=_with_psql(running.env),
        capture_output=True,
        text=True,
        timeout=BOUNDED_S,
        check=False,
    )

    assert endless or done.returncode == 0, (document, done.stderr)
    assert done.stdout.strip(), (document, command, done.stderr)
    if command.startswith("curl"):
        assert '"status":4' not in done.stdout
        assert '"status":5' not in done.stdout


@pytest.mark.parametrize(("document", "program"), programs(), ids=lambda value: value[:50])
def test_a_program_of_the_documents_works(document: str, program: str, running: System) -> None:
    """It comes to its end, and prints something; the client is found where the page says it lies."""
    done = subprocess.run(
        [sys.executable, "-c", _localised(program, running)],
        cwd=ROOT,
        env=running.env | {"PYTHONPATH": str(ROOT / "clients" / "python")},
        capture_output=True,
        text=True,
        timeout=BOUNDED_S,
        check=False,
    )

    assert done.returncode == 0, (document, done.stderr)
    assert done.stdout.strip(), (document, done.stderr)
    assert "Traceback" not in done.stderr


def test_ci_runs_the_commands_that_start_everything() -> None:
    """`make run` and `make test` are executed from an empty clone, by CI itself."""
    script = (ROOT / ".ci" / "run").read_text("utf-8")

    for command in RUN_BY_CI:
        assert command in script


@pytest.mark.parametrize("document", [*DOCUMENTS, *GIVEN])
def test_every_make_target_named_in_a_document_exists(document: str) -> None:
    """`make -n` resolves it."""
    for command in INLINE.findall((ROOT / document).read_text("utf-8")):
        if command.startswith("make "):
            target = command.split()[1]
            done = subprocess.run(
                ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, (document, command, done.stderr)
