"""Limits of a client: connections, streams, and commands by what they cost; of a connection and of a key.

A command costs one unit, and the streams it names a share of one: a burst is free, a flood waits. The caller of a key is
shared by all connections of the key, so many connections buy no more than one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

MAX_STREAMS = 1_000  # subscriptions of one connection
COMMANDS_PER_S = 10.0  # cost units of one connection
COMMANDS_BURST = 50
STREAMS_PER_UNIT = 50  # so many streams in a command cost as much as a command
KEY_CONNECTIONS = 2_048
KEY_STREAMS = 100_000
KEY_COMMANDS_PER_S = 500.0
KEY_COMMANDS_BURST = 10_000  # all its clients come back at once after a restart
UNAUTHENTICATED = 1_024  # connections that have not said who they are, in all
UNAUTHENTICATED_OF_ADDRESS = 64


class CostBucket:
    """Cost units that come back with time, up to a burst."""

    def __init__(self, per_s: float, burst: float, now_s: float) -> None:
        """Begin full; `now_s` is any clock that never steps."""
        self._per_s, self._burst = per_s, burst
        self._units, self._refilled_s = burst, now_s

    def wait_s(self, cost: float, now_s: float) -> float:
        """Return how long `cost` units must be waited for; 0.0: they are there. More than a burst costs a burst."""
        self._units = min(self._burst, self._units + (now_s - self._refilled_s) * self._per_s)
        self._refilled_s = now_s
        return max(0.0, min(cost, self._burst) - self._units) / self._per_s

    def take(self, cost: float) -> None:
        """Spend units that `wait_s` said are there."""
        self._units -= min(cost, self._burst)


@dataclass(slots=True)
class Caller:
    """One key, and what all its connections hold together; a key that is "" is the machine's own user, without limit."""

    key_id: str
    bucket: CostBucket
    connections: int = 0
    streams: int = 0

    @property
    def may_connect(self) -> bool:
        """Whether one more connection is within the limit."""
        return not self.key_id or self.connections < KEY_CONNECTIONS

    @property
    def may_subscribe(self) -> bool:
        """Whether one more stream is within the limit."""
        return not self.key_id or self.streams < KEY_STREAMS

    def wait_s(self, cost: float, now_s: float) -> float:
        """Return how long `cost` units must be waited for; see `CostBucket.wait_s`."""
        return self.bucket.wait_s(cost, now_s) if self.key_id else 0.0

    def take(self, cost: float) -> None:
        """Spend units."""
        if self.key_id:
            self.bucket.take(cost)


@dataclass(slots=True)
class Callers:
    """Callers that are connected, by key."""

    by_key: dict[str, Caller] = field(default_factory=dict)

    def enter(self, key_id: str, now_s: float) -> Caller | None:
        """Count one more connection of a key and return its caller; None where it has as many as it may."""
        caller = self.by_key.get(key_id)
        if caller is None:
            caller = Caller(key_id, CostBucket(KEY_COMMANDS_PER_S, KEY_COMMANDS_BURST, now_s))
            self.by_key[key_id] = caller
        if not caller.may_connect:
            return None
        caller.connections += 1
        return caller

    def leave(self, caller: Caller, streams: int) -> None:
        """Count a connection less, with the streams it had."""
        caller.connections -= 1
        caller.streams -= streams
        # What a key spent is remembered for as long as it is connected: its bucket fills within a minute anyway.
        if not caller.connections:
            self.by_key.pop(caller.key_id, None)


C = TypeVar("C")


class Waiting(Generic[C]):
    """Connections that have not said who they are, by address; bounded, and the oldest gives way to the next."""

    def __init__(self) -> None:
        """Begin with none."""
        self._addresses: dict[C, str] = {}

    def __len__(self) -> int:
        return len(self._addresses)

    def enter(self, connection: C, address: str) -> C | None:
        """Count a connection in, and return the one that has to give way: it had its time to speak."""
        self._addresses[connection] = address
        own = [each for each, of in self._addresses.items() if of == address]
        if len(own) > UNAUTHENTICATED_OF_ADDRESS:
            return own[0]
        return next(iter(self._addresses)) if len(self._addresses) > UNAUTHENTICATED else None

    def leave(self, connection: C) -> None:
        """Count a connection out: it is known by now, or gone."""
        self._addresses.pop(connection, None)
