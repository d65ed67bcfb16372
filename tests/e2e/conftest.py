"""One run of the whole pipeline over real files, shared by every test that only reads what it left."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from infra.runtime.kafka.topics import ensure_topics
from schemas.intervals import DAY_US
from tests.support.corporate_actions import day
from tests.support.databases import make
from tests.support.eventually import eventually
from tests.support.loaded_system import DAYS, SPY_TRADES, SYMBOLS, Loaded
from tests.support.market_files import minute_bars
from tests.support.real_entries import (
    FILE_ENDS,
    REAL_SERIES,
    stored_dividends,
    stored_vintages_of,
    told_dividends,
    told_vintages,
)
from tests.support.system import WITH_ENTRIES, System, subset, system
from tests.support.watcher import Watcher, watching

# In this order two workers take them: whoever waits for most of its time beside whoever plays real files or is under load.
FIRST = ("monitoring", "faults", "real_data", "options", "secured", "interop", "installed", "removed_data")
INGESTED_WITHIN_S = 240.0
PREFIX = "real."
DATABASE = "real_data"
# When the file of vintages ends; bars and trades ended a year before.
LAST_MOMENT = day(FILE_ENDS) * DAY_US
REAL_STREAMS = WITH_ENTRIES | {"macro": {"keys": [*REAL_SERIES], "every_s": 300}}


@pytest.hookimpl(trylast=True)  # after the order of all tests
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let workers beside each other take the long files first."""
    if hasattr(config, "workerinput") and all(
        item.path.is_relative_to(Path(__file__).parent) for item in items
    ):
        items.sort(key=lambda item: _turn(item.path.stem.removeprefix("test_")))


def _turn(name: str) -> int:
    return FIRST.index(name) if name in FIRST else len(FIRST)


@pytest.fixture(scope="session")
def loaded(
    market_data: Path, kafka_bootstrap: str, postgres_admin: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Loaded]:
    """Run SPY, GOOG and TWX bars, SPY's trades of one day, its actions and macro series at full speed, a client watching."""
    folder = tmp_path_factory.mktemp("real")
    ensure_topics(kafka_bootstrap, prefix=PREFIX)
    dsn = asyncio.run(make(postgres_admin, DATABASE))
    data = subset(
        market_data,
        folder,
        *(f"equity_minute/{symbol.lower()}/{day}_trade.zip" for symbol, day in DAYS),
        "equity_tick/spy/20131007_trade.zip",
        "equity_daily/*_files/spy.csv",
        "macro/us_macro_vintages.csv.gz",
    )
    settings = {"MDS_SIMULATOR_DATA": str(data), "MDS_SIMULATOR_SPEED": "max"}
    with system(
        bootstrap=kafka_bootstrap,
        dsn=dsn,
        prefix=PREFIX,
        folder=folder,
        symbols=SYMBOLS,
        settings=settings,
        streams=REAL_STREAMS,
    ) as running:
        asyncio.run(_start(running))
        streams = [f"bars.1m:best:{symbol}" for symbol in SYMBOLS] + ["trades:best:SPY"]
        with watching(running.socket_url, streams) as watcher:
            running.start("producers")
            asyncio.run(_taken_in(watcher, dsn, market_data))
            asyncio.run(_entries_taken_in(running, dsn, market_data))
            yield Loaded(running, watcher, market_data, kafka_bootstrap, PREFIX, dsn)


async def _start(running: System) -> None:
    running.start("simulator")
    await running.ready("simulator")
    for name in ("gateway", "sinks", "stream_processors"):
        running.start(name)
    await running.ready("gateway", "sinks", "stream_processors")


async def _taken_in(watcher: Watcher, dsn: str, data: Path) -> None:
    wanted = sum(len(minute_bars(data, symbol, day)) for symbol, day in DAYS)

    async def stored() -> bool:
        connection = await asyncpg.connect(dsn)
        try:
            trades = await connection.fetchval("SELECT count(*) FROM v_trades")
            bars = await connection.fetchval("SELECT count(*) FROM v_bars")
        finally:
            await connection.close()
        assert (trades, bars) == (SPY_TRADES, wanted), f"{trades} trades, {bars} of {wanted} bars stored"
        return True

    await eventually(stored, within_s=INGESTED_WITHIN_S, every_s=1.0)
    trades = watcher.transcripts["trades:best:SPY"].records
    await eventually(
        lambda: len(trades) >= SPY_TRADES, within_s=INGESTED_WITHIN_S, what="all trades streamed"
    )


async def _entries_taken_in(running: System, dsn: str, data: Path) -> None:
    """Let the market be where the file of vintages ends, since it has played all else, and ask for all that was said of its series.

    They were asked for before, when nobody had said anything of them yet.
    """
    await _post(running.simulator_url + "/simulator/clock", {"market_time": LAST_MOMENT})
    paid, said = len(told_dividends(data)), len(told_vintages(data))

    async def stored() -> bool:
        await _post(running.url + "/admin/macro/refresh", {"keys": [*REAL_SERIES], "full": True})
        found = len(await stored_dividends(dsn)), len(await stored_vintages_of(dsn))
        assert found == (paid, said), f"{found} of {paid} dividends and {said} vintages stored"
        return True

    await eventually(stored, within_s=INGESTED_WITHIN_S, every_s=1.0)


async def _post(url: str, body: dict[str, Any]) -> None:
    """Ask for something, and wait a while for what is done with it."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=body, headers={"Prefer": "wait=20"}) as answer,
    ):
        assert answer.status in (200, 202), await answer.text()
