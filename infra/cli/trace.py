"""`mds trace`: every call a service makes for some seconds, as a file for a viewer."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from infra.cli.http import called
from infra.cli.output import fail, say
from infra.cli.system import System
from infra.runtime.call_traces import (
    DEFAULT_ENTRIES,
    DEFAULT_SECONDS,
    MAX_ENTRIES,
    MAX_SECONDS,
    MIN_ENTRIES,
    TraceFolder,
)
from infra.runtime.clock import monotonic_s
from infra.runtime.exit_codes import ExitCode

WRITTEN_WITHIN_S = 60.0  # after its time: a million calls of a busy process
LOOK_EVERY_S = 0.1


def trace_command(
    service: Annotated[str, typer.Argument(help="gateway, sinks, stream_processors or producers.")],
    seconds: Annotated[
        int, typer.Option("--seconds", min=1, max=MAX_SECONDS, help="For how long.")
    ] = DEFAULT_SECONDS,
    max_entries: Annotated[
        int, typer.Option("--max-entries", min=MIN_ENTRIES, max=MAX_ENTRIES, help="Most calls that are kept.")
    ] = DEFAULT_ENTRIES,
) -> None:
    """Trace a service that was started with MDS_TRACE=1, wait, and print where the file is.

    Shows the gateway the key MDS_API_KEY, which needs the scope admin. Needs the extra `trace`.
    """
    system = System.from_env()
    order = {"service": service, "seconds": seconds, "max_entries": max_entries}
    trace_id = called(system, "POST", "ops", "trace", body=order)["data"]["id"]
    say(f"tracing {service} for {seconds} s")
    folder, deadline_s = TraceFolder(system.home.root), monotonic_s() + seconds + WRITTEN_WITHIN_S
    while (file := folder.file_of(trace_id)) is None:
        if monotonic_s() > deadline_s:
            fail(f"{trace_id} is not in {folder.path}: {service} ended, or has another MDS_HOME")
            raise typer.Exit(ExitCode.UNREACHABLE)
        time.sleep(LOOK_EVERY_S)
    say(f"{file}\nlook at it with: .venv/bin/vizviewer {file}")
