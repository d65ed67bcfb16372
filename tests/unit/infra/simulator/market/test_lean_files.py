"""Files of the data directory: what is read of them, and what is said of one that cannot be."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.simulator.market import lean_files
from infra.simulator.market.lean_files import (
    midnight_us,
    read_daily_rows,
    read_factors,
    read_first_time_ms,
    read_minute_bars,
    read_minute_quotes,
    read_rows,
    read_ticks,
)
from schemas.errors import MalformedPayload
from schemas.intervals import HOUR_US

MIDNIGHT = 1_381_118_400_000_000  # 2013-10-07 in New York, µs


def zipped(folder: Path, text: str) -> Path:
    """Return an archive of one CSV file."""
    path = folder / "20131007_trade.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rows.csv", text)
    return path


@pytest.mark.parametrize(
    ("day", "hour"), [(date(2013, 10, 7), 4), (date(2013, 12, 2), 5), (date(2013, 11, 3), 5)]
)
def test_midnight_is_twelve_hours_before_noon(day: date, hour: int) -> None:
    """Also on the day the clocks change, so that 09:30 is nine and a half hours later."""
    noon = int(datetime(day.year, day.month, day.day, 12 + hour, tzinfo=UTC).timestamp()) * 1_000_000

    assert midnight_us(day) == noon - 12 * HOUR_US


def test_minutes_are_the_files_to_the_last_digit(tmp_path: Path) -> None:
    """Prices are ten-thousandths; a minute without a row has no bar."""
    path = zipped(tmp_path, "34200000,1673900,1674000,1673800,1673950,1200\n34320000,1,2,1,2,0\n")

    first, second = read_minute_bars(path, MIDNIGHT)

    assert (first.time, first.open, first.high, first.low, first.close, first.volume) == (
        MIDNIGHT + 34_200_000_000, 167.39, 167.4, 167.38, 167.395, 1_200,
    )  # fmt: skip
    assert second.time == MIDNIGHT + 34_320_000_000
    assert read_first_time_ms(path) == 34_200_000


def test_quotes_are_the_closing_ones_and_an_empty_side_is_none(tmp_path: Path) -> None:
    """A book of one side has nothing on the other."""
    path = zipped(tmp_path, "34200000,1,1,1,1673900,3,1,1,1,1674000,5\n34260000,,,,,,1,1,1,1674100,7\n")

    first, second = read_minute_quotes(path, MIDNIGHT)

    assert (first.bid, first.bid_size, first.ask, first.ask_size) == (167.39, 3, 167.4, 5)
    assert (second.bid, second.bid_size, second.ask) == (0.0, 0, 167.41)


def test_trades_come_in_the_order_of_the_file_the_suspicious_ones_too(tmp_path: Path) -> None:
    """Times are whole milliseconds."""
    path = zipped(tmp_path, "34200001.5,1673900,100,P,0000000A,0\n34200001,1673800,7,Q,00000001,1\n")

    chunk = read_ticks(path, "SPY", MIDNIGHT, 9)

    assert list(chunk.times_ms) == [MIDNIGHT // 1_000 + 34_200_001] * 2
    assert (list(chunk.prices), list(chunk.sizes)) == ([167.39, 167.38], [100, 7])
    assert (chunk.conditions, chunk.next_from) == (["0000000A", "00000001"], 9)


def test_days_and_factors_are_oldest_first(tmp_path: Path) -> None:
    """As the files have them."""
    daily = zipped(tmp_path, "20131004 00:00,1670000,1680000,1660000,1675000,99\n")
    factors = tmp_path / "spy.csv"
    factors.write_text("20131004,0.9,0.5,167\n20501231,1,1,0\n", "ascii")

    (day,), (first, last) = read_daily_rows(daily), read_factors(factors)

    assert (day.day, day.open, day.close, day.volume) == (date(2013, 10, 4), 167.0, 167.5, 99)
    assert (first.last_day, first.price_factor, first.split_factor) == (date(2013, 10, 4), 0.9, 0.5)
    assert last.last_day == date(2050, 12, 31)


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(lambda path: read_minute_bars(path, MIDNIGHT), id="bars"),
        pytest.param(lambda path: read_minute_quotes(path, MIDNIGHT), id="quotes"),
        pytest.param(lambda path: read_ticks(path, "SPY", MIDNIGHT, 0), id="ticks"),
        pytest.param(read_daily_rows, id="days"),
        pytest.param(read_factors, id="factors"),
        pytest.param(read_first_time_ms, id="first-row"),
    ],
)
def test_a_row_of_another_shape_names_the_file_and_what_to_do(
    tmp_path: Path, read: Callable[[Path], Any]
) -> None:
    """A half-written download is no market."""
    path = zipped(tmp_path, "a,b\n")

    with pytest.raises(MalformedPayload, match=r"20131007_trade\.zip.*fetch the data set again"):
        read(path)


def test_what_is_no_archive_or_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is unpacked."""
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK")
    with pytest.raises(MalformedPayload, match="cannot be read"):
        list(read_rows(broken))
    monkeypatch.setattr(lean_files, "MAX_FILE_BYTES", 3)
    with pytest.raises(MalformedPayload, match="split the file by day"):
        list(read_rows(zipped(tmp_path, "a,b\n")))


@pytest.mark.parametrize("day", ["2013100", "2013+1+7", "20131307", "2013-W01", "2013 1 7", "", "١٢٣٤٠٥٠٦"])
def test_what_is_no_day_is_refused(tmp_path: Path, day: str) -> None:
    """However near it comes to one that a number can be read from."""
    with pytest.raises(MalformedPayload, match="a row is not date,open"):
        read_daily_rows(zipped(tmp_path, f"{day},1,2,1,1,9\n"))
