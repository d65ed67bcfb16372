"""What a run of faults found: kept as JSON by seed, and written for a reader."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.support.faults import FAULTS

ROOT = Path(__file__).parent.parent.parent
RESULTS, REPORT = Path("chaos.json"), Path("CHAOS.md")
UNTOUCHED = "nothing"  # what the measure itself takes
TITLE = """\
# Chaos

Written by `make chaos SEED=…`, from `docs/chaos.json`. A run starts the whole system as real processes: the vendors' simulator,
producers, two processors, two sinks, the gateway, a broker and a database. It strikes with every fault below once, in an order that
the seed chooses, under load. At the end an oracle that shares no rule with the services compares every surface with the raw log
(`tests/support/oracle.py`). Faults, their healing and their bounds are declared in `tests/support/faults.py`.

Recovered means: every process says ready on `/readyz`, and what the market did after the healing is stored (a quote, a trade and a bar
of each symbol) and was told to the WebSocket client (a record of each of its streams). Of some faults more is asked; the table says it.
A process that dies is started again by the test within half a second, as a supervisor does it; that time counts.
"""


@dataclass(frozen=True, slots=True)
class Struck:
    """One fault as it was: what showed that it struck, and the seconds from its healing until all was as before."""

    name: str
    saw: str = ""
    recovered_s: float | None = None
    skipped: str = ""
    failed: str = ""  # what was not as it must be while it lasted


@dataclass(frozen=True, slots=True)
class Verdict:
    """One promise that was checked: how much was compared, and what was found wrong; nothing where it is kept."""

    wrong: str  # of what there must be none
    compared: int
    found: str = ""


@dataclass(slots=True)
class Run:
    """A run of all faults; `failure` says why it did not come to its end."""

    seed: int
    commit: str = ""
    took_s: float = 0.0
    trades: int = 0
    trades_per_s: int = 0
    struck: list[Struck] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    failure: str = ""

    def failures(self) -> list[str]:
        """Return everything that is not as it must be."""
        bounds = {fault.name: fault.bound_s for fault in FAULTS}
        late = [
            f"{each.name}: {each.recovered_s} s, bound {bounds[each.name]:g} s"
            for each in self.struck
            if each.recovered_s is not None and each.recovered_s > bounds.get(each.name, each.recovered_s)
        ]
        unkept = [f"{each.name}: {each.failed}" for each in self.struck if each.failed]
        return [*unkept, *late, *filter(None, [self.failure])]


def commit() -> str:
    """Return the commit that is measured."""
    asked = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def machine() -> str:
    """Return what it was measured on."""
    memory = psutil.virtual_memory().total / 2**30
    return f"{psutil.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def keep(run: Run, folder: Path) -> None:
    """Put a run among the results by its seed, and write the report anew."""
    path = folder / RESULTS
    results: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {"runs": {}}
    results["machine"] = machine()
    results["runs"][str(run.seed)] = asdict(run)
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (folder / REPORT).write_text(document(results), "utf-8")


def runs_of(results: dict[str, Any]) -> list[Run]:
    """Return the runs of results, by seed."""
    runs = []
    for _, one in sorted(results["runs"].items(), key=lambda item: int(item[0])):
        struck = [Struck(**each) for each in one["struck"]]
        verdicts = [Verdict(**each) for each in one["verdicts"]]
        runs.append(Run(**(one | {"struck": struck, "verdicts": verdicts})))
    return runs


def document(results: dict[str, Any]) -> str:
    """Return docs/CHAOS.md."""
    runs = runs_of(results)
    lines = [TITLE, f"Machine: {results['machine']}.", "", "## Faults", ""]
    lines += ["Bounds and recovery are in seconds from the healing, recovery by seed.", ""]
    lines += [
        "| fault | what is done | what ends it | bound |" + "".join(f" seed {run.seed} |" for run in runs)
    ]
    lines += ["|---|---|---|---|" + "---|" * len(runs)]
    for fault in FAULTS:
        cells = [_cell(fault.name, fault.bound_s, run.struck) for run in runs]
        told = [fault.name, fault.does, fault.healed, f"{fault.bound_s:g}", *cells]
        lines.append(f"| {' | '.join(told)} |")
    if not runs:
        lines += ["", "No whole run is kept yet."]
    for run in runs:
        lines += ["", f"## Seed {run.seed}", "", *_of_run(run)]
    return "\n".join(lines) + "\n"


def _cell(name: str, bound_s: float, struck: Sequence[Struck]) -> str:
    found = next((each for each in struck if each.name == name), None)
    if found is None:
        return "not reached"
    if found.recovered_s is None:
        return f"skipped: {found.skipped}"
    return f"{found.recovered_s:g}" + (" **FAILED**" if found.failed or found.recovered_s > bound_s else "")


def _of_run(run: Run) -> list[str]:
    failures = run.failures()
    idle = next((each.recovered_s for each in run.struck if each.name == UNTOUCHED), None)
    names = [each.name for each in run.struck if each.name != UNTOUCHED]
    head = (
        f"`make chaos SEED={run.seed}`, at {run.commit}: **{'FAILED' if failures else 'passed'}**. {len(names)} faults in"
        f" {run.took_s:.0f} s; Finnhub's socket alone sent {run.trades:,} trades, {run.trades_per_s:,} a second."
    )
    lines = [
        head,
        "",
        *([f"Without any fault the same measure takes {idle:g} s.", ""] if idle is not None else []),
        f"Order: {', '.join(names)}.",
        "",
    ]
    lines += [line for failure in failures for line in (f"- FAILED: {' '.join(failure.split())}",)]
    lines += [""] if failures else []
    lines += ["| of what there must be none | compared | found |", "|---|---|---|"]
    lines += [f"| {each.wrong} | {each.compared:,} | {each.found or '0'} |" for each in run.verdicts]
    lines += ["", "| fault | what showed that it struck |", "|---|---|"]
    lines += [f"| {each.name} | {each.saw} |" for each in run.struck if each.saw]
    return lines
