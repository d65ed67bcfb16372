"""Builds simulated vendors for tests, at a clock that stands still."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from infra.simulator.market.view import MarketView
from infra.simulator.reply import SimulatedReply
from infra.simulator.server import build_simulation

NEW_YORK = ZoneInfo("America/New_York")
SYNTHETIC_NOW = "2026-11-22T16:00:30Z"


def frozen_view(data: Path | None, now: str, *, speed: str = "1") -> MarketView:
    """Return a view of the market at `now`, which does not move."""
    simulation = build_simulation(
        data=data, start=now, speed=speed, seed=1, scenario=None, wall_time=0, monotonic=lambda: 0.0
    )
    return simulation.view


def body(reply: SimulatedReply) -> Any:
    """Return the decoded JSON of a reply."""
    return orjson.loads(reply.body)


def seconds(day: str, clock: str) -> int:
    """Return New York `day` (YYYY-MM-DD) and `clock` (HH:MM) as seconds since the epoch."""
    return int(datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=NEW_YORK).timestamp())


def file_rows(data: Path, kind: str, symbol: str, day: str) -> list[list[str]]:
    """Return the fields of a data file, read without the code under test."""
    path = data / kind / symbol.lower() / f"{day.replace('-', '')}_trade.zip"
    with zipfile.ZipFile(path) as archive:
        text = archive.read(archive.namelist()[0]).decode("ascii")
    return list(csv.reader(io.StringIO(text)))


def file_bars(data: Path, symbol: str, day: str) -> list[tuple[int, float, float, float, float, int]]:
    """Return (seconds, open, high, low, close, volume) of each row of a minute file."""
    midnight = datetime.fromisoformat(day).replace(tzinfo=NEW_YORK)
    rows = []
    for ms, *prices, volume in file_rows(data, "equity_minute", symbol, day):
        start = int((midnight + timedelta(milliseconds=int(ms))).timestamp())
        opened, high, low, close = (float(f"{price[:-4]}.{price[-4:]}") for price in prices)
        rows.append((start, opened, high, low, close, int(volume)))
    return rows


def chart_rows(document: Any) -> list[tuple[int, float, float, float, float, int]]:
    """Return the rows of a chart response in the shape of `file_bars`."""
    (result,) = document["chart"]["result"]
    (quote,) = result["indicators"]["quote"]
    columns = [quote[name] for name in ("open", "high", "low", "close", "volume")]
    return list(zip(result["timestamp"], *columns, strict=True))
