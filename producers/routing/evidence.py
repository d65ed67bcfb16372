"""Evidence an answer gives about its provider: how new the values of each symbol are, and whether they can be true; pure.

Times are market time, µs. A vendor that answers quickly with zeros, with the future, with the same price while others
move, or with a multiple of what it was, is not well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import log

from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime, MarketTime
from schemas.intervals import MINUTE_US, SECOND_US
from schemas.records import Event
from schemas.symbols.instruments import may_be_negative

# a stamp so far ahead of the market is wrong: clocks of vendors and ours differ by less
FUTURE_US = 5 * MINUTE_US
QUOTE_TOLERANCE_US = MINUTE_US  # age of a provider's newest quote that is normal in an open market
TOLERATED_POLLS = 4  # or so many polls, where they are rarer
TOLERATED_BARS = 3  # bars that may not be there yet
FROZEN_US = 2 * MINUTE_US  # a price that stands so long is suspicious if others saw it move
FROZEN_MOVES = 2  # times that others saw it move meanwhile
COMPARED_US = 5 * MINUTE_US  # for so long can a price of one provider be held against another's
# Two prices of one symbol so far apart are on two levels: a split of 3 for 2 is further, no market is in minutes.
LEVEL = log(1.4)
LEAST_LEVEL = 1.0  # a rate near zero may double within minutes, and below it there is no ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerEvidence:
    """One answer: `newest` is the end of the newest value of each symbol, `prices` those that can be true.

    `delays_us` say how late the feed declares these to be, `absent` are symbols `asked` for that it leaves out, `lies` those whose values cannot be true; `is_present` says
    whether the question reached the present, so that age can be judged.
    """

    latency_s: float
    asked: Sequence[str]
    newest: Mapping[str, EventTime]
    tolerance_us: int
    prices: Mapping[str, float]
    delays_us: Mapping[str, int] = field(default_factory=dict)
    absent: Collection[str] = ()
    lies: Collection[str] = ()
    is_present: bool = True


def quotes_evidence(
    asked: Sequence[str], events: Sequence[Event], now: MarketTime, *, latency_s: float, every_us: int
) -> AnswerEvidence:
    """Return what an answer to a poll of quotes says."""
    sound = [
        event for event in events if event["event_time"] <= now + FUTURE_US and _can_be(event, _price(event))
    ]
    return AnswerEvidence(
        latency_s=latency_s,
        asked=asked,
        newest={event["symbol"]: event["event_time"] for event in sound},
        tolerance_us=max(QUOTE_TOLERANCE_US, TOLERATED_POLLS * every_us),
        prices={event["symbol"]: _price(event) for event in sound},
        delays_us={event["symbol"]: event["delay_s"] * SECOND_US for event in sound},
        absent=set(asked) - {event["symbol"] for event in events},
        lies={event["symbol"] for event in events} - {event["symbol"] for event in sound},
    )


def bars_evidence(
    symbol: str,
    events: Sequence[Event],
    now: MarketTime,
    *,
    latency_s: float,
    every_us: int,
    step_us: int,
    is_present: bool = True,
    delay_s: int = 0,
) -> AnswerEvidence:
    """Return what an answer to a poll of bars says of a feed that declares to be `delay_s` late.

    Minutes without a trade have no bar, so absence is no fault.
    """
    sound = [
        event for event in events if event["event_time"] <= now + FUTURE_US and _can_be(event, event["close"])
    ]
    newest = max(sound, key=lambda event: event["event_time"], default=None)
    return AnswerEvidence(
        latency_s=latency_s,
        asked=(symbol,),
        newest={} if newest is None else {symbol: newest["event_time"] + step_us},
        tolerance_us=every_us + TOLERATED_BARS * step_us,
        prices={} if newest is None else {symbol: newest["close"]},
        delays_us={} if newest is None else {symbol: delay_s * SECOND_US},
        lies=(symbol,) if 2 * len(sound) < len(events) else (),
        is_present=is_present,
    )


def entries_evidence(
    asked: Sequence[str], missing: Collection[str], *, latency_s: float, every_us: int
) -> AnswerEvidence:
    """Return what an answer to a poll of entries says: that they came. What nobody said lately is not old, nor is it priced."""
    return AnswerEvidence(
        latency_s=latency_s,
        asked=asked,
        newest={},
        tolerance_us=every_us,
        prices={},
        absent=missing,
        is_present=False,
    )


def is_judged(calendar: Calendar, now: MarketTime, tolerance_us: int) -> bool:
    """Whether values must be arriving: the market is open, and was a tolerance ago."""
    return calendar.is_open(now) and calendar.is_open(now - tolerance_us)


@dataclass(slots=True)
class _Seen:
    price: float
    at: MarketTime
    moved: MarketTime
    moves_of_others: int = 0

    def is_frozen(self, now: MarketTime) -> bool:
        """Whether it stands though others saw it move."""
        return now - self.moved >= FROZEN_US and self.moves_of_others >= FROZEN_MOVES


class Witness:
    """Compares what providers say of the same symbols; bounded by providers × symbols."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self._seen: dict[str, dict[str, _Seen]] = {}  # symbol, provider
        self.disputed: dict[str, None] = {}  # two have them on two levels, and nothing tells who is right
        # The last price of a symbol that two providers were on the level of.
        self._agreed: dict[str, float] = {}

    def keep(self, symbols: Collection[str]) -> None:
        """Forget all other symbols."""
        self._seen = {symbol: seen for symbol, seen in self._seen.items() if symbol in symbols}
        self.disputed = {symbol: None for symbol in self.disputed if symbol in symbols}
        self._agreed = {symbol: price for symbol, price in self._agreed.items() if symbol in symbols}

    def confirms(self, provider: str, symbol: str, price: float, now: MarketTime) -> bool | None:
        """Take a price and return whether others bear it out; None where nobody can be asked, or word stands against word.

        One that stands while others move is wrong, and so is one on another level than theirs: where there are two of
        them, or where it is the one that left the level on which both were.
        """
        self.disputed.pop(symbol, None)
        seen = self._take(provider, symbol, price, now)
        others = list(self._others(provider, symbol, now))
        if not others:
            return None
        if seen.is_frozen(now):
            return False
        apart = [other for other in others if _distance(symbol, other, price) > LEVEL]
        if not apart:
            self._agreed[symbol] = price
            return True
        if len(others) > 1:
            return 2 * len(apart) <= len(others)
        agreed = self._agreed.get(symbol)
        if agreed is None or not _has_level(symbol, agreed):
            self.disputed[symbol] = None
            return None
        return _distance(symbol, price, agreed) < _distance(symbol, others[0], agreed)

    def _take(self, provider: str, symbol: str, price: float, now: MarketTime) -> _Seen:
        by_provider = self._seen.setdefault(symbol, {})
        seen = by_provider.get(provider)
        if seen is None:
            seen = by_provider[provider] = _Seen(price, now, now)
        elif seen.price != price:
            by_provider[provider] = seen = _Seen(price, now, now)
            for other, theirs in by_provider.items():
                theirs.moves_of_others += other != provider
        seen.at = now
        return seen

    def _others(self, provider: str, symbol: str, now: MarketTime) -> Iterator[float]:
        """Yield what others said of a symbol lately, but for those that stand still themselves."""
        for other, theirs in self._seen[symbol].items():
            if other != provider and now - theirs.at <= COMPARED_US and not theirs.is_frozen(now):
                yield theirs.price


def _has_level(symbol: str, price: float) -> bool:
    return price >= LEAST_LEVEL or not may_be_negative(symbol)


def _distance(symbol: str, one: float, other: float) -> float:
    """Return how far two prices are apart by their ratio; 0 where they are not to be compared by it."""
    if not (_has_level(symbol, one) and _has_level(symbol, other)):
        return 0.0
    return abs(log(one) - log(other))  # the ratio itself may be beyond any number


def _can_be(event: Event, price: float) -> bool:
    return price > 0.0 or may_be_negative(event["symbol"])


def _price(event: Event) -> float:
    """Return the last price of a quote, or the middle of its book; 0 where it has neither."""
    if event["last"]:
        return float(event["last"])
    bid, ask = event["bid"], event["ask"]
    return (bid + ask) / 2 if bid and ask else 0.0
