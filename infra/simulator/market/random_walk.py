"""Synthetic prices: layered noise by the hour, a bridge by the minute, trades that fit their bar.

Every function is pure in its arguments; caches are bounded and only save work.
"""

from __future__ import annotations

import math
from array import array
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from random import Random
from typing import NamedTuple

from infra.simulator.market.model import Candle, DailyBar, TradeChunk
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US

CONDITION = "SIM"  # marks each synthetic trade
MINUTES_PER_HOUR = 60
MINUTE_MS = 60_000
NOISE_OCTAVES = 11  # 1 hour to 1,024 hours
HOURLY_VOLATILITY = 0.002
MINUTE_VOLATILITY = 0.0006
MIN_BASE_CENTS, MAX_BASE_CENTS = 2_000, 40_000
MIN_TRADES, MAX_TRADES = 60, 240  # a minute: one to four a second
MEAN_TRADE_SHARES = 120
CACHED_HOURS = 12_288  # about 1.7 KB each: the hour in progress of 10,000 symbols
CACHED_HOUR_BARS = 65_536  # about 0.3 KB each
CACHED_DAYS = 16_384
CACHED_MINUTES = 12_288  # about 5 KB each: the minute in progress of 10,000 symbols
CACHED_NOISE = 65_536


class MinuteShape(NamedTuple):
    """The sum of a minute: prices in cents, shares and number of trades."""

    open: int
    high: int
    low: int
    close: int
    volume: int
    trades: int


SHAPE_FIELDS = len(MinuteShape._fields)


def generator(seed: int, symbol: str, kind: str, number: int) -> Random:
    """Return a generator that depends on its four arguments alone, the same on every machine."""
    digest = blake2b(f"{seed}/{symbol}/{kind}/{number}".encode(), digest_size=8).digest()
    return Random(int.from_bytes(digest, "big"))  # noqa: S311 - a market, not a secret


@lru_cache(maxsize=CACHED_NOISE)
def _noise(seed: int, symbol: str, octave: int, place: int) -> float:
    """Return a number in [-√3, √3), of variance one."""
    digest = blake2b(f"{seed}/{symbol}/{octave}/{place}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") / 2**63 - 1.0) * math.sqrt(3.0)


@lru_cache(maxsize=CACHED_DAYS)
def _base(seed: int, symbol: str) -> float:
    """Return the logarithm of the price, in cents, that a symbol wanders around."""
    return generator(seed, symbol, "base", 0).uniform(math.log(MIN_BASE_CENTS), math.log(MAX_BASE_CENTS))


def _anchor(seed: int, symbol: str, hour: int) -> float:
    """Return the logarithm of the price, in cents, at the beginning of an hour."""
    base = _base(seed, symbol)
    wander = 0.0
    for octave in range(NOISE_OCTAVES):
        place, rest = hour >> octave, (hour & ((1 << octave) - 1)) / (1 << octave)
        left, right = _noise(seed, symbol, octave, place), _noise(seed, symbol, octave, place + 1)
        wander += HOURLY_VOLATILITY * math.sqrt(1 << octave) * (left + (right - left) * rest)
    return base + wander


@lru_cache(maxsize=CACHED_HOURS)
def _hour_shapes(seed: int, symbol: str, hour: int) -> array[int]:
    """Return the sixty minutes of one hour: a random walk tied to the anchors at both ends.

    The fields of sixty MinuteShapes one after another: thousands of symbols have an hour here.
    """
    draw = generator(seed, symbol, "hour", hour)
    begin, finish = _anchor(seed, symbol, hour), _anchor(seed, symbol, hour + 1)
    walk = [0.0]
    for _ in range(MINUTES_PER_HOUR):
        walk.append(walk[-1] + draw.gauss(0.0, MINUTE_VOLATILITY))
    tilt = (finish - begin - walk[-1]) / MINUTES_PER_HOUR
    edges = [max(2, round(math.exp(begin + step + tilt * index))) for index, step in enumerate(walk)]
    draws = iter([draw.random() for _ in range(4 * MINUTES_PER_HOUR)])
    shapes = array("i")
    for opened, closed in pairwise(edges):
        reach = opened * MINUTE_VOLATILITY
        trades = MIN_TRADES + int(next(draws) * (MAX_TRADES - MIN_TRADES + 1))
        top, bottom = (opened, closed) if opened > closed else (closed, opened)
        high = top + int(next(draws) * reach)
        low = bottom - int(next(draws) * reach)
        volume = int(trades * MEAN_TRADE_SHARES * (0.5 + next(draws)))
        shapes.extend((opened, high, max(1, low), closed, volume, trades))
    return shapes


def _minute_shape(shapes: array[int], index: int) -> MinuteShape:
    return MinuteShape(*shapes[index * SHAPE_FIELDS : (index + 1) * SHAPE_FIELDS])


