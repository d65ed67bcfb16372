"""The real files, read by the shortest possible code: the answer key of the end-to-end tests."""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
PRICE_SCALE = 10_000


def _midnight_us(day: str) -> int:
    local = datetime.strptime(day, "%Y%m%d").replace(tzinfo=NEW_YORK)
    return int(local.astimezone(UTC).timestamp()) * 1_000_000


def _rows(file: Path) -> list[list[str]]:
    with zipfile.ZipFile(file) as archive:
        text = archive.read(archive.namelist()[0]).decode()
    return [line.split(",") for line in text.splitlines() if line]


def minute_bars(data: Path, symbol: str, day: str) -> dict[int, tuple[float, ...]]:
    """Return {start in µs: (open, high, low, close, volume)} of one symbol and day."""
    midnight = _midnight_us(day)
    rows = _rows(data / "equity_minute" / symbol.lower() / f"{day}_trade.zip")
    return {
        midnight + int(ms) * 1000: (*(int(price) / PRICE_SCALE for price in prices), float(volume))
        for ms, *prices, volume in rows
    }


def ticks(data: Path, symbol: str, day: str) -> list[tuple[int, float, float]]:
    """Return (time in µs, price, size) of every trade of one symbol and day, in file order."""
    midnight = _midnight_us(day)
    rows = _rows(data / "equity_tick" / symbol.lower() / f"{day}_trade.zip")
    return [
        (midnight + int(ms) * 1000, int(price) / PRICE_SCALE, float(size)) for ms, price, size, *_ in rows
    ]


def at(day: str, clock: str) -> int:
    """Return the moment `clock` (HH:MM in New York) of a day in µs."""
    hours, minutes = clock.split(":")
    return _midnight_us(day) + (int(hours) * 60 + int(minutes)) * 60_000_000
