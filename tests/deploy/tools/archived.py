"""Reads {"chart", "folder", "values"}: packages the chart, and writes what linting says and what the package renders."""

from __future__ import annotations

import json
import sys

import helm_python
from helm_python import Chart
from rendering import rendered

if __name__ == "__main__":
    asked = json.load(sys.stdin)
    with Chart.load(asked["chart"]) as chart:
        archive = chart.save(asked["folder"])
    with Chart.load(archive) as packaged:
        answers = [rendered(packaged, values, upgrade=False) for values in asked["values"]]
    report = helm_python.lint(asked["chart"], values=asked["values"][0], strict=True)
    lint = [*report["errors"], *(each["error"] for each in report["messages"] if each["severity"] > 1)]
    json.dump({"answers": answers, "lint": lint}, sys.stdout)
