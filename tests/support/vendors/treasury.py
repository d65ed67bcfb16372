"""The Treasury: a year's table as it gives it."""

from __future__ import annotations

from producers.vendors.treasury.curve import parse_curve
from producers.vendors.treasury.shell.client import refused
from schemas.errors import NoData, ProviderThrottled
from tests.support.vendors.sheet import NO_SECURITIES_NAMES, Sheet

SEEN = 1_790_000_000_000_000
# home.treasury.gov, par yields of the beginning of October 2024; without a line break at the end, as it comes.
CURVE = b"""Date,"1 Mo","2 Mo","3 Mo","4 Mo","6 Mo","1 Yr","2 Yr","3 Yr","5 Yr","7 Yr","10 Yr","20 Yr","30 Yr"
10/07/2024,5.00,4.87,4.77,4.67,4.45,4.24,3.99,3.89,3.86,3.92,4.03,4.37,4.30
10/04/2024,5.01,4.88,4.73,4.68,4.45,4.20,3.93,3.84,3.81,3.88,3.98,4.33,4.26
10/03/2024,4.99,,N/A,4.61,4.37,4.02,3.70,3.62,3.62,3.71,3.85,4.24,4.18"""


def parsed(payload: bytes, tenor: str = "10Y", since: int | None = None, seen: int = SEEN) -> object:
    """Return the events of one table."""
    return parse_curve(
        payload, key=f"UST:{tenor}", tenor=tenor, since=since, received_time=seen, simulated=False
    )


SHEET = Sheet(
    names=NO_SECURITIES_NAMES,
    payloads=lambda _: [("curve", CURVE)],
    parsers=(parsed,),
    useful=frozenset({"curve"}),
    refuse=refused,
    refusals=(
        ("nothing", 404, b"Page not found", NoData),
        ("limit", 429, b"Too Many Requests", ProviderThrottled),
    ),
)
