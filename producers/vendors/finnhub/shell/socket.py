"""Finnhub's trade socket; it takes the token in the query only."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import aiohttp
import orjson

from producers.budget.shell.gate import Gate
from producers.vendors.answers import Frame
from producers.vendors.finnhub.trades import parse_frame
from producers.vendors.shell.socket import SILENCE_S, SubscriptionKind, VendorSocket
from schemas.providers.finnhub import FACTS


class FinnhubSocket(VendorSocket):
    """Opens connections to the trade socket."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        token: str,
        *,
        gate: Gate,
        url: str = FACTS.socket_url,
        silence_s: float = SILENCE_S,
    ) -> None:
        """Connect to `url` with `token` whenever `gate` admits it."""
        super().__init__(FACTS, session, gate=gate, url=url, params={"token": token}, silence_s=silence_s)

    def message(self, kind: SubscriptionKind, symbol: str) -> str:
        """Return one message; the vendor answers none of them."""
        return orjson.dumps({"type": kind, "symbol": symbol}).decode()

    def parse(
        self, payload: bytes, *, sequence: int, asked: Mapping[str, str], simulated: Collection[str]
    ) -> Frame:
        """Return what one frame holds; raises as TradeSocket says."""
        return parse_frame(payload, sequence=sequence, asked=asked, simulated=simulated)
