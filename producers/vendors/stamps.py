"""Vendors' time stamps → microseconds since the epoch, UTC: RFC 3339 text, seconds, milliseconds, nanoseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from producers.vendors.payloads import LAST_EPOCH_S
from schemas.errors import MalformedPayload
from schemas.intervals import SECOND_US

# A fraction of nine digits is nanoseconds; what is below a microsecond is cut off.
RFC_3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)
UNITS_PER_SECOND = {"s": 1, "ms": 1_000, "us": SECOND_US, "ns": 1_000_000_000}


def rfc3339_us(text: str, place: str) -> int:
    """Return an RFC 3339 time in µs; raise MalformedPayload naming the `place` it stood at."""
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
    return checked_us(whole_s, "s", place) + int((fraction or "").ljust(6, "0")[:6])


def checked_us(stamp: int, unit: str, place: str) -> int:
    """Return a stamp in `unit` (s, ms, us, ns) as µs; raise MalformedPayload where it is none between 1970 and 3000."""
    per_second = UNITS_PER_SECOND[unit]
    if not 0 < stamp < LAST_EPOCH_S * per_second:
        raise MalformedPayload(f"{place} is no unix time in {unit}")
    return stamp * SECOND_US // per_second
