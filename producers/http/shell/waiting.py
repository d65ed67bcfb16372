"""Time that requests spend in our own queues: it is not the vendor's, whoever asks how long an answer took."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from infra.runtime.clock import monotonic_s

# of the deadline must be left for an attempt, less would take our impatience for an outage; as much may our queue take
ATTEMPT_SHARE = 0.5

T = TypeVar("T")


@dataclass(slots=True)
class _Queued:
    total_s: float = 0.0


_QUEUED: ContextVar[_Queued | None] = ContextVar("queued", default=None)


async def timed(asking: Awaitable[T]) -> tuple[T, float]:
    """Return what comes of asking a vendor, however many requests it takes, and the seconds that were the vendor's."""
    queued = _Queued()
    token, begun_s = _QUEUED.set(queued), monotonic_s()
    try:
        answer = await asking
    finally:
        _QUEUED.reset(token)
    return answer, max(0.0, monotonic_s() - begun_s - queued.total_s)


class RequestDeadline:
    """Time one request may still take: attempts have the whole of the deadline, and our own queue half as much beside it."""

    def __init__(self, deadline_s: float) -> None:
        """Begin now."""
        self._end_s = monotonic_s() + deadline_s
        self.queue_s = deadline_s * ATTEMPT_SHARE  # that it may still wait for leave of ours

    @property
    def left_s(self) -> float:
        """Seconds left of the vendor's time."""
        return self._end_s - monotonic_s()

    @contextmanager
    def queueing(self) -> Iterator[None]:
        """Wait in our queue: the vendor is given as much longer."""
        begun_s = monotonic_s()
        try:
            yield
        finally:
            queued_s = monotonic_s() - begun_s
            self._end_s += queued_s
            self.queue_s = max(0.0, self.queue_s - queued_s)
            if (queued := _QUEUED.get()) is not None:
                queued.total_s += queued_s
