"""LEAN factor files → the factors that prices of past days are multiplied by, pure.

A file is rows of `YYYYMMDD,price factor,split factor,raw close`, oldest first. A row is of the LAST day under its factors,
with the raw close of that day; 20501231 is today's. A file says when a factor changed, not what was announced, nor when.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from math import isfinite

from schemas.errors import InvalidRecord

COLUMNS = "YYYYMMDD,price factor,split factor,raw close"
MAX_ROWS = 10_000  # a change a week for two centuries


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorRow:
    """Factors that raw prices up to and including `last_day` are multiplied by to compare with today's; its raw close."""

    last_day: date
    price_factor: float
    split_factor: float
    close: float  # 0 where it is not known


def parse_factor_file(text: str, *, source: str) -> tuple[FactorRow, ...]:
    """Return the rows of a factor file, oldest first; raise InvalidRecord with `source:line` and what is wrong."""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not 1 <= len(lines) <= MAX_ROWS:
        raise InvalidRecord(
            f"{source}: {len(lines)} rows; a factor file has one for each change, and today's"
        )
    rows = [_row(line, f"{source}:{number}") for number, line in lines]
    for (before, after), (number, _) in zip(pairwise(rows), lines[1:], strict=True):
        if after.last_day <= before.last_day:
            raise InvalidRecord(
                f"{source}:{number}: {after.last_day} is not after {before.last_day}; sort the rows by date"
            )
    return tuple(rows)


def _row(line: str, place: str) -> FactorRow:
    # Some files of LEAN's leave the close out.
    fields = [*line.split(","), *(["0"] if line.count(",") == 2 else [])]
    try:
        day, *rest = (field.strip() for field in fields)
        price, split, close = map(float, rest)
        numbers = price, split, close
        last_day = datetime.strptime(day, "%Y%m%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        raise InvalidRecord(f"{place}: {line[:60]!r} is no row; write {COLUMNS}") from None
    if not (all(map(isfinite, numbers)) and numbers[0] > 0 and numbers[1] > 0 and numbers[2] >= 0):
        raise InvalidRecord(f"{place}: {line[:60]!r} has a factor that is not above 0; write {COLUMNS}")
    return FactorRow(last_day=last_day, price_factor=numbers[0], split_factor=numbers[1], close=numbers[2])
