"""LEAN map files become validity intervals."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InvalidRecord
from schemas.symbology.map_files import NamePeriod, parse_map_file

META = "20120518,fb,Q\n20220608,fb,Q\n20501231,meta,Q\n"


def test_real_files_are_one_name_for_ever(market_data: Path) -> None:
    """AAPL at Nasdaq and SPY at Arca since the data begins."""
    folder = market_data / "equity_daily" / "map_files"
    found = {
        path.stem: parse_map_file(path.read_text("ascii"), source=path.name) for path in folder.iterdir()
    }

    assert {history.instrument_id for history in found.values()} == {"AAPL@1998-01-02", "SPY@1998-01-02"}
    for stem, venue in (("aapl", "XNAS"), ("spy", "ARCX")):
        assert found[stem].periods == (
            NamePeriod(symbol=stem.upper(), venue=venue, start=date(1998, 1, 2), end=None),
        )


def test_a_row_gives_the_last_day_of_its_ticker() -> None:
    """FB ended with 2022-06-08, META began the day after."""
    history = parse_map_file(META, source="meta.csv")

    assert history.instrument_id == "FB@2012-05-18"
    assert [(p.symbol, p.start, p.end) for p in history.periods] == [
        ("FB", date(2012, 5, 18), date(2022, 6, 9)),
        ("META", date(2022, 6, 9), None),
    ]
    assert history.periods[0].holds(date(2022, 6, 8))
    assert not history.periods[0].holds(date(2022, 6, 9))
    assert not history.periods[0].holds(date(2012, 5, 17))


def test_a_delisted_name_ends() -> None:
    """The old Time Warner's last day was 2001-01-11."""
    (period,) = parse_map_file("19980102,twx\n20010111,twx\n", source="twx.1.csv").periods

    assert (period.start, period.end, period.venue) == (date(1998, 1, 2), date(2001, 1, 12), "")


def test_a_change_of_venue_alone_is_another_period() -> None:
    """Same name, other market; where both are the same, one period."""
    moved = parse_map_file("20000103,abc,N\n20100104,abc,N\n20501231,abc,Q", source="f").periods
    stayed = parse_map_file("20000103,abc,N\n20100104,abc,N\n20501231,abc,N", source="f").periods

    assert [period.venue for period in moved] == ["XNYS", "XNAS"]
    assert [(period.start, period.end) for period in stayed] == [(date(2000, 1, 3), None)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "f: 0 rows", id="empty"),
        pytest.param("20120518,fb,Q\n", "f: 1 rows", id="no-end"),
        pytest.param("20120518,fb\n2022-06-08,fb\n", "f:2: '2022-06-08' is no day", id="dashes"),
        pytest.param("20120518,fb\n20220631,fb\n", "f:2: '20220631' is no day", id="no-such-day"),
        pytest.param("20120518,fb\n20220608\n", "f:2: 1 fields", id="fields"),
        pytest.param("20120518,fb\n20110608,fb\n", "f:2: 2011-06-08 is before 2012-05-18", id="backwards"),
        pytest.param("20120518,fb\n\n20220608,fb\n20220608,meta\n", "f:4: 2022-06-08 is before", id="twice"),
        pytest.param("20120518,fb\n20501231,f b\n", "f:2: 'f b' is no US ticker", id="ticker"),
        pytest.param("20120518,fb\n20501231,vod.l\n", "f:2: 'vod.l' is no US ticker", id="elsewhere"),
    ],
)
def test_a_bad_row_is_named(text: str, words: str) -> None:
    """Source, line and what would be right."""
    with pytest.raises(InvalidRecord, match=words):
        parse_map_file(text, source="f")


@given(
    st.lists(st.dates(date(1998, 1, 2), date(2049, 1, 1)), min_size=2, max_size=12, unique=True),
    st.lists(st.sampled_from(("aa", "bb", "cc")), min_size=12, max_size=12),
)
def test_periods_follow_each_other_without_gap_or_overlap(days: list[date], names: list[str]) -> None:
    """Every day from the listing to the end belongs to exactly one period."""
    rows = [f"{day:%Y%m%d},{name}" for day, name in zip(sorted(days), names, strict=False)]
    periods = parse_map_file("\n".join(rows), source="f").periods

    assert periods[0].start == min(days)
    assert all(left.end == right.start for left, right in pairwise(periods))
    for day in days:
        assert sum(period.holds(day) for period in periods) == 1


@given(st.text(st.sampled_from("0123456789,\nabQ ."), max_size=60))
def test_any_text_is_a_history_or_refused(text: str) -> None:
    """Nothing but InvalidRecord comes out."""
    try:
        parse_map_file(text, source="f")
    except InvalidRecord as error:
        assert str(error).startswith("f")
