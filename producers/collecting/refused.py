"""Symbols that a socket may not send: the vendor said that it refuses some, and has not shown since that it serves them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from schemas.clocks import EventTime, MarketTime
from schemas.providers.facts import RefusalWords

# Symbols that stay refused are told as missed so often: a gap is a record within a minute, and a day is no hundred of them.
FIRST_TOLD_AFTER_S = 60.0
LONGEST_UNTOLD_S = 3_600.0

_BETWEEN_WORDS = re.compile(r"[\s,;'\"()\[\]{}]+")


class DoubtedSymbols:
    """Symbols of one connection that are in doubt, with the market time (µs) until which it was told of them.

    Vendors complain of too many symbols without a name (Finnhub: one complaint for each beyond its limit), so whatever
    has sent no trade over this connection is in doubt then. A quiet symbol may be called refused that is not; one that
    is, is never called watched. Its first trade ends the doubt: where nothing was said of it yet, no complaint that
    names it and no stretch told as missed, it was served all along.
    """

    def __init__(self, words: RefusalWords) -> None:
        """Doubt nothing; `words` are those by which the vendor refuses."""
        self._phrases = (*words.too_many_symbols, *words.unknown_symbol, *words.unentitled)
        self._since: dict[str, EventTime] = {}  # subscribed over this connection
        self._unproven: set[str] = set()  # of them, those that sent nothing yet and were not complained of
        self._refused: dict[str, _Telling] = {}
        self._next_s = 0.0  # before then none of them is to be told

    @property
    def symbols(self) -> Collection[str]:
        """Symbols in doubt now."""
        return self._refused.keys()

    def subscribed(self, symbols: Iterable[str], now: MarketTime) -> None:
        """Note that these are subscribed from `now` on; of each nothing is known yet."""
        fresh = dict.fromkeys(symbols, EventTime(now))
        self._since |= fresh
        self._unproven |= fresh.keys()

    def complained(self, words: str, asked: Mapping[str, str], now_s: float) -> Collection[str]:
        """Take a complaint of the vendor; return which symbols are in doubt that were not.

        `asked` maps its names to ours; `now_s` is monotonic seconds. There may be one for each symbol: those that say
        nothing new cost nothing.
        """
        lower = words.lower()
        if not any(phrase in lower for phrase in self._phrases):
            return ()
        named = {asked[name] for word in _BETWEEN_WORDS.split(words) if (name := word.strip(".:")) in asked}
        if named:
            doubted = {each: telling for each in named if (telling := self._refused.get(each)) is not None}
            self._refused |= {each: replace(telling, said=True) for each, telling in doubted.items()}
            fresh = {each for each in named if each in self._since and each not in doubted}
            self._unproven -= fresh
        else:
            fresh, self._unproven = self._unproven, set()
        if fresh:
            first = _Telling(at_s=now_s + FIRST_TOLD_AFTER_S, every_s=FIRST_TOLD_AFTER_S, said=bool(named))
            self._next_s = min(self._next_s, first.at_s) if self._refused else first.at_s
            self._refused |= dict.fromkeys(fresh, first)
        return fresh

    def traded(self, symbols: Collection[str]) -> Mapping[str, EventTime]:
        """Note that these sent a trade; return those that were refused until now, with the time since."""
        self._unproven.difference_update(symbols)
        over = ((symbol, self._refused.pop(symbol, None)) for symbol in symbols)
        return {
            symbol: self._since[symbol] for symbol, telling in over if telling is not None and telling.said
        }

    def unsubscribed(self, symbols: Iterable[str]) -> Mapping[str, EventTime]:
        """Forget some symbols, of which no complaint is any more; return those that were in doubt, with the time since."""
        over: dict[str, EventTime] = {}
        for symbol in symbols:
            since = self._since.pop(symbol, None)
            self._unproven.discard(symbol)
            if self._refused.pop(symbol, None) and since is not None:
                over[symbol] = since
        return over

    def disconnected(self) -> Mapping[str, EventTime]:
        """Forget all symbols like `unsubscribed`: of another connection nothing is known."""
        return self.unsubscribed(list(self._since))

    def due(self, now: MarketTime, now_s: float) -> Mapping[str, EventTime]:
        """Return those of whom it is time to tell, with the time since when they are in doubt; it goes on from `now` then.

        Of each a minute after the complaint, and then ever less often. `now_s` is monotonic seconds.
        """
        if not self._refused or now_s < self._next_s:
            return {}
        due = [symbol for symbol, telling in self._refused.items() if telling.at_s <= now_s]
        since = {symbol: self._since[symbol] for symbol in due}
        self._since |= dict.fromkeys(due, EventTime(now))
        self._refused |= {symbol: self._refused[symbol].next(now_s) for symbol in due}
        self._next_s = min(telling.at_s for telling in self._refused.values())
        return since


@dataclass(frozen=True, slots=True, kw_only=True)
class _Telling:
    """Moment at which a symbol in doubt is told of next (monotonic seconds), and how long after the last time that is.

    `said`: the vendor named it, or it was told as missed.
    """

    at_s: float
    every_s: float
    said: bool

    def next(self, now_s: float) -> _Telling:
        every_s = min(2 * self.every_s, LONGEST_UNTOLD_S)
        return _Telling(at_s=now_s + every_s, every_s=every_s, said=True)
