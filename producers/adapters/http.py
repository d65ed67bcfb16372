"""One vendor over HTTP: deadline, size cap, retries, breaker; the vendor's failures become ours here and only here.

Messages never hold a URL: it may carry a key.
"""

from __future__ import annotations

import asyncio
import email.utils
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import aiohttp
import stamina

from infra.runtime.clock import monotonic_s, wall_us
from infra.runtime.metrics import PROVIDER_ERRORS, PROVIDER_LATENCY_MS
from producers.adapters.breaker import Breaker, CircuitOpen
from producers.domain.answers import MalformedResponse
from schemas.errors import (
    MarketDataError,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
    TransientError,
)
from schemas.intervals import SECOND_US

MAX_BODY_BYTES = 8_388_608  # 8 MiB: a week of minutes is half of one
MAX_KEPT_BYTES = 2_097_152  # of a body that becomes a dead letter
CHUNK_BYTES = 65_536
REQUEST_DEADLINE_S = 10.0
CONNECT_DEADLINE_S = 5.0
ATTEMPTS = 3
FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 2.0
FIRST_PAUSE_S = 2.0  # after a 429 that does not say how long; doubled while it goes on
LONGEST_PAUSE_S = 300.0
CONNECTIONS = 32
AUTHENTICATION = (401, 403)
# A browser's name is a condition of Yahoo's: others are refused at once.
USER_AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """A 2xx or 4xx answer with its body whole; `received_time` is wall time (µs) when the last byte was in."""

    status: int
    content_type: str
    received_time: int
    body: bytes


