"""Random raw partitions: bars, quotes and trades with ties, flips, repeats, late values, holes, downtimes and rubbish."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Any

from schemas.intervals import MINUTE_US
from schemas.partitions import partition_of
from schemas.records import Discontinuity, RawBlock
from schemas.streams import BY_RAW_TOPIC, QUOTE_STREAM
from schemas.topics import DEFAULT_PARTITIONS, RAW_BARS
from schemas.wire.codec import encode_value
from stream_processors.transaction import RawRecord
from tests.support.stream_values import an_event

PARTITION = 0
SYMBOLS = tuple(s for s in ("SIM002", "SIM014") if partition_of(s, DEFAULT_PARTITIONS) == PARTITION)
PROVIDERS = ("yahoo", "finnhub")
# µs; a Tuesday, though simulated symbols never close
FIRST_EVENT = 1_700_000_040_000_000 // MINUTE_US * MINUTE_US
FIRST_APPEND = FIRST_EVENT + 600 * MINUTE_US
MILLISECOND = 1_000
FIRST_MINUTE = 20  # room for bars later than the first one seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """How a market behaves: chances per block or event that something awkward happens."""

    ties: float = 0.25
    steps_back: float = 0.1
    flips: float = 0.35
    late: float = 0.2
    downtimes: float = 0.1
    garbage: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """One raw record and the block inside it; None where the bytes are no block."""

    record: RawRecord
    block: RawBlock | None


class Market:
    """Makes the blocks of one raw partition."""

    def __init__(self, random: Random, topic: str, weather: Weather) -> None:
        self._random, self._topic, self._weather = random, topic, weather
        # Few streams, so that each has a history worth the name even in a short schedule.
        self._symbols = SYMBOLS[: random.randint(1, 2)]
        self._providers = PROVIDERS[: random.randint(1, 2)]
        # by provider and symbol: minute of a bar, tick of an event
        self._newest: dict[tuple[str, str], int] = {}
        self._skipped: dict[tuple[str, str], list[int]] = {}
        self._final: set[tuple[str, str, int]] = set()
        self._frames: dict[str, list[tuple[int, list[dict[str, Any]]]]] = {name: [] for name in PROVIDERS}
        self._sequence = 0

    def raw(self, blocks: int) -> list[Raw]:
        """Return `blocks` records with growing offsets (some missing) and append times that tie and step back."""
        random, weather, made = self._random, self._weather, list[Raw]()
        offset, moment = 0, FIRST_APPEND
        while len(made) < blocks:
            for block in self._blocks():
                offset += 1 if random.random() < 0.8 else 2
                if random.random() < weather.steps_back:
                    moment -= random.randint(1, 3) * MILLISECOND
                elif random.random() >= weather.ties:
                    moment += random.randint(1, 4) * MILLISECOND
                value = b"\x00no block" if block is None else _encoded(self._topic, block)
                record = RawRecord(
                    topic=self._topic,
                    partition=PARTITION,
                    offset=offset,
                    append_time=moment,
                    key=None,
                    value=value,
                )
                made.append(Raw(record=record, block=block))
        return made

    def _blocks(self) -> list[RawBlock | None]:
        random = self._random
        roll, provider = random.random(), random.choice(self._providers)
        if roll < self._weather.garbage:
            return [None]
        block = RawBlock(provider=provider, endpoint="any", route="primary", received_time=FIRST_APPEND)
        if roll < self._weather.garbage + 0.06:
            return [replace(block, provider="")]  # a tick
        told = [self._downtime(provider)] if random.random() < self._weather.downtimes else []
        block = replace(block, discontinuities=told)
        of_strategy = {"slots": self._bars, "latest": self._quotes, "occurrences": self._trades}
        return list(of_strategy[BY_RAW_TOPIC[self._topic].versions](block))

    def _moment(self, provider: str, symbol: str) -> int:
        """Return when the next event of a stream happens: mostly now or next, sometimes after a hole, or late."""
        random = self._random
        newest = self._newest.setdefault((provider, symbol), FIRST_MINUTE)
        roll = random.random()
        if roll < self._weather.flips:
            return newest - random.randint(0, 1)
        skipped = self._skipped.setdefault((provider, symbol), [])
        if roll < self._weather.flips + self._weather.late:
            if skipped and random.random() < 0.7:
                return skipped.pop(0)  # as a backfill heals: from the left
            return newest - random.randint(2, 6)
        moment = newest + (1 if random.random() < 0.7 else random.randint(3, 7))
        skipped.extend(range(newest + 1, moment))
        self._newest[provider, symbol] = moment
        return moment

    def _downtime(self, provider: str) -> Discontinuity:
        random, symbol = self._random, self._random.choice(self._symbols)
        newest = self._newest.get((provider, symbol), FIRST_MINUTE)
        to = newest + random.randint(1, 4)
        since = None if random.random() < 0.6 else time_of(min(newest - random.randint(-1, 2), to - 1))
        self._newest[provider, symbol] = to - 1
        interval = "1m" if self._topic == RAW_BARS else ""
        return Discontinuity(
            symbol=symbol, interval=interval, from_time=since, to_time=time_of(to), cause="producer_down"
        )

    def _bars(self, block: RawBlock) -> Iterator[RawBlock]:
        """Yield bars in any order; what was final once stays so, for no vendor takes a finished bar back."""
        provider = block.provider
        bars = [self._bar(provider) for _ in range(self._random.randint(1, 4))]
        self._random.shuffle(bars)
        for bar in bars:
            key = (provider, bar["symbol"], bar["event_time"])
            bar["final"] = key in self._final or self._random.random() < 0.8
            if bar["final"]:
                self._final.add(key)
        yield replace(block, events=bars)

    def _bar(self, provider: str) -> dict[str, Any]:
        symbol, price = self._random.choice(self._symbols), self._price()
        moment = time_of(self._moment(provider, symbol))
        return {
            "symbol": symbol, "interval": "1m", "event_time": moment, "open": abs(price), "high": abs(price),
            "low": price, "close": abs(price), "volume": 1.0, "vwap": None, "trade_count": None, "final": True,
            "session": "regular", "adjustment_state": "raw", "currency": "", "simulated": True,
        }  # fmt: skip

    def _quotes(self, block: RawBlock) -> Iterator[RawBlock]:
        yield replace(block, events=[self._quote(block.provider) for _ in range(self._random.randint(1, 4))])

    def _quote(self, provider: str) -> dict[str, Any]:
        symbol = self._random.choice(self._symbols)
        moment = time_of(self._moment(provider, symbol))
        return an_event(QUOTE_STREAM, symbol=symbol, event_time=moment, bid=self._price(), simulated=True)

    def _trades(self, block: RawBlock) -> Iterator[RawBlock]:
        """Yield a frame of trades as one block or two; sometimes it repeats an earlier one of its connection."""
        random = self._random
        self._sequence += 1
        frames = self._frames[block.provider]
        if frames and random.random() < 0.25:
            frame_hash, trades = random.choice(frames)
        else:
            frame_hash = self._sequence
            trades = [self._trade(block.provider) for _ in range(random.randint(1, 4))]
            frames.append((frame_hash, trades))
        events = [{**trade, "frame_sequence": self._sequence, "frame_hash": frame_hash} for trade in trades]
        block = replace(block, connection_id=f"{block.provider}-1")
        cut = random.randint(1, len(events)) if random.random() < 0.3 else len(events)
        yield replace(block, events=events[:cut])
        if events[cut:]:
            yield replace(block, events=events[cut:], discontinuities=())

    def _trade(self, provider: str) -> dict[str, Any]:
        symbol = self._random.choice(self._symbols)
        return {
            "symbol": symbol, "event_time": time_of(self._moment(provider, symbol)), "price": self._price(), "size": 1.0,
            "trade_id": None, "conditions": "", "venue": "", "simulated": True,
        }  # fmt: skip

    def _price(self) -> float:
        """Return one of two prices, so that values flip; rarely an impossible one."""
        return -1.0 if self._random.random() < 0.03 else self._random.choice((1.0, 2.0))


def _encoded(topic: str, block: RawBlock) -> bytes:
    fields = {name: getattr(block, name) for name in RawBlock.__slots__}
    return encode_value(
        topic, {**fields, "discontinuities": [asdict(told) for told in block.discontinuities]}
    )


def time_of(minute: int) -> int:
    """Return when a minute begins, µs."""
    return FIRST_EVENT + minute * MINUTE_US


def minute_of(moment: int) -> int:
    """Return the minute that holds a moment (µs)."""
    return (moment - FIRST_EVENT) // MINUTE_US
