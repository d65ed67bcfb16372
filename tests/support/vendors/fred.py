"""FRED: answers as it documents them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from producers.vendors.answers import Answer
from producers.vendors.fred.graph import parse_graph
from producers.vendors.fred.observations import observations, parse_observations
from producers.vendors.fred.series import KeyInDoubt, parse_dates, parse_series, refusal
from producers.vendors.vintages import VintageWindow
from schemas.errors import ProviderThrottled, UnknownSymbol
from tests.support.vendors.sheet import NO_SECURITIES_NAMES, Sheet

SEEN = 1_790_000_000_000_000
SERIES = json.dumps({
    "realtime_start": "2016-09-29", "realtime_end": "2016-09-29",
    "seriess": [{
        "id": "GDPC1", "title": "Real Gross Domestic Product", "frequency": "Quarterly", "frequency_short": "Q",
        "units": "Billions of Chained 2009 Dollars", "units_short": "Bil. of Chn. 2009 $",
        "seasonal_adjustment": "Seasonally Adjusted Annual Rate", "seasonal_adjustment_short": "SAAR",
        "last_updated": "2016-09-29 07:51:05-05", "popularity": 93,
    }],
}).encode()  # fmt: skip
ROWS: list[dict[str, Any]] = [
    {"realtime_start": "2016-07-29", "realtime_end": "2016-08-25", "date": "2016-04-01", "value": "16575.1"},
    {"realtime_start": "2016-08-26", "realtime_end": "2016-09-28", "date": "2016-04-01", "value": "16570.2"},
    {"realtime_start": "2016-09-29", "realtime_end": "9999-12-31", "date": "2016-04-01", "value": "16583.1"},
    {"realtime_start": "2016-09-29", "realtime_end": "9999-12-31", "date": "2016-07-01", "value": "."},
]
DATES = b'{"count":3,"offset":0,"limit":10000,"vintage_dates":["2016-07-29","2016-08-26","2016-09-29"]}'
GRAPH = b"observation_date,GDPC1\n2016-01-01,16525.0\n2016-04-01,16583.1\n2016-07-01,\n"
DESCRIBED = parse_series(SERIES, key="FRED:GDPC1", series="GDPC1", simulated=False)
EVER = VintageWindow(start=-70_000, end=None)  # since 1778


def page(
    rows: list[dict[str, Any]], *, offset: int = 0, count: int | None = None, limit: int = 100_000
) -> bytes:
    """Return a page of observations."""
    head: Mapping[str, Any] = {"output_type": 1, "offset": offset, "limit": limit}
    return json.dumps({**head, "count": len(rows) if count is None else count, "observations": rows}).encode()


def parsed(payload: bytes) -> Answer:
    """Return the events of one page that is all there is."""
    given = parse_observations(payload, key="FRED:GDPC1", frequency="Q", window=EVER, offset=0)
    return observations([[given]], DESCRIBED, since=None, received_time=SEEN)


SHEET = Sheet(
    names=NO_SECURITIES_NAMES,
    payloads=lambda _: [
        ("series", SERIES), ("dates", DATES), ("observations", page(ROWS)), ("graph", GRAPH),
    ],
    parsers=(
        parsed,
        lambda data: parse_series(data, key="FRED:GDPC1", series="GDPC1", simulated=False),
        lambda data: parse_dates(data, offset=0),
        lambda data: parse_graph(
            data, key="FRED:GDPC1", series="GDPC1", since=None, received_time=SEEN, simulated=False
        ),
    ),
    useful=frozenset({"observations", "graph"}),
    refuse=refusal,
    refusals=(
        ("key", 400, b'{"error_code":400,"error_message":"Bad Request.  The value for variable api_key is not registered."}', KeyInDoubt),
        ("no-key", 400, b'{"error_code":400,"error_message":"Bad Request.  Variable api_key is not set."}', KeyInDoubt),
        ("series", 400, b'{"error_code":400,"error_message":"Bad Request.  The series does not exist."}', UnknownSymbol),
        ("limit", 429, b'{"error_code":429,"error_message":"Too Many Requests.  Exceeded Rate Limit"}', ProviderThrottled),
    ),
)  # fmt: skip
