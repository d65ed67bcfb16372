"""Reads {"chart": folder, "values": […], "upgrade": bool} and writes, for each, its manifests by template, or why Helm refuses them."""

from __future__ import annotations

import json
import sys
from typing import Any

from helm_python import Chart, HelmError


def rendered(chart: Chart, values: dict[str, Any], *, upgrade: bool) -> dict[str, Any]:
    try:
        chart.validate_schema(values)
        manifests = chart.render(
            values, name="mds", namespace="market", is_install=not upgrade, is_upgrade=upgrade
        )
    except HelmError as error:
        return {"error": str(error)}
    return {"manifests": manifests}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    with Chart.load(asked["chart"]) as loaded:
        json.dump(
            [rendered(loaded, values, upgrade=asked["upgrade"]) for values in asked["values"]], sys.stdout
        )
