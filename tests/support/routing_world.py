"""Two providers and many symbols in virtual time: the real router and breakers, and the polls' rules, event by event."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import pairwise
from typing import Any

from infra.runtime.clock import Market
from producers.http.shell.breaker import Breaker, CircuitOpen
from producers.polling.schedule import phase_of
from producers.polling.shell.poller import BACKOFF, FLOOR_S, REFUSED_S, UNKNOWN_SYMBOL_S
from producers.routing.evidence import bars_evidence
from producers.routing.shell.router import Router
from schemas.calendar.sessions import Calendar, calendar_of
from schemas.clocks import MarketTime
from schemas.configuration.model import Routing
from schemas.errors import MarketDataError, ProviderRefused, ProviderUnavailable, UnknownSymbol
from schemas.intervals import MINUTE_US, SECOND_US
from tests.support.producer_fakes import FixedClock

BARS = "bars:1m"
ATTEMPTS = 3  # of one request, as the client makes them
EVERY_S = 60.0
ALWAYS_OPEN = calendar_of("BTC-USD")


@dataclass(frozen=True, kw_only=True)
class Bars:
    """What a vendor answers: how long it took, how old the newest bar is and its price; `age_s` None: no bar at all.

    `delay_s` is how late it declares its feed to be.
    """

    latency_s: float = 0.2
    age_s: float | None = 30.0
    price: float | None = None
    scale: float = 1.0
    is_true: bool = True
    delay_s: int = 0


Said = Bars | MarketDataError
Vendor = Callable[[str, float], Said]
"""What a vendor answers for a symbol at a moment (s)."""


@dataclass
class World:
    """Polls of bars of every symbol at every provider that has a name for it, the first provider preferred."""

    vendors: Mapping[str, Vendor]
    symbols: Sequence[str]
    names: Mapping[str, Collection[str]] | None = None  # None: each has them all
    calendars: Mapping[str, Calendar] | None = None  # None: markets that never close
    begin_us: int = 1_740_063_000_000_000
    every_s: float = EVERY_S
    routing: Routing = field(default_factory=Routing)
    now_s: float = 0.0
    switches: list[tuple[float, str, str]] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)
    moved: Counter[str] = field(default_factory=Counter)  # symbols that were routed alone
    # By symbol: when something true, by whom.
    served: dict[str, list[tuple[float, str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Route everything, and let every poll be due within two seconds."""
        self.dice = random.Random(1)
        self.clock = FixedClock(self.begin_us)
        self.breakers = {
            name: Breaker(f"{name}-{id(self)}", failures=5, open_s=15.0, now_s=lambda: self.now_s)
            for name in self.vendors
        }
        self.router = Router(
            budgets=lambda _: {}, market=Market(clock=self.clock), deadline_s=10.0, now_s=lambda: self.now_s
        )
        self.router.moved = self._take_over
        self._heap: list[tuple[float, int, str, str]] = []
        self._due: dict[tuple[str, str], int] = {}  # the entry of the heap that counts
        self._failures: Counter[tuple[str, str]] = Counter()
        self._done: dict[str, int] = {}  # the last slot of a symbol that was served
        self._entries = 0
        named = self.names or dict.fromkeys(self.vendors, self.symbols)
        self._named = {name: list(symbols) for name, symbols in named.items()}
        self.router.route(
            {BARS: self._named},
            self.calendars or dict.fromkeys(self.symbols, ALWAYS_OPEN),
            self.routing,
            {name: (lambda _, breaker=breaker: breaker.state) for name, breaker in self.breakers.items()},
        )
        self.served = {symbol: [] for symbol in self.symbols}
        for name, symbols in self._named.items():
            for place, symbol in enumerate(symbols):
                self._add(self.dice.uniform(0.0, 2.0) + place * 0.01, name, symbol)

    def run(self, hours: float) -> World:
        """Let so much time pass."""
        end_s = self.now_s + hours * 3600.0
        while self._heap and self._heap[0][0] <= end_s:
            at_s, entry, name, symbol = heappop(self._heap)
            if self._due.get((name, symbol)) == entry:
                self._pass(at_s)
                del self._due[name, symbol]
                self._poll(name, symbol)
                self._note()
        self._pass(end_s)
        return self

    def longest_s(self, symbol: str, since_s: float = 0.0) -> float:
        """Return the longest time a symbol was without anything true."""
        times = [since_s, *(at_s for at_s, _ in self.served[symbol] if at_s > since_s), self.now_s]
        return max(later - earlier for earlier, later in pairwise(times))

    def worst_s(self, since_s: float = 0.0) -> float:
        """Return the longest time any symbol was without anything true."""
        return max(self.longest_s(symbol, since_s) for symbol in self.symbols)

    def served_by(self, symbol: str, since_s: float = 0.0) -> set[str]:
        """Return who gave something true of a symbol."""
        return {name for at_s, name in self.served[symbol] if at_s >= since_s}

    def _pass(self, at_s: float) -> None:
        self.now_s = at_s
        self.clock.now = self.begin_us + int(at_s * SECOND_US)

    def _note(self) -> None:
        for record in self.router._untold:  # noqa: SLF001 - what it would publish
            if record.changed in ("failover", "failback"):
                self.switches.append((self.now_s, record.provider, record.reason))
        self.router._untold.clear()  # noqa: SLF001

    def _take_over(self, capability: str, symbols: Sequence[str]) -> None:  # noqa: ARG002 - there is one
        self.moved.update(symbols)
        for symbol in symbols:
            self._done.pop(symbol, None)
        for name, named in self._named.items():
            for place, symbol in enumerate(symbols or named):
                if self._done.get(symbol, -1) < self._slot(symbol) and (name, symbol) in self._due:
                    self._add(self.now_s + place * 0.01, name, symbol)

    def _slot(self, symbol: str) -> int:
        return int((self.now_s - self._phase_s(symbol)) // self.every_s)

    def _phase_s(self, symbol: str) -> float:
        every_us = int(self.every_s * SECOND_US)
        return phase_of(f"{BARS}/{symbol}", len(self.symbols), every_us) / SECOND_US

    def _add(self, at_s: float, name: str, symbol: str) -> None:
        self._entries += 1
        self._due[name, symbol] = self._entries
        heappush(self._heap, (at_s, self._entries, name, symbol))

    def _poll(self, name: str, symbol: str) -> None:
        slot = self._slot(symbol)
        next_s = (slot + 1) * self.every_s + self._phase_s(symbol)
        next_s = max(next_s, self.now_s + FLOOR_S)
        turn = self.router.turn(BARS, name, (symbol,))
        if turn.anew:
            self._done.pop(symbol, None)
        serves = bool(turn.serve) and self._done.get(symbol, -1) < slot
        if not serves and not turn.probe:
            self._add(next_s, name, symbol)
            return
        said = self._asked(name, symbol)
        if isinstance(said, MarketDataError):
            self.router.failed(BARS, name, said, (symbol,))
            self._add(self.now_s + self._pause_s(name, symbol, said), name, symbol)
            return
        self._failures.pop((name, symbol), None)
        self._add(next_s, name, symbol)
        events = self._events(symbol, said)
        if serves:
            self._done[symbol] = slot
            if said.is_true and events:
                self.served[symbol].append((self.now_s, name))
        evidence = bars_evidence(
            symbol,
            events,
            MarketTime(self.clock.now),
            latency_s=said.latency_s,
            every_us=int(self.every_s * SECOND_US),
            step_us=MINUTE_US,
            delay_s=said.delay_s,
        )
        self.router.answered(BARS, name, evidence)

    def _asked(self, name: str, symbol: str) -> Said:
        said = self.vendors[name](symbol, self.now_s)
        result: Said = said
        for _ in range(ATTEMPTS):
            self.requests[name] += 1
            result = self._through_breaker(name, said)
            if not isinstance(result, ProviderUnavailable) or isinstance(result, CircuitOpen):
                break
        return result

    def _through_breaker(self, name: str, said: Said) -> Said:
        async def attempt() -> Said:
            if isinstance(said, ProviderUnavailable):
                raise said
            return said

        calling: Coroutine[Any, Any, Said] = self.breakers[name].call(attempt)
        try:
            calling.send(None)
        except StopIteration as ended:
            return ended.value  # type: ignore[no-any-return]
        except MarketDataError as error:
            return error
        raise AssertionError("the breaker waited")

    def _pause_s(self, name: str, symbol: str, error: MarketDataError) -> float:
        if isinstance(error, UnknownSymbol):
            return UNKNOWN_SYMBOL_S
        if isinstance(error, ProviderRefused):
            return REFUSED_S
        self._failures[name, symbol] += 1
        return max(FLOOR_S, BACKOFF.anywhere_s(self._failures[name, symbol]))

    def _events(self, symbol: str, said: Bars) -> list[dict[str, Any]]:
        if said.age_s is None:
            return []
        start = self.clock.now - int(said.age_s * SECOND_US) - MINUTE_US
        start -= start % MINUTE_US
        moving = 100.0 + random.Random(f"{symbol}{start}").random()
        price = (moving if said.price is None else said.price) * said.scale
        return [{"event_time": start, "symbol": symbol, "close": price}]
