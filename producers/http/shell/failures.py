"""Failures of requests to vendors, and what the metrics call them: whose fault, and by which code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from infra.runtime.metrics import PROVIDER_ERRORS, PROVIDER_HELD_BACK
from producers.http.shell.breaker import CircuitOpen, Unconnected
from schemas.errors import BudgetExhausted, ProviderThrottled, ProviderUnavailable, TransientError

BANNED = "banned"
TIMED_OUT = "timeout"
CODES = {"ProviderBanned": BANNED, "ProviderThrottled": "429", "MalformedResponse": "malformed"}


class Unanswered(ProviderUnavailable):
    """The provider did not answer usefully; `code` is a short word for metrics."""

    def __init__(self, provider: str, endpoint: str, what: str, code: str) -> None:
        super().__init__(f"{provider} {endpoint}: {what}")
        self.code = code


def code_of(error: BaseException) -> str:
    """Return the metric label of a failure; one of a small set."""
    return (
        error.code
        if isinstance(error, Unanswered | Unconnected)
        else CODES.get(type(error).__name__, "other")
    )


def is_worth_retrying(error: Exception) -> bool:
    """Whether the same request may be answered where it is made again at once."""
    # Throttled means wait as told; an open circuit means leave it alone; a time-out has had its time.
    timed_out = isinstance(error, Unanswered | Unconnected) and error.code == TIMED_OUT
    return (
        isinstance(error, TransientError)
        and not isinstance(error, ProviderThrottled | CircuitOpen)
        and not timed_out
    )


def show_bans(provider: str, endpoints: Iterable[str]) -> None:
    """Show that endpoints have banned nobody yet: a series that begins with its first ban never rises."""
    for endpoint in endpoints:
        PROVIDER_ERRORS.labels(provider, endpoint, BANNED)


@contextmanager
def held_back(provider: str, endpoint: str) -> Iterator[None]:
    """Count a request that is not sent, by the brake of ours that stopped it; the vendor has no part in it."""
    try:
        yield
    except CircuitOpen:
        PROVIDER_HELD_BACK.labels(provider, endpoint, "circuit").inc()
        raise
    except BudgetExhausted:
        PROVIDER_HELD_BACK.labels(provider, endpoint, "budget").inc()
        raise
    except ProviderThrottled:
        PROVIDER_HELD_BACK.labels(provider, endpoint, "pause").inc()
        raise
