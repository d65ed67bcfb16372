"""The interface of a provider: one object that says what it can do and opens connections to its vendor.

Third parties add one through the entry-point group `mds.providers`: a `Provider` under its own name. It talks through
the `VendorHttp` it is given, which brings deadline, size cap, retries, pause and breaker, and turns what the vendor
says into `Response`s of events. It raises only errors of `schemas.errors`, and none that holds a key.
`producers.vendors.shell.contract` is the suite that tells whether it does.
"""

# ruff: noqa: ARG002 - the methods of VendorApi are the interface: what they are given is for those who override them

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

import aiohttp
from pydantic import SecretStr

from producers.budget.windows import Purpose
from producers.http.shell.client import VendorHttp
from producers.vendors.answers import Frame, PollWindow, Response, VendorListing
from producers.vendors.capabilities import MAX_QUOTES_PER_REQUEST, Capabilities
from schemas.calendar.sessions import Calendar
from schemas.errors import ProviderUnentitled
from schemas.intervals import INTERVALS

NAME = re.compile(r"[a-z][a-z0-9_]{1,31}")
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{1,63}")


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

    async def bars(
        self,
        symbol: str,
        interval: str,
        window: PollWindow,
        now: int,
        calendar: Calendar,
        *,
        purpose: Purpose = "live",
    ) -> Response:
        """Return the bars that start in `window`, oldest first, none where the vendor has none.

        `now` is market time when asked: a bar that was not over by then is not final. Pages make one response, and
        each of them is a request for `purpose`: backfill leaves room for what is live.
        """
        raise ProviderUnentitled(
            f"{self.provider} has no {interval} bars; take another provider for {symbol}"
        )

    async def quotes(self, symbols: Sequence[str]) -> Response:
        """Return the newest quote of each symbol, at most as many as the capabilities say; others are `missing`."""
        raise ProviderUnentitled(f"{self.provider} has no quotes; take another provider for {symbols[0]}")

    async def symbols(self) -> list[VendorListing]:
        """Return all instruments the vendor lists."""
        raise ProviderUnentitled(f"{self.provider} has no list of symbols; take another provider for it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One who sells data. `open` must not talk to the vendor yet; it is called once, before anything is asked."""

    name: str
    capabilities: Capabilities
    base_url: str
    open: Callable[[Opening], VendorApi]
    credentials: tuple[
        str, ...
    ] = ()  # environment variables; each may also be a file named by <variable>_FILE
    socket_url: str = ""
    open_socket: Callable[[Opening], TradeSocket] | None = None
    on_simulator: bool = False  # the simulator speaks its format, under its name


def faults_of(provider: object) -> list[str]:
    """Return why an object cannot be used as a provider; nothing where it can."""
    if not isinstance(provider, Provider):
        return [f"it is a {type(provider).__name__}, not a producers.vendors.shell.provider.Provider"]
    faults = []
    capabilities = provider.capabilities
    if NAME.fullmatch(provider.name) is None:
        faults.append("its name is not two to 32 lower-case letters, digits and underscores")
    unknown = [interval for interval in capabilities.intervals if interval not in INTERVALS]
    if unknown:
        faults.append(f"interval {unknown[0]!r} is unknown; use some of {' '.join(INTERVALS)}")
    if not 0 <= capabilities.quotes_per_request <= MAX_QUOTES_PER_REQUEST:
        faults.append(f"quotes_per_request is not between 0 and {MAX_QUOTES_PER_REQUEST}")
    if not (capabilities.intervals or capabilities.quotes_per_request or capabilities.trades):
        faults.append("it gives neither bars nor quotes nor trades")
    if capabilities.trades != (provider.open_socket is not None and provider.socket_url != ""):
        faults.append("trades need open_socket and socket_url, and only they do")
    if not provider.base_url.startswith(("https://", "http://")):
        faults.append("its base_url is no http address")
    faults += [
        f"credential {name!r} is no variable's name"
        for name in provider.credentials
        if VARIABLE.fullmatch(name) is None
    ]
    return faults
