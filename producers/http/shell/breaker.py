"""Circuit breakers of a provider and its endpoints: aiobreaker's state machine behind an adapter that repairs four of its faults.

The library lets every waiting caller through at once when half-open, ignores cancellation of the probe, compares
UTC with local wall time, and takes an excluded error for a success. Here one probe is let through, a cancelled probe
counts as failed, time is monotonic, and an excluded error changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import NoReturn, TypeVar

from aiobreaker import CircuitBreaker, CircuitBreakerError
from aiobreaker.state import CircuitBreakerState

from infra.runtime.clock import monotonic_s
from infra.runtime.metrics import CIRCUIT_STATE, ENDPOINT_CIRCUIT_STATE, compute_at_scrape
from schemas.errors import ProviderUnavailable

FAILURES_TO_OPEN = 5
OPEN_S = 15.0
GAUGE = {CircuitBreakerState.CLOSED: 0, CircuitBreakerState.HALF_OPEN: 1, CircuitBreakerState.OPEN: 2}
NAMES = {0: "closed", 1: "half_open", 2: "open"}
NAMES_IN_ORDER = {name: order for order, name in NAMES.items()}

T = TypeVar("T")


class CircuitOpen(ProviderUnavailable):
    """The provider failed too often; it is left alone for `retry_after_s` seconds."""

    def __init__(self, provider: str, retry_after_s: float) -> None:
        super().__init__(f"{provider} failed too often; it is asked again in {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


class Unconnected(ProviderUnavailable):
    """No connection to the provider came to be: whatever was to be asked, it cannot be; `code` is a word for metrics."""

    def __init__(self, provider: str, endpoint: str, what: str, code: str) -> None:
        super().__init__(f"{provider} {endpoint}: {what}")
        self.code = code


class Breaker:
    """Lets attempts through until `failures` in a row were outages; then one probe every `open_s` seconds.

    Only an `outage` (and, for the probe, cancellation) is one; another ProviderUnavailable of an attempt that was made
    is an answer. Other errors of ours neither count nor clear the count.
    """

    def __init__(
        self,
        provider: str,
        endpoint: str = "",
        *,
        failures: int = FAILURES_TO_OPEN,
        open_s: float = OPEN_S,
        now_s: Callable[[], float] = monotonic_s,
        outage: type[ProviderUnavailable] = ProviderUnavailable,
    ) -> None:
        self._provider = f"{provider} {endpoint}".rstrip()
        self._outage = outage
        self._open_s = open_s
        self._now_s = now_s
        self._opened_s = 0.0
        self._answered_s = now_s()
        self._probing = False
        # The library's own timing is never reached: this adapter alone half-opens and never calls it while open.
        self._breaker = CircuitBreaker(fail_max=failures, timeout_duration=timedelta(seconds=open_s))
        # Read when scraped, of the newest one: an attempt of a breaker that was replaced has nothing to say here.
        gauge = (
            ENDPOINT_CIRCUIT_STATE.labels(provider, endpoint) if endpoint else CIRCUIT_STATE.labels(provider)
        )
        compute_at_scrape(gauge, lambda: GAUGE[self._breaker.current_state])

    @property
    def state(self) -> str:
        """`closed`, `half_open` or `open`."""
        return NAMES[GAUGE[self._breaker.current_state]]

    @property
    def silent_s(self) -> float:
        """Seconds since the newest usable answer, or since it was made where none came yet."""
        return self._now_s() - self._answered_s

    def configure(self, *, failures: int, open_s: float) -> None:
        """Open after so many outages, and for so long, from now on; the state stays."""
        self._open_s = open_s
        self._breaker.fail_max = failures

    def check(self) -> None:
        """Raise CircuitOpen where `call` would not try: nobody need wait his turn for that."""
        left_s = self._opened_s + self._open_s - self._now_s()
        if self._breaker.current_state is CircuitBreakerState.OPEN and left_s > 0:
            raise CircuitOpen(self._provider, left_s)
        if self._breaker.current_state is CircuitBreakerState.HALF_OPEN and self._probing:
            raise CircuitOpen(self._provider, self._open_s)

    async def call(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Return what `attempt` returns; raise CircuitOpen without trying while the provider is left alone."""
        probe = self._admit()
        try:
            result = await attempt()
        except CircuitOpen:
            raise  # another breaker's word: nothing was tried
        except ProviderUnavailable as error:
            self._record(error if isinstance(error, self._outage) else None, probe=probe)
            raise
        except asyncio.CancelledError:
            if probe:
                self._record(ProviderUnavailable(f"{self._provider}: the probe was cancelled"), probe=True)
            raise
        else:
            self._answered_s = self._now_s()
            self._record(None, probe=probe)
            return result
        finally:
            if probe:
                self._probing = False

    def _admit(self) -> bool:
        """Return whether this attempt is the probe; raise CircuitOpen where it may not be made."""
        self.check()
        if self._breaker.current_state is CircuitBreakerState.OPEN:
            self._breaker.half_open()
        if self._breaker.current_state is CircuitBreakerState.CLOSED:
            return False
        self._probing = True
        return True

    def _record(self, error: ProviderUnavailable | None, *, probe: bool) -> None:
        """Tell the library how an attempt ended; one that began in an earlier state has no say any more."""
        expected = CircuitBreakerState.HALF_OPEN if probe else CircuitBreakerState.CLOSED
        if self._breaker.current_state is not expected:
            return
        try:
            self._breaker.call(_succeed if error is None else _failing(error))
        except (CircuitBreakerError, ProviderUnavailable):
            if self._breaker.current_state is CircuitBreakerState.OPEN:
                self._opened_s = self._now_s()


