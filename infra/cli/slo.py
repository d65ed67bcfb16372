"""`mds slo`: how the objectives stand, in words, and of a day which streams have their data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from infra.cli.http import called
from infra.cli.output import GREEN, RED, YELLOW, as_json, colour, say, table
from infra.cli.system import System
from infra.runtime.exit_codes import ExitCode

COLOURS = {"met": GREEN, "burning": YELLOW, "violated": RED, "no_data": YELLOW}
OBJECTIVE_HEAD = ("objective", "state", "value", "target", "1h", "6h", "3d", "why")
CONDITION_HEAD = ("stream", "day", "condition", "expected", "stored", "empty", "missing", "late", "why")
COUNTED = ("expected", "stored", "confirmed_empty", "missing", "late")
NOTHING = "-"


DayOption = Annotated[
    str | None, typer.Option("--day", help="Streams of this day, as in 2026-03-02.", metavar="DAY")
]
SymbolOption = Annotated[
    str | None, typer.Option("--symbol", help="Streams of this symbol alone.", metavar="SYMBOL")
]
StartOption = Annotated[
    str | None,
    typer.Option("--start", help="With --symbol and --end: from this day on.", metavar="DAY"),
]
EndOption = Annotated[str | None, typer.Option("--end", help="Up to this day, exclusive.", metavar="DAY")]
ConditionOption = Annotated[
    str | None,
    typer.Option("--condition", help="available, degraded, pending or missing alone.", metavar="WORD"),
]


def slo_command(
    day: DayOption = None,
    symbol: SymbolOption = None,
    start: StartOption = None,
    end: EndOption = None,
    condition: ConditionOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show whether the service keeps its objectives; exit 1 where one is violated or about to be.

    Columns 1h, 6h and 3d are burn rates: at 1 an objective misses as much as it may, at 2 twice as much.
    """
    asked = {"day": day, "symbol": symbol, "start": start, "end": end, "condition": condition}
    system = System.from_env()
    answer = called(system, "GET", "stats", "slo", query=asked)
    conditions = list(answer.get("conditions", ()))
    token = answer.get("next_page_token")
    while token is not None:
        page = called(system, "GET", "stats", "slo", query=asked | {"page_token": token})
        conditions, token = [*conditions, *page["conditions"]], page["next_page_token"]
    objectives = answer["data"]
    if json:
        say(as_json({"objectives": objectives, "conditions": conditions}))
    else:
        say(table(OBJECTIVE_HEAD, [objective_cells(each) for each in objectives]))
        if any(value is not None for value in asked.values()):
            say()
            say(
                table(CONDITION_HEAD, [condition_cells(each) for each in conditions])
                if conditions
                else "no stream"
            )
    if any(each["state"] in ("burning", "violated") for each in objectives):
        raise typer.Exit(ExitCode.NO)


def objective_cells(row: Mapping[str, Any]) -> list[str]:
    """Return an objective as cells of a table."""
    burns = {each["window"]: each["burn_rate"] for each in row["windows"]}
    rates = [NOTHING if burns.get(name) is None else f"{burns[name]:.2f}" for name in ("1h", "6h", "3d")]
    state = colour(row["state"].replace("_", " "), COLOURS[row["state"]])
    return [
        row["objective"].replace("_", " "),
        state,
        figure(row["value"], row["unit"]),
        figure(row["target"], row["unit"]),
        *rates,
        row["reason"] or "",
    ]


def condition_cells(row: Mapping[str, Any]) -> Sequence[str]:
    """Return a condition as cells of a table; what is not counted is a dash."""
    counts = [NOTHING if row[name] is None else str(row[name]) for name in COUNTED]
    return [row["stream"], row["day"], row["condition"], *counts, row["reason"] or ""]


def figure(value: float | None, unit: str) -> str:
    """Return a figure with its unit: shares as percent."""
    if value is None:
        return NOTHING
    return f"{100 * value:.3g} %" if unit.startswith("share") else f"{value:,.10g} {unit}"
