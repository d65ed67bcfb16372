"""Stored bars for the tests of history."""

from __future__ import annotations

from typing import Any

from gateway.database.versions import BarVersion
from schemas.intervals import MINUTE_US
from tests.support.builders import META, NINE_THIRTY, a_bar_event


def a_version(minute: int = 0, **changes: Any) -> BarVersion:
    """Return the bar that starts `minute` minutes after 09:30 of 2013-10-07 in New York."""
    start = NINE_THIRTY + minute * MINUTE_US
    prices = {"open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0, "volume": 100.0}
    place = {"known_from": start + MINUTE_US, "raw_offset": minute, "index": 0, "revision": 0}
    fields = a_bar_event(event_time=start, **prices) | META | place
    return BarVersion(**(fields | changes))
