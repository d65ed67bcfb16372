"""Option chains: over REST against a bare handler, as of a moment against now, stored against bare COPY, parsed against JSON alone.

Run: `python -m benchmarks option_chains`. The chain is 15 expiries of 200 contracts; it lies among 300,000 slices of other symbols and
60 polls of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import orjson
import uvloop

from benchmarks.measure import RUNS, Row, middle, row
from benchmarks.rest import rate, server
from gateway.database.shell.snapshot import Snapshot
from gateway.options.shell.model_queue import KeptByLegs
from gateway.options.shell.reading import EVERYTHING, ChainAsked, read_chain
from gateway.options.slices import OptionSlice
from infra.embedded.postgres import EmbeddedPostgres
from infra.runtime.garbage import collect_rarely
from infra.runtime.postgres.migrate import migrate
from infra.runtime.postgres.pool import connection, pool
from infra.runtime.postgres.session import copy
from producers.vendors.answers import ChainRequest
from producers.vendors.option_rows import chain_origin
from producers.vendors.option_slices import chain_events
from producers.vendors.polygon.options import parse_chain
from schemas.chain_slices import ChainSlice
from schemas.clocks import Day, KnowledgeTime, RawOffset, WallTime
from schemas.identity import stream_id_of
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from schemas.partitions import partition_of
from schemas.streams import OPTION_STREAM, StreamId
from schemas.topics import DEFAULT_PARTITIONS
from schemas.wire.codec import encode
from sinks.columns.avro import read_columns
from sinks.columns.copy import encode_rows
from sinks.columns.tables import TABLES, with_stored
from sinks.store.shell.session import open_connection
from tests.conftest import free_port
from tests.support.builders import a_leg, a_slice
from tests.support.gateway_rest import rest
from tests.support.stream_values import NINE_THIRTY

SYMBOL, EXPIRIES, STRIKES, POLLS = "SPY", 15, 100, 60
OTHERS = 300_000  # slices of two legs each
TOPIC = OPTION_STREAM.topic
LEGS = EXPIRIES * STRIKES * 2
REST_LIMIT = 1_000
PAGE_LEGS = 250
GOALS = {"rest": (0.4, 0.25), "as_of": (1.3, 2.0), "sink": (0.6, 0.4), "parse": (0.15, 0.08)}

FILL = f"""
    SELECT make_partitions('options', ARRAY(SELECT generate_series('2013-09-01 UTC'::timestamptz, '2013-11-01 UTC', '1 month')));
    INSERT INTO streams SELECT stream_id_of('options', '', 'yahoo', 'O' || n), 'options', '', 'yahoo', 'O' || n, 0, '2013-09-01 UTC', '2013-10-07 UTC'
        FROM generate_series(1, 100) n;
    INSERT INTO options
    SELECT stream_id_of('options', '', 'yahoo', 'O' || 1 + n % 100), moment, (n::bigint << 16), 1, 1, 1, moment, moment, moment,
        DATE '2013-10-18' + 7 * (n / 100 % {EXPIRIES}), 0, 0, 'O', 'USD', pair, ARRAY['C', 'P']::"char"[], pair, pair, pair, pair, times, pair, pair,
        times, pair, pair, ARRAY[DATE '2013-10-06', '2013-10-06'], pair, pair, pair, pair, pair, pair, pair
    FROM generate_series(1, {OTHERS}) n, LATERAL (SELECT '2013-09-02 UTC'::timestamptz + n * interval '10 seconds' AS moment) m,
        LATERAL (SELECT ARRAY[1.5, 1.5]::float8[] AS pair, ARRAY[moment, moment] AS times) a;
