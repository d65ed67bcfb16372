"""One child process: started in its own session, logged to a file, named in a pid file, stopped within a bound.

Spawn only from a thread that lives as long as the child should (the main thread): Linux delivers
the death signal when the spawning *thread* ends.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from infra.embedded.process_table import ProcessIdentity, identify, is_running

LAUNCHER = Path(__file__).with_name("launcher.py")
MAX_LOG_BYTES = 10 * 1024 * 1024  # a larger log is set aside as `<name>.log.1` at the next start
MAX_LAST_LINE_CHARS = 300
LAST_LINE_READ_BYTES = 8192
POLL_INTERVAL_S = 0.02
KILL_WAIT_S = 5.0
ORPHAN_STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAs:
    """The system user a server runs as when we are root and it refuses root."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Everything needed to start one process.

    `detached` lets the process outlive us; otherwise it gets `stop_signal` when we die.
    """

    name: str
    argv: tuple[str, ...]
    log: Path
    pid_file: Path
    env: Mapping[str, str] | None = None  # None = ours
    run_as: RunAs | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    detached: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PidRecord:
    """Content of a pid file: the process, its owner unless it is detached, and the signal that stops it."""

    process: ProcessIdentity
    owner: ProcessIdentity | None
    stop_signal: int

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return the record of a process that still runs; None for a missing, torn or stale file."""
        try:
            raw = json.loads(path.read_text())
            owner = ProcessIdentity(**raw["owner"]) if raw["owner"] else None
            process = ProcessIdentity(**raw["process"])
            record = cls(process=process, owner=owner, stop_signal=int(raw["stop_signal"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return record if is_running(record.process) else None

    def write(self, path: Path) -> None:
        """Replace the file in one step, so that no reader sees half of it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".tmp")
        draft.write_text(json.dumps(asdict(self)))
        draft.replace(path)

    @property
    def is_orphan(self) -> bool:
        """Whether the owner it should have died with is gone."""
        return self.owner is not None and not is_running(self.owner)


@dataclass(slots=True, kw_only=True)
class ChildProcess:
    """A started child of ours. `spawn` is the way in."""

    launch: Launch
    popen: subprocess.Popen[bytes]
    log_start: int  # bytes of the log written by earlier runs
    _lifeline: int | None = field(default=None)  # our end of the watcher's pipe, where there is one

    @property
    def pid(self) -> int:
        """Process id of the command itself."""
        return self.popen.pid

    def is_alive(self) -> bool:
        """Return whether the process still runs; reaps it and removes its pid file when it does not."""
        if self.popen.poll() is None:
            return True
        self._release()
        return False

    def exit_cause(self) -> str:
        """Say how the process ended, in words: signal or exit code, and the last line it wrote."""
        code = self.popen.returncode
        how = "still runs" if code is None else f"exit code {code}"
        if code is not None and code < 0:
            how = f"signal {signal.Signals(-code).name}"
        line = self.last_line()
        return f"{how}: {line}" if line else how

    def last_line(self) -> str:
        """Return the last line this run wrote to its log, shortened; empty when it wrote none."""
        try:
            with self.launch.log.open("rb") as log:
                end = log.seek(0, os.SEEK_END)
                log.seek(max(self.log_start, end - LAST_LINE_READ_BYTES))
                lines = log.read().decode("utf-8", "replace").split("\n")
        except OSError:
            return ""
        written = [line.strip() for line in lines if line.strip()]
        return readable(written[-1])[:MAX_LAST_LINE_CHARS] if written else ""

    def send(self, signal_number: signal.Signals) -> None:
        """Send a signal unless the process is already gone."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal_number)

    def wait(self, timeout_s: float) -> bool:
        """Block until the process ends; return False when it still runs after `timeout_s`."""
        try:
            self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        self._release()
        return True

    def stop(self, timeout_s: float) -> bool:
        """Stop the process; return False when it had to be killed after `timeout_s`."""
        self.send(self.launch.stop_signal)
        self.send(signal.SIGCONT)  # a frozen process cannot answer otherwise
        if self.wait(timeout_s):
            return True
        self.kill()
        return False

    def kill(self) -> None:
        """End the process at once (SIGKILL) and reap it."""
        self.send(signal.SIGKILL)
        self.wait(KILL_WAIT_S)

    def _release(self) -> None:
        """Remove the pid file, unless a successor has written its own, and close the lifeline."""
        lifeline, self._lifeline = self._lifeline, None  # two threads may notice the end at once
        if lifeline is not None:
            os.close(lifeline)
        try:
            if json.loads(self.launch.pid_file.read_text())["process"]["pid"] == self.pid:
                self.launch.pid_file.unlink(missing_ok=True)
        except (OSError, ValueError, KeyError, TypeError):
            return


def spawn(launch: Launch, *, watch_pipe: bool = sys.platform != "linux") -> ChildProcess:
    """Start the process and record it in its pid file; its output is appended to its log.

    `watch_pipe` chooses the portable way of dying with us instead of the Linux kernel's.
    """
    launch.log.parent.mkdir(parents=True, exist_ok=True)
    log_start = rotate(launch.log)
    read_end, lifeline = os.pipe() if watch_pipe and not launch.detached else (None, None)
    try:
        with launch.log.open("ab") as log:
            popen = subprocess.Popen(  # noqa: S603 - every command line is built here, none is read
                [*_launcher_command(launch, pipe=read_end), *launch.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=None if launch.env is None else dict(launch.env),
                pass_fds=() if read_end is None else (read_end,),
                start_new_session=True,  # Ctrl-C reaches us alone, so that the order of stopping is ours
            )
    finally:
        if read_end is not None:
            os.close(read_end)
    child = ChildProcess(launch=launch, popen=popen, log_start=log_start, _lifeline=lifeline)
    identity = identify(popen.pid)
    if identity is not None:
        owner = None if launch.detached else identify(os.getpid())
        record = PidRecord(process=identity, owner=owner, stop_signal=int(launch.stop_signal))
        record.write(launch.pid_file)
    return child


def readable(line: str) -> str:
    """Return a log line for a human: of our JSON lines the event and what was raised, others as they are."""
    try:
        fields = json.loads(line)
        raised = str(fields.get("exception", "")).strip().rpartition("\n")[2]
        return f"{fields['event']} ({raised})" if raised else str(fields["event"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return line


def _launcher_command(launch: Launch, *, pipe: int | None) -> list[str]:
    """Return the command line up to and including the `--` that separates it from the command's own."""
    command = [sys.executable, "-I", "-S", str(LAUNCHER)]
    if launch.run_as is not None:
        command += ["--user", str(launch.run_as.uid), "--group", str(launch.run_as.gid)]
    if not launch.detached:
        command += ["--signal", str(int(launch.stop_signal)), "--starter", str(os.getpid())]
    if pipe is not None:
        command += ["--pipe", str(pipe)]
    return [*command, "--"]


def rotate(log: Path) -> int:
    """Set a log beyond MAX_LOG_BYTES aside; return the size of what is left to append to."""
    size = log.stat().st_size if log.exists() else 0
    if size <= MAX_LOG_BYTES:
        return size
    log.replace(log.with_name(log.name + ".1"))
    return 0


def stop_recorded(pid_file: Path, timeout_s: float) -> bool:
    """Stop a process known only by its pid file (another command started it); return whether one ran."""
    record = PidRecord.read(pid_file)
    if record is None:
        pid_file.unlink(missing_ok=True)
        return False
    _signal(record.process, signal.Signals(record.stop_signal))
    if not _gone(record.process, timeout_s):
        _signal(record.process, signal.SIGKILL)
        _gone(record.process, KILL_WAIT_S)
    pid_file.unlink(missing_ok=True)
    return True


def _signal(process: ProcessIdentity, signal_number: signal.Signals) -> None:
    """Signal exactly this process."""
    if is_running(process):
        try:
            os.kill(process.pid, signal_number)
        except ProcessLookupError:
            return


def _gone(process: ProcessIdentity, timeout_s: float) -> bool:
    """Wait for the process to end; return whether it did."""
    deadline = time.monotonic() + timeout_s
    while is_running(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_INTERVAL_S)
    return True


def stop_orphans(run_folder: Path) -> None:
    """Stop every recorded process whose owner was killed before it could do so."""
    for pid_file in sorted(run_folder.glob("*.pid")):
        record = PidRecord.read(pid_file)
        if record is None or record.is_orphan:
            stop_recorded(pid_file, ORPHAN_STOP_TIMEOUT_S)
