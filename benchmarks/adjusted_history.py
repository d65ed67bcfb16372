"""Twenty years of daily bars over REST, adjusted for splits and dividends, beside the same bars raw.

Run: `python -m benchmarks adjusted_history`. The gateway reads both from its database, bars and actions as they are stored,
and answers over a socket; they are asked for in turns, each time as of another moment, so that no answer is one that was kept.
Only bytes are read while time is taken; afterwards each answer is looked at.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from datetime import timedelta
from math import prod
from pathlib import Path
from typing import Any

import orjson

from benchmarks.measure import RUNS, Row, middle, row
from gateway.http.moments import parse_moment, rfc3339
from infra.embedded.postgres import EmbeddedPostgres
from infra.runtime.garbage import collect_rarely
from infra.runtime.postgres.migrate import migrate
from schemas.calendar.sessions import load_calendar
from schemas.clocks import Day, date_of
from schemas.entries import CorporateAction
from schemas.intervals import DAY_US, HOUR_US, SECOND_US
from schemas.streams import Bar
from tests.conftest import free_port
from tests.support.builders import a_bar
from tests.support.corporate_actions import day, dividend, split
from tests.support.gateway_rest import Rest, rest

SYMBOL, PROVIDER = "AAPL", "yahoo"
BARS = 5_040
LAST = "2025-09-01"
SPLITS, RATIO, DIVIDENDS, AMOUNT = 4, 2.0, 80, 0.25
KNOWN_BY = parse_moment("2025-10-01T00:00:00Z", None)
COMPLETE_BEFORE = "2026-06-01T00:00:00Z"
GOAL, FLOOR = 1.2, 1.6
RAW, ALL, STORED = "&adjustment=raw", "&adjustment=all", ""
TIMEOUT_S = 60


def stored_days(count: int) -> tuple[list[Bar], list[CorporateAction]]:
    """Return so many trading days up to the last as they were paid, each known after its close, and the actions of that time."""
    calendar = load_calendar("XNYS")
    end = day(LAST) * DAY_US
    sessions = list(calendar.sessions(end - (count * 3 // 2 + 30) * DAY_US, end))[-count:]
    splits, payments = _ex_dates(sessions, SPLITS), _ex_dates(sessions, DIVIDENDS)
    bars = []
    for number, session in enumerate(sessions):
        shares = prod(RATIO for ex in splits if ex > session.day // DAY_US)
        price, known = shares * (50.0 + number / 97), session.close + HOUR_US
        bars.append(
            a_bar(
                symbol=SYMBOL,
                provider=PROVIDER,
                interval="1d",
                event_time=session.open,
                open=price,
                high=price + 1,
                low=price - 1,
                close=price + 0.5,
                volume=1e6 + number,
                vwap=price,
                received_time=known,
                known_from=known,
                raw_offset=number,
            )
        )
    said: dict[str, Any] = {"symbol": SYMBOL, "provider": PROVIDER}
    actions = [
        split(ex, RATIO, known=ex * DAY_US - 30 * DAY_US, offset=k, **said) for k, ex in enumerate(splits)
    ]
    actions += [
        dividend(ex, AMOUNT, known=ex * DAY_US - 30 * DAY_US, offset=SPLITS + k, **said)
        for k, ex in enumerate(payments)
    ]
    return bars, actions


def _ex_dates(sessions: Sequence[Any], count: int) -> list[Day]:
    """Return so many trading days, evenly between the first and the last, none of them the same for different counts."""
    step = len(sessions) // (count + 1)
    return [Day(sessions[(k + 1) * step + count % 3].day // DAY_US) for k in range(count)]


def _asked(url: str, adjustment: str, number: int) -> tuple[float, dict[str, Any]]:
    """Return how long (ms) an answer took to its last byte, and what it is."""
    as_of = rfc3339(KNOWN_BY + number * SECOND_US)
    start = date_of(Day(day(LAST))) - timedelta(days=BARS * 3 // 2 + 60)
    query = f"interval=1d&start={start}&end={LAST}&limit=10000&as_of={as_of}{adjustment}"
    began_s = time.perf_counter()
    with urllib.request.urlopen(f"{url}/stocks/{SYMBOL}/history?{query}", timeout=TIMEOUT_S) as answer:  # noqa: S310 - of loopback
        body = answer.read()
    return (time.perf_counter() - began_s) * 1_000, orjson.loads(body)


def _check(adjustment: str, answer: dict[str, Any], bars: Sequence[Bar]) -> None:
    """Raise RuntimeError where an answer is not of all bars, or is adjusted for something else than what was told."""
    applied = SPLITS + DIVIDENDS if adjustment == ALL else 0
    found = len(answer["data"]), answer["meta"].get("actions_applied", 0)
    first = answer["data"][0]["close"]
    if found != (len(bars), applied) or (first < bars[0].close) is not (adjustment == ALL):
        raise RuntimeError(
            f"{adjustment or 'as stored'}: {found} rows and actions, the first close is {first}"
        )


async def measure(gateway: Rest, bars: Sequence[Bar]) -> dict[str, list[float]]:
    """Return how long (ms) answers took, by adjustment: in turns, without the first of each, which fill caches."""
    took: dict[str, list[float]] = {RAW: [], ALL: [], STORED: []}
    for number in range(RUNS + 1):
        for adjustment, taken in took.items():
            elapsed_ms, answer = await asyncio.to_thread(_asked, gateway.url, adjustment, number)
            _check(adjustment, answer, bars)
            taken.append(elapsed_ms)
    return {adjustment: taken[1:] for adjustment, taken in took.items()}


async def _measured(dsn: str) -> list[Row]:
    bars, actions = stored_days(BARS)
    async with rest(dsn) as gateway:
        await gateway.store(*bars, *actions)
        await gateway.database.execute("VACUUM ANALYZE")
        await gateway.complete_before(parse_moment(COMPLETE_BEFORE, None))
        collect_rarely()
        took = {adjustment: middle(taken) for adjustment, taken in (await measure(gateway, bars)).items()}
    return [
        row(
            "20 years of days over REST, adjustment=all, to adjustment=raw",
            took[ALL], "ms", yardstick=took[RAW], goal=GOAL, floor=FLOOR, lower_is_better=True,
        ),
        row(
            "20 years of days over REST, adjustment=all, to the bars as they are stored",
            took[ALL], "ms", yardstick=took[STORED], lower_is_better=True,
        ),
    ]  # fmt: skip


def run() -> list[Row]:
    """Return the measurements as rows of benchmarks/results.json."""
    with (
        tempfile.TemporaryDirectory(prefix="mds-bench-") as folder,
        EmbeddedPostgres(Path(folder), port=free_port()) as database,
    ):
        asyncio.run(migrate(database.dsn))
        return asyncio.run(_measured(database.dsn))
