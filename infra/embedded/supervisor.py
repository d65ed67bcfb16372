"""Keeps the processes of one running system alive: ordered start, restart with backoff, ordered stop.

    async with Supervisor(announce=print) as system:
        await system.start(kafka, postgres)      # in parallel; returns when both are ready
        await system.start(gateway)
        await until_told_to_stop()
    # here: gateway stopped first, then broker and database

Each part has one keeper task, owned by the supervisor's TaskGroup. Processes are started from the
event loop's thread, which lives as long as they should.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from infra.embedded.process import ChildProcess, spawn
from infra.embedded.server import ServerFailed, SystemPart
from infra.runtime.backoff import Backoff
from infra.runtime.exit_codes import ExitCode
from schemas.errors import ConfigurationError

POLL_S = 0.1
STOP_BUDGET_S = 10.0  # for everything together
STOP_RESERVE_S = 1.0  # of the budget, kept for each group that is stopped later
DEATHS_BEFORE_GIVING_UP = 3  # of a part that was never ready: the start has failed


RESTARTS = Backoff(first_s=0.5, longest_s=30.0)
HEALTHY_RESET_S = 60.0  # a part that served this long has recovered: its next death is a first one


def deaths_in_a_row(deaths: int, *, healthy_for_s: float) -> int:
    """Return `deaths`, the count so far, after one more; `healthy_for_s` counts from when the part was ready."""
    return 1 if healthy_for_s >= HEALTHY_RESET_S else deaths + 1


@dataclass(slots=True, kw_only=True)
class _Kept:
    """A part, its current process and its history."""

    part: SystemPart
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    failed: asyncio.Event = field(default_factory=asyncio.Event)
    failure: ServerFailed | ConfigurationError | None = None
    was_ready: bool = False
    ready_since: float | None = None  # monotonic
    child: ChildProcess | None = None
    deaths: int = 0  # in a row


class Supervisor:
    """Runs parts until its block ends. `announce` gets one line per event worth a user's attention."""

    def __init__(self, *, announce: Callable[[str], None], stop_budget_s: float = STOP_BUDGET_S) -> None:
        """Create; `stop_budget_s` bounds the stop of all parts together."""
        self._announce = announce
        self._stop_budget_s = stop_budget_s
        self._groups: list[list[_Kept]] = []
        self._stopping = asyncio.Event()
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        """Open the task group that owns the keepers."""
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop every part, last started first, whatever ended the block."""
        await self._stop_all()
        if isinstance(error, asyncio.CancelledError):
            await self._tasks.__aexit__(kind, error, trace)  # it knows whether a keeper's failure caused this
        else:
            await self._tasks.__aexit__(None, None, None)  # the block's own error goes on unwrapped

    async def start(self, *parts: SystemPart) -> None:
        """Start the parts together and return when all are ready.

        Raises ServerFailed or ConfigurationError when one cannot be started; the others go on
        until the block ends.
        """
        group = [_Kept(part=part) for part in parts]
        self._groups.append(group)
        for kept in group:
            self._tasks.create_task(self._keep(kept), name=f"keep-{kept.part.name}")
        for kept in group:
            await self._first_ready(kept)

    def pid(self, name: str) -> int | None:
        """Return the process id of a part, None while it is down or unknown."""
        for kept in (kept for group in self._groups for kept in group):
            if kept.part.name == name and kept.child is not None and kept.child.is_alive():
                return kept.child.pid
        return None

    async def _first_ready(self, kept: _Kept) -> None:
        """Wait for the first readiness of a part, or raise why there will be none."""
        waits = [asyncio.ensure_future(event.wait()) for event in (kept.ready, kept.failed)]
        try:
            async with asyncio.timeout(kept.part.ready_timeout_s):
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            problem = f"{kept.part.name} was not ready within {kept.part.ready_timeout_s:.0f} s"
            if kept.child is not None:
                problem += f" (last line: {kept.child.last_line()}); read {kept.child.launch.log}"
            kept.failure = ServerFailed(problem)
        finally:
            for wait in waits:
                wait.cancel()
        if kept.failure is not None:
            raise kept.failure

    async def _keep(self, kept: _Kept) -> None:
        """Start the part, wait for its end, and start it again, until the system stops."""
        while not self._stopping.is_set():
            try:
                launch = await asyncio.to_thread(kept.part.prepare)
            except ConfigurationError as error:
                if not kept.was_ready:
                    kept.failure = error
                    kept.failed.set()
                    return
                died = str(error)
            else:
                if self._stopping.is_set():
                    return
                kept.child = spawn(launch)
                await self._watch(kept, kept.child)
                died = kept.child.exit_cause()
            if self._stopping.is_set() or self._gave_up(kept, died):
                return
            await self._pause(kept, died)

    async def _watch(self, kept: _Kept, child: ChildProcess) -> None:
        """Return when the process has ended; note when it became ready."""
        kept.ready_since = None
        while child.is_alive():
            if kept.ready_since is None and await asyncio.to_thread(kept.part.is_ready):
                if kept.was_ready:
                    self._announce(f"{kept.part.name} is back (pid {child.pid})")
                kept.ready_since = time.monotonic()
                kept.was_ready = True
                kept.ready.set()
            await asyncio.sleep(POLL_S)

    def _gave_up(self, kept: _Kept, died: str) -> bool:
        """Return whether a part that was never ready will not become so; the starter is told why."""
        child = kept.child
        hopeless = child is not None and child.popen.returncode == ExitCode.CONFIGURATION
        if kept.was_ready or not (hopeless or kept.deaths + 1 >= DEATHS_BEFORE_GIVING_UP):
            return False
        log = f"; read {child.launch.log}" if child is not None else ""
        kept.failure = ServerFailed(f"{kept.part.name} could not be started ({died}){log}")
        kept.failed.set()
        return True

    async def _pause(self, kept: _Kept, died: str) -> None:
        """Say in one line what died, how and when it starts again; then wait that long."""
        healthy_for_s = 0.0 if kept.ready_since is None else time.monotonic() - kept.ready_since
        kept.deaths = deaths_in_a_row(kept.deaths, healthy_for_s=healthy_for_s)
        delay_s = RESTARTS.pause_s(kept.deaths)
        self._announce(f"{kept.part.name} died ({died}); starting it again in {delay_s:.1f} s")
        try:
            async with asyncio.timeout(delay_s):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _stop_all(self) -> None:
        """Stop group after group in reverse; a slow one may use the slack, never the reserve of a later one."""
        self._stopping.set()
        deadline = time.monotonic() + self._stop_budget_s
        for later, group in reversed(list(enumerate(self._groups))):
            limit_s = max(STOP_RESERVE_S, deadline - time.monotonic() - later * STOP_RESERVE_S)
            await asyncio.gather(*(self._stop_one(kept, limit_s) for kept in group))

    async def _stop_one(self, kept: _Kept, limit_s: float) -> None:
        """Ask, wait, and kill in the end."""
        child = kept.child
        if child is None or not child.is_alive():
            return
        child.send(child.launch.stop_signal)
        child.send(signal.SIGCONT)  # a frozen process cannot answer otherwise
        if not await asyncio.to_thread(child.wait, limit_s):
            self._announce(f"{kept.part.name} did not stop within {limit_s:.1f} s and was killed")
            child.kill()
