"""Evidence an answer gives about its provider: the age of its newest value, and whether its values can be true; pure.

Times are market time, µs. A vendor that answers quickly with zeros, with the future, or with the same price while
others move, is not well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerEvidence:
    """One answer: `newest` is the end of its newest value (None: it had none), `prices` those that can be true.

    `absent` are symbols asked for that it leaves out, `lies` counts values that cannot be true.
    """

    latency_s: float
    newest: EventTime | None
    tolerance_us: int
    prices: Mapping[str, float]
    absent: Collection[str] = ()
    lies: int = 0


def quotes_evidence(
    asked: Sequence[str], events: Sequence[Event], now: MarketTime, *, latency_s: float, every_us: int
) -> AnswerEvidence:
    """Return what an answer to a poll of quotes says; a declared delay of the feed is no fault."""
    sound = [
        event for event in events if event["event_time"] <= now + FUTURE_US and _can_be(event, _price(event))
    ]
    return AnswerEvidence(
        latency_s=latency_s,
        newest=max((event["event_time"] + event["delay_s"] * SECOND_US for event in sound), default=None),
        tolerance_us=max(QUOTE_TOLERANCE_US, TOLERATED_POLLS * every_us),
        prices={event["symbol"]: _price(event) for event in sound},
        absent=set(asked) - {event["symbol"] for event in events},
        lies=len(events) - len(sound),
    )


def bars_evidence(
    events: Sequence[Event], now: MarketTime, *, latency_s: float, every_us: int, step_us: int
) -> AnswerEvidence:
    """Return what an answer to a poll of bars says; minutes without a trade have no bar, so absence is no fault."""
    sound = [
        event for event in events if event["event_time"] <= now + FUTURE_US and _can_be(event, event["close"])
    ]
    newest = max(sound, key=lambda event: event["event_time"], default=None)
    return AnswerEvidence(
        latency_s=latency_s,
        newest=None if newest is None else newest["event_time"] + step_us,
        tolerance_us=every_us + TOLERATED_BARS * step_us,
        prices={} if newest is None else {newest["symbol"]: newest["close"]},
        lies=len(events) - len(sound),
    )


def is_judged(calendars: Iterable[Calendar], now: MarketTime, tolerance_us: int) -> bool:
    """Whether values must be arriving: one of the markets is open, and was a tolerance ago."""
    return any(calendar.is_open(now) and calendar.is_open(now - tolerance_us) for calendar in calendars)


@dataclass(slots=True)
class _Seen:
    price: float
    moved: MarketTime
    moves_of_others: int = 0


class Witness:
    """Compares what providers say of the same symbols; bounded by providers × symbols."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._providers: set[str] = set()

    def validity(self, provider: str, evidence: AnswerEvidence, now: MarketTime) -> float | None:
        """Return the share of an answer that can be true; None where it holds nothing to judge.

        A price that stands while others move does not count. Nor does a symbol left out, unless the provider never
        had it: then it is unknown there, which is no lie as long as it has any other.
        """
        absent = sum((provider, symbol) in self._seen for symbol in evidence.absent)
        if provider not in self._providers:
            absent = len(evidence.absent)
        moving = sum(self._moves(provider, symbol, price, now) for symbol, price in evidence.prices.items())
        judged = len(evidence.prices) + absent + evidence.lies
        return moving / judged if judged else None

    def _moves(self, provider: str, symbol: str, price: float, now: MarketTime) -> bool:
        self._providers.add(provider)
        seen = self._seen.get((provider, symbol))
        if seen is None or seen.price != price:
            self._seen[provider, symbol] = _Seen(price, now)
            if seen is not None:
                self._tell_others(provider, symbol)
            return True
        return now - seen.moved < FROZEN_US or seen.moves_of_others < FROZEN_MOVES

    def _tell_others(self, provider: str, symbol: str) -> None:
        for other in self._providers - {provider}:
            if (seen := self._seen.get((other, symbol))) is not None:
                seen.moves_of_others += 1


def _can_be(event: Event, price: float) -> bool:
    return price > 0.0 or may_be_negative(event["symbol"])


def _price(event: Event) -> float:
    """Return the last price of a quote, or the middle of its book; 0 where it has neither."""
    if event["last"]:
        return float(event["last"])
    bid, ask = event["bid"], event["ask"]
    return (bid + ask) / 2 if bid and ask else 0.0
