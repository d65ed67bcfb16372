"""Option chains live: from a slice's becoming known to its greeks at a WebSocket client, 100 symbols polled every minute.

Run: `python -m benchmarks live_chains`. The whole system on this machine, the simulator and the client too; the chains are made up, some
500 contracts each. A slice is known from the broker's append of its raw block (`known_from`); what processors, gateway
and model take follows. Percentiles are of a minute each, the median of three.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import defaultdict
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any

import aiohttp
import orjson

from benchmarks.measure import Row, Servers, empty, middle, row, servers, topics
from tests.support.system import System, system

SYMBOLS = [f"SIM{number:03d}" for number in range(1, 101)]
EVERY_S = 60
STREAMS = {
    "quotes": {"providers": ["yahoo"], "every_s": 60},
    "options": {"providers": ["polygon"], "every_s": EVERY_S, "far_every_s": 3600},
}
IN_SESSION = "2026-11-25T10:00:00-05:00"
WARM_S, MINUTES = 150.0, 3
GOAL_P99_MS, FLOOR_P99_MS = 400.0, 1_000.0


@dataclass
class Minute:
    """Arrivals of a minute: ms since the slice was known, of slices and of their greeks; legs that came."""

    slices: list[float] = field(default_factory=list)
    greeks: list[float] = field(default_factory=list)
    legs: int = 0


def run() -> list[Row]:
    """Return delays, the median over minutes of each minute's percentile."""
    with servers() as base:
        return rows_of(asyncio.run(_run(base, "chains.")))


def rows_of(minutes: list[Minute]) -> list[Row]:
    """Return the rows of some minutes."""

    def percentile(name: str, percent: int) -> float:
        return middle([quantiles(getattr(each, name), n=100)[percent - 1] for each in minutes])

    return [
        row("contracts a minute that were watched", middle([each.legs for each in minutes]), "contracts"),
        row("slices a minute whose greeks came", middle([len(each.greeks) for each in minutes]), "slices"),
        row("slice known to its frame, p50", percentile("slices", 50), "ms"),
        row("slice known to its frame, p99", percentile("slices", 99), "ms"),
        row("slice known to its greeks' frame, p50", percentile("greeks", 50), "ms"),
        row(
            "slice known to its greeks' frame, p99",
            percentile("greeks", 99),
            "ms",
            goal=GOAL_P99_MS,
            floor=FLOOR_P99_MS,
            lower_is_better=True,
        ),
    ]


async def _run(base: Servers, prefix: str) -> list[Minute]:
    folder = base.folder / prefix.strip(".")
    folder.mkdir()
    topics(base.bootstrap, prefix)
    await empty(base.dsn)
    settings = {"MDS_SIMULATOR_SPEED": "1", "MDS_SIMULATOR_START": IN_SESSION}
    with system(
        bootstrap=base.bootstrap, dsn=base.dsn, prefix=prefix, folder=folder, symbols=SYMBOLS, settings=settings, streams=STREAMS
    ) as running:  # fmt: skip
        running.start("simulator")
        await running.ready("simulator")
        await running.start_services()
        return await _arrivals(running)


async def _arrivals(running: System) -> list[Minute]:
    """Watch every chain as one client."""
    minutes: dict[int, Minute] = defaultdict(Minute)
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(running.socket_url + "/ws", max_msg_size=0) as socket,
    ):
        items = [{"stream": f"options:best:{name}"} for name in SYMBOLS]
        await socket.send_str(orjson.dumps({"id": 1, "t": "subscribe", "items": items}).decode())
        gc.collect()
        gc.disable()  # a pause of the one who measures is no delay of what is measured
        begun = time.monotonic()
        while (passed_s := time.monotonic() - begun) < WARM_S + MINUTES * 60.0:
            frame = await socket.receive(timeout=20)
            arrived = time.time_ns() // 1_000
            if passed_s >= WARM_S:
                for message in orjson.loads(frame.data):
                    _count(message, arrived, minutes[int((passed_s - WARM_S) // 60.0)])
    gc.enable()
    return [minutes[number] for number in range(MINUTES)]


def _count(message: dict[str, Any], arrived: int, minute: Minute) -> None:
    if message["t"] not in ("d", "greeks"):
        return
    kept = minute.slices if message["t"] == "d" else minute.greeks
    for _, values in message["m"]:
        kept.append((arrived - values["known_from"]) / 1_000)
        if message["t"] == "d":
            minute.legs += len(values["legs"]["strike"])
