"""A system that the real Prometheus watches, faults in it, and what must be told of each: its own alerts and no others."""

from __future__ import annotations

import asyncio
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import aiohttp

from infra.runtime.exit_codes import ExitCode
from tests.conftest import free_port
from tests.support.alert_rules import ROOT, first_look
from tests.support.eventually import eventually
from tests.support.prometheus import LOOPBACK, Prometheus, at_ports, ready, running
from tests.support.system import System
from tests.support.watcher import watching

# At sixty times the pace, seconds for minutes, these tell of a machine that is busy for a moment, with the commands of ten first
# looks for instance: they may fire beside any fault.
OF_LOAD = frozenset({"MdsWsLatency", "MdsSinkSlow"})
STORED_WITHIN_S = 120.0
QUIET_WITHIN_S = 150.0
QUIET_S = 5
FIRES_WITHIN_S = 150.0
COMMAND_WITHIN_S = 60.0
SYMBOL, SHOWN = "SPY", "SIM001"  # pages say to put another symbol in its place
BY_GATEWAY = re.compile(r"mds (?:slo|dlq)\b")


@dataclass
class Monitored:
    """The system and who watches it; `holding` is what goes on striking it."""

    system: System
    prometheus: Prometheus
    kafka: str
    holding: asyncio.Task[None] | None = None

    async def quiet(self, but: Collection[str] = (), within_s: float = QUIET_WITHIN_S) -> None:
        """Wait until no alert `but` those has fired, or has been about to, for a while."""

        async def silent() -> bool:
            seen = (await self.prometheus.seen(QUIET_S, "firing|pending")).difference(but)
            assert not seen, sorted(seen)
            return True

        await eventually(silent, within_s=within_s, every_s=0.5, what="no alert")

    async def fired(self, since_s: float) -> set[str]:
        """Return the alerts that have fired since a moment (of the monotonic clock)."""
        return await self.prometheus.seen(time.monotonic() - since_s)

    async def let_go(self) -> None:
        """End what goes on striking."""
        assert self.holding is not None
        self.holding.cancel()
        await asyncio.gather(self.holding, return_exceptions=True)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of a runbook in the environment of the service, on the ports that are in use here."""
        words = shlex.split(at_ports(command, self.prometheus.ports).replace(SYMBOL, SHOWN))
        if words[0] == "mds":
            words[:1] = [sys.executable, "-m", "infra.cli"]
        return subprocess.run(
            words,
            cwd=ROOT,
            env=self.system.env,
            capture_output=True,
            text=True,
            timeout=COMMAND_WITHIN_S,
            check=False,
        )

    def look(self, command: str, silent: Collection[int]) -> None:
        """Run a command of a first look: it says something, of who is `silent` that it is."""
        done = self.run(command)
        asked = {int(port) for port in LOOPBACK.findall(command)} or (
            {8001} if BY_GATEWAY.match(command) else set()
        )

        if asked & set(silent):
            assert done.returncode not in (ExitCode.DONE, ExitCode.NO), (command, done)
            assert done.stderr, (command, done)
        else:
            assert done.returncode in (ExitCode.DONE, ExitCode.NO), (command, done)
            assert done.stdout or (done.returncode == ExitCode.NO and done.stderr), (command, done)


async def begun(it: System) -> None:
    """Start everything, and wait until the objectives know of data: the gateway reads them at its start and each minute."""
    it.start("simulator")
    await it.ready("simulator")
    await it.start_services()

    async def covered() -> bool:
        status, answer = await it.get("/stats/slo")
        assert status == 200, answer
        (found,) = (each for each in answer["data"] if each["objective"] == "coverage")
        return bool(found["state"] == "met")

    await eventually(covered, within_s=STORED_WITHIN_S, every_s=1.0, what="a value of every symbol")


@contextmanager
def under_prometheus(
    programs: Mapping[str, str], it: System, folder: Path, *, kafka: str, dsn: str, watched: Sequence[str]
) -> Iterator[Prometheus]:
    """Run Prometheus and the blackbox exporter over a system that runs, with a client that watches streams."""
    ports = {
        8101: it.ports["producers"],
        8102: it.ports["stream_processors"],
        8103: it.ports["sinks"],
        8104: it.ports["gateway"],
        8105: int(it.env.get("SINKS_ARCHIVE_OPS_PORT", free_port())),
        8001: int(it.env["GATEWAY_PORT"]),
        19092: _port(kafka),
        15432: _port(dsn),
    }
    with (
        watching(it.socket_url, watched),
        running(programs, folder / "prometheus", ports) as prometheus,
    ):
        asyncio.run(ready(prometheus))
        yield prometheus


def _port(address: str) -> int:
    (port,) = re.findall(r":(\d+)(?:/|$)", address)
    return int(port)


It = TypeVar("It", bound=Monitored)


@dataclass(frozen=True)
class Fault(Generic[It]):
    """Something that breaks, the alerts that tell of it, how it is mended, and which of the usual ports are silent meanwhile.

    Alerts that are `passing` end by themselves; those `beside` it may fire or not.
    """

    strike: Callable[[It], Awaitable[None]]
    alerts: frozenset[str]
    mend: Callable[[It], Awaitable[None]]
    silent: Collection[int] = ()
    passing: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()


def at_once(*faults: Fault[It]) -> Fault[It]:
    """Return faults that have nothing to do with one another as one: each is told as if it were alone."""

    async def strike(it: It) -> None:
        for fault in faults:
            await fault.strike(it)

    async def mend(it: It) -> None:
        for fault in faults:
            await fault.mend(it)

    return Fault(
        strike,
        frozenset[str]().union(*(fault.alerts for fault in faults)),
        mend,
        silent=frozenset[int]().union(*(fault.silent for fault in faults)),
        passing=frozenset[str]().union(*(fault.passing for fault in faults)),
        beside=frozenset[str]().union(*(fault.beside for fault in faults)),
    )


def spoil(*rules: dict[str, Any]) -> Callable[[Monitored], Awaitable[None]]:
    """Return what puts a scenario in force at the vendors, in place of the one before."""

    async def put(it: Monitored) -> None:
        await simulator(it, "PUT", "scenario", {"rules": rules})

    return put


async def simulator(it: Monitored, method: str, path: str, body: Mapping[str, Any]) -> None:
    """Ask something of the simulator itself."""
    url = f"{it.system.simulator_url}/simulator/{path}"
    async with aiohttp.ClientSession() as session, session.request(method, url, json=body) as answer:
        assert answer.status == 200, await answer.text()


async def is_told(
    it: It,
    fault: Fault[It],
    *,
    fires_within_s: float = FIRES_WITHIN_S,
    quiet_within_s: float = QUIET_WITHIN_S,
) -> None:
    """Strike: its alerts and no others fire, their first look can be taken meanwhile, and all is silent when it is mended."""
    beside = (OF_LOAD | fault.beside) - fault.alerts
    await it.quiet(beside, quiet_within_s)
    begun_s = time.monotonic()

    async def all_fired() -> bool:
        fired = await it.fired(begun_s) - beside
        assert fired == fault.alerts, f"fired have {sorted(fired)}"
        return True

    await fault.strike(it)
    try:
        await eventually(all_fired, within_s=fires_within_s, every_s=0.5, what=f"{sorted(fault.alerts)}")
        commands = {command for alert in fault.alerts for command in first_look(alert)}
        await asyncio.gather(
            *(asyncio.to_thread(it.look, command, fault.silent) for command in sorted(commands))
        )
        firing = await it.prometheus.firing() - fault.passing - beside
        assert firing == fault.alerts - fault.passing, f"there fire {sorted(firing)}"
    finally:
        await fault.mend(it)
    await it.quiet(beside, quiet_within_s)

    fired = await it.fired(begun_s) - beside
    assert fired == fault.alerts, f"fired have {sorted(fired)}"
