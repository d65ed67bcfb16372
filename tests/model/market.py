"""Random raw partitions: bars, quotes, trades and entries with ties, flips, repeats, late values, holes, downtimes, backfills and rubbish."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Any

from schemas.answered import AnsweredStretch, answered_hint
from schemas.clocks import EventTime, KnowledgeTime, RawOffset, WallTime
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US, SLOT_US
from schemas.records import SERVED_ELSEWHERE, Discontinuity, RawBlock
from schemas.streams import BY_RAW_TOPIC, QUOTE_STREAM
from schemas.wire.codec import encode_value
from stream_processors.transaction import RawRecord
from tests.model.tellings import SERIES, Tellings
from tests.model.venues import DAILY, VENUES, Bar, Line, bounds, tape
from tests.support.stream_values import an_event

PARTITION = 0
PROVIDERS = ("yahoo", "finnhub")
MILLISECOND = 1_000
LONG_US = 30 * DAY_US  # no longer silence proves an absence
PACES = (("1m",), ("1m",), ("1h",), (DAILY,), ("1m", "1h"), ("1h", DAILY))

Series = tuple[str, str, str]  # provider, symbol, interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """How a market behaves: chances per block or event that something awkward happens."""

    venues: tuple[str, ...] = ("never closed", "New York", "Tokyo", "unknown")
    ties: float = 0.25
    steps_back: float = 0.1
    flips: float = 0.35
    late: float = 0.2
    downtimes: float = 0.1
    garbage: float = 0.05
    backfills: float = 0.15
    answers: float = 0.7  # that a backfill says for which stretch it is the whole answer
    given_up: float = 0.1  # that it says instead that nobody will ever answer
    future: float = 0.04
    jumps: float = 0.1  # to the newest bar there is: a hole of whatever lies between
    silences: float = 0.02  # that nothing comes for longer than what proves an absence


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """One raw record and the block inside it; None where the bytes are no block."""

    record: RawRecord
    block: RawBlock | None


class Market:
    """Makes the blocks of one raw partition."""

    def __init__(self, random: Random, topic: str, weather: Weather) -> None:
        self._random, self._topic, self._weather = random, topic, weather
        self._strategy = BY_RAW_TOPIC[topic].versions
        venue = VENUES[random.choice(weather.venues)]
        self.intervals = random.choice(PACES) if self._strategy == "slots" else ("1m",)
        self.low, self.high = bounds(venue, self.intervals)
        # Few streams, so that each has a history worth the name even in a short schedule.
        self._tellings = None
        if self._strategy == "entries":
            self._tellings = Tellings(random, topic, flips=weather.flips, future=weather.future)
        symbols = SERIES if self._tellings is not None and self._tellings.of_series else venue.symbols
        self._symbols = symbols[: random.randint(1, 2)]
        self._providers = PROVIDERS[: random.randint(1, 2)]
        self._lines: dict[Series, Line] = {}
        self._final: set[tuple[Series, int]] = set()
        self._frames: dict[str, list[tuple[int, list[dict[str, Any]]]]] = {name: [] for name in PROVIDERS}
        self._sequence = 0
        self.now = self.low

    def raw(self, blocks: int) -> list[Raw]:
        """Return `blocks` records with growing offsets (some missing) and append times that tie and step back."""
        random, weather, made = self._random, self._weather, list[Raw]()
        offset, moment = 0, self.low
        while len(made) < blocks:
            for block in self._blocks():
                offset += 1 if random.random() < 0.8 else 2
                moment = max(moment, -(-self.now // MILLISECOND) * MILLISECOND)
                if random.random() < weather.steps_back:
                    moment -= random.randint(1, 3) * MILLISECOND
                elif random.random() >= weather.ties:
                    moment += random.randint(1, 4) * MILLISECOND
                made.append(self._raw(offset, moment, block))
        return made

    def _raw(self, offset: int, moment: int, block: RawBlock | None) -> Raw:
        value = b"\x00no block" if block is None else encoded(self._topic, block)
        record = RawRecord(
            topic=self._topic, partition=PARTITION, offset=RawOffset(offset), append_time=KnowledgeTime(moment), key=None,
            value=value,
        )  # fmt: skip
        return Raw(record=record, block=block)

    def closing(self) -> list[Raw]:
        """Return a block each with one more bar of every series, of a price that nothing had."""
        made = []
        for series, line in self._lines.items():
            line.newest = min(line.newest + 3, len(line.bars) - 1)
            bar = {**self._priced(series, line.bar(line.newest).start, final=True)}
            bar |= dict.fromkeys(("open", "high", "low", "close"), 4.0)
            block = RawBlock(
                provider=series[0],
                endpoint="any",
                route="primary",
                received_time=WallTime(self.low),
                events=[bar],
            )
            made.append(self._raw(0, self.high, block))
        return made

    def _blocks(self) -> list[RawBlock | None]:
        random, weather = self._random, self._weather
        roll, provider = random.random(), random.choice(self._providers)
        if roll < weather.garbage:
            return [None]
        block = RawBlock(provider=provider, endpoint="any", route="primary", received_time=WallTime(self.low))
        if roll < weather.garbage + 0.06:
            return [replace(block, provider="")]  # a tick
        if self._tellings is not None:
            return [self._told(self._tellings, block)]
        if roll < weather.garbage + 0.06 + weather.backfills:
            return list(self._backfill(replace(block, route="backfill", job_id="job")))
        told = [self._downtime(provider)] if random.random() < weather.downtimes else []
        block = replace(block, discontinuities=told)
        if self._strategy == "occurrences":
            return list(self._trades(block))
        make = self._bar if self._strategy == "slots" else self._quote
        events = [make(self._some_series(provider)) for _ in range(random.randint(1, 4))]
        random.shuffle(events)
        return [replace(block, events=self._settled(provider, events))]

    def _told(self, tellings: Tellings, block: RawBlock) -> RawBlock:
        """Return the answer of a poll of one symbol's entries, asked for again now and then by a backfill."""
        random = self._random
        self.now = min(self.now + random.randint(1, 40) * MINUTE_US, self.high)
        told = tellings.of_poll(block.provider, random.choice(self._symbols), self.now)
        if random.random() < self._weather.backfills:
            return replace(block, route="backfill", job_id="job", events=told)
        blind = [self._downtime(block.provider)] if random.random() < self._weather.downtimes else []
        return replace(block, discontinuities=blind, events=told)

    def _some_series(self, provider: str) -> Series:
        return provider, self._random.choice(self._symbols), self._random.choice(self.intervals)

    def _line(self, series: Series) -> Line:
        if series not in self._lines:
            bars = tape(series[1], series[2], self.low, self.high)
            self._lines[series] = Line(bars, [bar.start for bar in bars])
        return self._lines[series]

    def _settled(self, provider: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the events with what was final once still final, for no vendor takes a finished bar back."""
        for event in events if self._strategy == "slots" else ():
            key = ((provider, event["symbol"], event["interval"]), event["event_time"])
            event["final"] = event["final"] or key in self._final
            if event["final"]:
                self._final.add(key)
        return events

    def _next(self, series: Series) -> Bar:
        """Return the bar of the next event of a series: mostly now or next, sometimes after a hole, or late."""
        random, line = self._random, self._line(series)
        roll = random.random()
        if roll < self._weather.flips:
            return line.bar(line.newest - random.randint(0, 1))
        if roll < self._weather.flips + self._weather.late:
            if line.skipped and random.random() < 0.7:
                return line.bar(line.skipped.pop(0))  # as a backfill heals: from the left
            return line.bar(line.newest - random.randint(2, 6))
        number = line.newest + (1 if random.random() < 0.7 else random.randint(3, 7))
        if random.random() < self._weather.jumps:
            number = max(number, bisect_right(line.starts, self.now) - 2)
        if random.random() < self._weather.silences:
            after = bisect_right(line.starts, line.bar(line.newest).start + LONG_US)
            number = max(number, after) if after < len(line.bars) else number
        line.skipped.extend(range(line.newest + 1, number))
        line.newest = min(number, len(line.bars) - 1)
        return line.bar(number)

    def _bar(self, series: Series) -> dict[str, Any]:
        random, roll, line = self._random, self._random.random(), self._line(series)
        if roll < self._weather.future:
            first = bisect_right(line.starts, self.now + 6 * SECOND_US)
            ahead = [start for start in line.starts[first : first + 6] if start < self.now + 23 * HOUR_US]
            if ahead:
                return self._priced(series, random.choice(ahead), final=random.random() < 0.8)
        if roll < self._weather.future + 0.05 and series[2] != DAILY:
            # Before the open, at lunch, after the close.
            odd = line.bar(line.newest).start + SLOT_US[series[2]]
            if line.bar(line.newest + 1).start != odd:
                self.now = max(self.now, odd + SLOT_US[series[2]])
                return self._priced(series, odd, final=True)
        bar, final = self._next(series), random.random() < 0.8
        # A bar that is still forming; rarely one that is told final before it is over.
        running = random.random() < (0.03 if final else 0.5)
        self.now = max(self.now, random.randint(bar.start + 1, bar.end - 1) if running else bar.end)
        return self._priced(series, bar.start, final=final)

    def _priced(self, series: Series, start: int, *, final: bool) -> dict[str, Any]:
        price = self._price()
        return {
            "symbol": series[1], "interval": series[2], "event_time": start, "open": abs(price), "high": abs(price),
            "low": price, "close": abs(price), "volume": 1.0, "vwap": None, "trade_count": None, "final": final,
            "session": "regular", "adjustment_state": "raw", "currency": "", "simulated": True,
        }  # fmt: skip

    def _stamp(self, series: Series) -> int:
        """Return when a quote or trade happens; some are stamped ahead of the clock."""
        if self._random.random() < self._weather.future:
            return self.now + self._random.randint(6 * SECOND_US, 2 * HOUR_US)
        stamp = self._next(series).start + self._random.choice((0, SECOND_US))
        self.now = max(self.now, stamp)
        return stamp

    def _quote(self, series: Series) -> dict[str, Any]:
        stamp = self._stamp(series)
        return an_event(QUOTE_STREAM, symbol=series[1], event_time=stamp, bid=self._price(), simulated=True)

    def _trade(self, symbol: str, stamp: int) -> dict[str, Any]:
        return {
            "symbol": symbol, "event_time": stamp, "price": self._price(), "size": 1.0, "trade_id": None,
            "conditions": "", "venue": "", "simulated": True,
        }  # fmt: skip

    def _trades(self, block: RawBlock) -> Iterator[RawBlock]:
        """Yield a frame of trades as one block or two; sometimes it repeats an earlier one of its connection."""
        random = self._random
        self._sequence += 1
        frames = self._frames[block.provider]
        if frames and random.random() < 0.25:
            frame_hash, trades = random.choice(frames)
        else:
            frame_hash = self._sequence
            chosen = [self._some_series(block.provider) for _ in range(random.randint(1, 4))]
            trades = [self._trade(series[1], self._stamp(series)) for series in chosen]
            frames.append((frame_hash, trades))
        events = [{**trade, "frame_sequence": self._sequence, "frame_hash": frame_hash} for trade in trades]
        block = replace(block, connection_id=f"{block.provider}-1")
        cut = random.randint(1, len(events)) if random.random() < 0.3 else len(events)
        yield replace(block, events=events[:cut])
        if events[cut:]:
            yield replace(block, events=events[cut:], discontinuities=())

    def _price(self) -> float:
        """Return one of two prices, so that values flip; rarely an impossible one."""
        return -1.0 if self._random.random() < 0.03 else self._random.choice((1.0, 2.0))

    def _downtime(self, provider: str) -> Discontinuity:
        """Return that nobody watched a series up to some moment, seldom the end of a bar, and sometimes since when."""
        random, series = self._random, self._some_series(provider)
        line = self._line(series)
        last = line.bar(line.newest + random.randint(1, 4))
        to = random.choice((last.start, last.end, random.randint(last.start + 1, last.end)))
        since = (
            None
            if random.random() < 0.6
            else min(line.bar(line.newest - random.randint(-1, 2)).start, to - 1)
        )
        number = line.bars.index(last)
        line.skipped.extend(range(line.newest + 1, number))
        line.newest = number
        self.now = max(self.now, to)
        return Discontinuity(
            symbol=series[1], interval=series[2] if self._strategy == "slots" else "", from_time=since if since is None else EventTime(since), to_time=EventTime(to),
            cause=random.choice(("producer_down", "disconnected", SERVED_ELSEWHERE)),
        )  # fmt: skip

    def _backfill(self, block: RawBlock) -> Iterator[RawBlock]:
        """Yield the answer for a stretch of one series, in one block or two: older or newer than what came, with holes."""
        random = self._random
        series = self._some_series(block.provider)
        line = self._line(series)
        first = max(0, line.newest + random.choice((-12, -8, -5, -3, -1, 1)))
        asked = line.bars[first : first + random.randint(1, 9)]
        if not asked or asked[0].start > self.now:
            return
        make: dict[str, Callable[[int], dict[str, Any]]] = {
            "slots": lambda start: self._priced(series, start, final=random.random() < 0.95),
            "latest": lambda stamp: an_event(
                QUOTE_STREAM, symbol=series[1], event_time=stamp, bid=self._price(), simulated=True
            ),
            "occurrences": lambda stamp: {
                **self._trade(series[1], stamp), "frame_sequence": 0, "frame_hash": 0,
            },
        }  # fmt: skip
        there = [bar for bar in asked if bar.end <= self.now and random.random() < 0.7]
        events = self._settled(block.provider, [make[self._strategy](bar.start) for bar in there])
        named = series[2] if self._strategy == "slots" else ""
        low, high = (
            (asked[0].slot, asked[-1].slot + DAY_US) if named == DAILY else (asked[0].start, asked[-1].end)
        )
        stretch = AnsweredStretch(
            symbol=series[1], interval=named, from_time=EventTime(low), to_time=EventTime(high)
        )
        if self._strategy == "slots" and random.random() < self._weather.given_up:
            yield replace(
                block, events=[], hints=answered_hint([replace(stretch, given_up="unknown_symbol")])
            )
            return
        answered = answered_hint([stretch]) if random.random() < self._weather.answers else {}
        if events and random.random() < 0.3:
            cut = random.randint(0, len(events))
            yield replace(block, events=events[:cut])
            events = events[cut:]
        yield replace(block, events=events, hints=answered)


def encoded(topic: str, block: RawBlock) -> bytes:
    """Return a block as it lies in the log."""
    fields = {name: getattr(block, name) for name in RawBlock.__slots__}
    return encode_value(
        topic, {**fields, "discontinuities": [asdict(told) for told in block.discontinuities]}
    )
