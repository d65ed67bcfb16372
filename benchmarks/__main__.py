"""`make bench`: run every benchmark and write benchmarks/results.json and docs/BENCHMARKS.md."""

from __future__ import annotations

import importlib
import json
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks.measure import Row

ROOT = Path(__file__).parent.parent
SUITES = (
    "processor",
    "takeover",
    "sink",
    "storage",
    "sizing",
    "ledger",
    "reads",
    "rest",
    "tracing",
    "gaps",
    "fanout",
    "crowd",
    "comebacks",
    "end_to_end",
    "latency",
    "polling",
    "cadence",
    "partitions",
    "scaling",
    "skew",
    "calendars",
    "adjustment",
    "macro_history",
    "adjusted_history",
    "archive",
    "replays",
    "backfill",
    "options_pricing",
    "option_chains",
    "live_chains",
    "strategies",
)
VERSIONS = ("confluent-kafka", "faust-streaming", "asyncpg", "aiohttp", "fastavro")


def main() -> int:
    """Run the suites named on the command line, or all; exit 1 where a floor is missed."""
    chosen = tuple(sys.argv[1:]) or SUITES
    results = ROOT / "benchmarks" / "results.json"
    before = json.loads(results.read_text("utf-8")) if results.exists() else {"commits": {}, "suites": {}}
    commits: dict[str, str] = before["commits"]
    kept: dict[str, list[Row]] = before["suites"]
    for suite in chosen:
        print(f"running {suite} …", flush=True)
        kept[suite] = importlib.import_module(f"benchmarks.{suite}").run()
        commits[suite] = commit()
        for row in kept[suite]:
            print("  ", json.dumps(row, ensure_ascii=False), flush=True)
        results.write_text(
            json.dumps(
                {"machine": machine(), "commits": commits, "suites": kept}, indent=1, ensure_ascii=False
            )
            + "\n",
            "utf-8",
        )
    (ROOT / "docs").mkdir(exist_ok=True)
    (ROOT / "docs" / "BENCHMARKS.md").write_text(document(kept, commits), "utf-8")
    return 1 if any(row["floor_held"] is False for rows in kept.values() for row in rows) else 0


def machine() -> dict[str, str]:
    """Return what the numbers were measured on."""
    return {
        "cores": str(psutil.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in VERSIONS},
    }


def commit() -> str:
    """Return the commit that is measured."""
    asked = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def document(suites: dict[str, list[Row]], commits: dict[str, str]) -> str:
    """Return docs/BENCHMARKS.md: ratios of one run, with machine, versions, command and commit."""
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`; the raw rows are in `benchmarks/results.json`. Each figure is the median of several runs, each ratio",
        "compares two things measured in one run on one machine, broker and database included. A goal is reported, a floor is a gate.",
        "",
        "Machine: " + ", ".join(f"{name} {value}" for name, value in machine().items()) + ".",
    ]
    for suite, rows in suites.items():
        lines += [
            "",
            f"## {suite.replace('_', ' ')}",
            "",
            f"`.venv/bin/python -m benchmarks {suite}`, at {commits[suite]}",
            "",
        ]
        lines += ["| what | value | yardstick | ratio | goal | floor | |", "|---|---|---|---|---|---|---|"]
        for row in rows:
            verdict = {True: "met", False: "missed", None: ""}[row["met"]]
            cells = [row["yardstick"], row["ratio"], row["goal"], row["floor"]]
            shown = ["" if cell is None else f"{cell:,}" for cell in cells]
            lines.append(
                f"| {row['name']} | {row['value']:,} {row['unit']} | " + " | ".join(shown) + f" | {verdict} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
