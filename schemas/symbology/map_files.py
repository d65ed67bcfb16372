"""LEAN map files → which symbol an instrument bore on which days, pure.

A file is rows of `YYYYMMDD,ticker[,exchange letter]`, oldest first. The first row dates the listing; each later row
gives the LAST day of a ticker. 20501231 means "until further notice"; an earlier last row is a delisting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from schemas.errors import InvalidRecord
from schemas.symbols.instruments import classify
from schemas.symbols.venues import MICS_BY_TAPE_LETTER

OPEN_END = date(2050, 12, 31)
MAX_ROWS = 1_000  # the longest history known has fewer than twenty
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamePeriod:
    """An instrument bears `symbol` on the days [start, end); `end` None: until further notice; `venue` a MIC or ""."""

    symbol: str
    venue: str
    start: date
    end: date | None

    def holds(self, day: date) -> bool:
        """Whether the name is borne on `day`."""
        return self.start <= day and (self.end is None or day < self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class NameHistory:
    """All names of one instrument, oldest first, without a gap; the id is its first symbol and first day."""

    instrument_id: str
    periods: tuple[NamePeriod, ...]


def parse_map_file(text: str, *, source: str) -> NameHistory:
    """Return the history in a map file; raise InvalidRecord with `source:line` and what is wrong."""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not 2 <= len(lines) <= MAX_ROWS:
        raise InvalidRecord(
            f"{source}: {len(lines)} rows; a map file has a row for the listing and one for each ticker"
        )
    rows = [_row(line, f"{source}:{number}") for number, line in lines]
    start, periods = rows[0][0], list[NamePeriod]()
    for (number, _), (last_day, symbol, venue) in zip(lines[1:], rows[1:], strict=True):
        if last_day < start:
            raise InvalidRecord(f"{source}:{number}: {last_day} is before {start}; sort the rows by date")
        end = None if last_day >= OPEN_END else last_day + ONE_DAY
        _append(periods, NamePeriod(symbol=symbol, venue=venue, start=start, end=end))
        start = last_day + ONE_DAY
    first = periods[0]
    return NameHistory(instrument_id=f"{first.symbol}@{first.start.isoformat()}", periods=tuple(periods))


def _append(periods: list[NamePeriod], period: NamePeriod) -> None:
    """Add a period; one that goes on with the same name at the same venue is made longer."""
    if periods and (periods[-1].symbol, periods[-1].venue) == (period.symbol, period.venue):
        before = periods.pop()
        period = NamePeriod(symbol=period.symbol, venue=period.venue, start=before.start, end=period.end)
    periods.append(period)


def _row(line: str, place: str) -> tuple[date, str, str]:
    fields: Sequence[str] = [field.strip() for field in line.split(",")]
    if len(fields) not in (2, 3):
        raise InvalidRecord(
            f"{place}: {len(fields)} fields; write YYYYMMDD,ticker or YYYYMMDD,ticker,exchange"
        )
    day, symbol = _day(fields[0], place), fields[1].upper()
    instrument = classify(symbol)
    if instrument is None or not instrument.is_us_listed:
        raise InvalidRecord(f"{place}: {fields[1][:40]!r} is no US ticker; write it as in aapl or brk.b")
    letter = fields[2].upper() if len(fields) == 3 else ""
    return day, symbol, MICS_BY_TAPE_LETTER.get(letter, "")


def _day(text: str, place: str) -> date:
    try:
        if len(text) != 8 or not text.isascii() or not text.isdigit():
            raise ValueError
        return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        raise InvalidRecord(f"{place}: {text[:40]!r} is no day; write it as YYYYMMDD") from None
