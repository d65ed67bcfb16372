"""Bars of a day in a gateway, and what is asked for of them."""

from __future__ import annotations

from typing import Any

from schemas.intervals import MINUTE_US
from schemas.streams import Bar
from tests.support.builders import NINE_THIRTY, a_bar

HISTORY = "/stocks/SPY/history"

DAY = {"start": "2013-10-07", "end": "2013-10-08"}

ALL = {"interval": "1m", "start": "2013-10-01", "end": "2013-11-01", "session": "all"}


def bar_at(minute: int, **changes: Any) -> Bar:
    start = NINE_THIRTY + minute * MINUTE_US
    return a_bar(
        **({"event_time": start, "known_from": start + MINUTE_US, "raw_offset": minute + 1_000} | changes)
    )
