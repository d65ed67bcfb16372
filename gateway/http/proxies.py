"""Proxies that are trusted: of what they bring, the address and the scheme are those of the client behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from schemas.errors import ConfigurationError

Network = IPv4Network | IPv6Network
MAX_HOPS = 10  # of X-Forwarded-For that are looked at


@dataclass(frozen=True, slots=True)
class Requester:
    """Sender of a request: its address, "" where the connection is gone, and the scheme it used."""

    address: str
    scheme: str


def parse_networks(text: str, *, setting: str) -> tuple[Network, ...]:
    """Return addresses and networks with commas between; raise ConfigurationError naming `setting`."""
    networks = list[Network]()
    for part in filter(None, (each.strip() for each in text.split(","))):
        try:
            networks.append(ip_network(part))
        except ValueError as error:
            raise ConfigurationError(
                f"{setting}: {part!r} is no address or network ({error})",
                remedy="write addresses and networks like 10.0.0.7,192.168.4.0/24",
            ) from error
    return tuple(networks)


def client_of(
    peer: str | None,
    scheme: str,
    trusted: Sequence[Network],
    *,
    forwarded_for: str = "",
    forwarded_proto: str = "",
) -> Requester:
    """Return the client of a request that came from `peer`; the last two are headers, `X-` before them.

    Only what a trusted proxy wrote counts: it adds the address it heard from at the end of `X-Forwarded-For`, so the
    last one that is no trusted proxy itself is the client. What stands before it is the client's own claim.
    """
    address = plain_address(peer or "")
    if not trusted or not is_one_of(address, trusted):
        return Requester(address, scheme)
    told = forwarded_proto.strip().lower()
    scheme = told if told in ("http", "https") else scheme
    hops = [hop.strip() for hop in forwarded_for.split(",")][-MAX_HOPS:]
    for hop in reversed(hops):
        if not _is_address(hop):
            break
        address = plain_address(hop)
        if not is_one_of(address, trusted):
            break
    return Requester(address, scheme)


def plain_address(address: str) -> str:
    """Return an address as its own version writes it: not as IPv4 within IPv6."""
    return address.removeprefix("::ffff:") if "." in address else address


def neighbourhood(address: str) -> str:
    """Return what one caller may be assumed to have: an IPv4 address, or the /64 of an IPv6 one."""
    if ":" not in address or not _is_address(address):
        return address
    return str(ip_network(f"{address.partition('%')[0]}/64", strict=False))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_one_of(address: str, networks: Sequence[Network]) -> bool:
    """Whether an address is of one of the networks."""
    if not _is_address(address):
        return False
    parsed = ip_address(address)
    return any(parsed in network for network in networks if network.version == parsed.version)
