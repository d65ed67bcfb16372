"""A circuit breaker per provider: aiobreaker's state machine behind an adapter that repairs four of its faults.

The library lets every waiting caller through at once when half-open, ignores cancellation of the probe, compares
UTC with local wall time, and takes an excluded error for a success. Here one probe is let through, a cancelled probe
counts as failed, time is monotonic, and an excluded error changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import NoReturn, TypeVar

from aiobreaker import CircuitBreaker, CircuitBreakerError
from aiobreaker.state import CircuitBreakerState

from infra.runtime.clock import monotonic_s
from infra.runtime.metrics import CIRCUIT_STATE, compute_at_scrape
from schemas.errors import ProviderUnavailable

FAILURES_TO_OPEN = 5
OPEN_S = 15.0
GAUGE = {CircuitBreakerState.CLOSED: 0, CircuitBreakerState.HALF_OPEN: 1, CircuitBreakerState.OPEN: 2}
NAMES = {0: "closed", 1: "half_open", 2: "open"}

T = TypeVar("T")


class CircuitOpen(ProviderUnavailable):
    """The provider failed too often; it is left alone for `retry_after_s` seconds."""

    def __init__(self, provider: str, retry_after_s: float) -> None:
        super().__init__(f"{provider} failed too often; it is asked again in {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


class Breaker:
    """Lets attempts through until `failures` in a row were outages; then one probe every `open_s` seconds.

    Only ProviderUnavailable (and, for the probe, cancellation) is an outage. Other errors of ours are answers: they
    neither count nor clear the count.
    """

    def __init__(
        self,
        provider: str,
        *,
        failures: int = FAILURES_TO_OPEN,
        open_s: float = OPEN_S,
        now_s: Callable[[], float] = monotonic_s,
    ) -> None:
        self._provider = provider
        self._open_s = open_s
        self._now_s = now_s
        self._opened_s = 0.0
        self._probing = False
        # The library's own timing is never reached: this adapter alone half-opens and never calls it while open.
        self._breaker = CircuitBreaker(fail_max=failures, timeout_duration=timedelta(seconds=open_s))
        # Read when scraped, of the newest one: an attempt of a breaker that was replaced has nothing to say here.
        compute_at_scrape(CIRCUIT_STATE.labels(provider), lambda: GAUGE[self._breaker.current_state])

    @property
    def state(self) -> str:
        """`closed`, `half_open` or `open`."""
        return NAMES[GAUGE[self._breaker.current_state]]

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
        except ProviderUnavailable as error:
            self._record(error, probe=probe)
            raise
        except asyncio.CancelledError:
            if probe:
                self._record(ProviderUnavailable(f"{self._provider}: the probe was cancelled"), probe=True)
            raise
        else:
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


def _succeed() -> None:
    return None


def _failing(error: ProviderUnavailable) -> Callable[[], NoReturn]:
    def fail() -> NoReturn:
        raise error

    return fail
