"""What an answer says about its provider: how old its newest value is, and whether its values can be true; pure.

Times are market time, µs. A vendor that answers quickly with zeros, with the future, or with the same price while
others move, is not well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from schemas.calendar import Calendar
from schemas.intervals import MINUTE_US, SECOND_US
from schemas.records import Event

FUTURE_US = (
    5 * MINUTE_US
)  # a stamp so far ahead of the market is wrong: clocks of vendors and ours differ by less
QUOTE_TOLERANCE_US = MINUTE_US  # age of a provider's newest quote that is normal in an open market
TOLERATED_POLLS = 4  # or so many polls, where they are rarer
TOLERATED_BARS = 3  # bars that may not be there yet
FROZEN_US = 2 * MINUTE_US  # a price that stands so long is suspicious if others saw it move
FROZEN_MOVES = 2  # times that others saw it move meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One answer, judged: `newest` is the end of its newest value (None: it had none), `validity` in [0, 1] or None."""

    latency_s: float
    newest: int | None
    tolerance_us: int
    validity: float | None
    prices: Mapping[str, float]


def quotes_evidence(
    asked: Sequence[str], events: Sequence[Event], now: int, *, latency_s: float, every_us: int
) -> Evidence:
    """Return what an answer to a poll of quotes says; a declared delay of the feed is no fault."""
    sound = [event for event in events if event["event_time"] <= now + FUTURE_US and _price(event) > 0.0]
    return Evidence(
        latency_s=latency_s,
        newest=max((event["event_time"] + event["delay_s"] * SECOND_US for event in sound), default=None),
        tolerance_us=max(QUOTE_TOLERANCE_US, TOLERATED_POLLS * every_us),
        validity=len(sound) / len(asked) if asked else None,
        prices={event["symbol"]: _price(event) for event in sound},
    )


def bars_evidence(
    events: Sequence[Event], now: int, *, latency_s: float, every_us: int, step_us: int
) -> Evidence:
    """Return what an answer to a poll of bars says; minutes without a trade have no bar, so absence is no fault."""
    sound = [event for event in events if event["event_time"] <= now + FUTURE_US and event["close"] > 0.0]
    newest = max(sound, key=lambda event: event["event_time"], default=None)
    return Evidence(
        latency_s=latency_s,
        newest=None if newest is None else newest["event_time"] + step_us,
        tolerance_us=every_us + TOLERATED_BARS * step_us,
        validity=len(sound) / len(events) if events else None,
        prices={} if newest is None else {newest["symbol"]: newest["close"]},
    )


def is_judged(calendars: Iterable[Calendar], now: int, tolerance_us: int) -> bool:
    """Whether values must be arriving: one of the markets is open, and was a tolerance ago."""
    return any(calendar.is_open(now) and calendar.is_open(now - tolerance_us) for calendar in calendars)


@dataclass(slots=True)
class _Seen:
    price: float
    moved: int
    moves_of_others: int = 0


class Movements:
    """Which providers' prices stand still while those of others move; bounded by providers × symbols."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._providers: set[str] = set()

    def observe(self, provider: str, prices: Mapping[str, float], now: int) -> float:
        """Take the prices of one answer and return the share of them that are not frozen; 1 for none."""
        self._providers.add(provider)
        frozen = 0
        for symbol, price in prices.items():
            seen = self._seen.get((provider, symbol))
            if seen is None:
                self._seen[provider, symbol] = _Seen(price, now)
            elif seen.price != price:
                self._seen[provider, symbol] = _Seen(price, now)
                self._tell_others(provider, symbol)
            elif now - seen.moved >= FROZEN_US and seen.moves_of_others >= FROZEN_MOVES:
                frozen += 1
        return 1.0 - frozen / len(prices) if prices else 1.0

    def _tell_others(self, provider: str, symbol: str) -> None:
        for other in self._providers - {provider}:
            if (seen := self._seen.get((other, symbol))) is not None:
                seen.moves_of_others += 1


def _price(event: Event) -> float:
    """Return the last price of a quote, or the middle of its book; 0 where it has neither."""
    if event["last"]:
        return float(event["last"])
    bid, ask = event["bid"], event["ask"]
    return (bid + ask) / 2 if bid and ask else 0.0
