"""Open interest and volume of real option chains, read by the shortest possible code."""

from __future__ import annotations

import csv
import re
import zipfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

PRICE_SCALE = 10_000
NAMED = re.compile(r"_(call|put)_(\d+)_(\d{4})(\d{2})(\d{2})\.csv$")


@dataclass(frozen=True, slots=True)
class HeldContract:
    """A contract at the end of a day, as a universe file has it; NaN where a column is empty."""

    expiry: str
    strike: float
    is_call: bool
    volume: float
    open_interest: float


def held_contracts(data: Path, symbol: str, day: str) -> list[HeldContract]:
    """Return all contracts of a universe file."""
    text = (data / "options" / "universes" / symbol / f"{day}.csv").read_text("utf-8")
    rows = [row for row in csv.reader(text.splitlines()) if row[0] and not row[0].startswith("#")]
    return [
        HeldContract(row[0], float(row[1]), row[2] == "C", float(row[7] or "nan"), float(row[8] or "nan"))
        for row in rows
    ]


def open_interest(data: Path, symbol: str, day: str) -> dict[tuple[date, float, bool], float]:
    """Return what was held of each contract when a day began, by expiry, strike and whether it is a call; without a row NaN."""
    found = {}
    with zipfile.ZipFile(
        data / "options" / "minute" / symbol / f"{day}_openinterest_american.zip"
    ) as archive:
        for name in archive.namelist():
            named, rows = NAMED.search(name), archive.read(name).decode().split()
            if named is not None:
                expiry = date(int(named[3]), int(named[4]), int(named[5]))
                held = float(rows[-1].split(",")[1]) if rows else np.nan
                found[(expiry, int(named[2]) / PRICE_SCALE, named[1] == "call")] = held
    return found
