"""The guard of every route: the way a request came, who asks, how much of it there was, and what it accepts and sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from gateway.http.access import Access, AccessDenied, Scope, basic_token, bearer_token
from gateway.http.cors import is_preflight, preflight_headers
from gateway.http.endpoints import Endpoint
from gateway.http.limits import Meter, units_of
from gateway.http.negotiation import check_body, chosen, offered
from gateway.http.proxies import Network, client_of, neighbourhood, parse_networks
from gateway.http.shell.answers import CLIENT, GRANT, MEDIA
from gateway.http.shell.whole import WholeAnswer
from gateway.settings import GatewaySettings
from infra.runtime.clock import monotonic_s

WEBSOCKET_SCOPE: Scope = "stream"  # those routes check it themselves: the key may come in the first message
ACCOUNT = web.RequestKey("account", tuple[Meter, str])  # who pays for the request


@dataclass(frozen=True, slots=True, kw_only=True)
class Border:
    """Rules for every route beside keys: proxies that are believed, and limits; None: there is none."""

    proxies: Sequence[Network] = ()
    keys: Meter | None = None
    addresses: Meter | None = None


OPEN = Border()


def border_of(settings: GatewaySettings, access: Access) -> Border:
    """Return the border the settings ask for; without keys nobody is limited. Raises ConfigurationError."""
    proxies = parse_networks(settings.trusted_proxies, setting="GATEWAY_TRUSTED_PROXIES")
    if not access.required:
        return OPEN
    return Border(
        proxies=proxies,
        keys=_meter("key", settings.key_units_per_s),
        addresses=_meter("address", settings.address_units_per_s),
    )


class Guard:
    """The steps every request passes before it is answered; they raise AccessDenied or Problem."""

    def __init__(self, access: Access, border: Border) -> None:
        """Judge by the keys of `access` and the limits of `border`."""
        self._access, self._border = access, border
        self._offers = dict[tuple[str, str], Sequence[str]]()

    def admit(self, request: web.Request, endpoint: Endpoint[Any] | None) -> web.Response | None:
        """Let a request for `endpoint` (None: for none) pass, or raise why not; return the answer to a preflight."""
        self._tell_client(request)
        headers = request.headers
        if is_preflight(request.method, headers):
            return self._preflight(request)
        self._access.check_way(request.method, headers)
        if endpoint is None:
            self._stray(request)
        else:
            self._admit(request, endpoint)
        return None

    def _tell_client(self, request: web.Request) -> None:
        """Note who the request is from, where that is not simply who is connected, or matters."""
        if self._border is OPEN:
            return
        request[CLIENT] = client_of(
            request.remote,
            request.scheme,
            self._border.proxies,
            forwarded_for=",".join(request.headers.getall("X-Forwarded-For", ())),
            forwarded_proto=request.headers.get("X-Forwarded-Proto", ""),
        )

    def _preflight(self, request: web.Request) -> web.Response:
        """Answer a browser that asks what a page may ask."""
        origin, refusal = request.headers["Origin"], request.match_info.http_exception
        if not isinstance(refusal, web.HTTPMethodNotAllowed):
            raise refusal or web.HTTPNotFound
        if origin.lower() not in self._access.pages:
            detail = f"the Origin {origin!r} may not ask; add it to GATEWAY_ORIGINS"
            raise AccessDenied("origin_not_allowed", detail)
        self._pay(request, None)
        return WholeAnswer(status=204, headers=preflight_headers(origin, refusal.allowed_methods))

    def _stray(self, request: web.Request) -> None:
        """Count a request for an unknown path, or by a wrong method; where a route has no endpoint raise AccessDenied."""
        if request.match_info.route.resource is not None:
            raise AccessDenied("forbidden", "this route has no scope; report it")
        self._pay(request, self._access.key_id(bearer_token(request.headers.get("Authorization"))))

    def _admit(self, request: web.Request, endpoint: Endpoint[Any]) -> None:
        headers, access = request.headers, self._access
        shown = headers.get("Authorization")
        token = None if shown is None else bearer_token(shown)
        if token is None and endpoint.takes_basic:
            token = basic_token(shown)
        if endpoint.scope == WEBSOCKET_SCOPE:
            self._pay(request, access.key_id(token))
            return
        try:
            origin, host = headers.get("Origin"), headers.get("Host")
            grant = access.check(endpoint.scope, token=token, origin=origin, host=host)
        except AccessDenied as denied:
            if denied.status == 401:
                self._pay(request, None)
            raise
        request[GRANT] = grant
        self._pay(request, grant.key_id, endpoint.cost)
        route = endpoint.method, endpoint.path
        offers = self._offers.get(route)
        if offers is None:
            offers = self._offers[route] = offered(endpoint)
        if offers:
            request[MEDIA] = chosen(headers.get("Accept"), offers)
        if endpoint.body is not None:
            check_body(endpoint, headers.get("Content-Type"), headers.get("Content-Encoding"))

    def charge(self, request: web.Request, response: web.StreamResponse) -> None:
        """Take what the answer costs from who asked."""
        if (
            self._border is not OPEN
            and ACCOUNT in request
            and isinstance(response, web.Response)
            and isinstance(response.body, bytes)
        ):
            meter, caller = request[ACCOUNT]
            meter.spend(caller, units_of(len(response.body)), monotonic_s())

    def _pay(self, request: web.Request, key_id: str | None, units: int = 1) -> None:
        """Take what a request costs from its key, else from its address."""
        if key_id:
            self._meter(request, self._border.keys, key_id, units)
        elif self._border.addresses is not None:
            self._meter(request, self._border.addresses, neighbourhood(request[CLIENT].address), units)

    def _meter(self, request: web.Request, meter: Meter | None, caller: str, units: int = 1) -> None:
        if meter is None:
            return
        now_s = monotonic_s()
        meter.check(caller, now_s)
        meter.spend(caller, units, now_s)
        request[ACCOUNT] = (meter, caller)


def _meter(sort: str, units_per_s: float) -> Meter | None:
    return Meter(sort, units_per_s) if units_per_s else None
