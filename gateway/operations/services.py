"""What the services' own words add up to: ok, degraded or down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Verdict = Literal["ok", "degraded", "down"]


def service_status(readyz: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the status of a service from its /readyz document; None means that it did not answer."""
    if readyz is None:
        return {
            "status": "down",
            "detail": "its ops port does not answer; is it running? (`mds status`)",
            "parts": {},
        }
    return {"status": "ok" if readyz.get("ok") is True else "degraded", "parts": readyz.get("parts", {})}


def overall(statuses: Mapping[str, str], *, serving: bool) -> Verdict:
    """Return the verdict over all services; `serving` says whether the gateway itself can.

    One stage that is gone means that nothing new arrives, so it brings the whole down; one that struggles degrades it.
    """
    if not serving or "down" in statuses.values():
        return "down"
    return "degraded" if "degraded" in statuses.values() else "ok"
