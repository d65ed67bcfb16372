"""What a simulated trade socket was asked for and held, against what topic, table and client have of it, trade by trade."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from unittest import mock

import aiohttp
import asyncpg

from infra.simulator.faults.exchange import Simulation
from infra.simulator.faults.seen import seen
from infra.simulator.market.model import MarketModel
from infra.simulator.market.tape import Tape
from schemas.intervals import MINUTE_US, SECOND_US
from schemas.partitions import partition_of
from schemas.topics import DEFAULT_PARTITIONS, TRADES
from tests.support import oracle
from tests.support.system import System

PROVIDER = "finnhub"
ON_ITS_WAY_US = SECOND_US  # a subscription is heard so long after it was said, at most


class Print(NamedTuple):
    """One trade: its time (µs), price and size."""

    time: int
    price: float
    size: float


class Hole(NamedTuple):
    """A gap as it is served."""

    begin: int
    end: int
    cause: str


@dataclass
class Heard:
    """Market times (µs) at which the simulator took subscriptions, by symbol, in order."""

    since: dict[str, list[int]] = field(default_factory=dict)


@contextmanager
def hearing() -> Iterator[Heard]:
    """Note inside what simulated sockets subscribe."""
    heard, add = Heard(), Tape.add

    def noted(tape: Tape, symbol: str, from_time: int) -> None:
        heard.since.setdefault(symbol, []).append(from_time)
        add(tape, symbol, from_time)

    with mock.patch.object(Tape, "add", noted):
        yield heard


async def tape_of(simulation: Simulation, symbol: str, begin: int, end: int) -> list[Print]:
    """Return the trades of [begin, end] (µs) that the socket has of a symbol by the habits in force."""
    habits = simulation.plan.socket_habits(PROVIDER, "socket", simulation.view.clock.now())
    return await trades_of(seen(simulation.view, habits).market, symbol, begin, end)


async def trades_of(market: MarketModel, symbol: str, begin: int, end: int) -> list[Print]:
    """Return the trades of [begin, end] (µs) of a market."""
    found: list[Print] = []
    for minute in range(begin - begin % MINUTE_US, end + 1, MINUTE_US):
        chunk = await market.trade_chunk(symbol, minute)
        if chunk is not None:
            rows = zip(chunk.times_ms, chunk.prices, chunk.sizes, strict=True)
            found += [Print(time * 1_000, price, float(size)) for time, price, size in rows]
    return [each for each in found if begin <= each.time <= end]


def missing_of(tape: Sequence[Print], got: Sequence[Print]) -> list[Print]:
    """Return what of a tape is not among what came; fails where anything came twice, in another order, or is not on it."""
    missing, rest = [], list(reversed(got))
    for each in tape:
        if rest and rest[-1] == each:
            rest.pop()
        else:
            missing.append(each)
    assert not rest, f"not on the tape, twice or out of order: {rest[-3:][::-1]} of {len(got)}"
    return missing


def unmarked(missing: Sequence[Print], holes: Sequence[Hole], heard: Sequence[int]) -> list[Print]:
    """Return what is missing and in no hole; one ends when a subscription is said, which is heard a little later."""
    spans = [(hole.begin, hole.end) for hole in holes]
    spans += [(since - ON_ITS_WAY_US, since) for since in heard]
    return [each for each in missing if not any(begin <= each.time < end for begin, end in spans)]


async def in_topic(kafka: str, prefix: str, symbol: str) -> list[Print]:
    """Return the trades of a symbol in the canonical topic, in the order of its log."""
    place = partition_of(symbol, DEFAULT_PARTITIONS)
    records = await asyncio.to_thread(oracle.canonical, kafka, prefix, TRADES, place)
    return [printed(each) for each in records if each["symbol"] == symbol]


async def in_table(dsn: str, symbol: str) -> list[Print]:
    """Return the trades of a symbol that are stored, by their position."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "SELECT event_time, price, size FROM v_trades WHERE symbol = $1 ORDER BY raw_offset, idx", symbol
        )
    finally:
        await connection.close()
    return [Print(oracle.micros(row["event_time"]), row["price"], row["size"]) for row in rows]


def printed(record: dict[str, Any]) -> Print:
    """Return the trade of a canonical record, or of one that a client was sent."""
    moment = record["event_time"]
    return Print(moment if isinstance(moment, int) else at(moment), record["price"], record["size"])


def at(text: str) -> int:
    """Return the µs of a time of the gateway."""
    return oracle.micros(datetime.fromisoformat(text))


async def holes_of(running: System, symbol: str, **query: str) -> list[Hole]:
    """Return the gaps of a symbol as they are served, all of them of our provider's trades."""
    status, answer = await running.get("/gaps", symbol=symbol, **query)
    assert status == 200, answer
    assert {gap["provider"] for gap in answer["data"]} <= {PROVIDER}
    return [Hole(at(gap["from_time"]), at(gap["to_time"]), gap["cause"]) for gap in answer["data"]]


async def refused_now(running: System) -> tuple[list[str], float]:
    """Return which symbols the producer shows as refused in /readyz, and how many in its metric."""
    url = f"http://127.0.0.1:{running.ports['producers']}"
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{url}/readyz") as answer:
            part = (await answer.json())["parts"][PROVIDER]
        async with session.get(f"{url}/metrics") as answer:
            lines = (await answer.text()).splitlines()
    sample = f'mds_symbols_refused{{provider="{PROVIDER}"}}'
    counted = next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(sample))
    assert part["refused_symbols"] == len(part["refused_first"])
    return part["refused_first"], counted
