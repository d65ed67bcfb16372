"""`mds demo gap` on the running system: the whole story to its end, and nothing stays cut however it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

import pytest

from infra.cli.http import ask_json, get_json
from tests.conftest import free_port
from tests.support.system import ROOT, System

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-u", "-m", "infra.cli", "demo", "gap"]
ENDS_WITHIN_S = 90
STORY = (
    "▸ cut: from now on",
    "▸ gap: after",
    '"t":"gap"',
    "That is: 1 minute is missing in bars.1m:yahoo:SIM001",
    "GET /gaps says of it: open, missing_bars, inferred",
    "▸ backfill: the vendor answers in full again",
    "is queued (waits for its turn): 0 jobs of its provider are before it",
    "is done (values were fetched and published): 1 bar published",
    "▸ filled: the WebSocket told the end of the gap",
    '"t":"gap_fill"',
    "✓ whole: ",
    "curl -s 'http://127.0.0.1:",
    "docs/concepts/gaps.md",
)


def rules(made: System) -> list[Any]:
    """Return what the simulator cuts now."""
    status, scenario = get_json(f"{made.simulator_url}/simulator/scenario")
    assert status == 200
    return list(scenario.get("rules", []))


def begun(made: System) -> subprocess.Popen[str]:
    """Start the command, and return when the minute is cut."""
    shown = subprocess.Popen(
        COMMAND, cwd=ROOT, env=made.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert shown.stdout is not None
    assert any("cut:" in line for line in shown.stdout)
    assert len(rules(made)) == 1
    return shown


def test_a_newcomer_sees_a_gap_from_its_cut_to_its_end(running: System) -> None:
    """Each part of the story in its order, with what was heard and what is stored; at the end nothing is cut."""
    done = subprocess.run(
        COMMAND,
        cwd=ROOT,
        env=running.env,
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_S,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    places = [done.stdout.find(part) for part in STORY]
    assert -1 not in places, (STORY[places.index(-1)], done.stdout)
    assert places == sorted(places), done.stdout
    assert done.stderr == ""
    assert rules(running) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_it_leaves_nothing_cut(running: System, number: signal.Signals) -> None:
    """And says so."""
    shown = begun(running)
    shown.send_signal(number)
    _, said = shown.communicate(timeout=ENDS_WITHIN_S)

    assert shown.returncode == 1
    assert "nothing is cut any more" in said
    assert "Traceback" not in said
    assert rules(running) == []


def test_killed_its_cut_ends_by_itself_and_nobody_else_cuts_meanwhile(running: System) -> None:
    """Another one says who is in its way, and leaves that alone."""
    shown = begun(running)
    shown.kill()
    shown.communicate()
    (left,) = rules(running)
    other = subprocess.run(
        COMMAND, cwd=ROOT, env=running.env, capture_output=True, text=True, timeout=ENDS_WITHIN_S, check=False
    )
    _, clock = get_json(f"{running.simulator_url}/simulator/clock")

    assert other.returncode == 1
    assert "another demonstration runs" in other.stderr
    assert rules(running) == [left]
    assert left["when"]["to"] - clock["market_time"] < 11 * 60_000_000
    assert ask_json("PUT", f"{running.simulator_url}/simulator/scenario", body={"rules": []})[0] == 200


def test_without_a_system_it_says_what_to_start(running: System) -> None:
    """One sentence, the simulator's address, and the command."""
    alone = running.env | {"MDS_SIMULATOR_PORT": str(free_port())}
    done = subprocess.run(
        COMMAND, cwd=ROOT, env=alone, capture_output=True, text=True, timeout=ENDS_WITHIN_S, check=False
    )

    assert done.returncode == 1
    assert f"127.0.0.1:{alone['MDS_SIMULATOR_PORT']}" in done.stderr
    assert "start `mds run`" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
