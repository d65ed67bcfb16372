"""The extras that tests of traces need: where one is absent the test is left out, and fails where everything is required."""

from __future__ import annotations

from importlib.util import find_spec

from tests.support.requirements import absent


def require_otel() -> None:
    """Leave the test out where OpenTelemetry is not installed."""
    _require("opentelemetry", "otel")


def require_viztracer() -> None:
    """Leave the test out where VizTracer is not installed."""
    _require("viztracer", "trace")


def _require(module: str, extra: str) -> None:
    if find_spec(module) is None:
        absent(f"the extra {extra}: make setup EXTRA={extra}")
