"""Stand-ins for what the adapters talk to."""

# ruff: noqa: ARG002 - stand-ins take what the real ones take

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from infra.runtime.clock import Market
from infra.runtime.kafka.publisher import Outgoing
from producers.raw.blocks import Placed
from producers.raw.watched import WatchedStreams
from producers.routing.shell.router import Router
from producers.routing.shell.status import ProviderStatus
from schemas.calendar.sessions import calendar_of
from schemas.configuration.model import Routing
from schemas.topics import DEFAULT_PARTITIONS


class FixedClock:
    """A market clock moved by hand."""

    def __init__(self, now: int, speed: float = 1.0) -> None:
        self.now = now
        self.speed = speed
        self.known = True

    def now_us(self) -> int:
        """Return the time it was set to."""
        return self.now


class RecordingCadence:
    """Keeps what it is told of polls."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def begun(self, group: object, *, due_us: int) -> None:
        """Keep when it was due."""
        self.told.append(("begun", due_us))

    def ended(self, group: object, symbols: Sequence[str], *, next_due_us: int, ok: bool) -> None:
        """Keep when it is due again."""
        self.told.append(("ended", next_due_us, ok))

    def skipped(self, group: object, symbols: Sequence[str], *, next_due_us: int) -> None:
        """Keep when it is due again."""
        self.told.append(("skipped", next_due_us))


class RecordingPublisher:
    """Keeps what goes to Kafka, and confirms it at once."""

    def __init__(self) -> None:
        self.records: list[Outgoing] = []

    async def publish(self, records: Sequence[Outgoing]) -> list[int]:
        """Keep the records."""
        self.records.extend(records)
        return list(range(len(records)))


class RecordingTopics:
    """Keeps what would be published; `failing` makes the next publications raise."""

    partitions = DEFAULT_PARTITIONS

    def __init__(self) -> None:
        self.placed: list[Placed] = []
        self.dead: list[dict[str, Any]] = []
        self.failing: list[Exception] = []
        self.watched = WatchedStreams()

    async def publish(self, topic: str, placed: Sequence[Placed]) -> None:
        """Keep the blocks."""
        if self.failing:
            raise self.failing.pop(0)
        self.placed += placed

    async def dead_letter(self, topic: str, **fields: Any) -> None:
        """Keep the dead letter."""
        self.dead.append({"topic": topic, **fields})

    @property
    def events(self) -> list[Any]:
        """All events, in the order of publication."""
        return [event for entry in self.placed for event in entry.block.events]

    @property
    def holes(self) -> list[Any]:
        """All discontinuities, in the order of publication."""
        return [hole for entry in self.placed for hole in entry.block.discontinuities]


def a_router(
    *providers: str,
    breakers: Mapping[str, Callable[[], str]] | None = None,
    clock: FixedClock | None = None,
    now_s: Callable[[], float] = lambda: 0.0,
    routing: Routing | None = None,
    symbols: Sequence[str] = ("SPY",),
) -> Router:
    """Return a router that routes quotes, bars and option chains of `symbols` among `providers`, the first one preferred."""
    names = ("quotes", "bars:1m", "options")
    router = Router(
        budgets=lambda _: {}, market=Market(clock=clock or FixedClock(1_000)), deadline_s=10.0, now_s=now_s
    )
    states = breakers or {name: lambda: "closed" for name in providers}
    router.route(
        {name: dict.fromkeys(providers, symbols) for name in names},
        {symbol: calendar_of(symbol) for symbol in symbols},
        routing or Routing(),
        {name: (lambda _, state=state: state()) for name, state in states.items()},  # type: ignore[misc]
    )
    return router


def a_status(*providers: str) -> ProviderStatus:
    """Return a status with closed breakers."""
    return ProviderStatus({name: lambda: "closed" for name in providers})
