"""Client of the Market Data Service: streams that are whole, or say what is missing."""

from __future__ import annotations

from mds_client.chain import Chain, Hole
from mds_client.client import MarketData
from mds_client.events import (
    Disconnected,
    Event,
    Gap,
    Greeks,
    Problem,
    Record,
    Recovered,
    Refusal,
    Slow,
    Snapshot,
    State,
    Terminated,
)

__version__ = "1.0.0rc1"

__all__ = [
    "Chain",
    "Disconnected",
    "Event",
    "Gap",
    "Greeks",
    "Hole",
    "MarketData",
    "Problem",
    "Record",
    "Recovered",
    "Refusal",
    "Slow",
    "Snapshot",
    "State",
    "Terminated",
    "__version__",
]