"""


def chain(poll: int) -> list[ChainSlice]:
    """Return the slices of one poll, every five minutes one, quotes a little different each time."""
    moment = NINE_THIRTY + poll * 5 * MINUTE_US
    first = NINE_THIRTY // DAY_US + 4
    return [
        a_slice(
            symbol=SYMBOL, root=SYMBOL, expiry=first + 7 * number, event_time=moment, known_from=moment + SECOND_US,
            raw_offset=poll, index=number, underlying_bid=167.4, underlying_ask=167.42, underlying_time=moment,
            legs=[_leg(place, moment, number, poll) for place in range(2 * STRIKES)],
        )
        for number in range(EXPIRIES)
    ]  # fmt: skip


def _leg(place: int, moment: int, number: int, poll: int) -> dict[str, Any]:
    strike, right = 118.0 + place // 2, "CP"[place % 2]
    worth = max(0.0, 167.4 - strike if right == "C" else strike - 167.4)
    time_value = 3.0 * np.exp(-(((strike - 167.4) / (6 + 3 * number)) ** 2)) + 0.02
    bid = round(worth + time_value + 0.01 * (poll % 7), 2)
    return a_leg(
        strike=strike, right=right, bid=bid, ask=bid + 0.03, bid_size=12.0, ask_size=9.0, quote_time=moment, last=bid,
        last_size=1.0, last_time=moment, volume=float(place), open_interest=100.0, vendor_iv=0.2, vendor_delta=0.5,
    )  # fmt: skip


def encoded(slices: list[ChainSlice]) -> tuple[bytes, ...]:
    """Return records as they lie in the topic."""
    return tuple(encode(TOPIC, each) for each in slices)


def as_copied(values: tuple[bytes, ...]) -> bytes:
    """Return the COPY input of records, as the sink makes it."""
    table = TABLES[TOPIC]
    columns, odd = read_columns(TOPIC, values)
    assert not odd.any()
    ids = np.full(columns.size, stream_id_of(StreamId("options", "", "yahoo", SYMBOL)))
    return encode_rows(table.columns, with_stored(table, columns, ids), np.arange(columns.size))


async def filled(dsn: str) -> None:
    """Fill the database: other symbols' slices by the server, the chain's own by COPY."""
    table = TABLES[TOPIC]
    async with open_connection(dsn) as session:
        await session.execute(FILL)
        await session.execute(
            "INSERT INTO streams SELECT stream_id_of('options', '', 'yahoo', $1), 'options', '', 'yahoo', $1, 0, $2, $3",
            SYMBOL, NINE_THIRTY, NINE_THIRTY + POLLS * 5 * MINUTE_US,
        )  # fmt: skip
        for poll in range(POLLS):
            await copy(session, table.name, table.column_names, as_copied(encoded(chain(poll))))
        await session.execute("VACUUM ANALYZE options")


async def serve(dsn: str) -> None:
    """Serve until the process is ended; prints the port."""
    async with rest(dsn) as running:
        running.clock.now = NINE_THIRTY + POLLS * 5 * MINUTE_US
        collect_rarely()
        moment = running.clock.now + HOUR_US
        await running.complete_before(moment)
        print(f"ready {running.port}", flush=True)
        while True:
            await asyncio.sleep(1.0)
            moment += SECOND_US
            await running.complete_before(moment)


async def over_rest(dsn: str) -> list[Row]:
    """Ask a server for a page of the chain, warm, and a bare one for the same bytes."""
    path = f"/options/{SYMBOL}/chain?limit={REST_LIMIT}"
    async with (
        server("--dsn", dsn, module="benchmarks.option_chains") as port,
        aiohttp.ClientSession() as session,
    ):
        began_s = time.perf_counter()
        async with session.get(f"http://127.0.0.1:{port}{path}") as response:
            body = await response.text()
            assert response.status == 200, body
        cold_s = time.perf_counter() - began_s
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write(body)
            file.flush()
            async with server("--body", f"@{file.name}") as bare_port:
                ours, bare = [], []
                for _ in range(RUNS + 1):
                    ours.append(await rate(port, path))
                    bare.append(await rate(bare_port, path))
    goal, floor = GOALS["rest"]
    return [
        row(
            f"chain of {LEGS:,} contracts over REST, {REST_LIMIT:,} rows a page, warm",
            middle(ours[1:]), "requests/s", yardstick=middle(bare[1:]), goal=goal, floor=floor,
        ),
        row("the first page, nothing kept", 1_000 * cold_s, "ms", goal=250.0, lower_is_better=True),
    ]  # fmt: skip


async def as_of(dsn: str) -> list[Row]:
    """Read the chain as of polls long past, and the newest, without anything kept."""
    partition = partition_of(SYMBOL, DEFAULT_PARTITIONS)
    end = KnowledgeTime(NINE_THIRTY + POLLS * 5 * MINUTE_US)
    past, newest = [], []
    async with pool(dsn, service="bench", size=1) as lent, connection(lent, within_s=60) as borrowed:
        snapshot = Snapshot(borrowed)

        async def read(moment: KnowledgeTime) -> float:
            asked = ChainAsked(SYMBOL, None, EVERYTHING, moment)
            kept: KeptByLegs[OptionSlice] = KeptByLegs()
            began_s = time.perf_counter()
            found = await read_chain(snapshot, asked, partition=partition, believed=(), kept=kept)
            assert sum(map(len, found.slices)) == LEGS
            return time.perf_counter() - began_s

        for number in range(RUNS * 4 + 1):
            past.append(await read(KnowledgeTime(end - (20 + number) * 5 * MINUTE_US)))
            newest.append(await read(end))
    goal, floor = GOALS["as_of"]
    return [
        row(
            f"chain of {LEGS:,} contracts out of the tables as of hours ago, against now",
            1_000 * middle(past[1:]), "ms", yardstick=1_000 * middle(newest[1:]), goal=goal, floor=floor, lower_is_better=True,
        )
    ]  # fmt: skip


async def stored(dsn: str) -> list[Row]:
    """Store chains from the bytes of the topic on, and by COPY of input that is ready."""
    table = TABLES[TOPIC]
    ours, bare = [], []
    async with open_connection(dsn) as session:
        await session.execute("CREATE TABLE bench_options (LIKE options)")
        for number in range(RUNS + 1):
            values = encoded([replace(each, raw_offset=RawOffset(10_000 + number)) for each in chain(number)])

            async def put(data: Callable[[], bytes]) -> float:
                began_s = time.perf_counter()
                await copy(session, "bench_options", table.column_names, data())
                return LEGS / (time.perf_counter() - began_s)

            ready = as_copied(values)
            bare.append(await put(lambda ready=ready: ready))  # type: ignore[misc]
            ours.append(await put(lambda values=values: as_copied(values)))  # type: ignore[misc]
    goal, floor = GOALS["sink"]
    return [
        row(
            "legs from records to rows",
            middle(ours[1:]),
            "legs/s",
            yardstick=middle(bare[1:]),
            goal=goal,
            floor=floor,
        )
    ]


def parsed() -> list[Row]:
    """Parse a page of Polygon's snapshot, and read its JSON alone."""
    page = orjson.dumps(
        {"status": "OK", "request_id": "a", "results": [_polygon(place) for place in range(PAGE_LEGS)]}
    )
    moment = WallTime(NINE_THIRTY + SECOND_US)
    asked = ChainRequest(symbol=SYMBOL, first=Day(NINE_THIRTY // DAY_US), last=Day(20_000))
    origin = chain_origin("polygon", asked)
    ours, bare = [], []
    for _ in range(RUNS * 4):
        began_s = time.perf_counter()
        found = chain_events(
            parse_chain(page, symbol=SYMBOL, base_url="http://127.0.0.1").rows, origin, moment
        )
        assert sum(len(each["legs"]) for each in found.events) == PAGE_LEGS
        ours.append(PAGE_LEGS / (time.perf_counter() - began_s))
        began_s = time.perf_counter()
        orjson.loads(page)
        bare.append(PAGE_LEGS / (time.perf_counter() - began_s))
    goal, floor = GOALS["parse"]
    return [
        row(
            "legs parsed of Polygon's pages",
            middle(ours),
            "legs/s",
            yardstick=middle(bare),
            goal=goal,
            floor=floor,
        )
    ]


def _polygon(place: int) -> dict[str, Any]:
    strike, right = 118 + place // 2, ("call", "put")[place % 2]
    stamp = NINE_THIRTY * 1_000
    return {
        "break_even_price": 171.075,
        "day": {"change": 1.0, "change_percent": 5.0, "close": 21.4, "high": 22.49, "last_updated": stamp, "low": 21.35, "open": 22.49,
            "previous_close": 21.4, "volume": 37, "vwap": 21.6741},
        "details": {"contract_type": right, "exercise_style": "american", "expiration_date": "2013-10-18", "shares_per_contract": 100,
            "strike_price": strike, "ticker": f"O:SPY131018{right[0].upper()}{strike * 1000:08d}"},
        "greeks": {"delta": 0.5, "gamma": 0.01, "theta": -0.02, "vega": 0.7},
        "implied_volatility": 0.3048997097864957,
        "last_quote": {"ask": 21.25, "ask_size": 110, "bid": 20.9, "bid_size": 172, "last_updated": stamp, "midpoint": 21.075, "timeframe": "REAL-TIME"},
        "last_trade": {"conditions": [209], "exchange": 316, "price": 0.05, "sip_timestamp": stamp, "size": 2, "timeframe": "REAL-TIME"},
        "open_interest": 8921,
        "underlying_asset": {"change_to_break_even": 4.2, "last_updated": stamp, "price": 167.4, "ticker": "SPY", "timeframe": "REAL-TIME"},
    }  # fmt: skip


async def measure(dsn: str) -> list[Row]:
    """Measure all of it."""
    await filled(dsn)
    return [*await over_rest(dsn), *await as_of(dsn), *await stored(dsn), *parsed()]


def run() -> list[Row]:
    """Return the measurements as rows of benchmarks/results.json."""
    with (
        tempfile.TemporaryDirectory(prefix="mds-bench-") as folder,
        EmbeddedPostgres(Path(folder), port=free_port()) as database,
    ):
        asyncio.run(migrate(database.dsn))
        return uvloop.run(measure(database.dsn))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--dsn")
    uvloop.run(serve(parser.parse_args().dsn))
