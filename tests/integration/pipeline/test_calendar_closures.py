"""Closed days and early closes of the configuration in every process, of a market other than New York's."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from infra.runtime.configuration.announcing import announce
from schemas.intervals import micros
from schemas.topics import RAW_BARS
from tests.support.builders import a_bar_event, a_block
from tests.support.eventually import eventually
from tests.support.processor_workers import Raw
from tests.support.system import System, system

SERVICES = ("gateway", "sinks", "stream_processors")
WITHIN_S = 60.0
SYMBOLS = "symbols: [VOD.L, HSBA.L, BARC.L, LLOY.L, TSCO.L]\nstreams: {bars: {provider: yahoo}}\n"
ONE_DAY = SYMBOLS + "calendar_closures: {XLON: [2013-10-08]}\n"
TWO_DAYS = (
    SYMBOLS
    + "calendar_closures: {XLON: [2013-10-08, 2013-10-09]}\n"
    + "calendar_early_closes: {XLON: {2013-10-10: 12:30}}\n"
)
LAST_MINUTE, OPEN = (15, 29), (7, 0)  # UTC, in British summer time


def at(day: int, clock: tuple[int, int]) -> int:
    """Return a UTC time of a day of October 2013."""
    return micros(datetime(2013, 10, day, *clock, tzinfo=UTC))


async def generation_of(running: System, name: str) -> int:
    """Return the generation a process has in force."""
    url = f"http://127.0.0.1:{running.ports[name]}/readyz"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return int((await answer.json())["parts"]["configuration"]["generation"])


async def on(running: System, generation: int) -> None:
    """Wait until every process has a generation in force."""

    async def has(name: str) -> bool:
        return await generation_of(running, name) == generation

    for name in SERVICES:
        await eventually(partial(has, name), within_s=WITHIN_S, what=f"{name} on {generation}")


async def bars_of(running: System, symbol: str, interval: str = "1m") -> list[dict[str, Any]]:
    """Return what REST has of a symbol."""
    status, answer = await running.get(
        f"/stocks/{symbol}/history", interval=interval, start="2013-10-01", end="2013-11-01"
    )
    return answer["data"] if status == 200 else []


async def gaps_of(running: System, symbol: str) -> list[tuple[str, int]]:
    """Return start and number of missing bars of the gaps of a symbol."""
    status, answer = await running.get("/gaps", symbol=symbol, start="2013-10-01")
    assert status == 200, answer
    return [(gap["from_time"][:19], gap["expected"]) for gap in answer["data"]]


async def pinned(running: System, as_of: str) -> list[tuple[bool, str]]:
    """Return gaps and derived days as of a moment: whether they are immutable, and the answer but for its request's id."""
    span = {"start": "2013-10-01", "as_of": as_of}
    asked = [
        ("/gaps", span | {"symbol": "HSBA.L"}),
        ("/stocks/TSCO.L/history", span | {"end": "2013-11-01", "interval": "1d"}),
    ]
    answers = []
    async with aiohttp.ClientSession() as session:
        for path, query in asked:
            async with session.get(running.url + path, params=query) as answer:
                said = await answer.json()
                said["meta"].pop("request_id", None)
                text = json.dumps(said)
                assert answer.status == 200, text
                answers.append(("immutable" in answer.headers["Cache-Control"], text))
    return answers


async def sent(running: System, raw: Raw, symbol: str, *stamps: int) -> None:
    """Send one block of final bars a stamp, and wait until the last is stored."""
    for stamp in stamps:
        raw.block(RAW_BARS, a_block(a_bar_event(symbol=symbol, event_time=stamp, currency="GBp")))

    async def stored() -> bool:
        return len(await bars_of(running, symbol)) == len(stamps)

    await eventually(stored, within_s=WITHIN_S, what=f"bars of {symbol}")


@pytest.mark.slow
async def test_a_closure_makes_no_gap_in_any_process_and_a_new_one_needs_no_restart(
    kafka_bootstrap: str, topic_prefix: str, database: str, tmp_path: Path
) -> None:
    """From the first block on, as the newest generation says; what it adds later lacks nothing from then on."""
    raw = Raw(kafka_bootstrap, topic_prefix)
    announce(kafka_bootstrap, lambda: ONE_DAY, "start", prefix=topic_prefix)
    with system(
        bootstrap=kafka_bootstrap, dsn=database, prefix=topic_prefix, folder=tmp_path,
        symbols=["VOD.L"], settings={"MDS_MARKET_CLOCK": "wall"},
    ) as running:  # fmt: skip
        for symbol in ("VOD.L", "HSBA.L"):  # waiting before any process of ours is there
            raw.block(RAW_BARS, a_block(a_bar_event(symbol=symbol, event_time=at(7, LAST_MINUTE))))
        raw.block(RAW_BARS, a_block(a_bar_event(symbol="VOD.L", event_time=at(9, OPEN))))
        raw.block(RAW_BARS, a_block(a_bar_event(symbol="HSBA.L", event_time=at(10, OPEN))))
        for name in SERVICES:
            running.start(name)
        await running.ready(*SERVICES)
        await on(running, 1)

        async def stored() -> bool:
            return all([len(await bars_of(running, symbol)) == 2 for symbol in ("VOD.L", "HSBA.L")])

        await eventually(stored, within_s=WITHIN_S, what="what was waiting")
        assert await gaps_of(running, "VOD.L") == []
        assert await gaps_of(running, "HSBA.L") == [("2013-10-09T07:00:00", 510)]
        await sent(running, raw, "TSCO.L", at(9, (10, 0)))
        assert [bar["event_time"][:19] for bar in await bars_of(running, "TSCO.L", "1d")] == [
            "2013-10-09T07:00:00"
        ]

        # Each answer is of its own partition's moment: at the later of both, what each of them told is known.
        then = max(
            [
                (await running.get("/gaps", symbol=symbol))[1]["meta"]["as_of"]
                for symbol in ("HSBA.L", "TSCO.L")
            ]
        )

        async def settled() -> list[tuple[bool, str]]:
            """The other partition may come to that moment a little later."""
            answers = await pinned(running, then)
            return answers if all(immutable for immutable, _ in answers) else []

        before = await eventually(settled, within_s=WITHIN_S, what="both answers are for ever")

        (tmp_path / "mds.yaml").write_text(TWO_DAYS)
        async with aiohttp.ClientSession() as session, session.post(running.url + "/ops/reload") as answer:
            assert answer.status == 202, await answer.text()
        await on(running, 2)
        await sent(running, raw, "BARC.L", at(7, LAST_MINUTE), at(10, OPEN))
        await sent(running, raw, "LLOY.L", at(10, (11, 29)), at(11, OPEN))

        async def judged_anew() -> bool:
            """Each symbol's answer is of its own partition's moment, and the closure counts some seconds after it was announced."""
            assert [await gaps_of(running, symbol) for symbol in ("HSBA.L", "BARC.L", "LLOY.L")] == [
                [],
                [],
                [],
            ]
            # No day is derived where there is no session: the gateway judges by the same days.
            return await bars_of(running, "TSCO.L", "1d") == []

        await eventually(judged_anew, within_s=WITHIN_S, what="what was closed lacks nothing")

        # What was answered of a moment stays as it was, after a restart, too.
        assert await pinned(running, then) == before
        running.kill("gateway")
        running.start("gateway")
        await running.ready("gateway")
        assert await pinned(running, then) == before
