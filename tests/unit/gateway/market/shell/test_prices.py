"""`price` answered from what was written before, against a gateway that remembers nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import lru_cache
from random import Random
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from gateway.database.versions import StoredClose, Value
from gateway.http.problems import Problem
from gateway.http.shell.answers import REQUEST_ID
from gateway.live.shell.live import LiveStreams
from gateway.market.shell.naming import Naming
from gateway.market.shell.prices import Prices
from schemas.calendar.history import CalendarHistory
from schemas.calendar.overlay import NO_OVERLAY, overlay_of
from schemas.calendar.sessions import put_in_force
from schemas.clocks import CanonicalOffset, EventTime, KnowledgeTime, MarketTime
from schemas.intervals import DAY_US, HOUR_US, SECOND_US
from schemas.partitions import TopicPartition, partition_of
from schemas.streams import BY_RECORD, Bar, Quote, Trade
from schemas.symbology.naming import Symbology
from tests.support.builders import NINE_THIRTY, a_bar, a_quote, a_trade

SYMBOLS, PARTITIONS = ("SPY", "BTC-USD"), 2
NOW = NINE_THIRTY + DAY_US


class BrokerlessStreams(LiveStreams):
    """The live half without a broker."""

    ready = True
    reachable = True

    def begin(self, log: str) -> None:
        """Follow a log from its beginning, with nothing known of another."""
        self.feeds.forget()
        self.feeds.epochs = {"quotes.v1": log}
        self.offset = 0
        for stream in BY_RECORD.values():
            for partition in range(PARTITIONS):
                self.feeds.begin(TopicPartition(stream.topic, partition), 0)

    def put(self, record: Value) -> None:
        """Take a record as if it came."""
        self.offset += 1
        place = TopicPartition(BY_RECORD[type(record)].topic, partition_of(record.symbol, PARTITIONS))
        self.feeds.apply(place, CanonicalOffset(self.offset), record.received_time, asdict(record))


class _Store:
    """A database with a bar and a close of each symbol; `asked` counts how often it was."""

    def __init__(self) -> None:
        self.asked = 0

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[_Store]:
        self.asked += 1
        yield self

    async def newest_values(
        self, symbols: Sequence[str], provider: str | None, **_: Any
    ) -> dict[str, list[Value]]:
        bars: dict[str, list[Value]] = {
            symbol: [a_bar(symbol=symbol, event_time=NINE_THIRTY, raw_offset=1)] for symbol in symbols
        }
        return bars if provider in (None, "yahoo") else {symbol: [] for symbol in symbols}

    async def previous_closes(self, opens: Any, **_: Any) -> dict[str, list[StoredClose]]:
        return {
            symbol: [
                StoredClose(
                    symbol=symbol, provider="yahoo", interval="1d", close=160.0 + opens[symbol] // HOUR_US % 97, currency="USD",
                    event_time=EventTime(NINE_THIRTY - 3 * DAY_US),
                )
            ]
            for symbol in opens
        }  # fmt: skip

    async def known_among(self, symbols: Sequence[str]) -> set[str]:
        return set(symbols)


class World:
    """All an answer depends on, and a gateway that remembers."""

    def __init__(self) -> None:
        self.live = BrokerlessStreams("", "", PARTITIONS, budget_bytes=1 << 20, ring_messages=8)
        self.live.begin("a")
        self.store, self.now, self.speed, self.complete = _Store(), MarketTime(NOW), 1.0, NOW
        self.remembers = self.gateway()

    def now_us(self) -> MarketTime:
        """As a clock."""
        return self.now

    def through(self, _topics: object, partitions: Any) -> KnowledgeTime | None:
        """As watermarks."""
        return KnowledgeTime(self.complete + sum(partitions)) if self.complete else None

    def gateway(self) -> Prices:
        """Return one that has answered nothing yet."""
        around: Any = self
        return Prices(
            around.store, around, self.live, around, naming=Naming(Symbology(), around), names=lambda _: True,
            calendars=CalendarHistory(), partitions=PARTITIONS,
        )  # fmt: skip

    def replace_log(self, name: str) -> None:
        """Lose memory, as one does whose log was replaced."""
        self.live.begin(name)
        self.live.log_replaced()


@lru_cache
def asked(symbol: str, query: str) -> web.Request:
    """Return a request; a mocked one takes its time to make."""
    request = make_mocked_request("GET", f"/stocks/{symbol}/price{query}", match_info={"symbol": symbol})
    request[REQUEST_ID] = "0123456789abcdef"
    return request


async def told(prices: Prices, symbol: str, query: str) -> bytes | str:
    """Return the body, or the problem."""
    request = asked(symbol, query)
    try:
        response = await prices.price(request)
    except Problem as problem:
        return str(problem)
    assert isinstance(response, web.Response)
    assert isinstance(response.body, bytes)
    return response.body


def record(kind: str, symbol: str, provider: str, age_us: int, number: int) -> Quote | Trade | Bar:
    given: dict[str, Any] = {"symbol": symbol, "provider": provider, "event_time": EventTime(NOW - age_us)}
    given |= {"raw_offset": number, "route": "shadow" if provider == "polygon" else "primary"}
    if kind == "trade":
        return a_trade(**given, price=100.0 + number)
    if kind == "bar":
        return a_bar(**given, close=100.0 + number)
    currency = ("USD", "", "EUR")[number % 3]
    return a_quote(
        **given, currency=currency, bid=None if number % 4 == 0 else 99.0 + number, delay_s=number % 2 * 900
    )


def near(chance: Random) -> int:
    """Return an age: of seconds, where values become stale, or of days."""
    return chance.choice([chance.randrange(-90, 240) * SECOND_US, chance.randrange(-HOUR_US, 3 * DAY_US)])


STEPS: dict[str, Callable[[Random], tuple[Any, ...]]] = {
    "put": lambda chance: (
        chance.choice(["trade", "quote", "bar"]), chance.choice(SYMBOLS),
        chance.choice(["yahoo", "finnhub", "polygon"]), near(chance), chance.randrange(10),
    ),
    "now": lambda chance: (-near(chance),),
    "speed": lambda chance: (chance.choice([1.0, 60.0, float("inf")]),),
    "complete": lambda chance: (chance.randrange(-HOUR_US, HOUR_US),),
    "log": lambda chance: (chance.choice("ab"),),
    "reachable": lambda chance: (chance.random() < 0.8,),
    "closed": lambda chance: (chance.choice([(), ("2013-10-08",), ("2013-10-07", "2013-10-08")]),),
}  # fmt: skip
WEIGHTS = (6, 8, 1, 2, 1, 1, 1)
ACTS: dict[str, Callable[..., None]] = {
    "put": lambda world, *said: world.live.put(record(*said)),
    "now": lambda world, after_us: setattr(world, "now", MarketTime(NOW + after_us)),
    "speed": lambda world, speed: setattr(world, "speed", speed),
    "complete": lambda world, after_us: setattr(world, "complete", NOW + after_us),
    "log": lambda world, name: world.replace_log(name),
    "reachable": lambda world, is_so: setattr(world.live, "reachable", is_so),
    "closed": lambda _, days: put_in_force(overlay_of({"XNYS": list(days)}, {})) and None,
}


@pytest.fixture(autouse=True)
def _calendars_as_they_were() -> Iterator[None]:
    yield
    put_in_force(NO_OVERLAY)


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_remembered_is_what_would_be_made(seed: int) -> None:
    """After any record, move of a clock, watermark, log or calendar, in any order: byte by byte."""
    chance, world = Random(seed), World()
    for _ in range(250):
        (name,) = chance.choices(list(STEPS), WEIGHTS)
        said = STEPS[name](chance)
        ACTS[name](world, *said)
        for symbol in SYMBOLS:
            for query in ("", "?provider=yahoo", "?max_age_ms=90000"):
                made = await told(world.gateway(), symbol, query)
                for _ in range(2):
                    assert await told(world.remembers, symbol, query) == made, (name, said, query)


async def test_what_is_remembered_needs_no_database() -> None:
    """A second answer, and one after a newer trade, ask nobody; one of another day does."""
    world = World()
    world.live.put(record("trade", "SPY", "finnhub", 0, 5))
    for after_s, price in ((0, 105.0), (1, 106.0), (2, 107.0)):
        world.now = MarketTime(NOW + after_s * SECOND_US)
        body = await told(world.remembers, "SPY", "")
        assert isinstance(body, bytes)
        assert f'"price":{price},'.encode() in body
        world.live.put(record("trade", "SPY", "finnhub", -(after_s + 1) * SECOND_US, 6 + after_s))
    assert world.store.asked == 1
    world.live.put(record("trade", "SPY", "finnhub", -DAY_US, 9))
    await told(world.remembers, "SPY", "")
    assert world.store.asked == 2
