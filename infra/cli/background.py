"""`mds up`, `mds down` and `mds status`: parts in the background, and what they are doing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from infra.cli.http import get_json
from infra.cli.output import GREEN, RED, YELLOW, colour, step
from infra.cli.run import servers_to_start
from infra.cli.system import SERVICES, System
from infra.embedded.jars import JarLock, cache_folder, class_path
from infra.embedded.process import Launch, PidRecord, spawn, stop_recorded
from infra.embedded.process_table import identify
from infra.embedded.server import STOP_TIMEOUT_S, ServerFailed
from infra.embedded.service import answers_ok
from infra.runtime.clock import monotonic_s
from infra.runtime.installation import module_command

UP_TIMEOUT_S = 120.0
READY_WITHIN_S = 4.0  # of one that runs
DOWN_TIMEOUT_S = 15.0  # the run itself stops within 10 s
POLL_S = 0.1
SHOWN_UNSERVED = 5


def up(system: System, what: str) -> None:
    """Start `kafka`, `postgres`, both (`servers`) or everything (`all`) in the background.

    What already runs is left alone. Raises ConfigurationError or ServerFailed.
    """
    if what == "all":
        _up_all(system)
        return
    embedded = {server.name for server in system.servers()}
    for wanted in ("kafka", "postgres") if what == "servers" else (what,):
        if wanted not in embedded:
            step(f"{wanted} is not ours to run: the settings name another one")
    starting = [
        system.kafka(detached=True) if server.name == "kafka" else system.postgres(detached=True)
        for server in servers_to_start(system)
        if what in ("servers", server.name)
    ]
    for server in starting:
        server.start()
    for server in starting:
        server.wait_ready()
        step(f"{server.name} is up (pid {server.pid})")


def _up_all(system: System) -> None:
    """Start `mds run` itself in the background and wait until the gateway serves."""
    holder = system.home.holder("run")
    if holder is not None:
        step(f"already up (pid {holder})")
        return
    class_path(JarLock.read(), cache_folder())  # progress belongs on this terminal
    child = spawn(
        Launch(
            name="run",
            argv=tuple(module_command("infra.cli", "run")),
            log=system.home.log_file("run"),
            pid_file=system.home.pid_file("run"),
            env=system.env,
            detached=True,
        )
    )
    gateway = system.ops_url(SERVICES[0])
    producers = system.ops_url(SERVICES[-1])
    deadline = time.monotonic() + UP_TIMEOUT_S
    while not (answers_ok(f"{producers}/readyz") and answers_ok(f"{gateway}/readyz")):
        if not child.is_alive():
            raise ServerFailed(f"the start failed ({child.exit_cause()})")
        if time.monotonic() > deadline:
            child.stop(DOWN_TIMEOUT_S)
            raise ServerFailed(f"not ready within {UP_TIMEOUT_S:.0f} s; read {child.launch.log}")
        time.sleep(POLL_S)
    step(f"everything is up (pid {child.pid}), REST on {system.gateway_url}")


def down(system: System) -> bool:
    """Stop everything of this home, services before broker and database; return whether anything ran."""
    found = False
    holder = system.home.holder("run")
    if holder is not None:
        found = True
        step(f"stopping the run (pid {holder})")
        os.kill(holder, signal.SIGTERM)
        deadline = time.monotonic() + DOWN_TIMEOUT_S
        while system.home.holder("run") is not None and identify(holder) and time.monotonic() < deadline:
            time.sleep(POLL_S)
    names = [service.module for service in reversed(SERVICES)] + ["simulator", "kafka", "postgres", "run"]
    for name in names:
        if stop_recorded(system.home.pid_file(name), STOP_TIMEOUT_S):
            step(f"{name} stopped")
            found = True
    return found


def status(system: System) -> list[dict[str, Any]]:
    """Return one entry per part: name, pid, port, ready, progress_s (seconds since it last moved)."""
    entries = []
    for server in system.servers():
        pid = _pid(system, server.name)
        ready = pid is not None and is_ready_within(server.is_ready, READY_WITHIN_S)
        entries.append(_entry(server.name, pid, server.ports()[0].port, ready=ready))
    simulator = system.simulator()
    pid = _pid(system, "simulator")
    within_s = 0.0 if pid is None else READY_WITHIN_S
    ready = is_ready_within(partial(answers_ok, simulator.ready_url), within_s)
    entries.append(_entry("simulator", pid, simulator.ports[0].port, ready=ready))
    for service in SERVICES:
        ops_port = system.ops_port(service)
        code, document = get_json(f"{system.ops_url(service)}/readyz")
        parts = (document or {}).get("parts", {}) if isinstance(document, dict) else {}
        entry = _entry(service.module, _pid(system, service.module), ops_port, ready=code == 200)
        entry["progress_s"] = min((part["seconds_since_progress"] for part in parts.values()), default=None)
        entry["unserved"] = parts.get("unserved", {}).get("symbols", {})
        entry["waiting_for"] = [name for name, part in parts.items() if not part.get("ready", True)]
        entries.append(entry)
    return entries


def is_ready_within(check: Callable[[], bool], within_s: float) -> bool:
    """Return whether `check` says so: one that runs may need longer than a probe on a busy machine, so it is asked again."""
    until_s = monotonic_s() + within_s
    while not check():
        if monotonic_s() >= until_s:
            return False
        time.sleep(POLL_S)
    return True


def status_rows(entries: list[dict[str, Any]]) -> list[list[str]]:
    """Return the rows of the status table."""
    rows = []
    for entry in entries:
        if entry["ready"]:
            state = colour("ready", GREEN)
        else:
            state = colour("not ready", YELLOW) if entry["pid"] else colour("down", RED)
        progress = entry.get("progress_s")
        waiting = ", ".join(entry.get("waiting_for") or ())
        detail = f"waiting for {waiting}" if waiting else _unserved(entry.get("unserved") or {})
        moved = "" if progress is None else f"{progress:.1f} s ago"
        rows.append([entry["name"], str(entry["pid"] or "-"), str(entry["port"]), state, moved, detail])
    return rows


def _unserved(found: Mapping[str, Mapping[str, str]]) -> str:
    """Return which symbols no provider gives, "" where there are none."""
    named = [
        f"{symbol} ({what}: {why})" for what, symbols in found.items() for symbol, why in symbols.items()
    ]
    more = len(named) - SHOWN_UNSERVED
    return (
        ("nobody gives " if named else "")
        + ", ".join(named[:SHOWN_UNSERVED])
        + (f" and {more} more" if more > 0 else "")
    )


def _entry(name: str, pid: int | None, port: int, *, ready: bool) -> dict[str, Any]:
    return {"name": name, "pid": pid, "port": port, "ready": ready}


def _pid(system: System, name: str) -> int | None:
    record = PidRecord.read(system.home.pid_file(name))
    return None if record is None else record.process.pid
