"""The supervisor restarts what dies, stops in reverse order within its bound, and takes its children with it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra.embedded.home import Home
from infra.embedded.process import Launch, PidRecord, spawn
from infra.embedded.process_table import identify
from infra.embedded.server import ServerFailed
from infra.embedded.supervisor import Supervisor
from schemas.errors import ConfigurationError
from tests.support.eventually import eventually

SLEEPER = "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n{first}\ntime.sleep(600)"
RECORD_STOP = (
    "signal.signal(signal.SIGTERM, lambda *_: (open({file!r}, 'a').write({name!r} + ' '), sys.exit(0)))"
)


@dataclass
class Child:
    """A part that runs a few lines of Python and is ready when its file exists."""

    name: str
    home: Home
    program: str
    ready_timeout_s: float = 20.0
    starts: int = field(default=0)
    error: ConfigurationError | None = None

    @property
    def ready_file(self) -> Path:
        """Exists once the program said so."""
        return self.home.root / f"{self.name}.ready"

    def prepare(self) -> Launch:
        """Count the start and return it."""
        self.starts += 1
        if self.error is not None:
            raise self.error
        self.ready_file.unlink(missing_ok=True)
        ready = f"open({str(self.ready_file)!r}, 'w').close()"
        return Launch(
            name=self.name,
            argv=(sys.executable, "-u", "-c", self.program.replace("READY", ready)),
            log=self.home.log_file(self.name),
            pid_file=self.home.pid_file(self.name),
        )

    def is_ready(self) -> bool:
        """Return whether the program said so."""
        return self.ready_file.exists()


def a_child(tmp_path: Path, name: str, *, first: str = "READY", program: str | None = None) -> Child:
    """Return a child that sleeps until SIGTERM after doing `first`."""
    return Child(name=name, home=Home.open(tmp_path), program=program or SLEEPER.format(first=first))


async def test_a_child_that_dies_is_restarted_with_one_line_saying_why(tmp_path: Path) -> None:
    """The line names the part, the signal, its last words and the delay; the new process is announced."""
    said: list[str] = []
    child = a_child(tmp_path, "worker", first="READY; print('my last words')")
    async with Supervisor(announce=said.append) as system:
        await system.start(child)
        first = system.pid("worker")
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: any("is back" in line for line in said), within_s=20)
        second = system.pid("worker")
        assert second not in (None, first)
    assert said[0] == "worker died (signal SIGKILL: my last words); starting it again in 0.5 s"
    assert said[1] == f"worker is back (pid {second})"
    assert len(said) == 2
    assert identify(second or 0) is None


async def test_groups_stop_in_reverse_order(tmp_path: Path) -> None:
    """What was started last is asked first, and has ended before the next is asked."""
    order = tmp_path / "order"
    async with Supervisor(announce=lambda _: None) as system:
        for name in ("first", "second", "third"):
            stop = RECORD_STOP.format(file=str(order), name=name)
            await system.start(a_child(tmp_path, name, first=f"{stop}; READY"))
    assert order.read_text().split() == ["third", "second", "first"]


async def test_a_child_that_ignores_the_signal_is_killed_within_the_budget(tmp_path: Path) -> None:
    """A stubborn or a frozen child delays the stop, but only to its bound."""
    said: list[str] = []
    stubborn = a_child(tmp_path, "stubborn", first="signal.signal(signal.SIGTERM, signal.SIG_IGN); READY")
    async with Supervisor(announce=said.append, stop_budget_s=3.0) as system:
        await system.start(a_child(tmp_path, "polite"))
        await system.start(stubborn)
        pids = [system.pid("polite"), system.pid("stubborn")]
        began = time.monotonic()
    assert time.monotonic() - began < 6.0
    assert [identify(pid or 0) for pid in pids] == [None, None]
    assert said == ["stubborn did not stop within 2.0 s and was killed"]


async def test_a_frozen_child_still_stops_politely(tmp_path: Path) -> None:
    """SIGTERM reaches a stopped process only after it is continued."""
    said: list[str] = []
    async with Supervisor(announce=said.append) as system:
        await system.start(a_child(tmp_path, "frozen"))
        pid = system.pid("frozen")
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
    assert said == []


async def test_a_child_that_cannot_start_fails_the_start_with_its_last_line(tmp_path: Path) -> None:
    """Exit code 2 means an operator must act: it is not tried again, and what ran before is stopped."""
    broken = a_child(tmp_path, "broken", program="import sys; print('error: set X'); sys.exit(2)")
    good: int | None = None
    with pytest.raises(ServerFailed, match=r"broken could not be started \(exit code 2: error: set X\)"):
        async with Supervisor(announce=lambda _: None) as system:
            await system.start(a_child(tmp_path, "good"))
            good = system.pid("good")
            await system.start(broken)
    assert broken.starts == 1
    assert good is not None
    assert identify(good) is None


async def test_a_child_that_keeps_dying_before_it_is_ready_fails_the_start(tmp_path: Path) -> None:
    """A few tries, then the truth."""
    broken = a_child(tmp_path, "broken", program="raise SystemExit(70)")
    with pytest.raises(ServerFailed, match="exit code 70"):
        async with Supervisor(announce=lambda _: None) as system:
            await system.start(broken)
    assert broken.starts == 3


async def test_what_an_operator_must_change_stops_the_start(tmp_path: Path) -> None:
    """A taken port, said by `prepare`, reaches the user as it was said."""
    child = a_child(tmp_path, "porty")
    child.error = ConfigurationError("port 1 is in use", remedy="set X")
    with pytest.raises(ConfigurationError, match="port 1 is in use; set X"):
        async with Supervisor(announce=lambda _: None) as system:
            await system.start(child)


async def test_a_cancelled_block_stops_everything(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a start leaves nothing behind."""
    pids: list[int | None] = []

    async def run() -> None:
        async with Supervisor(announce=lambda _: None) as system:
            await system.start(a_child(tmp_path, "good"))
            pids.append(system.pid("good"))
            await system.start(a_child(tmp_path, "never", first="pass"))

    task = asyncio.ensure_future(run())
    await eventually(lambda: bool(pids), within_s=20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert identify(pids[0] or 0) is None
    assert not list((tmp_path / "run").glob("*.pid"))


STARTER = """
import sys, time
from pathlib import Path
from infra.embedded.process import Launch, spawn
folder = Path({folder!r})
launch = Launch(name="child", argv=(sys.executable, "-c", "import time; time.sleep(600)"), log=folder / "child.log",
                pid_file=folder / "child.pid", detached={detached})
print(spawn(launch, watch_pipe={watch_pipe}).pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize(
    "watch_pipe",
    [
        pytest.param(
            False, id="kernel", marks=pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
        ),
        pytest.param(True, id="pipe"),
    ],
)
async def test_children_die_with_a_killed_parent(tmp_path: Path, watch_pipe: bool) -> None:
    """A starter killed with SIGKILL leaves no orphan, by either mechanism."""
    child = await start_and_kill_starter(tmp_path, watch_pipe=watch_pipe, detached=False)
    await eventually(lambda: identify(child) is None, within_s=10)


async def test_a_detached_child_outlives_its_parent(tmp_path: Path) -> None:
    """`mds up` returns, and the broker stays."""
    child = await start_and_kill_starter(tmp_path, watch_pipe=False, detached=True)
    record = PidRecord.read(tmp_path / "child.pid")
    assert record is not None
    assert record.process.pid == child
    assert not record.is_orphan
    os.kill(child, signal.SIGKILL)


async def start_and_kill_starter(folder: Path, *, watch_pipe: bool, detached: bool) -> int:
    """Have another process start a child, kill that process, and return the child's pid."""
    return await asyncio.to_thread(_start_and_kill_starter, folder, watch_pipe, detached)


def _start_and_kill_starter(folder: Path, watch_pipe: bool, detached: bool) -> int:
    program = STARTER.format(folder=str(folder), watch_pipe=watch_pipe, detached=detached)
    starter = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    with contextlib.closing(starter.stdout):
        child = int(starter.stdout.readline())
    assert identify(child) is not None
    starter.kill()
    starter.wait()
    return child


async def test_an_orphan_that_survived_is_stopped_by_the_next_command(tmp_path: Path) -> None:
    """A child that missed its owner's death (frozen then) does not hold ports and data for ever."""
    home = Home.open(tmp_path)
    child = spawn(
        Launch(
            name="left",
            argv=(sys.executable, "-c", "import time; time.sleep(600)"),
            log=home.log_file("left"),
            pid_file=home.pid_file("left"),
        )
    )
    record = PidRecord.read(home.pid_file("left"))
    assert record is not None
    assert record.owner is not None
    stranger = type(record.owner)(pid=record.owner.pid, created=record.owner.created - 3600)
    PidRecord(process=record.process, owner=stranger, stop_signal=record.stop_signal).write(
        home.pid_file("left")
    )
    with home.exclusive("run"):
        assert child.wait(5.0), "the orphan still runs"
    assert not home.pid_file("left").exists()
