"""Minute files of options, read by the shortest possible code: what each contract's rows say up to a time of day."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NAMED = re.compile(r"_(call|put)_(\d+)_(\d{8})\.csv$")
MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class FiledContract:
    """Rows of one contract that were over at a time of day, as text, by the name it has at the exchange."""

    name: str
    expiry: str  # YYYYMMDD
    strike: float
    rows: list[list[str]]


def milliseconds(clock: str) -> int:
    """Return HH:MM:SS as milliseconds since midnight."""
    hours, minutes, seconds = map(int, clock.split(":"))
    return ((hours * 60 + minutes) * 60 + seconds) * 1000


def filed_contracts(data: Path, kind: str, until_ms: int, *, lasting_ms: int) -> Iterator[FiledContract]:
    """Yield the contracts of GOOG's file of 2015-12-24 with the rows that begin at least `lasting_ms` before a time of day."""
    path = data / "options" / "minute" / "goog" / f"20151224_{kind}_american.zip"
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            found = NAMED.search(name)
            assert found is not None
            right, strike, expiry = found.groups()
            rows = [line.split(",") for line in archive.read(name).decode("ascii").split()]
            over = [row for row in rows if int(row[0]) + lasting_ms <= until_ms]
            contract = f"GOOG{expiry[2:]}{right[0].upper()}{int(strike) // 10:08d}"
            yield FiledContract(contract, expiry, int(strike) / 10_000, over)


def last_rows(
    data: Path, kind: str, clock: str, *, lasting_ms: int = MINUTE_MS
) -> dict[str, tuple[str, list[str]]]:
    """Return (expiry, last row) by contract name, of the contracts that had one over at HH:MM:SS."""
    found = filed_contracts(data, kind, milliseconds(clock), lasting_ms=lasting_ms)
    return {each.name: (each.expiry, each.rows[-1]) for each in found if each.rows}


def dollars(cell: str) -> float:
    """Return a price of a row; 0 where the side is missing."""
    return float(f"{int(cell) // 10_000}.{int(cell) % 10_000:04d}") if cell else 0.0
