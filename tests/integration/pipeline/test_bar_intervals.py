"""Bars of every interval through the whole pipeline: real days of SPY, and the market that never closes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from infra.runtime.clock import rfc3339
from infra.runtime.kafka.topics import ensure_topics
from infra.runtime.postgres.migrate import migrate
from schemas.calendar.expected_bars import slot_of
from schemas.calendar.sessions import US_EQUITIES, load_calendar
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US
from tests.support.databases import execute, with_database
from tests.support.eventually import eventually
from tests.support.expected_starts import expected_starts
from tests.support.market_files import at, minute_bars
from tests.support.oracle import micros
from tests.support.system import System, subset, system

ARRIVED_WITHIN_S = 90.0
INTERVALS = {"1m": MINUTE_US, "5m": 5 * MINUTE_US, "1h": HOUR_US, "1d": DAY_US}
STREAMS = "streams: {bars: {providers: [yahoo], intervals: [1m, 5m, 1h, 1d]}}\n"
FRIDAY, MONDAY = "20131004", "20131007"
BEFORE_SUMMER_TIME = "2013-03-01T00:00:00Z"  # the clocks of New York changed on 10 March
FIRST_DAY, MINUTES_FROM, LAST_DAY = at("20130301", "00:00"), at("20131004", "00:00"), at(MONDAY, "23:59")
NEAR_MIDNIGHT = "2026-11-19T23:57:30Z"
ARRIVED = "SELECT interval, count(*) AS bars FROM v_bars WHERE final GROUP BY interval"
FINALS = "SELECT interval, event_time, count(*) AS versions FROM v_bars_all WHERE final GROUP BY interval, event_time"
GAPS = "SELECT interval, from_time, to_time FROM gaps WHERE interval = ANY($1) AND state = 'open'"


@dataclass
class Scene:
    """A running system whose producer was given every interval, and its database."""

    system: System
    dsn: str

    async def rows(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Return what the database says."""
        connection = await asyncpg.connect(self.dsn)
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()

    async def history(self, symbol: str, interval: str, start: int, end: int) -> list[dict[str, Any]]:
        """Return what REST says of one interval."""
        status, answer = await self.system.get(
            f"/stocks/{symbol}/history",
            interval=interval,
            start=rfc3339(start),
            end=rfc3339(end),
            session="regular" if interval == "1d" else "all",
            limit=2000,
        )
        assert status == 200, answer
        data: list[dict[str, Any]] = answer["data"]  # type: ignore[assignment]
        return data


async def started(running: System) -> None:
    """Start everything, the producer last."""
    running.start("simulator")
    await running.ready("simulator")
    for name in ("gateway", "sinks", "stream_processors"):
        running.start(name)
    await running.ready("gateway", "sinks", "stream_processors")
    running.start("producers")


def write(folder: Path, symbol: str) -> None:
    """Ask for every interval of one symbol."""
    (folder / "mds.yaml").write_text(f"symbols: [{{symbol: {symbol}, tier: T0}}]\n{STREAMS}", "utf-8")


def sessions() -> dict[str, tuple[tuple[int, int], ...]]:
    """Return begin and end of pre-market, session and post-market of both days."""
    clocks = (("04:00", "09:30"), ("09:30", "16:00"), ("16:00", "20:00"))
    return {day: tuple((at(day, low), at(day, high)) for low, high in clocks) for day in (FRIDAY, MONDAY)}


def joined(minutes: dict[int, tuple[float, ...]], step: int) -> dict[int, tuple[float, ...]]:
    """Return minutes joined to bars of `step`, counted from the beginning of each part of the session."""
    bars: dict[int, list[tuple[float, ...]]] = {}
    for start, values in sorted(minutes.items()):
        begin = next(low for parts in sessions().values() for low, high in parts if low <= start < high)
        bars.setdefault(start - (start - begin) % step, []).append(values)
    return {
        start: (
            rows[0][0],
            max(row[1] for row in rows),
            min(row[2] for row in rows),
            rows[-1][3],
            sum(row[4] for row in rows),
        )
        for start, rows in bars.items()
    }


