"""What a symbol names on a day: renames, tickers handed on, contradictions."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import AmbiguousSymbol, UnknownSymbol
from schemas.providers.built_in import BUILT_IN
from schemas.symbology.map_files import parse_map_file
from schemas.symbology.naming import Symbology, naming_day

# The share classes of Google, and the two companies that were TWX: public facts in the format of map files.
GOOGLE_A = "20040819,goog\n20140402,goog\n20501231,googl\n"
GOOGLE_C = "20140327,goocv\n20140402,goocv\n20501231,goog\n"
AOL = "19980102,aol\n20031015,aol\n20501231,twx\n"
TIME_WARNER = "19980102,twx\n20010111,twx\n"
FACEBOOK = "20120518,fb,Q\n20220608,fb,Q\n20501231,meta,Q\n"
FACEBOOK_OUTDATED = "20120518,fb,Q\n20501231,fb,Q\n"


def symbology(*texts: str) -> Symbology:
    """Return the symbology of some map files."""
    return Symbology(parse_map_file(text, source=f"{number}.csv") for number, text in enumerate(texts))


KNOWN = symbology(GOOGLE_A, GOOGLE_C, AOL, TIME_WARNER, FACEBOOK)


@pytest.mark.parametrize(
    ("symbol", "at", "instrument_id"),
    [
        ("GOOG", date(2013, 1, 2), "GOOG@2004-08-19"),
        ("GOOG", date(2014, 4, 2), "GOOG@2004-08-19"),
        ("GOOG", date(2014, 4, 3), "GOOCV@2014-03-27"),
        ("GOOGL", date(2014, 4, 3), "GOOG@2004-08-19"),
        ("GOOCV", date(2014, 4, 1), "GOOCV@2014-03-27"),
        ("TWX", date(2000, 6, 1), "TWX@1998-01-02"),
        ("TWX", date(2004, 6, 1), "AOL@1998-01-02"),
        ("META", date(2022, 6, 9), "FB@2012-05-18"),
    ],
)
def test_a_ticker_handed_on_is_told_by_the_day(symbol: str, at: date, instrument_id: str) -> None:
    """One ticker, two companies at different times."""
    found = KNOWN.resolve(symbol, at)

    assert (found.symbol, found.instrument_id) == (symbol, instrument_id)
    assert found.valid_from is not None
    assert found.valid_from <= at
    assert found.valid_to is None or at < found.valid_to


def test_what_a_symbol_named_before_is_found_by_its_instrument() -> None:
    """The id stays; the names are there in order, each on its days."""
    found = KNOWN.resolve("GOOGL", date(2020, 1, 2))

    assert [period.symbol for period in KNOWN.history(found.instrument_id)] == ["GOOG", "GOOGL"]
    assert KNOWN.names_at(found.instrument_id, date(2010, 1, 4)) == ("GOOG",)
    assert KNOWN.names_at(found.instrument_id, date(2001, 1, 2)) == ()


@pytest.mark.parametrize(
    ("symbol", "at", "candidates"),
    [
        ("FB", date(2022, 6, 9), ("META",)),
        ("TWX", date(2002, 6, 3), ("AOL",)),
        ("META", date(2020, 1, 2), ("FB",)),
        ("GOOCV", date(2010, 1, 4), ()),
    ],
)
def test_a_name_nobody_bears_that_day_is_unknown(symbol: str, at: date, candidates: tuple[str, ...]) -> None:
    """The error says when it named what, and what that is called on the day."""
    with pytest.raises(UnknownSymbol, match=f"{symbol} names nothing on {at}") as caught:
        KNOWN.resolve(symbol, at)

    assert not isinstance(caught.value, AmbiguousSymbol)
    assert caught.value.candidates == candidates


def test_two_instruments_under_one_name_are_ambiguous() -> None:
    """The candidates are the instruments; other days are not touched."""
    known = symbology(AOL, "20030102,twx\n20040102,twx\n")

    with pytest.raises(AmbiguousSymbol, match="TWX names AOL@1998-01-02 and TWX@2003-01-02") as caught:
        known.resolve("TWX", date(2003, 12, 1))
    assert caught.value.candidates == ("AOL@1998-01-02", "TWX@2003-01-02")
    assert known.resolve("TWX", date(2003, 6, 2)).instrument_id == "TWX@2003-01-02"
    assert known.resolve("TWX", date(2004, 6, 2)).instrument_id == "AOL@1998-01-02"


def test_two_names_of_one_instrument_on_a_day_are_ambiguous() -> None:
    """A map file left behind from before a rename contradicts the newer one from that day on, not before."""
    known = symbology(FACEBOOK, FACEBOOK_OUTDATED)

    for symbol in ("FB", "META"):
        with pytest.raises(AmbiguousSymbol, match="FB and META") as caught:
            known.resolve(symbol, date(2022, 6, 9))
        assert caught.value.candidates == ("FB", "META")
    assert known.resolve("FB", date(2022, 6, 8)).instrument_id == "FB@2012-05-18"


def test_without_a_history_the_spelling_decides() -> None:
    """An instrument nobody wrote a map file for is there on every day."""
    found = KNOWN.resolve("BRK.B", date(1990, 1, 2))

    assert (found.instrument_id, found.valid_from, found.valid_to) == ("BRK.B", None, None)
    with pytest.raises(UnknownSymbol, match=r"did you mean BRK\.B"):
        KNOWN.resolve("BRK-B", date(2020, 1, 2))


def test_a_vendor_name_is_resolved_by_the_day_too() -> None:
    """Finnhub's GOOG of 2013 is another instrument than its GOOG of 2015."""
    before, after = (KNOWN.resolve_vendor("finnhub", "GOOG", date(year, 6, 3)) for year in (2013, 2015))

    assert (before.instrument_id, after.instrument_id) == ("GOOG@2004-08-19", "GOOCV@2014-03-27")
    assert KNOWN.resolve_vendor("polygon", "I:SPX", date(2013, 6, 3)).symbol == "^GSPC"


