"""What a vendor's response turned out to hold, before it is put into raw blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.errors import MalformedPayload
from schemas.records import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """One value of a response that breaks a rule; it is dead-lettered alone, the rest is kept."""

    symbol: str
    reason: str
    message: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The events of one response in the order they are published, and what could not be used.

    `missing` names symbols that were asked for and that the vendor says nothing about.
    """

    events: Sequence[Event] = ()
    rejected: Sequence[Rejected] = ()
    missing: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer with where it came from and when our poller saw it (µs, wall time)."""

    endpoint: str
    received_time: int
    answer: Answer


class MalformedResponse(MalformedPayload):
    """A whole response that cannot be used; carries what a dead letter needs, `payload` cut to what fits."""

    def __init__(self, message: str, *, endpoint: str, received_time: int, payload: bytes) -> None:
        super().__init__(message)
        self.endpoint = endpoint
        self.received_time = received_time
        self.payload = payload
