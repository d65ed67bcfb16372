"""Option contracts by their names, and what roots say."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.tenor import expiration_time
from schemas.calendar.sessions import calendar_of
from schemas.errors import InvalidContract, InvalidRecord
from schemas.symbols.occ import OptionContract, Spelling, parse_contract, root_terms, spelled

TODAY = date(2026, 11, 29)
SPELLINGS: tuple[Spelling, ...] = ("compact", "occ21", "polygon", "dxfeed")
CONTRACTS = st.builds(
    OptionContract,
    root=st.from_regex(r"[A-Z][A-Z0-9]{0,5}", fullmatch=True),
    expiry=st.dates(date(2000, 1, 1), date(2038, 12, 31)),
    right=st.sampled_from(["C", "P"]),
    strike_mills=st.integers(1, 99_999_999),
)


@given(contract=CONTRACTS, spelling=st.sampled_from(SPELLINGS), is_lower=st.booleans())
def test_every_spelling_is_read_as_it_was_written(
    contract: OptionContract, spelling: Spelling, is_lower: bool
) -> None:
    """Roots that end in digits too, and in either case."""
    name = spelled(contract, spelling)

    assert parse_contract(name.lower() if is_lower else name, today=TODAY) == contract


def test_the_four_spellings_of_a_contract() -> None:
    """As OCC pads it, as Yahoo and Alpaca, as Polygon, as dxFeed write it; compact is what answers hold."""
    contract = parse_contract("AAPL  140621C00092860", today=TODAY)

    assert contract == OptionContract("AAPL", date(2014, 6, 21), "C", 92_860)
    assert contract.strike == 92.86
    assert [spelled(contract, each) for each in SPELLINGS] == [
        "AAPL140621C00092860", "AAPL  140621C00092860", "O:AAPL140621C00092860", ".AAPL140621C92.86",
    ]  # fmt: skip
    assert spelled(contract) == "AAPL140621C00092860"


@given(contract=CONTRACTS)
def test_a_padded_name_has_21_characters(contract: OptionContract) -> None:
    """Whatever its root."""
    assert len(spelled(contract, "occ21")) == 21


@pytest.mark.parametrize(
    ("name", "part"),
    [
        pytest.param("", "length", id="nothing"),
        pytest.param("AAPL140621C", "length", id="no-strike"),
        pytest.param("140621C00092860", "length", id="no-root"),
        pytest.param("AAPL" * 20, "length", id="endless"),
        pytest.param("TOOLONG140621C00092860", "root", id="long-root"),
        pytest.param("1AAPL140621C00092860", "root", id="root-of-a-digit"),
        pytest.param("AA PL140621C00092860", "root", id="root-with-a-space"),
        pytest.param("AAPL141321C00092860", "date", id="month-13"),
        pytest.param("AAPL140231C00092860", "date", id="no-such-day"),
        pytest.param("AAPL1406X1C00092860", "date", id="no-digits"),
        pytest.param("AAPL390621C00092860", "date", id="too-far-ahead"),
        pytest.param("AAPL140621X00092860", "right", id="right-x"),
        pytest.param("AAPL140621C00000000", "strike", id="strike-0"),
        pytest.param("AAPL140621C0009A860", "strike", id="strike-no-number"),
        pytest.param("AAPL140621C\u06600092860", "strike", id="digits-of-another-script"),
        pytest.param(".AAPL140621C92.8601", "strike", id="tenths-of-thousandths"),
        pytest.param(".AAPL140621C100000", "strike", id="strike-of-nine-digits"),
        pytest.param(".AAPL140621", "form", id="dotted-without-a-strike"),
    ],
)
def test_what_is_no_contract_is_refused_by_its_part(name: str, part: str) -> None:
    """The error is of the stable reason `invalid_contract`, names the part and says what would be one."""
    with pytest.raises(InvalidContract, match=part) as caught:
        parse_contract(name, today=TODAY)

    assert caught.value.part == part
    assert caught.value.reason == "invalid_contract"
    assert isinstance(caught.value, InvalidRecord)


@given(text=st.text(max_size=40))
def test_no_text_does_worse_than_be_refused(text: str) -> None:
    """Any other exception would be ours."""
    try:
        contract = parse_contract(text, today=TODAY)
    except InvalidContract:
        return
    assert contract.strike > 0


@pytest.mark.parametrize(
    ("root", "underlying", "style", "settlement", "is_adjusted"),
    [
        ("AAPL", "AAPL", "american", "pm", False),
        ("BRKB", "BRK.B", "american", "pm", False),
        ("AAPL7", "AAPL", "american", "pm", True),
        ("TWX1", "TWX", "american", "pm", True),
        ("SPX", "^SPX", "european", "am", False),
        ("SPXW", "^SPX", "european", "pm", False),
        ("NDX", "^NDX", "european", "am", False),
        ("NDXP", "^NDX", "european", "pm", False),
        ("RUTW", "^RUT", "european", "pm", False),
        ("VIX", "^VIX", "european", "am", False),
        ("VIXW", "^VIX", "european", "am", False),
        ("XSP", "^XSP", "european", "pm", False),
        ("OEX", "^OEX", "american", "pm", False),
        ("XEO", "^OEX", "european", "pm", False),
    ],
)
def test_a_root_says_whose_it_is_and_how_it_ends(
    root: str, underlying: str, style: str, settlement: str, is_adjusted: bool
) -> None:
    """Shares deliver shares, indices cash."""
    terms = root_terms(root)

    assert (terms.underlying, terms.style, terms.settlement, terms.is_adjusted) == (
        underlying, style, settlement, is_adjusted,
    )  # fmt: skip
    assert terms.delivery == ("cash" if underlying.startswith("^") else "physical")


@pytest.mark.parametrize(
    "root", ["SPX", "SPXW", "NDX", "RUT", "VIX", "XSP", "DJX", "XEO", "OEX", "SIMX", "SIMXW"]
)
def test_of_each_index_whose_roots_are_known_the_sessions_are_known(root: str) -> None:
    """Else nobody could say when its contracts end, and none of them would be priced."""
    calendar = calendar_of(root_terms(root).underlying)

    assert calendar.is_known
    assert expiration_time(date(2026, 12, 18), calendar, is_at_open=True) == 1_797_604_200_000_000


def test_another_deliverable_is_adjusted_whatever_the_root_is() -> None:
    """By multiplier or by the vendor's flag."""
    assert root_terms("AAPL", multiplier=10).is_adjusted
    assert root_terms("AAPL", is_nonstandard=True).is_adjusted
    assert root_terms("SPX", multiplier=50).is_adjusted
    assert not root_terms("AAPL", multiplier=100.0).is_adjusted


def test_an_index_root_we_do_not_know_settles_we_do_not_know_when() -> None:
    """It is not taken for a share's."""
    terms = root_terms("MXEA", underlying="^MXEA")

    assert (terms.settlement, terms.delivery, terms.underlying) == ("unknown", "cash", "^MXEA")
    assert root_terms("ABC", underlying="ABC").settlement == "pm"
