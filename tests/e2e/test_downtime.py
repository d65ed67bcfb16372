"""A producer that dies once on real days: what is missing is the time it was down, and no other."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from infra.runtime.kafka.topics import ensure_topics
from schemas.intervals import MINUTE_US
from tests.support import ledger_answers, oracle
from tests.support.eventually import eventually
from tests.support.market_files import NEW_YORK, at, minute_bars
from tests.support.producer_processes import watched
from tests.support.system import System, subset, system

pytestmark = [pytest.mark.slow, pytest.mark.soak]

PREFIX = "down."
DAYS = ("20140605", "20140606", "20140609")
TRADED = ("AAPL", "TWX")  # on these days; SPY's last quote is eight months old, GOOG's first bar a year ahead
QUIET = ("SPY", "GOOG")
FILES = [
    *(f"equity_minute/{symbol.lower()}/{day}_{kind}.zip" for symbol in TRADED for day in DAYS for kind in ("quote", "trade")),
    "equity_minute/spy/20131007_quote.zip", "equity_minute/spy/20131007_trade.zip", "equity_minute/goog/20151228_trade.zip",
]  # fmt: skip
WITHIN_S = 90.0


async def test_a_producer_killed_once_makes_gaps_only_of_the_time_it_was_down(
    market_data: Path, kafka_bootstrap: str, database: str, tmp_path: Path
) -> None:
    """Quotes and bars of busy symbols and of one that has been quiet for months; absent minutes are those of the files."""
    await asyncio.to_thread(ensure_topics, kafka_bootstrap, prefix=PREFIX)
    data = subset(market_data, tmp_path, *FILES)
    settings = {
        "MDS_SIMULATOR_DATA": str(data), "MDS_SIMULATOR_SPEED": "1",
        "MDS_SIMULATOR_START": datetime.fromtimestamp(at(DAYS[0], "09:30") / 1e6, UTC).isoformat(),
    }  # fmt: skip
    with system(
        bootstrap=kafka_bootstrap, dsn=database, prefix=PREFIX, folder=tmp_path, symbols=[*TRADED, *QUIET],
        settings=settings,
    ) as running:  # fmt: skip
        for name in ("simulator", "gateway", "sinks", "stream_processors", "producers"):
            running.start(name)
            await running.ready(name)
        await _moved(running, kafka_bootstrap, database, at(DAYS[0], "20:30"))
        killed = await _moved(running, kafka_bootstrap, database, at(DAYS[1], "11:00"))
        running.kill("producers")
        restarted = at(DAYS[1], "12:00") + 17_000_000
        await _set_clock(running, restarted)
        running.start("producers")
        await running.ready("producers")
        await _moved(running, kafka_bootstrap, database, at(DAYS[1], "20:30"))
        await _moved(running, kafka_bootstrap, database, at(DAYS[2], "20:30"))
        evidence = await asyncio.to_thread(ledger_answers.told, kafka_bootstrap, PREFIX)

        async def settled() -> bool:
            difference = await ledger_answers.evidence_agrees(database, evidence)
            difference = difference or await ledger_answers.gaps_agree(running, database, evidence)
            assert difference == ""
            return True

        await eventually(settled, within_s=WITHIN_S, every_s=1.0)
    blind = [told for told in evidence if told.kind == "blind"]
    assert {told.cause for told in blind} == {"producer_down"}
    assert [  # of trades the files hold none: their socket is blind to each jump of the clock
        told
        for told in blind
        if not told.stream.startswith("trades:")
        and (told.from_time < killed - 10 * MINUTE_US or (told.to_time or 0) > restarted + MINUTE_US)
    ] == []
    assert {told.symbol for told in blind if told.interval == ""} >= set(TRADED)
    absent = {
        (told.symbol, start)
        for told in evidence
        if told.kind == "absent"
        for start in range(told.from_time, told.to_time or 0, MINUTE_US)
    }
    for symbol in TRADED:
        for day in DAYS:
            bars = minute_bars(market_data, symbol, day)
            minutes = range(at(day, "09:30"), at(day, "16:00"), MINUTE_US)
            missing = {(symbol, start) for start in minutes if start not in bars}
            said = {each for each in absent if each[0] == symbol and each[1] in minutes}
            assert said <= missing
            assert {each for each in missing - said if not killed <= each[1] < restarted - MINUTE_US} == set()
    assert {symbol for symbol, _ in absent} <= set(TRADED)


async def _moved(running: System, kafka: str, dsn: str, moment: int) -> int:
    """Let the market's time be `moment`, and return it once everything up to there is watched and stored."""
    await _set_clock(running, moment)

    async def there() -> bool:
        noted = await watched(kafka, PREFIX)
        for symbol in TRADED:
            assert noted.get(("quotes", symbol), 0) >= moment or not _open(moment), (symbol, noted)
            assert noted.get(("bars.1m", symbol), 0) >= moment, (symbol, noted)
        connection = await asyncpg.connect(dsn)
        try:
            newest: Any = await connection.fetchval(
                "SELECT min(n) FROM (SELECT max(event_time) n FROM v_bars WHERE symbol = ANY ($1) GROUP BY symbol) b",
                list(TRADED),
            )
        finally:
            await connection.close()
        return (
            newest is not None and oracle.micros(newest) >= min(moment, _last_minute(moment)) - 2 * MINUTE_US
        )

    await eventually(there, within_s=WITHIN_S, every_s=0.5, what=str(moment))
    return moment


def _open(moment: int) -> bool:
    return moment < _last_minute(moment)


def _last_minute(moment: int) -> int:
    day = datetime.fromtimestamp(moment / 1e6, NEW_YORK).strftime("%Y%m%d")
    return at(day, "15:59") if day in DAYS else moment


async def _set_clock(running: System, moment: int) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{running.simulator_url}/simulator/clock", json={"market_time": moment}) as answer,
    ):
        assert answer.status == 200, await answer.text()
