"""Cost of adjusting twenty years of daily bars beside reading them, and of changes over 60,000 macro vintages.

No broker and no database: what is read are the rows as they come from it. The yardstick of an adjusted page is the same page raw,
from stored rows to the text of the answer; of macro changes it is the plain values of the same vintages.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from analytics.action_effects import Effect
from analytics.adjustment import ActionSchedule
from analytics.bar_basis import basis_days
from analytics.macro_units import Vintages
from benchmarks.measure import RUNS, Row, middle, row
from gateway.database.versions import BarVersion
from gateway.market.bars import row as bar_row
from schemas.clocks import Day, EventTime, KnowledgeTime, RawOffset, WallTime
from schemas.entries import CorporateAction
from schemas.intervals import DAY_US

BARS = 5_040
FIRST = Day(11_000)
SPLITS, DIVIDENDS = 4, 80
VINTAGES, PERIODS = 60_000, 600


def run() -> list[Row]:
    """Return the results."""
    stored, schedule = _stored(), ActionSchedule(_effects())
    both = [(_seconds(lambda: _page(stored)), _seconds(lambda: _page(stored, schedule))) for _ in range(RUNS)]
    raw, adjusted = (middle([each[k] for each in both]) for k in (0, 1))
    seen = _vintages()
    every = np.arange(len(seen.periods))
    plain, year = (
        middle([_seconds(lambda units=units: seen.transformed(every, units, "M")) for _ in range(RUNS)])  # type: ignore[misc]
        for units in ("lin", "pc1")
    )
    made = middle([_seconds(_vintages) for _ in range(RUNS)])
    return [
        row(
            "20 years of days, adjusted for all", adjusted * 1_000, "ms",
            yardstick=raw * 1_000, goal=1.2, floor=1.6, lower_is_better=True,
        ),
        row("60,000 vintages, put in order", made * 1_000, "ms"),
        row("60,000 vintages, a year's change of each", year * 1_000, "ms", yardstick=plain * 1_000),
    ]  # fmt: skip


def _stored() -> list[dict[str, Any]]:
    """Return rows as they are stored: half of them raw, half adjusted by their provider."""
    return [
        {
            "symbol": "AAPL", "interval": "1d", "event_time": EventTime((FIRST + k) * DAY_US), "open": 100.0 + k / 7,
            "high": 101.0 + k / 7, "low": 99.0 + k / 7, "close": 100.5 + k / 7, "volume": 1e6 + k, "final": True,
            "provider": "acme", "received_time": WallTime((FIRST + k + 1) * DAY_US), "raw_offset": RawOffset(k), "index": 0,
            "known_from": KnowledgeTime((FIRST + k + 1) * DAY_US), "revision": 0, "session": "regular",
            "adjustment_state": "raw" if k % 2 else "split", "currency": "USD",
        }
        for k in range(BARS)
    ]  # fmt: skip


def _effects() -> list[Effect]:
    """Return splits and quarterly dividends."""
    found = []
    for count, kind in ((SPLITS, "split"), (DIVIDENDS, "cash_dividend")):
        for k in range(count):
            ex = Day(FIRST + (k + 1) * BARS // (count + 1))
            action = CorporateAction(
                symbol="AAPL", provider="acme", action_id=f"{kind}{k}", type=kind, ex_date=ex,  # type: ignore[arg-type]
                event_time=EventTime(0), received_time=WallTime(0), known_from=KnowledgeTime(0), raw_offset=RawOffset(0), index=0,
            )  # fmt: skip
            is_split = kind == "split"
            found.append(
                Effect(action=action, ex=ex, after=2.0 if is_split else 1.0, kept=1.0 if is_split else 0.995)
            )
    return found


def _page(stored: Sequence[dict[str, Any]], schedule: ActionSchedule | None = None) -> str:
    """Return the text of a page of bars."""
    bars = [BarVersion(**each) for each in stored]
    rows = [bar_row(each) for each in bars]
    if schedule is not None:
        _adjust(bars, rows, schedule)
    return json.dumps(rows)


def _adjust(bars: Sequence[BarVersion], rows: Sequence[dict[str, Any]], schedule: ActionSchedule) -> None:
    """Put adjusted values into the rows of bars."""
    received = np.array([each.received_time for each in bars], np.int64) // DAY_US
    days = np.array([each.event_time for each in bars], np.int64) // DAY_US
    values = np.array([(each.open, each.high, each.low, each.close, each.volume) for each in bars]).T
    basis = basis_days([each.adjustment_state for each in bars], days, received, received)
    factors = schedule.factors(days, basis, target=Day(FIRST + BARS), adjustment="all")
    columns = [*factors.prices(values[:4]).tolist(), factors.volumes(values[4]).tolist()]
    for fields, opened, high, low, close, volume in zip(rows, *columns, strict=True):
        fields["open"], fields["high"], fields["low"] = opened, high, low
        fields["close"], fields["volume"] = close, volume


def _vintages() -> Vintages:
    """Return the vintages of 50 years of months, each revised a hundred times."""
    place = np.arange(VINTAGES)
    months = np.datetime64("1975-01") + place % PERIODS
    periods = months.astype("datetime64[D]").astype(np.int64)
    published = (periods + 40 + 28 * (place // PERIODS)) * DAY_US
    values = np.asarray(100.0 + place % 997, np.float64)
    return Vintages.of_columns(
        periods, published, published, place, np.zeros(VINTAGES, np.int64), values,
        as_of=KnowledgeTime(2**62), knowledge="published",
    )  # fmt: skip


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
