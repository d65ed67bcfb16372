"""Real option chains, read by the shortest possible code: minute quotes of GOOG, and end-of-day chains with the greeks of their source."""

from __future__ import annotations

import csv
import re
import zipfile
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PRICE_SCALE = 10_000
NAMED = re.compile(r"_(call|put)_(\d+)_(\d{8})\.csv$")


@dataclass(frozen=True, slots=True)
class QuotedChain:
    """Contracts with their last quotes of a day, NaN where a side is absent, and the mid price of the underlying then."""

    expiries: tuple[date, ...]
    strikes: NDArray[np.float64]
    is_call: NDArray[np.bool_]
    bids: NDArray[np.float64]
    asks: NDArray[np.float64]
    spot: float


def _day(text: str) -> date:
    return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007  # a date has no zone


def _price(text: str) -> float:
    return float(text) / PRICE_SCALE if text else np.nan


def last_quotes(data: Path, symbol: str, day: str) -> QuotedChain:
    """Return the closes of the last quote bar of each contract of a day."""
    rows: list[tuple[date, float, bool, float, float]] = []
    with zipfile.ZipFile(data / "options" / "minute" / symbol / f"{day}_quote_american.zip") as archive:
        for name in archive.namelist():
            lines = archive.read(name).decode().split()
            named = NAMED.search(name)
            if named is None or not lines:
                continue
            cells = lines[-1].split(",")
            rows.append(
                (
                    _day(named[3]),
                    int(named[2]) / PRICE_SCALE,
                    named[1] == "call",
                    _price(cells[4]),
                    _price(cells[9]),
                )
            )
    with zipfile.ZipFile(data / "equity_minute" / symbol / f"{day}_quote.zip") as archive:
        lines = archive.read(archive.namelist()[0]).decode().split()
    # 12:59, the last minute of this half day's session
    at_close = next(cells for cells in (line.split(",") for line in lines) if cells[0] == "46740000")
    expiries, strikes, rights, bids, asks = zip(*rows, strict=True)
    return QuotedChain(
        expiries,
        np.array(strikes),
        np.array(rights),
        np.array(bids),
        np.array(asks),
        (_price(at_close[4]) + _price(at_close[9])) / 2,
    )


@dataclass(frozen=True, slots=True)
class SourceGreeks:
    """Contracts of an end-of-day chain that have an implied volatility, with the greeks their source computed from it."""

    days: NDArray[np.float64]
    strikes: NDArray[np.float64]
    is_call: NDArray[np.bool_]
    vols: NDArray[np.float64]
    greeks: dict[str, NDArray[np.float64]]


def universe(data: Path, symbol: str, day: str) -> SourceGreeks:
    """Return the rows of a universe file whose volatility is above 1e-6: others are the source's way to say that there is none."""
    with (data / "options" / "universes" / symbol / f"{day}.csv").open() as file:
        header, *rows = list(csv.reader(file))
    columns = dict(zip((name.lstrip("#") for name in header), zip(*rows, strict=True), strict=True))
    vols = np.array([float(each or 0) for each in columns["implied_volatility"]])
    kept = vols > 1e-6
    today = _day(day)

    def numbers(name: str) -> NDArray[np.float64]:
        return np.array([float(each or "nan") for each in columns[name]])[kept]

    return SourceGreeks(
        days=np.array([(_day(each) - today).days if each else 0 for each in columns["expiry"]], np.float64)[
            kept
        ],
        strikes=numbers("strike"),
        is_call=np.array([each == "C" for each in columns["right"]])[kept],
        vols=vols[kept],
        greeks={name: numbers(name) for name in ("delta", "gamma", "vega", "theta", "rho")},
    )