histories = st.lists(
    st.builds(
        lambda days, names: "\n".join(
            f"{day:%Y%m%d},{name}" for day, name in zip(sorted(days), [names[0], *names], strict=False)
        ),
        st.lists(st.dates(date(2000, 1, 3), date(2012, 1, 2)), min_size=2, max_size=5, unique=True),
        st.lists(st.sampled_from(("aa", "bb", "cc", "brk.b")), min_size=5, max_size=5),
    ),
    min_size=1,
    max_size=5,
)


SPELL = tuple(name for name, facts in BUILT_IN.items() if facts.capabilities.securities)


@settings(max_examples=200, deadline=None)
@given(histories, st.dates(date(1999, 12, 1), date(2012, 2, 1)), st.sampled_from(SPELL))
def test_on_any_day_a_vendor_name_and_an_instrument_are_one_to_one(
    texts: list[str], at: date, provider: str
) -> None:
    """Whatever the files say: what resolves is read back from its vendor's name, and no two instruments share one."""
    known = symbology(*texts)
    bearers: dict[str, str] = {}
    for symbol in ("AA", "BB", "CC", "BRK.B"):
        try:
            found = known.resolve(symbol, at)
        except UnknownSymbol as error:
            assert symbol not in error.candidates or isinstance(error, AmbiguousSymbol)
            continue
        name = BUILT_IN[provider].vendor_symbol(found.symbol)
        assert known.resolve_vendor(provider, name, at) == found
        assert bearers.setdefault(found.instrument_id, name) == name
    assert len(set(bearers.values())) == len(bearers)


def test_the_naming_day_is_new_yorks() -> None:
    """A rename holds from midnight there: 04:30 UTC in summer is still the day before plus half an hour."""
    midnight_us = 1_654_747_200 * 1_000_000  # 2022-06-09T04:00:00Z

    assert naming_day(midnight_us) == date(2022, 6, 9)
    assert naming_day(midnight_us - 1) == date(2022, 6, 9) - timedelta(days=1)
