"""Checks of vendors' JSON: one model base, one way to say what is wrong, one reading of their moments."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from schemas.clocks import EventTime
from schemas.errors import MalformedPayload
from schemas.intervals import SECOND_US

LAST_EPOCH_S = 32_503_680_000  # the year 3000: what lies beyond is not a stamp
MAX_FAULT_CHARACTERS = 300


class VendorModel(BaseModel):
    """Part of a vendor's payload: its names in camelCase, types never coerced, keys we do not need ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, alias_generator=to_camel)


def _as_whole(value: object) -> object:
    return int(value) if type(value) is float and value.is_integer() else value


# JSON has one kind of number: 272.0 and 1.2e+5 are whole, and vendors write them so.
Whole = Annotated[int, BeforeValidator(_as_whole)]


def whole(value: object, place: str) -> int:
    """Return a whole number however it is spelt; raise MalformedPayload naming the `place` where it is none."""
    number = _as_whole(value)
    if type(number) is not int:
        raise MalformedPayload(f"{place} is {value!r:.40}, which is no whole number")
    return number


def first_fault(error: ValidationError) -> str:
    """Return the first fault of a payload: where, and what is wrong; never the payload itself."""
    fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in fault["loc"]) or "the payload"
    return f"{place}: {fault['msg']}"[:MAX_FAULT_CHARACTERS]


# A fraction of nine digits is nanoseconds; what is below a microsecond is cut off.
RFC_3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)
UNITS_PER_SECOND = {"s": 1, "ms": 1_000, "us": SECOND_US, "ns": 1_000_000_000}


def rfc3339_us(text: str, place: str) -> EventTime:
    """Return an RFC 3339 time as µs; raise MalformedPayload naming the `place` it stood at."""
    match = RFC_3339.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        day, clock, fraction, sign, hours, minutes = match.groups()
        offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        zone = timezone(-offset if sign == "-" else offset) if sign else UTC
        whole_s = int(datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=zone).timestamp())
    except (ValueError, OverflowError):
        raise MalformedPayload(f"{place} is {text[:40]!r}, which is no RFC 3339 time") from None
    return EventTime(checked_us(whole_s, "s", place) + int((fraction or "").ljust(6, "0")[:6]))


def checked_us(stamp: int, unit: str, place: str) -> EventTime:
    """Return a stamp in `unit` (s, ms, us, ns) as µs; raise MalformedPayload where it is none between 1970 and 3000."""
    per_second = UNITS_PER_SECOND[unit]
    if not 0 < stamp < LAST_EPOCH_S * per_second:
        raise MalformedPayload(f"{place} is no unix time in {unit}")
    return EventTime(stamp * SECOND_US // per_second)
