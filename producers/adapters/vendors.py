"""The vendors of a configuration, ready to be asked: which are usable, and at which addresses."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import aiohttp
from pydantic import SecretStr

from producers.adapters.finnhub import BASE_URL as FINNHUB_URL
from producers.adapters.finnhub import FinnhubApi
from producers.adapters.finnhub_socket import SOCKET_URL, FinnhubSocket
from producers.adapters.http import VendorHttp
from producers.adapters.yahoo import BASE_URL as YAHOO_URL
from producers.adapters.yahoo import COOKIE_URL, YahooApi
from schemas.configuration import Configuration

SIMULATOR_TOKEN = "simulator"  # noqa: S105 - the simulator takes any token; this one says who is asking

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendors:
    """Those who can be asked, by provider name."""

    https: Mapping[str, VendorHttp]
    apis: Mapping[str, YahooApi | FinnhubApi]
    sockets: Mapping[str, FinnhubSocket]


def open_vendors(
    configuration: Configuration,
    session: aiohttp.ClientSession,
    *,
    simulator_url: str | None,
    finnhub_token: SecretStr,
    simulated: Collection[str],
    deadline_s: float,
) -> Vendors:
    """Return the usable vendors; one that is switched on but lacks its key is left out with one clear line.

    `simulator_url` None means the vendors themselves; an address in the configuration goes before both.
    """
    https: dict[str, VendorHttp] = {}
    apis: dict[str, YahooApi | FinnhubApi] = {}
    sockets: dict[str, FinnhubSocket] = {}
    yahoo, finnhub = configuration.providers.yahoo, configuration.providers.finnhub
    if yahoo.enabled:
        given = str(yahoo.base_url).rstrip("/") if yahoo.base_url is not None else None
        base = given or (f"{simulator_url}/yahoo" if simulator_url else YAHOO_URL)
        cookie = COOKIE_URL if base == YAHOO_URL else f"{base}/cookie"
        https["yahoo"] = VendorHttp("yahoo", session, deadline_s=deadline_s)
        apis["yahoo"] = YahooApi(https["yahoo"], base_url=base, cookie_url=cookie)
    token = finnhub_token.get_secret_value() or (SIMULATOR_TOKEN if simulator_url else "")
    if finnhub.enabled and token:
        base = str(finnhub.base_url or (f"{simulator_url}/finnhub" if simulator_url else FINNHUB_URL))
        socket_url = str(finnhub.socket_url or (_socket_url(simulator_url) if simulator_url else SOCKET_URL))
        https["finnhub"] = VendorHttp("finnhub", session, deadline_s=deadline_s)
        apis["finnhub"] = FinnhubApi(https["finnhub"], token, base_url=base, simulated=simulated)
        sockets["finnhub"] = FinnhubSocket(session, token, url=socket_url)
    elif finnhub.enabled:
        log.warning(
            "provider_disabled",
            extra={"provider": "finnhub", "reason": "no key: set PRODUCERS_FINNHUB_TOKEN to collect from it"},
        )
    return Vendors(https=https, apis=apis, sockets=sockets)


def _socket_url(simulator_url: str) -> str:
    return f"{simulator_url.replace('http', 'ws', 1)}/finnhub/ws"
