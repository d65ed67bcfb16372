"""Reads the zipped CSV files of the data directory; knows their columns, decides nothing.

Rows carry milliseconds since midnight in New York and prices in ten-thousandths of a dollar, both
integers. `integer / 10_000` is the double nearest to the decimal price, so it prints as the shortest
decimal and nothing is rounded.
"""

from __future__ import annotations

import zipfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from infra.simulator.market.model import MS_US, Candle, TopOfBook, TradeChunk
from schemas.errors import InvalidRecord, MalformedPayload
from schemas.intervals import DAY_US, SECOND_US
from schemas.symbology.factor_files import FactorRow, parse_factor_file

NEW_YORK = ZoneInfo("America/New_York")
PRICE_SCALE = 10_000
MAX_FILE_BYTES = 512 * 1024 * 1024  # a day of ticks of the busiest symbol is under 50 MiB


def midnight_us(day: date) -> int:
    """Return midnight in New York as µs; counted back from noon, so that clock changes cannot shift a session."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=NEW_YORK)
    return int(noon.timestamp()) * SECOND_US - DAY_US // 2


def read_rows(path: Path) -> Iterator[list[bytes]]:
    """Yield the fields of each row of the one CSV in `path`; raise MalformedPayload naming a file that cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.infolist()[0]
            if member.file_size > MAX_FILE_BYTES:
                raise MalformedPayload(f"{path}: {member.file_size} bytes unpacked; split the file by day")
            content = archive.read(member)
    except (OSError, zipfile.BadZipFile, IndexError) as error:
        raise MalformedPayload(f"{path} cannot be read ({error}); fetch the data set again") from error
    for row in content.splitlines():
        if row:
            yield row.split(b",")


def read_first_time_ms(path: Path) -> int:
    """Return the milliseconds since midnight of the first row of `path` without unpacking the rest."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(archive.infolist()[0]) as member:
            return int(member.readline().split(b",")[0])
    except (OSError, zipfile.BadZipFile, IndexError, ValueError) as error:
        raise MalformedPayload(f"{path} has no first row ({error}); fetch the data set again") from error


def read_minute_bars(path: Path, midnight: int) -> tuple[Candle, ...]:
    """Return the rows of a minute trade file exactly as they are; a minute without a row has no bar."""
    try:
        return tuple(
            Candle(
                time=midnight + int(ms) * MS_US,
                open=int(o) / PRICE_SCALE,
                high=int(h) / PRICE_SCALE,
                low=int(low) / PRICE_SCALE,
                close=int(c) / PRICE_SCALE,
                volume=int(volume),
            )
            for ms, o, h, low, c, volume in read_rows(path)
        )
    except ValueError as error:
        raise _bad_row(path, "ms,open,high,low,close,volume", error) from error


def read_minute_quotes(path: Path, midnight: int) -> tuple[TopOfBook, ...]:
    """Return the closing bid and ask of each minute, stamped at the minute's START."""
    try:
        return tuple(
            TopOfBook(
                time=midnight + int(row[0]) * MS_US,
                bid=int(row[4] or 0) / PRICE_SCALE,
                bid_size=int(row[5] or 0),
                ask=int(row[9] or 0) / PRICE_SCALE,
                ask_size=int(row[10] or 0),
            )
            for row in read_rows(path)
        )
    except (ValueError, IndexError) as error:
        raise _bad_row(path, "ms,bidO,bidH,bidL,bidC,bidSize,askO,askH,askL,askC,askSize", error) from error


def read_ticks(path: Path, symbol: str, midnight: int, next_from: int) -> TradeChunk:
    """Return every trade of a tick file in file order, the suspicious ones too."""
    first_ms = midnight // MS_US
    times, prices, sizes = array("q"), array("d"), array("q")
    conditions: list[str] = []
    words: dict[bytes, str] = {}  # a few dozen conditions repeat over a quarter of a million rows
    try:
        for ms, price, size, _exchange, condition, _suspicious in read_rows(path):
            times.append(first_ms + int(float(ms)))
            prices.append(int(price) / PRICE_SCALE)
            sizes.append(int(size))
            word = words.get(condition)
            if word is None:
                int(condition, 16)  # refuses what is not the hexadecimal word it should be
                word = words[condition] = condition.decode("ascii")
            conditions.append(word)
    except ValueError as error:
        raise _bad_row(path, "ms,price,size,exchange,condition,suspicious", error) from error
    return TradeChunk(
        symbol=symbol, times_ms=times, prices=prices, sizes=sizes, conditions=conditions, next_from=next_from
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyRow:
    """One row of a daily file: raw prices."""

    day: date
    open: float
    high: float
    low: float
    close: float
    volume: int


def _day(text: bytes) -> date:
    """Return the day a field begins with, as YYYYMMDD: of a hundred thousand rows `strptime` would be most of the reading."""
    if not text[:8].isdigit():
        raise ValueError(f"{text[:8]!r} is no day")
    return date(int(text[:4]), int(text[4:6]), int(text[6:8]))


def read_daily_rows(path: Path) -> tuple[DailyRow, ...]:
    """Return the raw daily bars of one symbol, oldest first."""
    try:
        return tuple(
            DailyRow(
                day=_day(row[0]),
                open=int(row[1]) / PRICE_SCALE,
                high=int(row[2]) / PRICE_SCALE,
                low=int(row[3]) / PRICE_SCALE,
                close=int(row[4]) / PRICE_SCALE,
                volume=int(row[5]),
            )
            for row in read_rows(path)
        )
    except (ValueError, IndexError) as error:
        raise _bad_row(path, "date,open,high,low,close,volume", error) from error


def read_factors(path: Path) -> tuple[FactorRow, ...]:
    """Return the rows of a factor file, oldest first; raise MalformedPayload when one does not parse."""
    try:
        return parse_factor_file(path.read_text("ascii"), source=str(path))
    except (OSError, ValueError, InvalidRecord) as error:
        raise _bad_row(path, "date,price_factor,split_factor,last_raw_close", error) from error


def _bad_row(path: Path, columns: str, error: Exception) -> MalformedPayload:
    return MalformedPayload(f"{path}: a row is not {columns} ({error}); fetch the data set again")
