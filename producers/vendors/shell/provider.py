"""Providers: one object each that holds a vendor's facts and opens connections to it.

Ours and third parties' are the same; theirs come through the entry-point group `mds.providers`. A provider talks through
the `VendorHttp` it is given, which brings deadline, size cap, retries, pause and breaker, and turns what the vendor
says into `Response`s of events. It raises only errors of `schemas.errors`, and none that holds a key.
`producers.vendors.shell.contract` is the suite that tells whether it does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

import aiohttp
from pydantic import SecretStr

from producers.http.shell.client import VendorHttp
from producers.vendors.answers import (
    ActionsRequest,
    BarsRequest,
    ChainRequest,
    Frame,
    MacroRequest,
    Response,
    VendorListing,
)
from schemas.clocks import Day
from schemas.errors import MarketDataError, ProviderUnentitled
from schemas.providers.facts import ProviderFacts


class Frames(Protocol):
    """One open connection."""

    connection_id: str

    async def receive(self) -> bytes:
        """Return the next frame; raise ProviderUnavailable where the connection is over."""

    async def subscribe(self, symbols: Sequence[str]) -> None:
        """Receive these, in the vendor's spelling, as well; raise ProviderUnavailable."""

    async def unsubscribe(self, symbols: Sequence[str]) -> None:
        """Receive these no more; raise ProviderUnavailable."""


class TradeSocket(Protocol):
    """A vendor's trade socket."""

    endpoint: str

    def connected(self, symbols: Sequence[str]) -> AbstractAsyncContextManager[Frames]:
        """Open a connection with `symbols`, in the vendor's spelling, subscribed."""

    def parse(
        self, payload: bytes, *, sequence: int, asked: Mapping[str, str], simulated: Collection[str]
    ) -> Frame:
        """Return what one frame holds, its trades in the vendor's order; `asked` maps the vendor's symbol to ours.

        Each trade carries `sequence`, the frame's ordinal on its connection, and a hash of the frame's bytes. A trade that
        cannot be used is rejected alone; raises MalformedPayload saying why a frame as a whole cannot.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Things a provider is opened with: addresses without trailing slash, and its credentials by variable name."""

    http: VendorHttp
    session: aiohttp.ClientSession
    base_url: str
    socket_url: str
    credentials: Mapping[str, SecretStr]
    simulated: frozenset[str]  # symbols no market made, which most formats cannot say

    def secret(self, variable: str) -> str:
        """Return one credential in the clear, for a header."""
        return self.credentials[variable].get_secret_value()


class VendorApi:
    """An open provider. Override what the capabilities name; the rest says that it is not included.

    Times are µs since the epoch, UTC. Methods raise UnknownSymbol, MalformedResponse (which is dead-lettered with the
    vendor's bytes), ProviderRefused, ProviderUnentitled and the transient errors of VendorHttp.
    """

    provider: str

    async def bars(self, asked: BarsRequest) -> Response:
        """Return the bars that start in the window asked for, oldest first, none where the vendor has none.

        Pages make one response, and each of them is a request for the purpose asked for.
        """
        raise ProviderUnentitled(
            f"{self.provider} has no {asked.interval} bars; take another provider for {asked.symbol}"
        )

    async def bars_of(self, asked: Sequence[BarsRequest]) -> Mapping[str, Response | MarketDataError]:
        """Return the bars of several symbols, by symbol, each as `bars` gives them or its own error.

        They are of one interval and one purpose, at most as many as the capabilities say (`bar_symbols_per_request`), and
        their windows are asked for as one stretch. Raises what becomes of all of them: a pause, an outage, a refused key.
        """
        raise ProviderUnentitled(
            f"{self.provider} gives bars of one symbol a request; ask for {asked[0].symbol} alone"
        )

    async def quotes(self, symbols: Sequence[str]) -> Response:
        """Return the newest quote of each symbol, at most as many as the capabilities say; others are `missing`."""
        raise ProviderUnentitled(f"{self.provider} has no quotes; take another provider for {symbols[0]}")

    async def actions(self, asked: ActionsRequest) -> Response:
        """Return the corporate actions asked for, of at most as many symbols as the capabilities say, none where there are none.

        Pages make one response: an action that is not in it is not in the window for the vendor.
        """
        raise ProviderUnentitled(
            f"{self.provider} has no corporate actions; take another provider for {asked.symbols[0]}"
        )

    async def option_chain(self, asked: ChainRequest) -> Response:
        """Return the slices of an option chain whose expiry was asked for, by expiry and root.

        Pages make one response, and one that fails raises: no slice of half a chain goes out. Raises NoData where the
        symbol has no such options.
        """
        raise ProviderUnentitled(
            f"{self.provider} has no option chains; take another provider for {asked.symbol}"
        )

    async def option_expiries(self, symbol: str) -> Sequence[Day]:
        """Return the days on which listed options of a symbol expire, ascending; only who gives a chain by expiries needs it.

        Raises NoData where the symbol has no options.
        """
        raise ProviderUnentitled(
            f"{self.provider} has no list of expiries; ask for the option chain of {symbol} by its range"
        )

    async def macro(self, asked: MacroRequest) -> Response:
        """Return observations of a macro series with their vintages, as far as the vendor tells them; pages make one response.

        Raises UnknownSymbol for a series the vendor does not have.
        """
        raise ProviderUnentitled(
            f"{self.provider} has no macro series; take another provider for {asked.series}"
        )

    async def symbols(self) -> list[VendorListing]:
        """Return all instruments the vendor lists."""
        raise ProviderUnentitled(f"{self.provider} has no list of symbols; take another provider for it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One who sells data: its facts, and how to open it.

    `open` must not talk to the vendor yet; it is called once, before anything is asked. So must `open_socket` not.
    """

    facts: ProviderFacts
    open: Callable[[Opening], VendorApi]
    open_socket: Callable[[Opening], TradeSocket] | None = None

    @property
    def name(self) -> str:
        """Its name in configurations and records."""
        return self.facts.name

    def faults(self) -> list[str]:
        """Return why it cannot be used; nothing where it can."""
        faults = self.facts.faults()
        if self.facts.capabilities.trades != (self.open_socket is not None):
            faults.append("trades need open_socket, and only they do")
        return faults