class Breakers:
    """The breakers of one provider: of each endpoint, and one of the whole that only failures to connect open.

    An endpoint that is down says nothing of the others; a provider that cannot be reached has none that is up.
    """

    def __init__(
        self,
        provider: str,
        *,
        failures: int = FAILURES_TO_OPEN,
        open_s: float = OPEN_S,
        now_s: Callable[[], float] = monotonic_s,
    ) -> None:
        """Open each after `failures` in a row, for `open_s` seconds."""
        self._provider, self._now_s = provider, now_s
        self._failures, self._open_s = failures, open_s
        self._endpoints: dict[str, Breaker] = {}
        self._whole = Breaker(provider, failures=failures, open_s=open_s, now_s=now_s, outage=Unconnected)
        compute_at_scrape(CIRCUIT_STATE.labels(provider), lambda: NAMES_IN_ORDER[self.worst])

    def configure(self, *, failures: int, open_s: float) -> None:
        """Open after so many outages, and for so long, from now on; what is open stays so."""
        self._failures, self._open_s = failures, open_s
        for breaker in (self._whole, *self._endpoints.values()):
            breaker.configure(failures=failures, open_s=open_s)

    @property
    def state(self) -> str:
        """State of the provider as a whole: as good as that of its best endpoint."""
        best = min((NAMES_IN_ORDER[each.state] for each in self._endpoints.values()), default=0)
        return NAMES[max(NAMES_IN_ORDER[self._whole.state], best)]

    @property
    def worst(self) -> str:
        """State of its worst endpoint."""
        worst = max((NAMES_IN_ORDER[each.state] for each in self._endpoints.values()), default=0)
        return NAMES[max(NAMES_IN_ORDER[self._whole.state], worst)]

    def state_of(self, endpoint: str) -> str:
        """State of what is asked of an endpoint: the worse of its own and the provider's."""
        return NAMES[max(NAMES_IN_ORDER[self._whole.state], NAMES_IN_ORDER[self._of(endpoint).state])]

    def silent_s(self, endpoint: str) -> float:
        """Seconds since the newest usable answer of an endpoint, or since it was asked first where none came yet."""
        return self._of(endpoint).silent_s

    def check(self, endpoint: str) -> None:
        """Raise CircuitOpen where `call` would not try."""
        self._whole.check()
        self._of(endpoint).check()

    async def call(self, endpoint: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Return what `attempt` returns; raise CircuitOpen without trying while endpoint or provider is left alone."""
        result = await self._whole.call(partial(self._reached, endpoint, attempt))
        if isinstance(result, _SaidNo):
            raise result.error
        return result

    async def _reached(self, endpoint: str, attempt: Callable[[], Awaitable[T]]) -> T | _SaidNo:
        """Return what an endpoint says, where it says no as well: to the provider's breaker both are an answer."""
        try:
            return await self._of(endpoint).call(attempt)
        except ProviderUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - raised again by the caller
            return _SaidNo(error)

    def _of(self, endpoint: str) -> Breaker:
        if endpoint not in self._endpoints:
            self._endpoints[endpoint] = Breaker(
                self._provider, endpoint, failures=self._failures, open_s=self._open_s, now_s=self._now_s
            )
        return self._endpoints[endpoint]


@dataclass(frozen=True, slots=True)
class _SaidNo:
    error: Exception


def _succeed() -> None:
    return None


def _failing(error: ProviderUnavailable) -> Callable[[], NoReturn]:
    def fail() -> NoReturn:
        raise error

    return fail
