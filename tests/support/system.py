"""The whole pipeline as real processes, started, killed, frozen and thawed one by one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.conftest import free_port
from tests.support.eventually import eventually

ROOT = Path(__file__).parent.parent.parent
SERVICES = ("gateway", "sinks", "stream_processors", "producers")
OPS_PREFIX = {
    "producers": "PRODUCERS",
    "stream_processors": "PROCESSORS",
    "sinks": "SINKS",
    "gateway": "GATEWAY",
}
READY_WITHIN_S = 180.0  # 64 partitions of six raw topics are 384 lanes
STOP_WITHIN_S = 15.0
REQUEST_TIMEOUT_S = 15.0


WITH_ENTRIES: Mapping[str, Any] = {
    "bars": {"providers": ["yahoo"]},
    "quotes": {"providers": ["yahoo", "finnhub"]},
    "trades": {"provider": "finnhub"},
    "actions": {"providers": ["polygon", "alpaca"], "every_s": 300},
    "macro": {"keys": ["FRED:GDPC1", "FRED:UNRATE", "eurusd", "ust_10y"], "every_s": 300},
}
"""Streams of a system that collects entries beside its market data."""


@dataclass
class System:
    """Simulator and four services on one broker and database, each with its own ports and topic prefix.

    `own` are settings of a process, by its name, beside those of all.
    """

    env: dict[str, str]
    logs: Path
    ports: dict[str, int]
    own: dict[str, dict[str, str]] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    starts: int = 0

    @property
    def url(self) -> str:
        """Base URL of the gateway."""
        return f"http://127.0.0.1:{self.env['GATEWAY_PORT']}"

    @property
    def socket_url(self) -> str:
        """Base URL of the gateway's WebSocket."""
        return f"ws://127.0.0.1:{self.env['GATEWAY_PORT']}"

    @property
    def simulator_url(self) -> str:
        """Base URL of the simulator."""
        return f"http://127.0.0.1:{self.env['MDS_SIMULATOR_PORT']}"

    def start(self, name: str) -> None:
        """Start one process; its output goes to a log file of its own. `sinks#2` is a second replica of sinks."""
        service = name.partition("#")[0]
        module = "infra.simulator" if service == "simulator" else service
        env = self.env | self.own.get(name, {})
        if service != name:
            self.ports.setdefault(name, free_port())
            env = env | {f"{OPS_PREFIX[service]}_OPS_PORT": str(self.ports[name])}
        self.starts += 1
        with (self.logs / f"{self.starts:02d}-{name}.log").open("wb") as out:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", module], cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT
            )

    async def start_services(self) -> None:
        """Start the four services, whoever consumes before whoever produces, and return when all are ready."""
        for name in SERVICES:
            self.start(name)
        await self.ready(*SERVICES)

    def kill(self, name: str) -> None:
        """Kill -9 one process and reap it."""
        self.processes[name].kill()
        self.processes[name].wait()

    def freeze(self, name: str) -> None:
        """Stop one process where it stands."""
        self.processes[name].send_signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let a frozen process go on."""
        self.processes[name].send_signal(signal.SIGCONT)

    def revive(self) -> list[str]:
        """Restart whatever has exited, as the supervisor would; return the names."""
        dead = [name for name, process in self.processes.items() if process.poll() is not None]
        for name in dead:
            self.start(name)
        return dead

    def terminate(self, name: str) -> int:
        """Ask one process to stop and return its exit code; it must obey within 15 s."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            return process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def stop(self) -> None:
        """Kill whatever still runs."""
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
        for process in self.processes.values():
            process.wait()
        self.processes.clear()

    async def ready(self, *names: str) -> None:
        """Wait until the named services answer /readyz."""
        for name in names:
            await eventually(partial(self.is_ready, name), within_s=READY_WITHIN_S, what=f"{name} ready")

    async def is_ready(self, name: str) -> bool:
        """Whether a process answers /readyz with 200; raises what the connection does where nobody listens."""
        path = "/simulator/health" if name == "simulator" else "/readyz"
        url = f"http://127.0.0.1:{self.ports[name]}{path}"
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, timeout=aiohttp.ClientTimeout(total=5)) as answer,
        ):
            return answer.status == 200

    async def get(self, path: str, **parameters: object) -> tuple[int, dict[str, Any]]:
        """GET from the gateway; return status and JSON."""
        query = {name: str(value) for name, value in parameters.items()}
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        async with (
            aiohttp.ClientSession() as session,
            session.get(self.url + path, params=query, timeout=timeout) as answer,
        ):
            return answer.status, await answer.json(content_type=None)

    def configure(self, text: str) -> str:
        """Write the file of the configuration anew, as an editor does; return what it said before."""
        path = Path(self.env["MDS_CONFIG"])
        before = path.read_text("utf-8")
        draft = path.with_suffix(".new")
        draft.write_text(text, "utf-8")
        draft.replace(path)
        return before

    def tail(self, name: str, *, lines: int = 15) -> str:
        """Return the last lines of a process's newest log."""
        logs = sorted(self.logs.glob(f"*-{name}.log"))
        return "\n".join(logs[-1].read_text("utf-8", "replace").splitlines()[-lines:]) if logs else "(no log)"


@contextmanager
def system(
    *,
    bootstrap: str,
    dsn: str,
    prefix: str,
    folder: Path,
    symbols: list[str],
    settings: Mapping[str, str] | None = None,
    streams: Mapping[str, Any] | None = None,
) -> Iterator[System]:
    """Prepare a system with its own ports, topic prefix and configuration; nothing is started yet.

    `streams` are those that are collected; without them bars, quotes and trades.
    """
    names = ("simulator", *SERVICES)
    ports = {name: free_port() for name in names}
    config = folder / "mds.yaml"
    config.write_text(
        yaml.safe_dump({"symbols": symbols} | ({} if streams is None else {"streams": dict(streams)})),
        "utf-8",
    )
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MDS_", *[f"{p}_" for p in OPS_PREFIX.values()]))
    }
    env |= {
        "MDS_HOME": str(folder / "home"),
        "MDS_CONFIG": str(config),
        "MDS_KAFKA": bootstrap,
        "MDS_POSTGRES_DSN": dsn,
        "MDS_TOPIC_PREFIX": prefix,
        "MDS_MARKET_CLOCK": "simulator",
        "MDS_SIMULATOR_PORT": str(ports["simulator"]),
        "GATEWAY_PORT": str(free_port()),
        **{f"{OPS_PREFIX[name]}_OPS_PORT": str(ports[name]) for name in SERVICES},
        **(settings or {}),
    }
    logs = folder / "logs"
    logs.mkdir()
    running = System(env=env, logs=logs, ports=ports)
    try:
        yield running
    finally:
        running.stop()


def subset(data: Path, folder: Path, *patterns: str) -> Path:
    """Return a data directory holding links to the files of `data` that match, and nothing else."""
    chosen = folder / "data"
    for pattern in patterns:
        files = sorted(data.glob(pattern))
        assert files, f"no file matches {pattern}"
        for file in files:
            link = chosen / file.relative_to(data)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
    return chosen
