"""Macro series of the simulated world, as far as the market clock has come."""

from __future__ import annotations

import gzip
import itertools
from datetime import date, timedelta
from pathlib import Path

import pytest

from infra.simulator.market.macro import COLUMNS, FILE, MacroBook, read_macro_file
from infra.simulator.market.macro_series import released_at
from infra.simulator.market.macro_synthetic import SYNTHETIC
from schemas.errors import ConfigurationError
from schemas.macro_keys import is_series_key
from tests.support.vintage_file import file_rows

LATE = 1_795_363_230_000_000  # 2026-11-22


def test_the_file_is_served_as_it_is(market_data: Path) -> None:
    """17 series, 5,296 vintages; a series of the file is not made up."""
    book = MacroBook(seed=1, filed=read_macro_file(market_data))
    expected = file_rows(market_data)

    assert {key.removeprefix("FRED:") for key in book.filed} == set(expected)
    for series, rows in expected.items():
        told = book.vintages(f"FRED:{series}", LATE)
        assert [
            (str(each.dated), str(each.start), str(each.end or "9999-12-31"), each.text) for each in told
        ] == rows
        found = book.series(f"FRED:{series}")
        assert found is not None
        assert not found.synthetic


def test_a_vintage_ends_when_the_next_one_is_out(market_data: Path) -> None:
    """Until then the market clock shows it as standing."""
    book = MacroBook(filed=read_macro_file(market_data))
    series = book.series("FRED:GDPC1")
    assert series is not None
    out = released_at(series, date(2016, 8, 26))

    def quarter(now: int) -> list[tuple[str, date | None]]:
        return [
            (each.text, each.end) for each in book.vintages(series.key, now) if each.dated == date(2016, 6, 1)
        ]

    assert quarter(out - 1) == [("16575.1", None)]
    assert quarter(out) == [("16575.1", date(2016, 8, 25)), ("16570.2", None)]


@pytest.mark.parametrize("key", sorted(SYNTHETIC))
def test_made_up_series_are_the_same_for_a_seed_and_never_take_back_what_they_said(key: str) -> None:
    """As time goes on vintages are added and ended, and nothing else changes."""
    early, late = (
        MacroBook(seed=5).vintages(key, LATE),
        MacroBook(seed=5).vintages(key, LATE + 9 * 86_400_000_000),
    )
    known = {(each.dated, each.start): each for each in late}

    assert early == MacroBook(seed=5).vintages(key, LATE)
    assert is_series_key(key)
    for each in early:
        later = known[each.dated, each.start]
        assert later.text == each.text
        assert later.end == each.end or each.end is None
    if key != "ECB:FM.D.U2.EUR.4F.KR.DFR.LEV":
        assert [each.text for each in MacroBook(seed=6).vintages(key, LATE)] != [each.text for each in early]


@pytest.mark.parametrize("key", sorted(SYNTHETIC))
def test_made_up_vintages_follow_one_another_without_a_hole(key: str) -> None:
    """None says what the one before said."""
    told = MacroBook(seed=5).vintages(key, LATE)
    float(told[0].text)
    for earlier, later in itertools.pairwise(told):
        if earlier.dated == later.dated:
            assert earlier.end == later.start - timedelta(days=1)
            assert earlier.text != later.text
        else:
            assert earlier.end is None
            assert earlier.dated < later.dated
    assert max(each.released for each in told) <= LATE


def test_a_file_of_other_columns_is_refused(tmp_path: Path) -> None:
    """None at all is no fault; a series that nobody describes is left out."""
    assert read_macro_file(tmp_path) == {}
    path = tmp_path / FILE
    path.parent.mkdir()
    path.write_bytes(gzip.compress(b"a,b\n"))
    with pytest.raises(ConfigurationError, match="other columns"):
        read_macro_file(tmp_path)
    path.write_bytes(gzip.compress(f"{','.join(COLUMNS)}\nXYZ,2016-01-01,2016-02-01,9999-12-31,1\n".encode()))
    assert read_macro_file(tmp_path) == {}


def test_a_book_lists_its_series_by_key(market_data: Path) -> None:
    """Made-up ones and those of a file, each once."""
    keys = [series.key for series in MacroBook(filed=read_macro_file(market_data)).listed()]

    assert keys == sorted(set(keys))
    assert {"FRED:GDPC1", "FRED:DFF", "UST:10Y", "ECB:EXR.D.USD.EUR.SP00.A"} <= set(keys)
    assert MacroBook().series("FRED:NOSUCH") is None
    assert MacroBook().vintages("FRED:NOSUCH", LATE) == ()