def minute_bars(seed: int, symbol: str, hour: int, first: int, last: int) -> list[Candle]:
    """Return the minute bars [first, last) of one hour (hours since the epoch)."""
    shapes, begin = _hour_shapes(seed, symbol, hour), hour * HOUR_US
    bars = []
    for index in range(first, last):
        shape = _minute_shape(shapes, index)
        bars.append(
            Candle(
                time=begin + index * MINUTE_US,
                open=shape.open / 100,
                high=shape.high / 100,
                low=shape.low / 100,
                close=shape.close / 100,
                volume=shape.volume,
            )
        )
    return bars


@lru_cache(maxsize=CACHED_HOUR_BARS)
def hour_bar(seed: int, symbol: str, hour: int) -> Candle:
    """Return one hour as the aggregate of its minutes."""
    shapes = _hour_shapes(seed, symbol, hour)
    return Candle(
        time=hour * HOUR_US,
        open=shapes[0] / 100,
        high=max(shapes[1::SHAPE_FIELDS]) / 100,
        low=min(shapes[2::SHAPE_FIELDS]) / 100,
        close=shapes[3 - SHAPE_FIELDS] / 100,
        volume=sum(shapes[4::SHAPE_FIELDS]),
    )


@lru_cache(maxsize=CACHED_DAYS)
def _so_far(seed: int, symbol: str, first: int) -> list[tuple[int, Candle]]:  # noqa: ARG001 - what it is kept for
    """Return where the aggregate of the hours since `first` is kept; at most one, that of the newest hour asked for."""
    return []


def hours_bar(seed: int, symbol: str, first: int, last: int) -> Candle:
    """Return the hours [first, last) as one bar; the day so far is added to, not made anew, when an hour has passed."""
    kept = _so_far(seed, symbol, first)
    hour, bar = kept[0] if kept and kept[0][0] <= last else (first + 1, hour_bar(seed, symbol, first))
    for following in range(hour, last):
        more = hour_bar(seed, symbol, following)
        bar = Candle(
            time=bar.time,
            open=bar.open,
            high=max(bar.high, more.high),
            low=min(bar.low, more.low),
            close=more.close,
            volume=bar.volume + more.volume,
        )
    kept[:] = [(last, bar)]
    return bar


def day_bar(seed: int, symbol: str, day: int) -> DailyBar:
    """Return one UTC day (days since the epoch) as the aggregate of its minutes."""
    hours = [hour_bar(seed, symbol, hour) for hour in range(day * 24, day * 24 + 24)]
    return DailyBar(
        time=day * DAY_US,
        open=hours[0].open,
        high=max(hour.high for hour in hours),
        low=min(hour.low for hour in hours),
        close=hours[-1].close,
        volume=sum(hour.volume for hour in hours),
        adjusted_close=hours[-1].close,
        visible_from=(day + 1) * DAY_US,
    )


@lru_cache(maxsize=CACHED_DAYS)
def year_range(seed: int, symbol: str, day: int) -> tuple[float, float]:
    """Return lowest and highest of the prices every four weeks in the year up to a day."""
    prices = [round(math.exp(_anchor(seed, symbol, 24 * (day - 28 * step)))) / 100 for step in range(14)]
    return min(prices), max(prices)


@lru_cache(maxsize=CACHED_MINUTES)
def minute_trades(seed: int, symbol: str, minute: int) -> TradeChunk:
    """Return the trades of one minute; their aggregate is that minute's bar, exactly."""
    hour, index = divmod(minute, MINUTES_PER_HOUR)
    shape = _minute_shape(_hour_shapes(seed, symbol, hour), index)
    draw = generator(seed, symbol, "minute", minute)
    count = shape.trades
    begin_ms = minute * MINUTE_MS
    times = array("q", sorted(begin_ms + draw.randrange(MINUTE_MS) for _ in range(count)))
    return TradeChunk(
        symbol=symbol,
        times_ms=times,
        prices=array("d", (cents / 100 for cents in _path(shape, draw))),
        sizes=array("q", _sizes(shape, draw)),
        conditions=(CONDITION,) * count,
        next_from=(minute + 1) * MINUTE_US,
    )


def _path(shape: MinuteShape, draw: Random) -> list[int]:
    """Return prices in cents from open to close that touch high and low and never leave them."""
    count = shape.trades
    slope = (shape.close - shape.open) / (count - 1)
    spread = max(1.0, (shape.high - shape.low) / 4)
    path = [
        min(shape.high, max(shape.low, round(shape.open + slope * index + draw.gauss(0.0, spread))))
        for index in range(count)
    ]
    touch_high, touch_low = draw.sample(range(1, count - 1), 2)
    path[0], path[touch_high], path[touch_low], path[-1] = shape.open, shape.high, shape.low, shape.close
    return path


def _sizes(shape: MinuteShape, draw: Random) -> list[int]:
    """Return positive sizes that sum to the volume: one share each, the rest cut at random places."""
    spare = shape.volume - shape.trades
    cuts = [0, *sorted(draw.randint(0, spare) for _ in range(shape.trades - 1)), spare]
    return [1 + right - left for left, right in pairwise(cuts)]
