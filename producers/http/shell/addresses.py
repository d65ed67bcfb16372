"""Permitted addresses of vendors: https and public ones, checked when configured, for every request and for every socket.

The simulator of this system is the one exception; a development switch lifts the rule for all.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import ClientHandlerType, ClientMiddlewareType, ClientRequest, ClientResponse
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from schemas.errors import ConfigurationError

SECURE_SCHEMES = ("https", "wss")
SWITCH = "PRODUCERS_ALLOW_INSECURE_VENDORS"
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # IPv4 addresses behind a translator
AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]


class ForbiddenAddress(OSError):
    """A vendor's URL leads where no vendor is: plain http, or an address that is not public."""


@dataclass(frozen=True, kw_only=True)
class AddressPolicy:
    """Rules for URLs and addresses that may be asked; `simulator_url` None where live vendors are the market."""

    simulator_url: str | None = None
    allow_insecure: bool = False
    _simulators: set[tuple[str, int]] = field(default_factory=set, init=False, repr=False)

    def checked(self, setting: str, url: str) -> str:
        """Return `url`; raise ConfigurationError naming `setting` where it may not be asked."""
        parsed = URL(url)
        if not self.permits(parsed) or self._is_private_literal(parsed):
            raise ConfigurationError(
                f"{setting} must be {' or '.join(SECURE_SCHEMES)} and not a private address",
                remedy=f"write https://<public host>, or set {SWITCH}=true while developing",
            )
        return url

    def is_simulator(self, url: URL | str) -> bool:
        """Whether `url` is of the configured simulator: same host, same port."""
        if self.simulator_url is None:
            return False
        url, ours = URL(url), URL(self.simulator_url)
        return (url.host, url.port) == (ours.host, ours.port)

    def permits(self, url: URL) -> bool:
        """Whether a request may be made to `url`, whose address is checked later."""
        return self.allow_insecure or url.scheme in SECURE_SCHEMES or self.is_simulator(url)

    def resolved(self, host: str, port: int, addresses: list[str]) -> None:
        """Take what a name resolved to; raise ForbiddenAddress where any of it is no place for a vendor."""
        if self.is_simulator(f"http://{_bracketed(host)}:{port}"):
            self._simulators.update((address, port) for address in addresses)
            return
        for address in addresses:
            self.check_address(address, port)

    def check_address(self, address: str, port: int) -> None:
        """Raise ForbiddenAddress unless a connection to the numeric `address` may be opened."""
        if self.allow_insecure or (address, port) in self._simulators:
            return
        if self.is_simulator(f"http://{_bracketed(address)}:{port}") or is_public(address):
            return
        raise ForbiddenAddress(f"not a public address; check base_url, or set {SWITCH}=true while developing")

    def _is_private_literal(self, url: URL) -> bool:
        try:
            self.check_address(str(ipaddress.ip_address(url.host or "")), url.port or 0)
        except ForbiddenAddress:
            return True
        except ValueError:
            return False  # a name: judged by what it resolves to when it is asked
        return False


def is_public(address: str) -> bool:
    """Whether a numeric address is one of the public internet, also when written as IPv6."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo[1] if parsed.teredo else None)
        if inner is not None:
            return is_public(str(inner))
        if parsed in NAT64:
            return is_public(str(ipaddress.IPv4Address(int(parsed) & 0xFFFF_FFFF)))
    return parsed.is_global and not (parsed.is_multicast or parsed.is_reserved or parsed.is_unspecified)


class CheckedResolver(AbstractResolver):
    """The system's resolver; a name that leads to any forbidden address resolves to none."""

    def __init__(self, policy: AddressPolicy, inner: AbstractResolver | None = None) -> None:
        """Check by `policy` what `inner` says."""
        self._policy = policy
        self._inner = ThreadedResolver() if inner is None else inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of `host`; raise ForbiddenAddress."""
        found = await self._inner.resolve(host, port, family)
        self._policy.resolved(host, port, [entry["host"] for entry in found])
        return found

    async def close(self) -> None:
        """Release what the system's resolver holds."""
        await self._inner.close()


def checked_connector(
    policy: AddressPolicy, *, limit: int, resolver: AbstractResolver | None = None
) -> aiohttp.TCPConnector:
    """Return a connector that opens sockets to permitted addresses only.

    The last check is at the socket: it sees numeric hosts and cached names too.
    """

    def open_socket(info: AddressInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        policy.check_address(str(address[0]), int(address[1]))
        return socket.socket(family=family, type=kind, proto=protocol)

    return aiohttp.TCPConnector(
        limit=limit, resolver=CheckedResolver(policy, resolver), socket_factory=open_socket
    )


def checked_requests(policy: AddressPolicy) -> ClientMiddlewareType:
    """Return the middleware that stops what leaves https, each hop of a redirect included."""

    async def check(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        if not policy.permits(request.url):
            raise ForbiddenAddress(f"not https; check base_url, or set {SWITCH}=true while developing")
        response = await handler(request)
        if request.url.scheme in ("ws", "wss") and 300 <= response.status < 400:
            response.close()
            raise aiohttp.ClientConnectionError("a WebSocket handshake was redirected")
        return response

    return check


def forbidden_in(error: BaseException | None) -> ForbiddenAddress | None:
    """Return the ForbiddenAddress an error was raised from, None where it was another cause."""
    seen = 0
    while error is not None and seen < 10:
        if isinstance(error, ForbiddenAddress):
            return error
        inner = getattr(error, "os_error", None)
        error = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__
        seen += 1
    return None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
