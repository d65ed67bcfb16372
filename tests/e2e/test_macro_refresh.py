"""Macro series asked for now: command, gateway, jobs, simulated sources, processors, sink, and what is told of it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from infra.runtime.kafka.topics import ensure_topics
from schemas.intervals import DAY_US
from tests.support.eventually import eventually
from tests.support.system import ROOT, System, system

pytestmark = [pytest.mark.slow, pytest.mark.soak]

GDP, YIELD = "FRED:GDPC1", "UST:10Y"
# A week between two polls, so that nothing is asked for but by the test.
TEXT = f"""
symbols: [SIM001]
streams:
  bars: {{providers: [yahoo]}}
  macro: {{keys: ['{GDP}', ust_10y, eurusd], every_s: 604800}}
"""
PATH = "/admin/macro/refresh"


def command(running: System, *words: str) -> tuple[int, Any]:
    """Return the exit code and the document of `mds macro refresh … --wait --json`."""
    done = subprocess.run(
        [sys.executable, "-m", "infra.cli", "macro", "refresh", *words, "--wait", "--json"],
        cwd=ROOT, env=running.env, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


async def ask(running: System, keys: list[str], **headers: str) -> tuple[int, dict[str, Any]]:
    """Ask for a refresh."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession() as session,
        session.post(running.url + PATH, json={"keys": keys}, headers=named) as answer,
    ):
        return answer.status, await answer.json(content_type=None)


async def stored(dsn: str) -> dict[str, int]:
    """Return how many values and revisions of each series are stored."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("SELECT symbol, count(*) AS count FROM v_macro GROUP BY symbol")
        return {row["symbol"]: row["count"] for row in rows}
    finally:
        await connection.close()


async def all_are_there(dsn: str) -> bool:
    """Whether something of each series is stored."""
    return len(await stored(dsn)) == 3


async def step(running: System, days: int) -> None:
    """Let the market be some days later."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(running.simulator_url + "/simulator/clock", json={"step_us": days * DAY_US}) as answer,
    ):
        assert answer.status == 200


async def test_a_refresh_asks_the_sources_and_says_what_came_of_it(
    kafka_bootstrap: str, topic_prefix: str, database: str, tmp_path: Path
) -> None:
    """New values once; then nothing is new, whether news or everything is asked for. One under way is joined."""
    ensure_topics(kafka_bootstrap, prefix=topic_prefix)
    settings = {"PRODUCERS_FRED_API_KEY": "simulator"}
    with system(
        bootstrap=kafka_bootstrap, dsn=database, prefix=topic_prefix, folder=tmp_path, symbols=["SIM001"], settings=settings
    ) as running:  # fmt: skip
        await asyncio.to_thread(Path(running.env["MDS_CONFIG"]).write_text, TEXT, "utf-8")
        running.start("simulator")
        await running.ready("simulator")
        await running.start_services()
        await eventually(lambda: all_are_there(database), within_s=60)
        # Vintages come out in these months, and nobody is there to ask for them.
        assert running.terminate("producers") == 0
        before = await stored(database)
        await step(running, 200)

        # It is under way all the same, once, by whatever name it is asked for.
        keys, by_alias = [GDP, YIELD], [GDP, "ust_10y"]
        status, begun = await ask(running, keys, Idempotency_Key="k", Prefer="wait=1")
        assert (status, begun["data"]["joined"], begun["data"]["keys"]) == (202, False, keys), begun
        status, joined = await ask(running, by_alias)
        assert (status, joined["data"]["joined"]) == (202, True)
        assert joined["data"]["job_id"] == begun["data"]["job_id"]
        status, other = await ask(running, ["cpi"])
        assert (status, other["errors"][0]["code"]) == (422, "not_collected")
        status, other = await ask(running, [GDP], Idempotency_Key="k")
        assert (status, other["code"]) == (422, "idempotency_key_reused")

        running.start("producers")
        await running.ready("producers")
        status, first = await ask(running, keys, Idempotency_Key="k", Prefer="wait=50")
        assert (status, first["data"]["job_id"]) == (200, begun["data"]["job_id"]), first
        assert (first["data"]["failed"], first["data"]["unchanged"]) == ([], []), first
        told = {each["key"]: each["vintages"] for each in first["data"]["changed"]}
        found = await stored(database)
        assert told == {key: found[key] - before[key] for key in keys}
        assert min(told.values()) > 0

        for words in ((), ("--full",)):
            code, again = await asyncio.to_thread(command, running, *by_alias, *words)
            assert (code, again["changed"], again["unchanged"]) == (0, [], keys), again
            assert again["joined"] is False
        # The one nobody asked for comes by its own poll, whenever that is done.
        ended = await stored(database)
        assert {key: ended[key] for key in keys} == {key: found[key] for key in keys}
