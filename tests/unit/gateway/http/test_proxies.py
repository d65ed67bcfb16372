"""Whose request it is that a proxy brings."""

from __future__ import annotations

import pytest

from gateway.http.proxies import Requester, client_of, neighbourhood, parse_networks
from schemas.errors import ConfigurationError

TRUSTED = parse_networks("10.0.0.0/8, ::1", setting="GATEWAY_TRUSTED_PROXIES")


@pytest.mark.parametrize(
    ("peer", "told", "address"),
    [
        pytest.param("10.0.0.1", "203.0.113.9", "203.0.113.9", id="the client"),
        pytest.param("10.0.0.1", "203.0.113.9, 10.0.0.2", "203.0.113.9", id="two proxies"),
        pytest.param("10.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9", id="a claim of the client's own"),
        pytest.param("203.0.113.9", "1.1.1.1", "203.0.113.9", id="nobody we trust"),
        pytest.param("10.0.0.1", "", "10.0.0.1", id="the proxy says nothing"),
        pytest.param("10.0.0.1", "nonsense", "10.0.0.1", id="no address"),
        pytest.param("10.0.0.1", "203.0.113.9, nonsense", "10.0.0.1", id="no address at the end"),
        pytest.param("::ffff:10.0.0.1", "2001:db8::7", "2001:db8::7", id="IPv4 within IPv6"),
        pytest.param(None, "1.1.1.1", "", id="gone"),
    ],
)
def test_only_what_a_trusted_proxy_wrote_counts(peer: str | None, told: str, address: str) -> None:
    """The last hop that is not one of them."""
    assert client_of(peer, "http", TRUSTED, forwarded_for=told).address == address


def test_the_scheme_is_believed_from_a_trusted_proxy_only() -> None:
    """And only where it is one."""
    assert client_of("10.0.0.1", "http", TRUSTED, forwarded_proto="https") == Requester("10.0.0.1", "https")
    assert client_of("10.0.0.1", "http", TRUSTED, forwarded_proto="gopher").scheme == "http"
    assert client_of("192.0.2.1", "http", TRUSTED, forwarded_proto="https").scheme == "http"


def test_a_household_of_ipv6_addresses_is_one_caller() -> None:
    """Who has a /64 has 2^64 of them."""
    assert (
        neighbourhood("2001:db8::1") == neighbourhood("2001:db8::ffff:1") != neighbourhood("2001:db8:0:1::1")
    )
    assert neighbourhood("192.0.2.1") == "192.0.2.1"


def test_what_is_no_network_names_the_setting() -> None:
    """With what was written."""
    with pytest.raises(ConfigurationError, match=r"GATEWAY_TRUSTED_PROXIES.*'10\.0\.0\.1/8'"):
        parse_networks("10.0.0.1/8", setting="GATEWAY_TRUSTED_PROXIES")
