"""Values that a scenario's rules are made of: vendors and endpoints by their facts, moments and times of day."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from schemas.intervals import SECOND_US
from schemas.providers.built_in import BUILT_IN

MAX_WAIT_S = 600.0

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
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value} has no zone; write it with Z or an offset")
        return int(value.timestamp() * SECOND_US)
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("+"):
            return float(text[1:].removesuffix("s"))
        return _moment(datetime.fromisoformat(text))
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


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
