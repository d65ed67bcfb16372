"""Symbols that a socket may not send: the vendor said that it refuses some, and has not shown since that it serves them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

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
    is, is never called watched. Its first trade ends the doubt.
    """

    def __init__(self, words: RefusalWords) -> None:
        """Doubt nothing; `words` are those by which the vendor refuses."""
        self._phrases = (*words.too_many_symbols, *words.unknown_symbol, *words.unentitled)
        self._since: dict[str, EventTime] = {}  # subscribed over this connection
        self._served: set[str] = set()
        self._refused: set[str] = set()
        self._told_s = self._every_s = 0.0

    @property
    def symbols(self) -> Collection[str]:
        """Symbols in doubt now."""
        return self._refused

    def subscribed(self, symbols: Iterable[str], now: MarketTime) -> None:
        """Note that these are subscribed from `now` on; of each nothing is known yet."""
        fresh = dict.fromkeys(symbols, EventTime(now))
        self._since |= fresh
        self._served -= fresh.keys()
        self._refused -= fresh.keys()

    def complained(self, words: str, asked: Mapping[str, str], now_s: float) -> Collection[str]:
        """Take a complaint of the vendor; return which symbols are in doubt that were not.

        `asked` maps its names to ours; `now_s` is monotonic seconds.
        """
        lower = words.lower()
        if not any(phrase in lower for phrase in self._phrases):
            return ()
        named = {asked[name] for word in _BETWEEN_WORDS.split(words) if (name := word.strip(".:")) in asked}
        doubted = (named or self._since.keys() - self._served) & self._since.keys()
        fresh = doubted - self._refused
        self._served -= fresh
        self._refused |= fresh
        if fresh:
            self._told_s, self._every_s = now_s, FIRST_TOLD_AFTER_S
        return fresh

    def traded(self, symbols: Iterable[str]) -> Mapping[str, EventTime]:
        """Note that these sent a trade; return those that were in doubt until now, with the time since."""
        sent = set(symbols)
        self._served |= sent
        return self.ended(sent)

    def ended(self, symbols: Collection[str]) -> Mapping[str, EventTime]:
        """Return those of some symbols that are in doubt, with the time since, and doubt them no more."""
        over = self._refused.intersection(symbols) if self._refused else ()
        self._refused.difference_update(over)
        return {symbol: self._since[symbol] for symbol in over}

    def due(self, now: MarketTime, now_s: float) -> Mapping[str, EventTime]:
        """Return all in doubt with the time since, where it is time to tell of them; it goes on from `now` then.

        After a minute, and then ever less often. `now_s` is monotonic seconds.
        """
        if not self._refused or now_s - self._told_s < self._every_s:
            return {}
        self._told_s, self._every_s = now_s, min(2 * self._every_s, LONGEST_UNTOLD_S)
        since = {symbol: self._since[symbol] for symbol in self._refused}
        self._since |= dict.fromkeys(since, EventTime(now))
        return since
