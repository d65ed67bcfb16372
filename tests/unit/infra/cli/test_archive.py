"""`mds archive` says to the sinks exactly what it was asked."""

from __future__ import annotations

import subprocess
import sys

import orjson
import pytest
from typer.testing import CliRunner

from infra.cli import archive
from infra.cli.archive import archive_app


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("run", "run"),
        ("run --path /tmp/a", "--path=/tmp/a run"),
        ("status --json", "status --json"),
        ("verify --offline --path x", "--path=x verify --offline"),
        ("prune --older-than 90", "prune --older-than 90.0"),
        ("prune --yes-lose --older-than 0.5", "prune --older-than 0.5 --yes-lose"),
        ("cat", "cat"),
        ("iceberg --path x", "--path=x iceberg"),
        ("import /mnt/old --path x", "--path=x import /mnt/old"),
        ("publish trades --day 2026-11-27", "publish trades --day 2026-11-27"),
        ("publish bars --day D --interval 1d --path x", "--path=x publish bars --day D --interval=1d"),
        (
            "cat --topic raw.bars.v1 --topic raw.trades.v1 --partition 3 --from 2026-11-28T00:00:00Z --to T --incarnation -x",
            "cat --topic=raw.bars.v1 --topic=raw.trades.v1 --partition=3 --from=2026-11-28T00:00:00Z --to=T --incarnation=-x",
        ),
    ],
)
def test_a_command_is_handed_on(asked: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the same process, so that bytes and signals go straight through; a topic id may begin with a dash."""
    told: list[list[str]] = []

    def become(_: str, command: list[str]) -> None:
        told.append(command)
        raise SystemExit(0)  # nothing comes back from it

    monkeypatch.setattr(archive.os, "execv", become)

    done = CliRunner().invoke(archive_app, asked.split())

    assert done.exit_code == 0, done.output
    assert told == [[sys.executable, "-m", "sinks", "archive", *said.split()]]


def test_pruning_needs_an_age(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no default for what is deleted."""
    monkeypatch.setattr(archive.os, "execv", lambda *_: pytest.fail("something was run"))

    assert CliRunner().invoke(archive_app, ["prune"]).exit_code == 2


def test_what_is_archived_is_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what the sinks say as JSON; their exit code is the command's."""
    entry = {
        "topic": "raw.bars.v1",
        "partition": 2,
        "rows": 1_234_567,
        "ratio": 4.5,
        "damage": "a line is gone",
    }
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 1, orjson.dumps([entry]))

    monkeypatch.setattr(archive.subprocess, "run", run)

    done = CliRunner().invoke(archive_app, ["status", "--path", "x"])

    assert commands == [[sys.executable, "-m", "sinks", "archive", "--path=x", "status", "--json"]]
    assert done.exit_code == 1
    head, row = done.output.splitlines()
    assert head.split() == list(archive.SHOWN)
    assert row.split() == ["raw.bars.v1", "2", "1,234,567", "4.5", "a", "line", "is", "gone"]
