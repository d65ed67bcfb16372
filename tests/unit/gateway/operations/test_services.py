"""ok, degraded, down."""

from __future__ import annotations

import pytest

from gateway.operations.services import overall, service_status


def test_a_service_is_what_its_readyz_says() -> None:
    """Silence is down."""
    assert service_status(None)["status"] == "down"
    assert service_status({"ok": False, "parts": {"kafka": {}}}) == {
        "status": "degraded",
        "parts": {"kafka": {}},
    }
    assert service_status({"ok": True})["status"] == "ok"
    assert service_status({})["status"] == "degraded"


@pytest.mark.parametrize(
    ("statuses", "serving", "verdict"),
    [
        ({"sinks": "ok", "gateway": "ok"}, True, "ok"),
        ({"sinks": "degraded", "gateway": "ok"}, True, "degraded"),
        ({"sinks": "down", "gateway": "degraded"}, True, "down"),
        ({"sinks": "ok", "gateway": "ok"}, False, "down"),
    ],
)
def test_the_worst_part_decides(statuses: dict[str, str], verdict: str, *, serving: bool) -> None:
    """A chain is as strong as its weakest stage."""
    assert overall(statuses, serving=serving) == verdict
