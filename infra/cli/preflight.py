"""`mds preflight`: whether the system could be rolled out here, check by check, with the remedy of each that is not well."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from infra.cli.output import DIM, GREEN, RED, YELLOW, as_json, colour, say, table
from infra.preflight.checks import Preflight
from infra.preflight.findings import Checked, verdict
from infra.runtime.exit_codes import ExitCode
from infra.runtime.kafka.releases import parse_release

COLOURS = {"ok": GREEN, "warning": YELLOW, "failed": RED, "unknown": YELLOW}
HEAD = ("result", "check", "finding, and what to do")
VERDICTS = {
    ExitCode.DONE: "ready",
    ExitCode.NO: "ready, with warnings",
    ExitCode.CONFIGURATION: "not ready",
    ExitCode.UNREACHABLE: "could not look at everything",
}
MAX_GATEWAYS = 1_000


def preflight_command(
    kafka_version: Annotated[
        str,
        typer.Option(help="The brokers' version as in 4.2.2, where they do not tell it.", metavar="VERSION"),
    ] = "",
    gateways: Annotated[
        int, typer.Option(min=1, max=MAX_GATEWAYS, help="How many machines run a gateway.", metavar="N")
    ] = 1,
    ask_vendors: Annotated[
        bool,
        typer.Option(
            "--ask-vendors", help="Ask every enabled vendor once, too; each counts that as a request."
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look whether everything is there that the services need; nothing is changed by it.

    Exit codes: 0 ready; 1 ready, with warnings; 2 not ready; 3 something could not be looked at.
    """
    if kafka_version:
        parse_release(kafka_version)
    asked = Preflight(
        env=dict(os.environ), kafka_version=kafka_version, gateways=gateways, ask_vendors=ask_vendors
    )
    found = asyncio.run(asked.run())
    code = ExitCode(verdict(found))
    say(as_json(document(found, code)) if json else text(found, code))
    if code:
        raise typer.Exit(code)


def document(found: Sequence[Checked], code: ExitCode) -> dict[str, Any]:
    """Return findings as JSON types."""
    return {
        "verdict": VERDICTS[code],
        "exit_code": int(code),
        "checks": [
            {
                "name": each.name,
                "result": each.finding.result,
                "finding": each.finding.says,
                "remedy": each.finding.remedy or None,
            }
            for each in found
        ],
    }


def text(found: Sequence[Checked], code: ExitCode) -> str:
    """Return findings as a table, each remedy under its finding, and the verdict under all."""
    rows = []
    for each in found:
        result = each.finding.result
        rows.append([colour(result, COLOURS[result]), each.name, each.finding.says])
        if each.finding.remedy:
            rows.append(["", "", colour(f"→ {each.finding.remedy}", DIM)])
    counts = Counter[str](each.finding.result for each in found)
    counted = ", ".join(f"{counts[result]} {result}" for result in COLOURS if counts[result])
    return f"{table(HEAD, rows)}\n{VERDICTS[code]}: {counted}"
