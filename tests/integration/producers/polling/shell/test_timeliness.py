"""A real producer's cadence over a thousand symbols: recorded window by window, and served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from infra.runtime.clock import Market, WallMarketClock
from infra.runtime.postgres import pool as postgres
from producers.polling.shell.timeliness import CadenceRecorder
from producers.polling.timeliness import CadenceGroup, PlannedCadence
from schemas.intervals import SECOND_US
from schemas.log_buckets import quantile_us
from tests.conftest import free_port
from tests.support.eventually import eventually
from tests.support.gateway_rest import rest
from tests.support.producer_processes import configuration, producer, simulator

SYMBOLS = 1_000
STREAMS = "bars: {provider: yahoo, every_s: 20}, quotes: {provider: yahoo, every_s: 2}"
MEMORY_MB = 200.0
WITHIN_S = 60.0


async def rows(database: str) -> list[dict[str, Any]]:
    """Return the windows recorded so far, oldest first."""
    connection = await asyncpg.connect(database)
    try:
        return [dict(row) for row in await connection.fetch("SELECT * FROM cadence ORDER BY ended_time")]
    finally:
        await connection.close()


def lateness(windows: list[dict[str, Any]]) -> dict[int, int]:
    """Return polls by bucket of lateness."""
    merged: dict[int, int] = {}
    for window in windows:
        for bucket, count in zip(window["buckets"], window["counts"], strict=True):
            merged[bucket] = merged.get(bucket, 0) + count
    return merged


async def test_a_thousand_symbols_are_polled_and_how_late_is_recorded_and_served(
    kafka_bootstrap: str, topic_prefix: str, database: str, tmp_path: Path
) -> None:
    """None fails, in less than 200 MB; the rows and what the gateway makes of them agree.

    How late they are is the benchmark's to judge: here simulator and test share a loop and a busy machine.
    """
    names = "[" + ", ".join(f"SIM{number:04d}" for number in range(SYMBOLS)) + "]"
    config = configuration(tmp_path, symbols=names, streams=STREAMS)
    env = config | {"MDS_POSTGRES_DSN": database}
    async with simulator(start="2026-11-20T00:20:00Z") as (_, url):
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as running:

            async def covered() -> bool:
                found = await rows(database)
                names = {row["capability"] for row in found}
                polled = [
                    sum(lateness([row for row in found if row["capability"] == name]).values())
                    for name in names
                ]
                return len(polled) == 2 and min(polled) > 5

            await eventually(covered, within_s=WITHIN_S, what="windows of both capabilities with polls")
            memory_mb = psutil.Process(running.process.pid).memory_info().rss / 1e6
        recorded = await rows(database)  # the last, shorter window was written when the producer stopped
    async with rest(database) as served:
        answer = await served.get("/stats/cadence", window="15m")
        part = await served.get("/stats/cadence", window="1h", capability="quotes", provider="yahoo")
        wrong = await served.ask("GET", "/stats/cadence", params={"window": "2y", "tier": "a b"})

    assert memory_mb < MEMORY_MB
    for capability in ("bars:1m", "quotes"):
        ours = [row for row in recorded if row["capability"] == capability]
        p99 = quantile_us(lateness(ours), 0.99)
        assert p99 is not None
        assert sum(row["failed"] for row in ours) == 0
        (group,) = [group for group in answer["data"] if group["capability"] == capability]
        assert group["error_ms"]["p99"] == pytest.approx(p99 / 1_000, abs=0.001)
        assert group["polls"]["begun"] == sum(row["begun"] for row in ours)
        assert group["polls"]["succeeded"] == sum(row["succeeded"] for row in ours)
        assert group["symbols"] == ours[-1]["symbols"] == SYMBOLS
        assert group["planned_every_s"] == ours[-1]["every_s"]
        assert sum(point["due"] for point in group["history"]) == sum(row["due"] for row in ours)
    assert [group["capability"] for group in part["data"]] == ["quotes"]
    assert wrong[0] == 422
    assert {error["param"] for error in wrong[2]["errors"]} == {"window", "tier"}


async def test_windows_survive_an_outage_and_are_trimmed_after_a_week(database: str) -> None:
    """What was counted while the database was away is written when it is back; what is old goes."""
    market, group = Market(clock=WallMarketClock()), CadenceGroup("quotes", "yahoo", "T1")
    away = f"postgresql://mds:mds@127.0.0.1:{free_port()}/absent"
    async with (
        postgres.pool(away, service="test") as absent,
        postgres.pool(database, service="test") as present,
    ):
        recorder = CadenceRecorder(absent, market=market, replica="a")
        recorder.plan({group: PlannedCadence(every_us=SECOND_US, symbols=("SPY",))})
        for _ in range(3):
            recorder.begun(group, due_us=market.now_us() - SECOND_US)
            recorder.ended(group, ("SPY",), next_due_us=market.now_us() + SECOND_US, ok=True)
            await recorder.flush()
        recorder._pool = present
        await recorder.flush()
        written = await rows(database)
        connection = await asyncpg.connect(database)
        await connection.execute("UPDATE cadence SET ended_time = ended_time - interval '8 days'")
        await connection.close()
        fresh = CadenceRecorder(present, market=market, replica="b")
        fresh.plan({group: PlannedCadence(every_us=SECOND_US, symbols=("SPY",))})
        await fresh.flush()
        left = await rows(database)

    assert [(row["begun"], row["succeeded"], sum(row["counts"])) for row in written] == [
        *[(1, 1, 1)] * 3,
        (0, 0, 0),
    ]
    assert written[0]["error_p50_ms"] == pytest.approx(1_000, rel=0.05)
    assert [row["replica"] for row in left] == ["b"]
