"""`mds universe` on a real database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT

CSV = 'symbol,tier,streams,note\nBRK.B,T1,bars quotes trades,\nSPY,T0,bars quotes,"index, of 500"\n'


Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def mds(database: str, tmp_path: Path) -> Command:
    """Give the command line on a database of this test alone."""
    env = {"PATH": os.environ["PATH"], "MDS_POSTGRES_DSN": database, "MDS_HOME": str(tmp_path / "home")}

    def run(*arguments: str, given: str | None = None, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "infra.cli", "universe", *arguments],
            cwd=ROOT,
            env=env | more,
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_the_command_imports_exports_and_tells_what_changed(mds: Command, tmp_path: Path) -> None:
    """Out and in again is no change; a broken file changes nothing; every change is told and remembered."""
    file, out = tmp_path / "universe.csv", tmp_path / "out.csv"
    file.write_text(CSV, "utf-8")
    dry = mds("import", str(file), "--dry-run")
    first = mds("import", str(file))
    exported = mds("export", str(out))
    again = mds("import", str(out), "--replace")
    broken = mds("import", "-", "--replace", given="symbol,tier\nQQQ,T0\nIBM,T7\n,T1\n")

    assert dry.stdout.splitlines()[-1] == (
        "2 added, 0 removed, 0 moved, 0 changed, 0 unchanged; nothing was changed (--dry-run)"
    )
    assert first.stdout.splitlines() == [
        "added BRK.B (T1, bars quotes trades)",
        "added SPY (T0, bars quotes)",
        "2 added, 0 removed, 0 moved, 0 changed, 0 unchanged; version 1",
    ]
    assert (exported.returncode, out.read_text("utf-8")) == (0, CSV)
    assert again.stdout == "0 added, 0 removed, 0 moved, 0 changed, 2 unchanged; version 1\n"
    assert (broken.returncode, broken.stdout) == (2, "")
    assert "stdin:3: tier 'T7' is no tier; write T0, T1 or T2" in broken.stderr
    assert "stdin:4: symbol the symbol is missing" in broken.stderr
    assert mds("export").stdout == CSV


def test_a_change_that_nothing_collects_is_warned_of(mds: Command, tmp_path: Path) -> None:
    """A universe nobody asks for is written all the same; a question and no change are silent."""
    asking, other = tmp_path / "asking.yaml", tmp_path / "other.yaml"
    asking.write_text("universe: database\n", "utf-8")
    other.write_text("symbols: [SPY]\n", "utf-8")

    collected = mds("set", "SPY", MDS_CONFIG=str(asking))
    idle = mds("set", "SPY", MDS_CONFIG=str(other))
    listed = mds("list", MDS_CONFIG=str(other))
    written = mds("set", "QQQ", MDS_CONFIG=str(other))
    simulated = mds("set", "IWM", MDS_MARKET_CLOCK="simulator")

    assert [each.returncode for each in (collected, idle, listed, written, simulated)] == [0] * 5
    assert (collected.stderr, idle.stderr, listed.stderr) == ("", "", "")
    assert written.stderr.startswith(
        "warning: collected only where the configuration in force has `universe: database`"
    )
    assert f"{other} has not" in written.stderr
    assert "the simulator without MDS_CONFIG has not" in simulated.stderr


def test_the_command_sets_removes_and_looks_back(mds: Command) -> None:
    """What is not named stays; a symbol that names nothing is taken with a warning."""
    added = mds("set", "SPY", "IBM", "--tier", "T2", "--note", "tail")
    moved = mds("set", "SPY", "--tier", "T0")
    odd = mds("set", "no-such-thing")
    removed = mds("remove", "IBM", "GONE")
    listed = json.loads(mds("list", "--json").stdout)
    history = json.loads(mds("history", "IBM", "--json").stdout)
    then = mds("export", "--at", history[0]["time"])
    future = mds("export", "--at", "2999-01-01T00:00:00Z")

    assert added.returncode == 0
    assert moved.stdout.splitlines()[0] == "moved SPY (T2 -> T0, bars quotes trades actions options)"
    assert odd.returncode == 0
    assert "warning: " in odd.stderr
    assert "not collected" in odd.stderr
    assert (removed.returncode, removed.stdout.splitlines()[0]) == (1, "removed IBM")
    assert "GONE: not in the universe" in removed.stderr
    assert [(each["symbol"], each["tier"], each["note"]) for each in listed["members"]] == [
        ("SPY", "T0", "tail"), ("no-such-thing", "T1", ""),
    ]  # fmt: skip
    assert [(each["version"], each["tier"]) for each in history] == [(1, "T2"), (4, None)]
    assert "@" in history[0]["by"]
    assert [line.split(",")[:2] for line in then.stdout.splitlines()[1:]] == [["IBM", "T2"], ["SPY", "T2"]]
    assert (future.returncode, mds("history", "NOBODY").returncode) == (2, 1)
