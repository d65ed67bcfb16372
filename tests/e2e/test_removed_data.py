"""Real data with stretches taken out of one vendor's answers: each is in the ledger to the minute, healed, and the past stays as it was."""

from __future__ import annotations

import json
import random
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from infra.runtime.clock import rfc3339
from infra.runtime.kafka.topics import ensure_topics
from infra.simulator.server import build_simulation
from schemas.intervals import MINUTE_US
from tests.support.eventually import eventually
from tests.support.market_files import at, minute_bars
from tests.support.removed_rows import leaving_out
from tests.support.sink_records import query
from tests.support.system import System, subset, system

pytestmark = pytest.mark.slow

DAYS = ("20131007", "20131008", "20131009", "20131010")
WHOLE_DAY = DAYS[2]
SEED = 13
WITHIN_S = 60.0
RANGE = {"start": rfc3339(at(DAYS[0], "04:00")), "end": rfc3339(at(DAYS[-1], "20:00"))}
# The name of a request, and when anything of an empty answer was known first: a word of the present.
OF_THE_PRESENT = re.compile(r'"request_id":"[^"]*",|,"as_of_floor":"[^"]*"|"as_of_floor":"[^"]*",')


def regular(day: str) -> range:
    """Return the minutes of a session in which a bar is expected."""
    return range(at(day, "09:30"), at(day, "16:00"), MINUTE_US)


def chosen(seed: int) -> tuple[set[int], set[int]]:
    """Return the starts that are taken out: 25 single minutes and two hours of the first days, and all of the third."""
    rng = random.Random(seed)
    removed = set(rng.sample([*regular(DAYS[0]), *regular(DAYS[1])], 25))
    for day in DAYS[:2]:
        first = rng.choice(regular(day)[:-60])
        removed |= set(range(first, first + 60 * MINUTE_US, MINUTE_US))
    return removed, set(range(at(WHOLE_DAY, "04:00"), at(WHOLE_DAY, "20:00"), MINUTE_US))


def runs(starts: Iterable[int]) -> list[tuple[int, int]]:
    """Return the stretches that hold exactly these minutes; a night ends one."""
    found: list[tuple[int, int]] = []
    for start in sorted(starts):
        if found and found[-1][1] == start:
            found[-1] = found[-1][0], start + MINUTE_US
        else:
            found.append((start, start + MINUTE_US))
    return found


def configuration(path: Path, *, heals: bool) -> None:
    """Write what is collected: SPY's minutes, of Yahoo, and of Finnhub where Yahoo fails."""
    bars = {"providers": ["yahoo", "finnhub"], "intervals": ["1m"]}
    text = yaml.safe_dump({"symbols": ["SPY"], "streams": {"bars": bars}, "backfill": {"enabled": heals}})
    path.write_text(text, "utf-8")


@asynccontextmanager
async def playing(
    data: Path, kafka: str, prefix: str, dsn: str, folder: Path, removed: set[int]
) -> AsyncIterator[System]:
    """Run everything on four days of SPY that are over; nothing is healed yet."""
    links = subset(data, folder, *(f"equity_minute/spy/{day}_trade.zip" for day in DAYS))
    start = rfc3339(at(DAYS[0], "04:00"))
    simulation = build_simulation(
        data=links, start=start, speed="60", seed=SEED, scenario=None, wall_time=at(DAYS[0], "04:00")
    )
    with system(
        bootstrap=kafka, dsn=dsn, prefix=prefix, folder=folder, symbols=["SPY"],
        settings={"PRODUCERS_FINNHUB_TOKEN": "simulator"},
    ) as running:  # fmt: skip
        configuration(folder / "mds.yaml", heals=False)
        async with leaving_out(simulation, running.ports["simulator"], removed):
            await running.start_services()
            simulation.view.clock.step_to(at(DAYS[-1], "20:00") + 20 * MINUTE_US)
            yield running


async def stored(dsn: str) -> dict[int, tuple[float, ...]]:
    """Return what is stored of SPY, whoever it is of; two of one minute must be alike."""
    rows = await query(
        dsn,
        "SELECT (extract(epoch FROM event_time) * 1000000)::bigint t, open, high, low, close, volume FROM v_bars WHERE symbol = 'SPY'",
    )
    found: dict[int, tuple[float, ...]] = {}
    for row in rows:
        values = tuple(float(row[name]) for name in ("open", "high", "low", "close", "volume"))
        assert found.setdefault(row["t"], values) == values
    return found


