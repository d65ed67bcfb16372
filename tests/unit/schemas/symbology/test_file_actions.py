"""Actions of LEAN's files, against what Apple and the funds are known to have done, and steps nobody explains."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.calendar.sessions import US_EQUITIES, load_calendar
from schemas.clocks import Day, day_of, iso_day
from schemas.errors import InvalidRecord
from schemas.symbology.factor_files import FactorRow, parse_factor_file
from schemas.symbology.file_actions import (
    FileAction,
    TradedDay,
    factor_actions,
    rename_actions,
    split_ratio,
    steps_without_action,
)
from schemas.symbology.map_files import parse_map_file

CALENDAR = load_calendar(US_EQUITIES)
# Apple's dividends of 2012-08 to 2021-02 as declared (investor.apple.com, Dividend history).
APPLE_PAID = (
    *(2.65,) * 3, *(3.05,) * 4, 3.29, *(0.47,) * 3, *(0.52,) * 4, *(0.57,) * 4, *(0.63,) * 4, *(0.73,) * 4,
    *(0.77,) * 4, *(0.82,) * 2, *(0.205,) * 2,
)  # fmt: skip


def actions_of(data: Path, symbol: str) -> tuple[FileAction, ...]:
    """Return what the factor file of a symbol says."""
    path = data / "equity_daily" / "factor_files" / f"{symbol}.csv"
    return factor_actions(parse_factor_file(path.read_text("ascii"), source=symbol), CALENDAR)


def regular_days(data: Path, symbol: str) -> list[TradedDay]:
    """Return first and last price of the regular sessions of which there are minutes, read without the code under test."""
    found = []
    for path in sorted((data / "equity_minute" / symbol).glob("*_trade.zip")):
        with zipfile.ZipFile(path) as archive:
            rows = list(csv.reader(io.StringIO(archive.read(archive.namelist()[0]).decode("ascii"))))
        regular = [row for row in rows if 34_200_000 <= int(row[0]) < 57_600_000]
        day = date(int(path.name[:4]), int(path.name[4:6]), int(path.name[6:8]))
        found.append(
            TradedDay(day=day_of(day), open=int(regular[0][1]) / 10_000, close=int(regular[-1][4]) / 10_000)
        )
    return found


def test_apples_dividends_are_what_apple_paid(market_data: Path) -> None:
    """All 35 of them, to a hundredth of a cent."""
    paid = [each for each in actions_of(market_data, "aapl") if each.type == "cash_dividend"]

    assert [each.amount for each in paid] == pytest.approx(APPLE_PAID, abs=1e-4)
    assert (iso_day(paid[0].ex_date), iso_day(paid[-1].ex_date)) == ("2012-08-09", "2021-02-05")


def test_apples_splits_are_whole_numbers(market_data: Path) -> None:
    """0.03571430 to 0.25 is seven for one, on the Monday after the file's Friday."""
    splits = [each for each in actions_of(market_data, "aapl") if each.type == "split"]

    assert [(iso_day(each.ex_date), each.ratio_to, each.ratio_from) for each in splits] == [
        ("2000-06-21", 2, 1),
        ("2005-02-28", 2, 1),
        ("2014-06-09", 7, 1),
        ("2020-08-31", 4, 1),
    ]


def test_a_fund_pays_and_never_splits(market_data: Path) -> None:
    """SPY has paid every quarter since 1998, 94 times by the file, always on a session."""
    found = actions_of(market_data, "spy")

    assert {each.type for each in found} == {"cash_dividend"}
    assert len(found) == 94
    assert all(CALENDAR.session_on(each.ex_date * 86_400_000_000) is not None for each in found)


def a_row(split_factor: float, price_factor: float = 1.0, close: float = 100.0) -> FactorRow:
    """Return a row of 2014-06-06 or of today."""
    day = date(2014, 6, 6) if close else date(2050, 12, 31)
    return FactorRow(last_day=day, price_factor=price_factor, split_factor=split_factor, close=close)


@given(to=st.integers(1, 1_000), held=st.integers(1, 30), cumulated=st.floats(0.01, 1.0))
def test_a_ratio_survives_the_files_decimals(to: int, held: int, cumulated: float) -> None:
    """Whatever came after it, as far as eight decimals can tell."""
    before, after = round(cumulated * held / to, 8), round(cumulated, 8)
    if min(before, after) < 1e-4:
        return
    ratio = split_ratio(a_row(before), a_row(after, close=0.0))

    assert float(ratio) == pytest.approx(to / held, rel=1e-4)
    if to <= 50:
        assert ratio * held == to


def test_a_reverse_split_is_one_for_several() -> None:
    """Its factor falls."""
    (found,) = factor_actions([a_row(8.0), a_row(1.0, close=0.0)], CALENDAR)

    assert (found.ratio_to, found.ratio_from) == (1, 8)


def test_what_is_no_ratio_or_has_no_close_is_told() -> None:
    """Rather than guessed."""
    with pytest.raises(InvalidRecord, match="which is no ratio"):
        split_ratio(a_row(1e-9), a_row(1.0, close=0.0))
    with pytest.raises(InvalidRecord, match="have no close"):
        factor_actions([a_row(1.0, 0.9, 0.0), a_row(1.0, 1.0, 0.0)], CALENDAR)


def test_a_rename_is_of_the_first_day_under_the_new_symbol() -> None:
    """A change of venue alone is none."""
    history = parse_map_file("20120518,fb,Q\n20150101,fb,N\n20220608,fb,Q\n20501231,meta,Q\n", source="meta")

    (found,) = rename_actions(history, CALENDAR)

    assert (found.type, iso_day(found.ex_date), found.new_symbol) == ("rename", "2022-06-09", "META")


def test_time_warners_spin_off_is_a_step_without_a_factor(market_data: Path) -> None:
    """71.08 to 68.23 on 2014-06-09, of which no file of ours says why; the weeks without files say nothing."""
    (step,) = steps_without_action(regular_days(market_data, "twx"), (), CALENDAR, least=0.03)

    assert (iso_day(step.ex_date), step.close) == ("2014-06-09", 71.08)
    assert step.open == pytest.approx(68.2, abs=0.6)


def test_a_split_explains_its_step(market_data: Path) -> None:
    """Apple fell from 645.57 to 92.70 for no other reason."""
    days, actions = regular_days(market_data, "aapl"), actions_of(market_data, "aapl")

    assert [iso_day(s.ex_date) for s in steps_without_action(days, (), CALENDAR, least=0.03)] == [
        "2014-06-09"
    ]
    assert steps_without_action(days, actions, CALENDAR, least=0.03) == ()


def test_a_dividend_explains_its_step() -> None:
    """And one as large as the price explains nothing."""
    days = [
        TradedDay(day=Day(16_230), open=99.0, close=100.0),
        TradedDay(day=Day(16_231), open=90.0, close=9.0),
    ]

    def steps(amount: float) -> int:
        paid = FileAction(type="cash_dividend", ex_date=Day(16_231), amount=amount)
        return len(steps_without_action(days, [paid], CALENDAR, least=0.03))

    assert [steps(10.0), steps(1.0), steps(100.0)] == [0, 1, 0]
