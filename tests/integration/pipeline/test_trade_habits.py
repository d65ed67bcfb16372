"""Trades through a socket with all its vendor's habits: to topic, table and client once and in order, and what is lost is marked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from schemas.intervals import SECOND_US
from tests.support.eventually import eventually
from tests.support.producer_processes import as_json, break_vendors, simulator
from tests.support.system import system
from tests.support.trade_tapes import (
    Hole,
    Print,
    hearing,
    holes_of,
    in_table,
    in_topic,
    missing_of,
    printed,
    refused_now,
    tape_of,
    trades_of,
    unmarked,
)
from tests.support.watcher import watching

WITHIN_S = 45.0
SOCKET = {"vendor": "finnhub", "endpoint": "socket"}
PLAIN, DOUBLED, FROZEN, ABROAD, UNKNOWN = "SIM001", "SIM002", "SIM003", "OCDO.L", "SIM004"
SERVED = [PLAIN, DOUBLED, FROZEN, ABROAD]
SYMBOLS = [*SERVED, UNKNOWN]
CONFIGURATION = f"symbols: [{', '.join(SYMBOLS)}]\nstreams: {{trades: {{provider: finnhub}}}}\n"
FROZEN_SINCE = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
ALWAYS: list[dict[str, Any]] = [
    {"type": "listed_elsewhere", "symbols": [ABROAD]},
    {"type": "scaled_symbols", "symbols": [DOUBLED], "factor": 2},
    {"type": "frozen_symbols", "symbols": [FROZEN], "since": FROZEN_SINCE.isoformat()},
    {"type": "unknown_symbols", "symbols": [UNKNOWN]},
    {"type": "one_socket", "ends": "first"},
    {"type": "latency", "p50_s": 0.05, "p99_s": 0.3},
]
ONE_BY_ONE = {"type": "cut_frames", "trades": 1}
GATHERED = {"type": "gather_frames", "s": 2}


def rules(*faults: dict[str, Any], refused_handshakes: int = 0) -> str:
    """Return a scenario of the socket: what always holds, these, and so many handshakes that are refused."""
    given: list[dict[str, Any]] = [{"match": SOCKET, "fault": fault} for fault in (*ALWAYS, *faults)]
    if refused_handshakes:
        fault = {"type": "status", "status": 503}
        given.append({"match": SOCKET, "when": {"limit": refused_handshakes}, "fault": fault})
    return orjson.dumps({"rules": given}).decode()


@asynccontextmanager
async def another_socket(url: str) -> AsyncIterator[None]:
    """Open a socket with the producer's own key, as soon as one is let in."""
    async with aiohttp.ClientSession() as http:

        async def opened() -> Any:
            try:
                return await http.ws_connect(f"{url}/finnhub/ws?token=simulator")
            except aiohttp.WSServerHandshakeError:
                return None

        async with await eventually(opened, within_s=WITHIN_S):
            yield


async def test_every_trade_of_a_socket_with_habits_comes_once_in_order_or_is_marked(
    kafka_bootstrap: str, topic_prefix: str, database: str, tmp_path: Path
) -> None:
    """One a frame, then many symbols a frame; refused at the door, thrown out for another socket of the key.

    Doubled and frozen prices pass as they are said, a share in London beside those in New York; an unknown one has none.
    """
    async with simulator(scenario=rules(ONE_BY_ONE, refused_handshakes=2)) as (simulation, url):
        with (
            hearing() as heard,
            system(
                bootstrap=kafka_bootstrap, dsn=database, prefix=topic_prefix, folder=tmp_path, symbols=SYMBOLS,
                settings={"MDS_SIMULATOR_URL": url},
            ) as running,
        ):  # fmt: skip
            (tmp_path / "mds.yaml").write_text(CONFIGURATION)
            now = simulation.view.clock.now()
            # Its calendar takes a second to load.
            assert await tape_of(simulation, ABROAD, now, now + SECOND_US)
            for name in ("gateway", "sinks", "stream_processors"):
                running.start(name)
            await running.ready("gateway", "sinks", "stream_processors")
            with watching(running.socket_url, [f"trades:best:{symbol}" for symbol in SYMBOLS]) as watcher:

                def at_client(symbol: str) -> list[Print]:
                    records = watcher.transcripts[f"trades:best:{symbol}"].records
                    return [printed(records[offset]) for offset in sorted(records)]

                async def came(since: int) -> bool:
                    return all(sum(each.time > since for each in at_client(symbol)) >= 5 for symbol in SERVED)

                running.start("producers")
                await eventually(lambda: came(0), within_s=WITHIN_S, every_s=0.2)
                assert await refused_now(running) == ([UNKNOWN], 1.0)

                break_vendors(simulation, rules(GATHERED, refused_handshakes=1))
                gathered = simulation.view.clock.now()
                await eventually(lambda: came(gathered + 3 * SECOND_US), within_s=WITHIN_S, every_s=0.2)
                opened = len(heard.since[PLAIN])
                break_vendors(simulation, rules(GATHERED, refused_handshakes=1))
                async with another_socket(url):
                    await eventually(
                        lambda: len(heard.since[PLAIN]) > opened, within_s=WITHIN_S, every_s=0.05
                    )
                thrown_out = simulation.view.clock.now()
                await eventually(lambda: came(thrown_out + 3 * SECOND_US), within_s=WITHIN_S, every_s=0.2)
                faults = as_json(simulation)["faults"]

                break_vendors(simulation, rules())
                simulation.view.clock.set_paused(paused=True)
                begins, end = heard.since, simulation.view.clock.now()
                tapes = {
                    symbol: await tape_of(simulation, symbol, begins[symbol][0], end) for symbol in SERVED
                }

                async def settled() -> dict[str, list[Hole]]:
                    holes = {}
                    for symbol in SYMBOLS:
                        stored = await in_table(database, symbol)
                        assert (
                            stored
                            == await in_topic(kafka_bootstrap, topic_prefix, symbol)
                            == at_client(symbol)
                        )
                        holes[symbol] = await holes_of(running, symbol)
                        tape = tapes.get(symbol, [])
                        missing = missing_of(tape, stored)
                        assert unmarked(missing, holes[symbol], heard.since.get(symbol, [])) == [], symbol
                    return holes

                holes = await eventually(settled, within_s=WITHIN_S, every_s=0.5)
                seen = watcher.transcripts
            market = simulation.view.market
            doubled = [each.price for each in await trades_of(market, DOUBLED, begins[DOUBLED][0], end)]
    assert [[hole.cause for hole in holes[symbol]] for symbol in SERVED] == [["disconnected"]] * len(SERVED)
    assert [hole.cause for hole in holes[UNKNOWN]] == ["refused"]
    assert all(hole.end - hole.begin < 15 * SECOND_US for each in SERVED for hole in holes[each])
    assert [each.price for each in tapes[DOUBLED]] == [2 * price for price in doubled]
    assert len({each.price for each in tapes[FROZEN]}) == 1
    assert (UNKNOWN in heard.since, at_client(UNKNOWN)) == (False, [])
    assert faults["one_socket"] >= 1
    assert faults["latency"] >= 3
    for transcript in seen.values():
        assert (transcript.breaks, transcript.losses_told, transcript.order_kept) == ([], 0, True)
    told = {(gap["stream"], gap["cause"]) for gap in watcher.gaps if gap["t"] == "gap"}
    assert told == {
        *((f"trades:finnhub:{symbol}", "disconnected") for symbol in SERVED),
        (f"trades:finnhub:{UNKNOWN}", "refused"),
    }
