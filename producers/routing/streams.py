"""Routes of single symbols within a capability: whoever cannot give one is passed over for it alone; pure.

A symbol goes to the provider that serves, else to the next that has it. What is *lacking* at a provider (no name for
it, said unknown, refused or failing alone, nothing or old values in an open market) is tried again after a wait that
doubles up to an hour. Values that are old everywhere are those of a quiet symbol, which stays where it is: the others are
asked once, and whoever has newer ones takes over.
Times are monotonic seconds; memory is bounded by providers × symbols.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import islice

from schemas.clocks import EventTime, MarketTime

NEVER = float("-inf")
LONGEST_WAIT_S = 3_600.0
SUSPECTS = 3  # of a provider, that are probed before anything else
LOOKED_AT = 100  # of those that failed last, to find them


class Lack(Enum):
    """Cause for which a provider does not give a symbol; the value is told to operators."""

    NOT_OFFERED = "not_offered"
    REFUSED = "refused"
    FAILING = "failing"
    NOTHING = "nothing"
    STALE = "stale"
    WRONG = "wrong"


PATIENCE: Mapping[Lack, int] = {
    Lack.NOT_OFFERED: 1,
    Lack.REFUSED: 1,
    Lack.FAILING: 3,
    Lack.NOTHING: 3,
    Lack.STALE: 1,  # it has been late for several cadences by then
    Lack.WRONG: 2,
}
"""Faults in a row after which a symbol is lacking."""


@dataclass(slots=True)
class _Standing:
    """One symbol at one provider: faults in a row and of what kind, and the waits they led to."""

    fault: Lack | None = None
    faults: int = 0
    lacking: bool = False
    since_s: float = NEVER  # it has been lacking, or not
    wait_s: float = 0.0
    retry_s: float = NEVER  # not before
    quiet_until_s: float = NEVER  # another is not asked before whether it has newer values
    wanted: bool = False  # asked once, whether it has newer values
    newest: EventTime | None = None
    asked: MarketTime | None = None  # last, with an answer
    behind_us: int = 0  # others may be so much newer: it is as new as its feed declares

    @property
    def is_missing(self) -> bool:
        """Whether nothing that could be used came, again and again; old values are a quiet symbol's."""
        if self.fault is Lack.STALE:
            return self.newest is None and self.faults >= PATIENCE[Lack.NOTHING]
        return self.fault is not None and self.faults >= PATIENCE[self.fault]

    def shows(self, newest: EventTime | None) -> None:
        """Note the newest value of an answer."""
        if newest is not None and (self.newest is None or newest > self.newest):
            self.newest = newest

    def wait(self, first_s: float, now_s: float) -> None:
        """Wait twice as long as the last time, unless all was well for an hour longer than that."""
        if not self.lacking and now_s - self.since_s > LONGEST_WAIT_S + self.wait_s:
            self.wait_s = 0.0
        self.wait_s = min(max(first_s, 2 * self.wait_s), LONGEST_WAIT_S)
        self.retry_s = now_s + self.wait_s