def vendor_session() -> aiohttp.ClientSession:
    """Return a session for vendors: bounded connections, cookies also from a vendor on a numeric address."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS),
        cookie_jar=aiohttp.CookieJar(unsafe=True, quote_cookie=False),
        headers={"User-Agent": USER_AGENT, "Accept": "application/json,text/plain,*/*"},
        auto_decompress=True,
    )


class VendorHttp:
    """GET requests to one provider; all of its endpoints share breaker and pause."""

    def __init__(
        self,
        provider: str,
        session: aiohttp.ClientSession,
        *,
        deadline_s: float = REQUEST_DEADLINE_S,
        breaker: Breaker | None = None,
    ) -> None:
        """Ask `provider` over `session`, each attempt within `deadline_s`."""
        self.provider = provider
        self.breaker = Breaker(provider) if breaker is None else breaker
        self._session = session
        self._deadline_s = deadline_s
        self._paused_until_s = 0.0
        self._pause_s = FIRST_PAUSE_S

    async def get(
        self,
        endpoint: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        refusals: tuple[int, ...] = (),
        text: bool = False,
    ) -> HttpAnswer:
        """Return the answer, retrying outages a little.

        4xx statuses in `refusals` are returned for their body to be read; `text` allows a body that is no JSON.
        Raises ProviderThrottled (the caller waits as told), ProviderUnavailable, ProviderRefused, MalformedResponse.
        """

        async def attempt() -> HttpAnswer:
            return await self.breaker.call(
                lambda: self._attempt(endpoint, url, params or {}, headers or {}, text=text)
            )

        try:
            return await self._retried(attempt)
        except _Declined as declined:
            status = declined.answer.status
            if status in refusals:
                return declined.answer
        PROVIDER_ERRORS.labels(self.provider, endpoint, str(status)).inc()
        advice = "check the key and its entitlements" if status in AUTHENTICATION else "check the request"
        raise ProviderRefused(f"{self.provider} {endpoint} answered {status}; {advice}")

    async def _retried(self, attempt: Callable[[], Awaitable[HttpAnswer]]) -> HttpAnswer:
        async for retry in stamina.retry_context(
            on=_is_worth_retrying,
            attempts=ATTEMPTS,
            timeout=None,
            wait_initial=FIRST_WAIT_S,
            wait_max=LONGEST_WAIT_S,
            wait_jitter=FIRST_WAIT_S,
        ):
            with retry:
                return await attempt()
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _attempt(
        self, endpoint: str, url: str, params: Mapping[str, str], headers: Mapping[str, str], *, text: bool
    ) -> HttpAnswer:
        left_s = self._paused_until_s - monotonic_s()
        if left_s > 0:
            raise ProviderThrottled(self.provider, left_s)
        begun_s = monotonic_s()
        try:
            answer = await self._exchange(endpoint, url, params, headers)
            self._check(endpoint, answer, text=text)
        except (MarketDataError, asyncio.CancelledError) as error:
            PROVIDER_ERRORS.labels(self.provider, endpoint, code_of(error)).inc()
            raise
        finally:
            PROVIDER_LATENCY_MS.labels(self.provider, endpoint).observe((monotonic_s() - begun_s) * 1_000)
        self._pause_s = FIRST_PAUSE_S
        return answer

    async def _exchange(
        self, endpoint: str, url: str, params: Mapping[str, str], headers: Mapping[str, str]
    ) -> HttpAnswer:
        timeout = aiohttp.ClientTimeout(total=self._deadline_s, connect=CONNECT_DEADLINE_S)
        try:
            async with self._session.get(
                url, params=params, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                if response.status == 429:
                    raise self._throttled(told_wait_s(response.headers, wall_us()))
                body = await self._read(endpoint, response)
                return HttpAnswer(
                    status=response.status,
                    content_type=response.content_type,
                    received_time=wall_us(),
                    body=body,
                )
        except TimeoutError as error:
            raise Unanswered(
                self.provider, endpoint, f"no answer within {self._deadline_s:.0f} s", "timeout"
            ) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The error's own text may hold the URL, and with it a key: only its kind is told, and no cause kept.
            raise Unanswered(self.provider, endpoint, type(error).__name__, "connection") from None

    async def _read(self, endpoint: str, response: aiohttp.ClientResponse) -> bytes:
        """Return the body, never holding more than the cap, whatever it was compressed to."""
        parts, size = [], 0
        async for part in response.content.iter_chunked(CHUNK_BYTES):
            parts.append(part)
            size += len(part)
            if size > MAX_BODY_BYTES:
                raise MalformedResponse(
                    f"{self.provider} {endpoint}: more than {MAX_BODY_BYTES} bytes; ask for less in one request",
                    endpoint=endpoint,
                    received_time=wall_us(),
                    payload=b"".join(parts)[:MAX_KEPT_BYTES],
                )
        return b"".join(parts)

    def _check(self, endpoint: str, answer: HttpAnswer, *, text: bool) -> None:
        if answer.status == 408 or answer.status >= 500:
            raise Unanswered(self.provider, endpoint, f"status {answer.status}", str(answer.status))
        if 300 <= answer.status < 400:
            raise Unanswered(
                self.provider, endpoint, f"redirected away ({answer.status})", str(answer.status)
            )
        if answer.status == 200 and answer.content_type == "text/html" and not text:
            raise Unanswered(self.provider, endpoint, "a web page instead of data", "html")
        if answer.status >= 400:
            raise _Declined(answer)

    def pause(self, for_s: float) -> None:
        """Ask the provider nothing for `for_s` seconds: it said so in words instead of a status."""
        self._paused_until_s = max(self._paused_until_s, monotonic_s() + for_s)

    def _throttled(self, told_s: float | None) -> ProviderThrottled:
        pause_s = self._pause_s if told_s is None else told_s
        if told_s is None:
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        self.pause(pause_s)
        return ProviderThrottled(self.provider, pause_s)


class Unanswered(ProviderUnavailable):
    """The provider did not answer usefully; `code` is a short word for metrics."""

    def __init__(self, provider: str, endpoint: str, what: str, code: str) -> None:
        super().__init__(f"{provider} {endpoint}: {what}")
        self.code = code


class _Declined(Exception):
    """A 4xx: the vendor is well and says no. An exception, so that the breaker takes it neither way."""

    def __init__(self, answer: HttpAnswer) -> None:
        super().__init__(f"status {answer.status}")
        self.answer = answer


def code_of(error: BaseException) -> str:
    """Return the metric label of a failure; one of a small set."""
    if isinstance(error, Unanswered):
        return error.code
    return {"ProviderThrottled": "429", "MalformedResponse": "malformed", "CancelledError": "cancelled"}.get(
        type(error).__name__, "other"
    )


def told_wait_s(headers: Mapping[str, str], now_us: int) -> float | None:
    """Return how long a 429 asks us to wait: by Retry-After, else by X-Ratelimit-Reset (unix seconds)."""
    told_s = parse_retry_after(headers.get("Retry-After"), now_us)
    reset = headers.get("X-Ratelimit-Reset", "").strip()
    if told_s is not None or not (reset.isascii() and reset.isdigit()):
        return told_s
    return min(max(float(reset) - now_us / SECOND_US, 0.0), LONGEST_PAUSE_S)


def parse_retry_after(value: str | None, now_us: int) -> float | None:
    """Return the seconds a Retry-After header asks for (a number or an HTTP date), at most the longest pause."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_PAUSE_S)
    try:
        moment = email.utils.parsedate_to_datetime(text)
        left_s = moment.timestamp() - now_us / SECOND_US
    except (ValueError, OverflowError):
        return None
    return min(max(left_s, 0.0), LONGEST_PAUSE_S)


def _is_worth_retrying(error: Exception) -> bool:
    # Throttled means wait as told; an open circuit means leave it alone.
    return isinstance(error, TransientError) and not isinstance(error, ProviderThrottled | CircuitOpen)
