"""One vendor over HTTP: budget, deadline, size cap, retries, breaker; its failures become ours here and only here.

Messages never hold a URL: it may carry a key.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

import aiohttp
import stamina
from pydantic import SecretStr

from infra.runtime import tracing
from infra.runtime.clock import monotonic_s, wall_us
from infra.runtime.metrics import PROVIDER_ERRORS, PROVIDER_LATENCY_MS
from infra.runtime.tracing import Attribute
from producers.budget.pauses import Signal, read_signal
from producers.budget.shell.gate import Admission, Gate
from producers.budget.windows import Purpose
from producers.http.shell.addresses import AddressPolicy, checked_connector, checked_requests, forbidden_in
from producers.http.shell.body import ACCEPTED_ENCODINGS, MAX_BODY_BYTES, HttpAnswer, read_body
from producers.http.shell.breaker import Breakers, CircuitOpen, Unconnected
from producers.http.shell.failures import (
    BANNED,
    TIMED_OUT,
    Unanswered,
    code_of,
    held_back,
    is_worth_retrying,
    show_bans,
)
from producers.http.shell.waiting import ATTEMPT_SHARE, RequestDeadline
from schemas.errors import MarketDataError, ProviderDeclined, ProviderRefused
from schemas.intervals import SECOND_US
from schemas.providers.facts import ANY_VENDOR, RefusalWords

__all__ = ["MAX_BODY_BYTES", "HttpAnswer", "VendorHttp", "vendor_session"]

REQUEST_DEADLINE_S = 10.0
CONNECT_DEADLINE_S = 5.0
ATTEMPTS = 3
FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 2.0
UNLIMITED = 0  # to aiohttp
MIN_ATTEMPT_S = 0.05  # a time-out of 0 would be none to aiohttp
AUTHENTICATION = (401, 403)
NOT_MODIFIED = 304
# A browser's name is a condition of Yahoo's: others are refused at once.
USER_AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"
)


def vendor_session(policy: AddressPolicy) -> aiohttp.ClientSession:
    """Return a session for vendors: to permitted addresses only, bodies as they came.

    How many connections a vendor has is bounded by its own gate, so that none waits for another's. Cookies are kept also from a vendor on a numeric address.
    """
    return aiohttp.ClientSession(
        connector=checked_connector(policy, limit=UNLIMITED),
        cookie_jar=aiohttp.CookieJar(unsafe=True, quote_cookie=False),
        headers={
            "User-Agent": USER_AGENT,
            "Accept": "application/json,text/plain,*/*",
            "Accept-Encoding": ACCEPTED_ENCODINGS,
        },
        middlewares=(checked_requests(policy),),
    )


class VendorHttp:
    """GET requests to one provider; its endpoints share the budget, and each has a breaker and a pause of its own."""

    def __init__(
        self,
        provider: str,
        session: aiohttp.ClientSession,
        *,
        deadline_s: float = REQUEST_DEADLINE_S,
        breakers: Breakers | None = None,
        gate: Gate | None = None,
        secrets: Sequence[SecretStr] = (),
        words: RefusalWords = ANY_VENDOR,
    ) -> None:
        """Ask `provider` over `session`, all attempts together within `deadline_s`, and half of it in our own queue.

        Without a `gate` only the vendor's own word limits requests; `secrets` are struck out of what it answers;
        `words` are those by which it refuses.
        """
        self.provider = provider
        self.breakers = Breakers(provider) if breakers is None else breakers
        self.gate = Gate(provider) if gate is None else gate
        self._session = session
        self._words = words
        self._deadline_s = deadline_s
        self._secrets = tuple(secret.get_secret_value().encode() for secret in secrets)

    async def get(
        self,
        endpoint: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        refusals: tuple[int, ...] = (),
        text: bool = False,
        purpose: Purpose = "live",
    ) -> HttpAnswer:
        """Return the answer, retrying outages a little; each attempt takes a request of the budget.

        4xx statuses, and a 304, in `refusals` are returned for their body to be read; `text` allows a body that is no JSON.
        Raises ProviderThrottled (the caller waits as told), BudgetExhausted (nothing was sent), ProviderUnavailable,
        ProviderRefused, MalformedResponse.
        """
        deadline = RequestDeadline(self._deadline_s)

        async def attempt() -> HttpAnswer:
            async with self._admitted(endpoint, purpose, deadline) as admission:
                check = partial(self._check, endpoint, text=text, unchanged=NOT_MODIFIED in refusals)
                asked = partial(self._attempt, admission, url, params or {}, headers or {}, check=check)
                try:
                    return await self.breakers.call(endpoint, partial(asked, deadline=deadline))
                except CircuitOpen:  # it opened while this one waited its turn
                    self.gate.give_back(admission)
                    with held_back(self.provider, endpoint):
                        raise

        show_bans(self.provider, [endpoint])
        try:
            return await self._retried(attempt, deadline, purpose)
        except _Declined as declined:
            status = declined.answer.status
            if status in refusals:
                return declined.answer
        raise self._refused(endpoint, status)

    @asynccontextmanager
    async def _admitted(
        self, endpoint: str, purpose: Purpose, deadline: RequestDeadline
    ) -> AsyncIterator[Admission]:
        """Wait for leave to ask; where our own brakes give none it is counted as held back, and nothing is sent."""
        async with AsyncExitStack() as stack:
            with held_back(self.provider, endpoint), deadline.queueing():
                self.breakers.check(endpoint)
                admission = await stack.enter_async_context(
                    self.gate.admitted(endpoint, purpose, within_s=deadline.queue_s)
                )
            yield admission

    def _refused(self, endpoint: str, status: int) -> ProviderRefused:
        PROVIDER_ERRORS.labels(self.provider, endpoint, str(status)).inc()
        said = f"{self.provider} {endpoint} answered {status}"
        if status in AUTHENTICATION:
            return ProviderRefused(f"{said}; check the key and its entitlements")
        return ProviderDeclined(f"{said}; check the request")

    async def _retried(
        self, attempt: Callable[[], Awaitable[HttpAnswer]], deadline: RequestDeadline, purpose: Purpose
    ) -> HttpAnswer:
        failed: Exception | None = None

        def worth(error: Exception) -> bool:
            nonlocal failed
            failed = failed if isinstance(error, CircuitOpen) else error
            return is_worth_retrying(error) and deadline.left_s >= self._deadline_s * ATTEMPT_SHARE

        try:
            async for retry in stamina.retry_context(
                on=worth, attempts=ATTEMPTS, timeout=None, wait_initial=FIRST_WAIT_S, wait_max=LONGEST_WAIT_S,
                wait_jitter=FIRST_WAIT_S,
            ):  # fmt: skip
                with retry:
                    return await attempt()
        except CircuitOpen:
            # Routing judges a live poll by its circuit; a job is charged by what was said to it, which opened the circuit.
            if purpose == "backfill" and failed is not None:
                raise failed from None
            raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _attempt(
        self,
        admission: Admission,
        url: str,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        *,
        check: Callable[[HttpAnswer], None],
        deadline: RequestDeadline,
    ) -> HttpAnswer:
        begun_s, endpoint = monotonic_s(), admission.endpoint
        try:
            told: dict[str, Attribute] = {
                "server.address": urlsplit(url).hostname or "",
                "mds.provider": self.provider,
            }
            with tracing.span(f"GET {endpoint}", "client", told) as span:  # a path or a query may hold a key
                answer = await self._exchange(admission, url, params, headers, deadline.left_s)
                span.answered("GET", answer.status)
            check(answer)
        except MarketDataError as error:  # one cancelled by us is no failure of theirs
            PROVIDER_ERRORS.labels(self.provider, endpoint, code_of(error)).inc()
            raise
        finally:
            PROVIDER_LATENCY_MS.labels(self.provider, endpoint).observe((monotonic_s() - begun_s) * 1_000)
        return answer

    async def _exchange(
        self,
        admission: Admission,
        url: str,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        left_s: float,
    ) -> HttpAnswer:
        endpoint = admission.endpoint
        # Nobody waits for a connection of ours: `connect` is the vendor's name server, network and handshake.
        timeout = aiohttp.ClientTimeout(total=max(MIN_ATTEMPT_S, left_s), connect=CONNECT_DEADLINE_S)
        try:
            async with self._session.get(
                url,
                params=params,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
                auto_decompress=False,
            ) as response:
                body = await read_body(response, self.provider, endpoint, self._secrets)
                signal = read_signal(response.status, response.headers, body, wall_us(), self._words)
                self._heed(admission, signal, response.status)
                return HttpAnswer(
                    status=response.status,
                    content_type=response.content_type,
                    received_time=wall_us(),
                    body=body,
                )
        except (aiohttp.ClientError, OSError, ValueError) as error:  # a TimeoutError is an OSError
            raise self._failure(endpoint, error) from None

    def _failure(self, endpoint: str, error: Exception) -> MarketDataError:
        """Return what became of a request; the error's own text may hold the URL, and with it a key: its kind is told."""
        if forbidden := forbidden_in(error):
            return ProviderRefused(f"{self.provider} {endpoint}: {forbidden}")
        kind, timed_out = type(error).__name__, isinstance(error, TimeoutError)
        if isinstance(error, aiohttp.ConnectionTimeoutError | aiohttp.ClientConnectorError):
            return Unconnected(self.provider, endpoint, kind, TIMED_OUT if timed_out else "connection")
        if timed_out:
            return Unanswered(
                self.provider, endpoint, f"no answer within {self._deadline_s:.0f} s", TIMED_OUT
            )
        return Unanswered(self.provider, endpoint, kind, "connection")

    def _heed(self, admission: Admission, signal: Signal | None, status: int) -> None:
        """Do at once what the answer asks of our rate; raise ProviderThrottled where it is nothing but that."""
        if signal is None or signal.kind == "exhausted":
            if status < 500:
                self.gate.answered(admission)
            if signal is not None:
                self.gate.refused(admission, signal)
            return
        if signal.kind == "no_key":
            raise ProviderRefused(f"{self.provider} {admission.endpoint} wants a key; set the provider's key")
        raise self.gate.refused(admission, signal)

    def _check(self, endpoint: str, answer: HttpAnswer, *, text: bool, unchanged: bool) -> None:
        if unchanged and answer.status == NOT_MODIFIED:
            raise _Declined(answer)
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

    def banned(self, endpoint: str, for_s: float, *, whole: bool = True) -> None:
        """Ask the provider nothing for `for_s` seconds: it shut us out; where not `whole`, of that endpoint alone."""
        PROVIDER_ERRORS.labels(self.provider, endpoint, BANNED).inc()
        reason = "a ban, in words" if whole else "a ban, of this endpoint"
        self.gate.told(
            endpoint, Signal(kind="banned", wait_us=int(for_s * SECOND_US), reason=reason, whole=whole)
        )


class _Declined(Exception):
    """A 4xx, or a 304 that was asked for: the vendor is well and says no. An exception, so that the breaker takes it neither way."""

    def __init__(self, answer: HttpAnswer) -> None:
        super().__init__(f"status {answer.status}")
        self.answer = answer
