"""Client of the Market Data Service: streams that are whole, or say what is missing."""

from __future__ import annotations

from mds_client.chain import Chain, Hole
from mds_client.client import MarketData
from mds_client.events import Event, Gap, Record, Recovered, Refusal, Snapshot, State, Terminated

__all__ = [
    "Chain",
    "Event",
    "Gap",
    "Hole",
    "MarketData",
    "Record",
    "Recovered",
    "Refusal",
    "Snapshot",
    "State",
    "Terminated",
]
