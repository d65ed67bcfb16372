"""Rows of Yahoo's charts as it sends them and no kind server would: beside each other, late, in float32."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import replace

from infra.simulator.faults.habits import CloseStamps, LiveRow
from infra.simulator.faults.injection import Row
from infra.simulator.faults.scenario import Fault
from infra.simulator.market.model import Candle
from infra.simulator.market.view import DaySummary
from infra.simulator.vendors.yahoo_query import ChartQuery
from schemas.intervals import SECOND_US

LAST_SECONDS_US = 2 * SECOND_US  # before the close, where the row of now stays


def live_rows(summary: DaySummary | None, query: ChartQuery, faults: Sequence[Fault], now: int) -> list[Row]:
    """Return the row stamped at the last trade of the regular session by `now` (µs): flat, without volume; none without the habit."""
    if summary is None or not any(isinstance(fault, LiveRow) for fault in faults):
        return []
    stamp = summary.span.last_time
    if now >= summary.session.close:
        stamp = min(stamp, summary.session.close - LAST_SECONDS_US)
    stamp -= stamp % SECOND_US
    price = summary.span.close
    flat = Candle(time=stamp, open=price, high=price, low=price, close=price, volume=0)
    return [(stamp, flat)] if query.start <= stamp < query.end else []


def stamped_days(
    rows: list[Row],
    adjusted: list[float | None],
    summary: DaySummary | None,
    query: ChartQuery,
    faults: Sequence[Fault],
    now: int,
) -> tuple[list[Row], list[float | None]]:
    """Return daily rows as of `now` (µs), the newest session's stamped after its close where that is the habit."""
    habit = next((fault for fault in faults if isinstance(fault, CloseStamps)), None)
    if habit is None or summary is None or query.interval != "1d" or not rows:
        return rows, adjusted
    time, bar = rows[-1]
    stamp = summary.session.close + int(habit.after_s * SECOND_US)
    if time != summary.session.open or now < stamp:
        return rows, adjusted
    if habit.own_row:
        return [*rows, (stamp, bar)], [*adjusted, adjusted[-1]]
    return [*rows[:-1], (stamp, bar)], adjusted


def widened(bar: Candle) -> Candle:
    """Return a bar with the prices that its float32 values widen to."""
    return replace(
        bar, open=float32(bar.open), high=float32(bar.high), low=float32(bar.low), close=float32(bar.close)
    )


def float32(price: float) -> float:
    """Return what a price becomes that was kept in 32 bits: 129.04 → 129.0399932861328."""
    return ctypes.c_float(price).value