@pytest.fixture(scope="module")
def real(
    market_data: Path, kafka_bootstrap: str, postgres_admin: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    """Two real days of SPY, a weekend between them, and its daily file from before summer time, all taken in."""
    folder, prefix, name = tmp_path_factory.mktemp("intervals"), "intervals.", "bar_intervals"
    ensure_topics(kafka_bootstrap, prefix=prefix)
    asyncio.run(execute(postgres_admin, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
    asyncio.run(execute(postgres_admin, f"CREATE DATABASE {name}"))
    dsn = with_database(postgres_admin, name)
    asyncio.run(migrate(dsn))
    data = subset(
        market_data,
        folder,
        *(f"equity_minute/spy/{day}_trade.zip" for day in (FRIDAY, MONDAY)),
        "equity_daily/*/spy.*",
    )
    settings = {
        "MDS_SIMULATOR_DATA": str(data),
        "MDS_SIMULATOR_SPEED": "max",
        "MDS_SIMULATOR_START": BEFORE_SUMMER_TIME,
    }
    with system(
        bootstrap=kafka_bootstrap, dsn=dsn, prefix=prefix, folder=folder, symbols=["SPY"], settings=settings
    ) as running:
        write(folder, "SPY")
        asyncio.run(started(running))
        scene = Scene(running, dsn)
        asyncio.run(taken_in(scene, market_data))
        yield scene


async def taken_in(scene: Scene, data: Path) -> None:
    """Wait until as many final bars of every interval are stored as the files hold."""
    minutes = {**minute_bars(data, "SPY", FRIDAY), **minute_bars(data, "SPY", MONDAY)}
    wanted = {name: len(joined(minutes, INTERVALS[name])) for name in ("1m", "5m", "1h")}
    wanted["1d"] = len(expected_starts(load_calendar(US_EQUITIES), "1d", FIRST_DAY, LAST_DAY))

    async def stored() -> bool:
        found = {row["interval"]: row["bars"] for row in await scene.rows(ARRIVED)}
        assert all(found.get(name, 0) >= count for name, count in wanted.items()), (found, wanted)
        return True

    async def shown() -> bool:
        """Whether REST's watermark has come to the last of them: it follows the database."""
        rows = await scene.history("SPY", "1m", at(MONDAY, "00:00"), LAST_DAY)
        return len(rows) >= len(minute_bars(data, "SPY", MONDAY))

    await eventually(stored, within_s=ARRIVED_WITHIN_S, every_s=0.5)
    await eventually(shown, within_s=ARRIVED_WITHIN_S, every_s=0.5)


async def test_real_minutes_arrive_as_bars_of_every_interval(real: Scene, market_data: Path) -> None:
    """REST gives 1m, 5m and 1h bars that are the file's minutes joined, by session, and nothing else."""
    minutes = {**minute_bars(market_data, "SPY", FRIDAY), **minute_bars(market_data, "SPY", MONDAY)}
    for interval in ("1m", "5m", "1h"):
        rows = await real.history("SPY", interval, at(MONDAY, "00:00"), LAST_DAY)
        want = {t: v for t, v in joined(minutes, INTERVALS[interval]).items() if t >= at(MONDAY, "00:00")}

        assert {row["event_time"]: values(row) for row in rows} == {
            rfc3339(start): pytest.approx(bar) for start, bar in want.items()
        }
        assert all(row["final"] and not row.get("derived") for row in rows)


async def test_daily_bars_are_the_vendors_own(real: Scene) -> None:
    """Each trading day once, at its open, which summer time moves by an hour."""
    rows = await real.history("SPY", "1d", FIRST_DAY, LAST_DAY)
    opens = [session.open for session in load_calendar(US_EQUITIES).sessions(FIRST_DAY, LAST_DAY)]

    assert [row["event_time"] for row in rows] == [rfc3339(moment) for moment in opens]
    assert {row["event_time"][11:16] for row in rows} == {"14:30", "13:30"}
    assert all(row["final"] for row in rows)


async def test_a_final_bar_is_stored_once_in_every_interval(real: Scene) -> None:
    """Asking for the same bars again, poll after poll, makes no second version."""
    counted = Counter(row["versions"] for row in await real.rows(FINALS))

    assert set(counted) == {1}


async def test_no_weekend_holiday_or_change_of_the_clocks_is_a_gap(real: Scene, market_data: Path) -> None:
    """Of 5m, 1h and 1d bars nothing is missing; of minutes exactly those of the session without a trade."""
    minutes = {**minute_bars(market_data, "SPY", FRIDAY), **minute_bars(market_data, "SPY", MONDAY)}
    missing = [
        start
        for day in (FRIDAY, MONDAY)
        for start in range(at(day, "09:30"), at(day, "16:00"), MINUTE_US)
        if start not in minutes
    ]
    coarse = await real.rows(GAPS, ["5m", "1h", "1d"])
    fine = await real.rows(GAPS, ["1m"])

    assert [dict(row) for row in coarse] == []
    covered = [
        slot
        for row in fine
        for slot in expected_starts(
            load_calendar(US_EQUITIES), "1m", micros(row["from_time"]), micros(row["to_time"])
        )
    ]
    assert sorted(covered) == missing


async def test_the_market_that_never_closes_gives_every_interval_too(
    kafka_bootstrap: str, topic_prefix: str, database: str, tmp_path: Path
) -> None:
    """Over a midnight: bars of a minute, five, an hour and a day form and become final, each final one once."""
    settings = {"MDS_SIMULATOR_SPEED": "60", "MDS_SIMULATOR_START": NEAR_MIDNIGHT}
    midnight = micros_of("2026-11-20T00:00:00+00:00")
    with system(
        bootstrap=kafka_bootstrap,
        dsn=database,
        prefix=topic_prefix,
        folder=tmp_path,
        symbols=["SIM001"],
        settings=settings,
    ) as running:
        write(tmp_path, "SIM001")
        await started(running)
        scene = Scene(running, database)
        await eventually(partial(all_final, scene, midnight), within_s=ARRIVED_WITHIN_S, every_s=0.5)
        finals = await scene.rows(FINALS)
        gaps = await scene.rows(GAPS, list(INTERVALS))

    assert {row["versions"] for row in finals} == {1}
    assert gaps == []


async def all_final(scene: Scene, midnight: int) -> bool:
    """Whether the last bar of the day is final in every interval, in the database and then over REST."""
    rows = await scene.rows("SELECT interval, event_time FROM v_bars WHERE final")
    found = {(row["interval"], slot_of(row["interval"], micros(row["event_time"]))) for row in rows}
    assert {(name, midnight - step) for name, step in INTERVALS.items()} <= found, sorted(found)[-8:]
    for interval, step in INTERVALS.items():
        shown = await scene.history("SIM001", interval, midnight - step, midnight)
        assert [row["final"] for row in shown] == [True], interval
    return True


def values(row: dict[str, Any]) -> tuple[float, ...]:
    """Return open, high, low, close and volume."""
    return tuple(float(row[name]) for name in ("open", "high", "low", "close", "volume"))


def micros_of(text: str) -> int:
    """Return a moment written as text in µs."""
    return micros(datetime.fromisoformat(text))
