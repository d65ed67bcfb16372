"""Access: keys with scopes, and the browser origins that may speak for them.

Keys are known by the SHA-256 of their token only. On a loopback address without keys everybody on the machine is
trusted, but a web page is not: its Origin must be ours, and the Host it used must be a loopback name, or a page
could rebind its own name to this address. Nor is what a proxy brings: that may be anybody.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Literal, get_args
from urllib.parse import urlsplit

from gateway.http.problems import PROBLEMS

Headers = Mapping[str, str]
"""Headers of a request; names in any case."""

Scope = Literal["public", "read", "stream", "backfill", "dlq", "admin", "redistribute"]
SCOPES: frozenset[str] = frozenset(get_args(Scope)) - {"public"}


class AccessDenied(Exception):
    """The request may not go on; `code` is one of PROBLEMS, its `status` 401 (who are you?) or 403 (not you)."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.status = PROBLEMS[code].status
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One API key as stored: never the token, only its hash."""

    id: str
    sha256: str  # lower-case hex
    scopes: frozenset[str]
    origins: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Permission of a caller by the key of this hash; `key_id` and `sha256` are "" where no key is asked for."""

    key_id: str
    scopes: frozenset[str]
    sha256: str = ""


WRITTEN_BY_PROXIES = ("forwarded", "x-forwarded-", "x-real-ip", "via")  # names, or how they begin
EVERYBODY = Grant(key_id="", scopes=SCOPES)


def token_sha256(token: str) -> str:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def bearer_token(authorization: str | None) -> str | None:
    """Return the token of an Authorization header; None where it is no bearer header."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def basic_token(authorization: str | None) -> str | None:
    """Return the token of a Basic header, as stock clients send it: the password, else the user's name."""
    scheme, _, credentials = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(credentials.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return password or user or None


def is_loopback(host: str) -> bool:
    """Whether a host name or address, without a port, never leaves this machine."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


class Access:
    """Decides every request, REST and WebSocket, in one place."""

    def __init__(self, keys: Sequence[Key], *, required: bool, origins: Iterable[str] = ()) -> None:
        """Hold the keys; `required` is on whenever the bind address is not loopback."""
        self._origins = frozenset(origins)
        self.required = required or bool(keys)
        self._replaced: list[Callable[[], None]] = []
        self.replace(keys)

    def on_replaced(self, tell: Callable[[], None]) -> None:
        """Call `tell` whenever other keys are held: what was granted by one may stand no more."""
        self._replaced.append(tell)

    def replace(self, keys: Sequence[Key]) -> None:
        """Hold other keys from now on; whether any are asked for stays as it was."""
        self._by_sha256 = {key.sha256: key for key in keys}
        self.pages = self._origins.union(*(key.origins for key in keys))
        for tell in self._replaced:
            tell()

    def stands(self, grant: Grant, scope: Scope) -> bool:
        """Whether who was granted something may do `scope` by the same key now."""
        if not grant.sha256:
            return True
        key = self._by_sha256.get(grant.sha256)
        return key is not None and scope in key.scopes

    def check_way(self, method: str, headers: Headers) -> None:
        """Raise AccessDenied of a request that came a way on which nobody can be trusted.

        Without keys that is a proxy, behind which anybody may be. With and without, it is another site's page that
        sends no Origin (an image, a script); a link that was followed is not, since the page it is on learns nothing.
        """
        if not self.required and (header := _of_a_proxy(headers)):
            detail = f"{header} says that a proxy brought this, and there are no keys; set GATEWAY_KEYS_FILE"
            raise AccessDenied("proxied_without_keys", detail)
        if headers.get("Origin") is None and _is_embedded_elsewhere(method, headers):
            detail = "a page of another site embeds this; fetch it with an Origin that is in GATEWAY_ORIGINS"
            raise AccessDenied("cross_site", detail)

    def key_id(self, token: str | None) -> str | None:
        """Return whose token this is; None: nobody's."""
        key = None if token is None else self._key_of(token)
        return None if key is None else key.id

    def knows(self, token: str | None) -> bool:
        """Whether whoever shows this token may be told more than that a request is wrong."""
        return not self.required or self.key_id(token) is not None

    def check(self, scope: Scope, *, token: str | None, origin: str | None, host: str | None) -> Grant:
        """Return what the caller may do; raise AccessDenied unless that includes `scope`.

        `token` is the bearer token, `origin` and `host` the headers of those names.
        """
        grant, key = self._identify(scope, token)
        self._check_origin(key, origin, host)
        if scope != "public" and scope not in grant.scopes:
            held = " ".join(sorted(grant.scopes)) or "none"
            raise AccessDenied(
                "forbidden", f"this needs the scope {scope}, the key has: {held}; use another key"
            )
        return grant

    def _identify(self, scope: Scope, token: str | None) -> tuple[Grant, Key | None]:
        if not self.required:
            return EVERYBODY, None
        if token is None:
            if scope == "public":
                return Grant(key_id="", scopes=frozenset()), None
            raise AccessDenied("unauthenticated", "send the header `Authorization: Bearer <key>`")
        found = self._key_of(token)
        if found is None:
            raise AccessDenied("auth_failed", "the key is not known here; check it or ask for a new one")
        return Grant(key_id=found.id, scopes=found.scopes, sha256=found.sha256), found

    def _key_of(self, token: str) -> Key | None:
        # Who guesses tokens does not choose their hashes: how long a look-up takes tells nothing of a key.
        return self._by_sha256.get(token_sha256(token))

    def _check_origin(self, key: Key | None, origin: str | None, host: str | None) -> None:
        if not self.required and not _is_loopback_host(host):
            name = _host_name(host)
            raise AccessDenied("host_not_allowed", f"the Host {name!r} is not a loopback name; use 127.0.0.1")
        if origin is None or origin.lower() in self._origins or (key and origin.lower() in key.origins):
            return
        if urlsplit(origin).netloc.lower() == (host or "").lower():
            return
        raise AccessDenied(
            "origin_not_allowed", f"the Origin {origin!r} may not ask; add it to GATEWAY_ORIGINS"
        )


def _of_a_proxy(headers: Headers) -> str | None:
    """Return the first header that only a proxy writes."""
    for name in headers:
        if _is_of_a_proxy(name):
            return name
    return None


@lru_cache(maxsize=1_024)
def _is_of_a_proxy(name: str) -> bool:
    return name.lower().startswith(WRITTEN_BY_PROXIES)


def _is_embedded_elsewhere(method: str, headers: Headers) -> bool:
    if headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin"):
        return False
    is_followed = headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
    return not (method == "GET" and is_followed)


@lru_cache(maxsize=256)
def _is_loopback_host(host: str | None) -> bool:
    return is_loopback(_host_name(host))


def _host_name(host: str | None) -> str:
    try:
        return urlsplit(f"//{host or ''}").hostname or ""
    except ValueError:
        return ""
