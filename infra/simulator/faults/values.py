"""Values that a scenario's rules are made of: vendors and endpoints by their facts, moments and times of day."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from schemas.intervals import SECOND_US
from schemas.providers.built_in import BUILT_IN

MAX_WAIT_S = 600.0
MAX_OFFSET_S = 1e9  # thirty years
A_MOMENT = "2026-11-20T15:00:00Z, or +90s after the start"

SERVED = {name: facts for name, facts in BUILT_IN.items() if facts.on_simulator}
ENDPOINTS = sorted({endpoint for facts in SERVED.values() for endpoint in facts.endpoints})


class ScenarioPart(BaseModel):
    """A part of a scenario: nothing in it is unknown, and nothing changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


Seconds = Annotated[float, Field(ge=0.0, le=MAX_WAIT_S)]


def _vendor(name: str) -> str:
    if name not in SERVED:
        raise ValueError(f"no vendor here is called so; use one of {', '.join(SERVED)}")
    return name


def _endpoint(name: str) -> str:
    if name not in ENDPOINTS:
        raise ValueError(f"no vendor here has it; use one of {', '.join(ENDPOINTS)}")
    return name


Vendor = Annotated[str, AfterValidator(_vendor)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]


def _moment(value: Any) -> Any:
    """Return µs since the epoch as int for a date-time, or an offset in seconds as float for `+90s`, `90`."""
    if isinstance(value, str):
        text = value.strip()
        try:
            value = float(text[1:].removesuffix("s")) if text[:1] == "+" else datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"{text[:40]!r} is no moment; write one such as {A_MOMENT}") from None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value} has no zone; write it with Z or an offset")
        return int(value.timestamp() * SECOND_US)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{str(value)[:40]!r} is no moment; write one such as {A_MOMENT}")
    if not abs(value) <= MAX_OFFSET_S:
        raise ValueError(f"{value} is no number of seconds; write at most {MAX_OFFSET_S:.0f}")
    return float(value)


Moment = Annotated[int | float, BeforeValidator(_moment)]
"""An int is market time in µs, a float an offset in market seconds from the scenario's start."""


def _time_of_day(text: str) -> str:
    try:
        datetime.strptime(text, "%H:%M")  # noqa: DTZ007 - a time of day only
    except ValueError:
        raise ValueError(f"{text[:20]} is no time of day; write one such as 09:30") from None
    return text


TimeOfDay = Annotated[str, AfterValidator(_time_of_day)]
"""HH:MM in the exchange's zone."""
