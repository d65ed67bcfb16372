"""A day's option files: names, missing sides, files that are not there."""

from __future__ import annotations

import zipfile
from datetime import date
from pathlib import Path

from infra.simulator.market.option_files import option_days, read_option_day
from schemas.symbols.occ import OptionContract

DAY = date(2015, 12, 24)
CONTRACT = OptionContract("BRKB", date(2016, 1, 15), "P", 132_500)
MEMBER = "20151224_brk.b_minute_quote_european_put_1325000_20160115.csv"
MINUTE = 60_000_000


def day_file(folder: Path, *rows: str) -> Path:
    """Write a day's quotes of one contract and return their path."""
    path = folder / "options" / "minute" / "brk.b" / "20151224_quote_european.zip"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, "\n".join(rows))
    return path


def test_a_side_without_a_price_is_none(tmp_path: Path) -> None:
    """A price of 0 is one, as the file has it; the last row may lack its end of line."""
    path = day_file(tmp_path, "34200000,,,,,0,21500,21500,5000,5000,19", "34260000,1,1,1,0,3,,,,,0")
    filed = read_option_day(path, "BRK.B", DAY)
    first, second = (filed.leg(CONTRACT, filed.midnight + 34_200_000_000 + n * MINUTE) for n in (1, 2))

    assert first is not None
    assert (first.bid, first.bid_size, first.ask, first.ask_size) == (None, 0, 0.5, 19)
    assert second is not None
    assert (second.bid, second.bid_size, second.ask) == (0.0, 3, None)
    assert second.style == "european"
    assert (second.open_interest, second.last, second.day) == (None, None, None)


def test_a_contract_is_not_there_before_its_first_row_is_over(tmp_path: Path) -> None:
    """Nor one the files do not know."""
    path = day_file(tmp_path, "34200000,1,1,1,1,3,2,2,2,2,4")
    filed = read_option_day(path, "BRK.B", DAY)
    over = filed.midnight + 34_260_000_000

    assert filed.leg(CONTRACT, over - 1) is None
    assert filed.leg(CONTRACT, over) is not None


def test_days_are_those_with_quotes(tmp_path: Path) -> None:
    """By the symbol in small letters; no folder, no days."""
    path = day_file(tmp_path, "34200000,1,1,1,1,3,2,2,2,2,4")

    assert option_days(tmp_path, "BRK.B") == {DAY: path}
    assert option_days(tmp_path, "GOOG") == {}
