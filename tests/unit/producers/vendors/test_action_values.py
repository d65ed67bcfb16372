"""Values of corporate actions: which are taken, and what is said of those that cannot be."""

from __future__ import annotations

import math

import pytest

from producers.vendors.action_values import currency, day, given_id, other_symbol, positive
from schemas.clocks import iso_day
from schemas.errors import InvalidRecord


@pytest.mark.parametrize("text", ["2014-06-09", "2014-06-09T00:00:00Z"])
def test_a_day_is_iso(text: str) -> None:
    """With a time beside it, too, which is not looked at."""
    found = day("ex_date", text)

    assert found is not None
    assert iso_day(found) == "2014-06-09"
    assert (day("ex_date", None), day("ex_date", ""), day("ex_date", found)) == (None, None, found)


@pytest.mark.parametrize(
    "value", ["2014-02-30", "09/06/2014", "1899-12-31", "2200-01-01", 10**6, True, 16.5, [], "2014-W23-1"]
)
def test_what_is_no_day_is_named(value: object) -> None:
    """Nothing of it is guessed."""
    with pytest.raises(InvalidRecord, match=r"pay_date is .*, which is no day"):
        day("pay_date", value)


@pytest.mark.parametrize("value", [0, -1, -0.0, math.nan, math.inf, 1e300, 10**400, "1", None, True, []])
def test_a_number_is_above_zero_and_possible(value: object) -> None:
    """Of ratios and amounts alike."""
    with pytest.raises(InvalidRecord, match="ratio_to"):
        positive("ratio_to", value)
    assert positive("amount", 0.205) == 0.205


def test_currencies_and_ids_are_as_given() -> None:
    """Pence are GBp; what is neither is named."""
    assert (currency("USD"), currency("GBp"), currency(None), currency("")) == ("USD", "GBp", "", "")
    assert (given_id("E1"), given_id(None), given_id("")) == ("E1", "", "")
    with pytest.raises(InvalidRecord, match="currency is 'dollars'"):
        currency("dollars")
    for bad in ("x" * 129, "a\x00b", "ü", 7, True):
        with pytest.raises(InvalidRecord, match="action_id is"):
            given_id(bad)


def test_another_symbol_is_ours_where_we_know_it() -> None:
    """Else as it stands where it could be one."""
    assert other_symbol("BRK-B", {"BRK-B": "BRK.B"}) == "BRK.B"
    assert other_symbol("TIME", {}) == "TIME"
    assert [other_symbol(bad, {}) for bad in (None, 7, "", "no symbol", "x" * 40)] == [""] * 5
