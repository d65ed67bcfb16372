"""Made-up symbols of other venues: no trade outside of their hours, and no work for the time between."""

from __future__ import annotations

from datetime import datetime

import pytest

from infra.simulator.market.synthetic import SimulatedMarket
from infra.simulator.market.venues import VenueMarket
from schemas.intervals import MINUTE_US, SECOND_US


def moment(text: str) -> int:
    """Return an ISO time as µs."""
    return int(datetime.fromisoformat(text).timestamp()) * SECOND_US


@pytest.mark.parametrize(
    ("symbol", "asked", "begins"),
    [
        ("OCDO.L", "2026-11-20T17:00:00Z", "2026-11-23T08:00:00Z"),  # a weekend
        ("7203.T", "2026-11-20T02:45:10Z", "2026-11-20T03:30:00Z"),  # a lunch
        ("7203.T", "2026-12-30T07:00:00Z", "2027-01-04T00:00:00Z"),  # new year
        ("0700.HK", "2026-11-20T01:30:20Z", "2026-11-20T01:30:00Z"),  # in the first minute
        ("0700.HK", "2026-02-16T08:30:00Z", "2026-02-20T01:30:00Z"),  # the lunar new year
    ],
)
async def test_the_next_trades_are_those_of_the_next_minute_of_the_venue(
    symbol: str, asked: str, begins: str
) -> None:
    """One answer, however long the venue is closed: a weekend of minutes made and dropped held up a socket for seconds."""
    market = VenueMarket(SimulatedMarket(seed=7, start_time=moment(asked)), [symbol])

    chunk = await market.trade_chunk(symbol, moment(asked))

    assert chunk is not None
    assert moment(begins) <= chunk.times_ms[0] * 1_000 < moment(begins) + MINUTE_US
    assert chunk.next_from == moment(begins) + MINUTE_US


async def test_after_the_last_day_of_the_calendar_nothing_comes() -> None:
    """Rather than empty minutes for ever."""
    market = VenueMarket(SimulatedMarket(seed=7, start_time=0), ["BMW.DE"])

    assert await market.trade_chunk("BMW.DE", moment("2039-03-01T12:00:00Z")) is None
