"""`mds run`: the whole system in the foreground, from checks to the first bar, until Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import shlex
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.cli.http import get_json
from infra.cli.output import GREEN, YELLOW, colour, say, step
from infra.cli.system import SERVICES, System
from infra.cli.welcome import bar_is_visible, commands, first_symbol, source, urls
from infra.embedded.jars import JarLock, cache_folder, class_path
from infra.embedded.ports import PortNeed, check_ports
from infra.embedded.process import PidRecord
from infra.embedded.server import EmbeddedServer
from infra.embedded.service import ServicePart
from infra.embedded.supervisor import Supervisor
from infra.runtime.clock import monotonic_s, rfc3339, wall_us
from infra.runtime.exit_codes import ExitCode
from infra.runtime.postgres.migrate import migrate
from schemas.errors import ConfigurationError

FIRST_BAR_POLL_S = 0.2
FIRST_BAR_HINT_S = 60.0  # after this long without a bar, say where to look


@dataclass(slots=True, kw_only=True)
class Run:
    """One run: what to run, for how long, and what was seen."""

    system: System
    live: bool
    for_s: float | None  # None = until told to stop
    began_s: float  # monotonic
    began_at: str  # RFC 3339, as the services log it
    saw_bar: bool = False


def run_system(system: System, *, live: bool, for_s: float | None) -> int:
    """Run until Ctrl-C, SIGTERM or `for_s` seconds after the checks; return the exit code.

    0 when stopped on request; with `for_s` only if a bar was seen, else 1. Raises ConfigurationError
    and ServerFailed when the system cannot be started; everything started is stopped before.
    """
    path = system.configuration_path
    if live and system.settings.config is None and not path.exists():
        raise ConfigurationError(
            f"{path} is not there, and MDS_CONFIG names no other file of what to collect",
            remedy=f"write one, with `mds example > {shlex.quote(str(path))}` to start from",
        )
    with system.home.exclusive("run"):
        servers = servers_to_start(system)
        services = system.services(live=live)
        check_ports(_ports(system, servers, services, live=live))
        if any(server.name == "kafka" for server in servers):
            class_path(JarLock.read(), cache_folder())  # here, so that Ctrl-C ends even a first download
        run = Run(system=system, live=live, for_s=for_s, began_s=monotonic_s(), began_at=rfc3339(wall_us()))
        asyncio.run(_until_told_to_stop(run, servers, services))
    step("stopped")
    if for_s is None or run.saw_bar:
        return ExitCode.DONE
    step(colour(f"no bar came within {for_s:g} s; a longer --for or {system.home.logs} may help", YELLOW))
    return ExitCode.NO


def servers_to_start(system: System) -> list[EmbeddedServer]:
    """Return broker and database without those that `mds up` left running."""
    to_start = []
    for server in system.servers():
        record = PidRecord.read(system.home.pid_file(server.name))
        if record is None:
            to_start.append(server)
        else:
            step(f"{server.name} already runs (pid {record.process.pid}), using it")
    return to_start


def _ports(
    system: System, servers: list[EmbeddedServer], services: list[ServicePart], *, live: bool
) -> list[PortNeed]:
    """Return every port the run will listen on, so that a taken one is known before anything starts."""
    needs = [need for server in servers for need in server.ports()]
    parts = services if live else [system.simulator(), *services]
    return needs + [need for part in parts for need in part.ports]


async def _until_told_to_stop(run: Run, servers: list[EmbeddedServer], services: list[ServicePart]) -> None:
    """Run the system as one task, which the signals and the time limit cancel."""
    system = asyncio.ensure_future(_run(run, servers, services))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _tell_to_stop, system, number)
    if run.for_s is not None:
        loop.call_later(run.for_s, system.cancel)
    try:
        await system
    except asyncio.CancelledError:
        return  # told to stop; the supervisor has stopped everything in order


def _tell_to_stop(system: asyncio.Future[None], number: signal.Signals) -> None:
    """Cancel once; a second signal changes nothing, because the stop is bounded anyway."""
    if not system.cancelled() and number is not None:
        system.cancel()


async def _run(run: Run, servers: list[EmbeddedServer], services: list[ServicePart]) -> None:
    """Start everything in order, then wait for ever."""
    system = run.system
    async with Supervisor(announce=step) as supervisor:
        if servers:
            step(f"starting {' and '.join(server.name for server in servers)}")
            await supervisor.start(*servers)
        applied = await migrate(system.settings.dsn, tell=step)
        created = await asyncio.to_thread(system.apply_topics)
        step(
            f"database and topics are in place ({len(applied)} migrations applied, {len(created)} topics created)"
        )
        if not run.live:
            await supervisor.start(system.simulator())
        step("starting " + ", ".join(service.name for service in services))
        for service in services:
            await supervisor.start(service)
        await _welcome(run)
        await asyncio.Event().wait()


async def _welcome(run: Run) -> None:
    """Print where everything is, wait for the first bar and print what to try."""
    providers = await asyncio.to_thread(collected, run.system, since=run.began_at)
    lines = [source(run.system, live=run.live), *providers, "", *urls(run.system, live=run.live), ""]
    for line in lines:
        say(line)
    symbol = await asyncio.to_thread(first_symbol, run.system, live=run.live)
    hint_at_s = monotonic_s() + FIRST_BAR_HINT_S
    while not await asyncio.to_thread(bar_is_visible, run.system.gateway_url, symbol):
        if monotonic_s() > hint_at_s:
            step(
                colour(f"no bar of {symbol} yet; `mds status` and {run.system.home.logs} may say why", YELLOW)
            )
            hint_at_s = monotonic_s() + FIRST_BAR_HINT_S
        await asyncio.sleep(FIRST_BAR_POLL_S)
    run.saw_bar = True
    step(f"first bar in {monotonic_s() - run.began_s:.1f} s")
    for line in commands(run.system, symbol):
        say(line)


PRODUCERS = "producers"
DISABLED_EVENT = "provider_disabled"  # what the producers log of a provider that is on and cannot be used


def collected(system: System, *, since: str) -> list[str]:
    """Return one line per provider: on, failing, or left out since `since` (RFC 3339) and why.

    What cannot be read is left away: this is for people and stops nothing.
    """
    url = next(system.ops_url(service) for service in SERVICES if service.module == PRODUCERS)
    _, document = get_json(f"{url}/readyz")
    parts = document.get("parts", {}) if isinstance(document, dict) else {}
    return provider_lines(parts, left_out(system.home.log_file(PRODUCERS), since=since))


def provider_lines(parts: Mapping[str, Mapping[str, Any]], out: Mapping[str, str]) -> list[str]:
    """Return the lines of the welcome: the parts of `/readyz` that are providers, then those in `out` with the reason."""
    asked = {name: part for name, part in parts.items() if "breaker" in part}
    states = [f"{name} {_state(part)}" for name, part in sorted(asked.items())]
    states += [
        f"{name} {colour('off', YELLOW)}: {reason}"
        for name, reason in sorted(out.items())
        if name not in asked
    ]
    titles = ["providers", *[""] * len(states)]
    return [f"  {title:<10} {state}" for title, state in zip(titles, states, strict=False)]


def left_out(log: Path, *, since: str) -> dict[str, str]:
    """Return the providers that the producers' log says cannot be used, each with the last reason."""
    out: dict[str, str] = {}
    try:
        lines = log.read_text("utf-8", "replace").splitlines()
    except OSError:
        return out
    for line in lines:
        if DISABLED_EVENT not in line:
            continue
        try:
            entry = json.loads(line)
            if entry["event"] == DISABLED_EVENT and entry["ts"] >= since:
                out[entry["provider"]] = entry["reason"]
        except (ValueError, KeyError, TypeError):
            continue
    return out


def _state(part: Mapping[str, Any]) -> str:
    if part.get("failing") and part.get("last_error"):
        return f"{colour('failing', YELLOW)}: {part['last_error']}"
    return colour("on", GREEN)