class StreamRoutes:
    """Routes of the symbols of one capability."""

    def __init__(self) -> None:
        """Route nothing until `plan`."""
        self.symbols: frozenset[str] = frozenset()
        self._named: Mapping[str, frozenset[str]] = {}
        self._standings: dict[str, dict[str, _Standing]] = {}  # symbol, provider
        self._failing: dict[str, dict[str, None]] = {}  # provider, symbols; what failed last comes last
        self._unserved: dict[str, Lack] = {}
        self._first_wait_s = 0.0

    def plan(self, named: Mapping[str, Collection[str]], first_wait_s: float) -> None:
        """Route these symbols by provider, the preferred one first; what is known of them stays known."""
        self._named = {provider: frozenset(symbols) for provider, symbols in named.items()}
        self._first_wait_s = first_wait_s
        self.symbols = symbols = frozenset[str]().union(*self._named.values())
        self._standings = {
            symbol: {provider: kept for provider, kept in known.items() if symbol in self._of(provider)}
            for symbol, known in self._standings.items()
            if symbol in symbols
        }
        self._failing = {
            provider: {symbol: None for symbol in failing if symbol in self._of(provider)}
            for provider, failing in self._failing.items()
        }
        for symbol in [*self._unserved, *self._standings]:
            self._judge(symbol)

    def route(self, symbol: str, choice: str) -> str | None:
        """Return who is asked for a symbol while `choice` serves; None where nobody has a name for it.

        Where it is lacking everywhere: who has the newest of old values, or the choice.
        """
        named = self._order(symbol, choice)
        known = self._standings.get(symbol, {})
        well = next((each for each in named if each not in known or not known[each].lacking), None)
        if well is not None or not named:
            return well
        old = [each for each in named if known[each].fault is Lack.STALE]
        return max(old or named[:1], key=lambda each: known[each].newest or 0)

    def asked(self, provider: str, symbol: str, now: MarketTime) -> None:
        """Note at which market time a provider answered for a symbol."""
        self._standing(provider, symbol).asked = now

    def good(self, provider: str, symbol: str, newest: EventTime | None, now_s: float) -> None:
        """Note that a provider gave a symbol."""
        standing = self._standing(provider, symbol)
        standing.fault, standing.faults = None, 0
        standing.shows(newest)
        if standing.lacking:
            standing.lacking, standing.since_s = False, now_s
        self._failing.get(provider, {}).pop(symbol, None)
        self._compare(provider, symbol, now_s)
        self._judge(symbol)

    def bad(
        self,
        provider: str,
        symbol: str,
        lack: Lack,
        newest: EventTime | None,
        now_s: float,
        *,
        behind_us: int = 0,
    ) -> None:
        """Note that a provider did not give a symbol.

        One whose values are old stays where it is until another has newer ones, by more than `behind_us`: the others
        are asked once.
        """
        standing = self._standing(provider, symbol)
        standing.behind_us = behind_us
        standing.faults = standing.faults + 1 if standing.fault is lack else 1
        standing.fault = lack
        standing.shows(newest)
        if lack is Lack.STALE and not standing.lacking:
            self._suspect(provider, symbol, standing, now_s)
        elif standing.faults >= PATIENCE[lack]:
            self._pass_over(standing, now_s)
        self._compare(provider, symbol, now_s)
        if lack is not Lack.NOT_OFFERED:
            failing = self._failing.setdefault(provider, {})
            failing.pop(symbol, None)
            failing[symbol] = None
        self._judge(symbol)

    def retries(self, provider: str, symbol: str, choice: str, now_s: float) -> bool:
        """Whether a provider is tried now for a symbol it was lacking; granted once a wait, where it could change the route."""
        standing = self._standings.get(symbol, {}).get(provider)
        if standing is None:
            return False
        if standing.wanted:
            standing.wanted = False
            return True
        if now_s < standing.retry_s or not (standing.lacking or symbol in self._unserved):
            return False
        order = self._order(symbol, choice)
        asked = self.route(symbol, choice)
        if provider == asked or provider not in order or asked is None:
            return False
        if symbol not in self._unserved and order.index(provider) > order.index(asked):
            return False
        standing.retry_s = now_s + standing.wait_s
        return True

    def forgive(self, provider: str) -> None:
        """Let a provider that has just proven itself serve all it was not told to be without."""
        for symbol, known in self._standings.items():
            standing = known.get(provider)
            if standing is not None and standing.fault not in (Lack.NOT_OFFERED, Lack.REFUSED):
                standing.lacking, standing.faults = False, 0
                self._judge(symbol)

    def suspects(self, provider: str) -> list[str]:
        """Return what failed last at a provider, though others have it."""
        found: list[str] = []
        for symbol in islice(reversed(self._failing.get(provider, {})), LOOKED_AT):
            if not self.is_alone(provider, symbol):
                found.append(symbol)
                if len(found) == SUSPECTS:
                    break
        return found

    def is_alone(self, provider: str, symbol: str) -> bool:
        """Whether no other provider has a symbol either, so that it says nothing of this one."""
        known = self._standings.get(symbol, {})
        others = [each for each in self._order(symbol, provider) if each != provider]
        return bool(others) and all(each in known and known[each].is_missing for each in others)

    def newest(self, provider: str, symbol: str) -> EventTime | None:
        """Return the newest value of a symbol that a provider has shown."""
        standing = self._standings.get(symbol, {}).get(provider)
        return None if standing is None else standing.newest

    def newest_of_others(self, provider: str, symbol: str) -> EventTime | None:
        """Return the newest value of a symbol that any other provider has shown."""
        return _newest(each for name, each in self._standings.get(symbol, {}).items() if name != provider)

    def behind(
        self, symbol: str, newest: EventTime | None, now: MarketTime, tolerance_us: int
    ) -> Iterator[str]:
        """Yield the providers whose newest value was behind by more than is tolerated when they were asked last.

        One that was asked a while before `now` may have come as far since.
        """
        for provider, each in self._standings.get(symbol, {}).items():
            if newest is None or each.newest is None or each.asked is None:
                continue
            if newest - each.newest > tolerance_us + (now - each.asked):
                yield provider

    @property
    def unserved(self) -> Mapping[str, Lack]:
        """Symbols nobody gives, and what the last one asked did instead."""
        return self._unserved

    def _suspect(self, provider: str, symbol: str, standing: _Standing, now_s: float) -> None:
        """Let the others be asked once for what is old here, after waits that double: it may be quiet."""
        if now_s >= standing.quiet_until_s:
            standing.wait(self._first_wait_s, now_s)
            standing.since_s, standing.quiet_until_s = now_s, standing.retry_s
            for other in self._order(symbol, provider)[1:]:
                self._standing(other, symbol).wanted = True

    def _compare(self, provider: str, symbol: str, now_s: float) -> None:
        """Pass over those whose values of a symbol are old, where a provider has just shown newer ones."""
        newest = self.newest(provider, symbol) or 0
        for each in self._standings[symbol].values():
            shown = (each.newest or 0) + each.behind_us
            if each.fault is Lack.STALE and not each.lacking and shown < newest:
                self._pass_over(each, now_s)

    def _pass_over(self, standing: _Standing, now_s: float) -> None:
        standing.wait(self._first_wait_s, now_s)
        if not standing.lacking:
            standing.lacking, standing.since_s = True, now_s

    def _judge(self, symbol: str) -> None:
        """Note whether anybody gives a symbol."""
        known = self._standings.get(symbol, {})
        named = self._order(symbol, "")
        if named and all(each in known and known[each].is_missing for each in named):
            fault = known[named[0]].fault
            assert fault is not None  # noqa: S101 - it is missing
            self._unserved[symbol] = Lack.NOTHING if fault is Lack.STALE else fault
        else:
            self._unserved.pop(symbol, None)

    def _order(self, symbol: str, choice: str) -> Sequence[str]:
        named = [provider for provider, symbols in self._named.items() if symbol in symbols]
        return sorted(named, key=lambda provider: provider != choice)

    def _of(self, provider: str) -> frozenset[str]:
        return self._named.get(provider, frozenset())

    def _standing(self, provider: str, symbol: str) -> _Standing:
        return self._standings.setdefault(symbol, {}).setdefault(provider, _Standing())


def _newest(standings: Iterable[_Standing]) -> EventTime | None:
    return max((each.newest for each in standings if each.newest is not None), default=None)
