"""Where vendors may be: https, public, and the simulator's own address."""

from __future__ import annotations

import pytest
from yarl import URL

from producers.http.shell.addresses import AddressPolicy, ForbiddenAddress, is_public
from schemas.errors import ConfigurationError

SIMULATOR = "http://127.0.0.1:18080"
FORBIDDEN = [
    "127.0.0.1", "127.8.9.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1",
    "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::1", "64:ff9b::a00:1", "no address",
]  # fmt: skip


@pytest.mark.parametrize("address", FORBIDDEN)
def test_no_private_address_is_public_however_it_is_written(address: str) -> None:
    """Private, loopback, link-local, shared, multicast, reserved, documentation; also inside IPv6."""
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_public(address: str) -> None:
    """What vendors have."""
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    ["http://finnhub.io", "ws://ws.finnhub.io", "https://127.0.0.1", "https://[::1]/api", "https://169.254.169.254/latest", "https://10.0.0.8"],
)  # fmt: skip
def test_a_configured_url_must_be_https_and_public(url: str) -> None:
    """Refused at start, with the name of the setting and of the switch."""
    with pytest.raises(
        ConfigurationError, match=r"providers.finnhub.base_url.*PRODUCERS_ALLOW_INSECURE_VENDORS"
    ):
        AddressPolicy(simulator_url=SIMULATOR).checked("providers.finnhub.base_url", url)
    assert AddressPolicy(allow_insecure=True).checked("x", url) == url


@pytest.mark.parametrize(
    "url",
    ["https://finnhub.io", "wss://ws.finnhub.io", f"{SIMULATOR}/finnhub", "ws://127.0.0.1:18080/finnhub/ws"],
)
def test_vendors_and_the_simulator_may_be_asked(url: str) -> None:
    """The simulator by exactly its host and port."""
    assert AddressPolicy(simulator_url=SIMULATOR).checked("x", url) == url


def test_beside_the_simulator_nothing_is_excepted() -> None:
    """Another port of the same host, or the same port of another, is as forbidden as ever."""
    policy = AddressPolicy(simulator_url=SIMULATOR)
    policy.check_address("127.0.0.1", 18080)
    for address, port in (("127.0.0.1", 5432), ("10.0.0.1", 18080), ("::1", 18080)):
        with pytest.raises(ForbiddenAddress):
            policy.check_address(address, port)
    with pytest.raises(ForbiddenAddress):
        AddressPolicy().check_address("127.0.0.1", 18080)


def test_a_name_with_one_private_address_is_refused_whole() -> None:
    """Half a public answer is how a rebinding attack begins."""
    with pytest.raises(ForbiddenAddress):
        AddressPolicy().resolved("vendor.example", 443, ["8.8.8.8", "10.0.0.1"])


def test_a_simulator_with_a_name_is_known_by_what_it_resolves_to() -> None:
    """In a compose network it is a name with a private address; only that address and port are excepted."""
    policy = AddressPolicy(simulator_url="http://simulator:18080")
    policy.resolved("simulator", 18080, ["10.5.0.2"])
    policy.check_address("10.5.0.2", 18080)

    assert policy.is_simulator(URL("http://simulator:18080/yahoo"))
    with pytest.raises(ForbiddenAddress):
        policy.check_address("10.5.0.2", 80)