async def text_of(running: System, path: str, **parameters: str) -> str:
    """Return an answer as it was sent, but for what it says of the present."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(running.url + path, params=parameters) as answer,
    ):
        assert answer.status == 200, await answer.text()
        return OF_THE_PRESENT.sub("", await answer.text())


async def gaps(running: System) -> list[dict[str, Any]]:
    """Return all gaps of SPY's minutes."""
    status, answer = await running.get("/gaps", symbol="SPY", interval="1m", limit=1000, **RANGE)
    assert status == 200, answer
    found: list[dict[str, Any]] = answer["data"]  # type: ignore[assignment]
    return found


def bounds(found: Iterable[dict[str, Any]]) -> list[tuple[int, int]]:
    """Return the stretches of gaps."""
    return sorted((_micros(gap["from_time"]), _micros(gap["to_time"])) for gap in found)


def changed(was: dict[str, Any], now: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the members of an answer, and of its meta, that are not what they were."""
    pairs = [(name, was[name], now[name]) for name in was if name != "meta"]
    pairs += [
        (f"meta.{name}", was["meta"].get(name), now["meta"].get(name)) for name in was["meta"] | now["meta"]
    ]
    return {name: (before, after) for name, before, after in pairs if before != after}


def _micros(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000


async def test_what_is_taken_out_is_told_healed_and_the_past_stays_as_it_was(
    market_data: Path, kafka_bootstrap: str, topic_prefix: str, database: str, tmp_path: Path
) -> None:
    """Minutes and hours come from the same vendor once it has them, a day that it never has from the other one."""
    complete = {t: bar for day in DAYS for t, bar in minute_bars(market_data, "SPY", day).items()}
    some, day = chosen(SEED)
    removed = some | day
    missing = {t for each in DAYS for t in regular(each) if t not in complete or t in removed}
    ensure_topics(kafka_bootstrap, prefix=topic_prefix)
    async with playing(market_data, kafka_bootstrap, topic_prefix, database, tmp_path, removed) as running:

        async def told() -> bool:
            found = await gaps(running)
            assert bounds(found) == runs(missing)
            assert {(gap["state"], gap["confidence"], gap["cause"]) for gap in found} == {
                ("open", "inferred", "missing_bars")
            }
            return True

        await eventually(told, within_s=WITHIN_S, every_s=0.5, what="the ledger")
        assert await stored(database) == {t: bar for t, bar in complete.items() if t not in removed}
        _, answer = await running.get("/gaps", symbol="SPY")
        past = {"as_of": answer["meta"]["as_of"], "limit": "1000"}
        asked = [("/gaps", {"symbol": "SPY", **past, **RANGE})]
        for each in DAYS:  # a page each: what names a next page is another text each time
            whole_day = {"start": rfc3339(at(each, "04:00")), "end": rfc3339(at(each, "20:00"))}
            asked.append(("/stocks/SPY/intraday", {**past, **whole_day}))
        before = [await text_of(running, path, **parameters) for path, parameters in asked]
        assert all('"next_page_token":null' in text for text in before)

        removed -= some
        configuration(tmp_path / "mds.yaml", heals=True)

        async def healed() -> bool:
            assert {gap["state"] for gap in await gaps(running)} <= {"empty"}
            assert bounds(await gaps(running)) == [
                (regular(WHOLE_DAY)[0], regular(WHOLE_DAY)[-1] + MINUTE_US)
            ]
            return True

        await eventually(healed, within_s=WITHIN_S, every_s=0.5, what="what the vendor has again")
        assert await stored(database) == {t: bar for t, bar in complete.items() if t not in day}
        body = {
            "symbol": "SPY", "interval": "1m", "start": rfc3339(min(day)), "end": rfc3339(max(day) + MINUTE_US),
            "source": "finnhub",
        }  # fmt: skip
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{running.url}/ops/backfill", json=body) as answered,
        ):
            assert answered.status == 202, await answered.text()

        async def whole() -> bool:
            assert await stored(database) == complete
            return True

        await eventually(whole, within_s=WITHIN_S, every_s=0.5, what="the complete files")
        after = [await text_of(running, path, **parameters) for path, parameters in asked]
    for (path, parameters), was, now in zip(asked, before, after, strict=True):
        assert now == was, (path, parameters, changed(json.loads(was), json.loads(now)))
