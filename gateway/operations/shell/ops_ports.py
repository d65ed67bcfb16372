"""Asking the other services' ops ports: are they ready, what do their metrics say, may they be traced; never for long."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

import aiohttp
import orjson

from schemas.errors import ConfigurationError

ASK_TIMEOUT_S = 1.0
MAX_ANSWER_BYTES = 4_194_304
TRACE_TIMEOUT_S = 5.0  # a process that is worth tracing is slow
MAX_ORDER_ANSWER_BYTES = 4_096
PORTS = {
    "producers": ("PRODUCERS_OPS_PORT", 8101),
    "stream_processors": ("PROCESSORS_OPS_PORT", 8102),
    "sinks": ("SINKS_OPS_PORT", 8103),
}


def ops_urls(given: str, env: Mapping[str, str], base_url: str) -> dict[str, str]:
    """Return service → base URL of its ops port: from GATEWAY_SERVICES, else this machine (`base_url`) and their *_OPS_PORT."""
    if not given:
        return {name: f"{base_url}:{env.get(variable) or port}" for name, (variable, port) in PORTS.items()}
    urls: dict[str, str] = {}
    for part in given.split(","):
        name, found, url = part.strip().partition("=")
        if not (name and found and url.startswith(("http://", "https://"))):
            raise ConfigurationError(
                f"GATEWAY_SERVICES has {part.strip()!r}",
                remedy="write it like sinks=http://10.0.0.3:8103,...",
            )
        urls[name] = url.rstrip("/")
    return urls


class OpsPorts:
    """Reads the ops ports of the other services, all at once."""

    def __init__(self, session: aiohttp.ClientSession, urls: Mapping[str, str]) -> None:
        """Ask through `session`."""
        self._session = session
        self._urls = urls

    @property
    def services(self) -> Collection[str]:
        """The names of those that are asked."""
        return self._urls.keys()

    async def begin_trace(self, service: str, order: Mapping[str, int]) -> tuple[int, Mapping[str, Any]]:
        """Have a service trace itself; return its HTTP status and document, (0, {}) where it does not answer within 5 s."""
        timeout = aiohttp.ClientTimeout(total=TRACE_TIMEOUT_S)
        try:
            async with self._session.post(
                f"{self._urls[service]}/trace", json=dict(order), timeout=timeout, allow_redirects=False
            ) as response:
                return response.status, _document(await response.content.read(MAX_ORDER_ANSWER_BYTES)) or {}
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0, {}

    async def readiness(self) -> dict[str, dict[str, Any] | None]:
        """Return per service its /readyz document; None where it does not answer in time."""
        answers = await self._ask_all("/readyz")
        return {name: _document(body) for name, body in answers.items()}

    async def metrics(self) -> dict[str, str | None]:
        """Return per service its exposition; None where it does not answer in time."""
        answers = await self._ask_all("/metrics")
        return {
            name: None if body is None else body.decode("utf-8", "replace") for name, body in answers.items()
        }

    async def _ask_all(self, path: str) -> dict[str, bytes | None]:
        bodies = await asyncio.gather(*(self._ask(url + path) for url in self._urls.values()))
        return dict(zip(self._urls, bodies, strict=True))

    async def _ask(self, url: str) -> bytes | None:
        try:
            timeout = aiohttp.ClientTimeout(total=ASK_TIMEOUT_S)
            async with self._session.get(url, timeout=timeout, allow_redirects=False) as response:
                body = await response.content.read(MAX_ANSWER_BYTES)
                while chunk := await response.content.read(MAX_ANSWER_BYTES - len(body)):
                    body += chunk
                return body
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None


def _document(body: bytes | None) -> dict[str, Any] | None:
    try:
        document = orjson.loads(body or b"null")
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None
