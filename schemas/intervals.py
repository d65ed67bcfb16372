"""Lengths of time in µs, the epoch moments are counted from, and bar intervals: their names and lengths."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from schemas.errors import InvalidRecord

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
# A stamp further ahead of its record than clocks differ is stored, and moves nothing: what comes until then would pass for late.
AHEAD_US = 5 * SECOND_US
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

INTRADAY_US = {
    "1m": MINUTE_US,
    "5m": 5 * MINUTE_US,
    "15m": 15 * MINUTE_US,
    "30m": 30 * MINUTE_US,
    "1h": HOUR_US,
}
# Calendar lengths vary; these are the slots bars of the interval are numbered by, never their true length.
SLOT_US = {**INTRADAY_US, "1d": DAY_US, "1wk": 7 * DAY_US, "1mo": 28 * DAY_US}
INTERVALS = tuple(SLOT_US)
OTHER_INTERVAL = "other"


def micros(moment: datetime) -> int:
    """Return microseconds since the epoch of an aware moment, exactly."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def slot_us(interval: str) -> int:
    """Return the slot length of `interval` in microseconds; raise InvalidRecord for an unknown one."""
    try:
        return SLOT_US[interval]
    except KeyError:
        raise InvalidRecord(f"interval {interval!r} is unknown; use one of {' '.join(INTERVALS)}") from None


def interval_label(interval: str, stream: str) -> str:
    """Return the label `interval` of metrics: the name of the stream where it has none, `other` for an undeclared one.

    Records may hold anything, labels must stay few.
    """
    if not interval:
        return stream
    return interval if interval in SLOT_US else OTHER_INTERVAL
