"""Versions of bars: whose shares one that is made of several is in."""

from __future__ import annotations

from gateway.database.versions import BarBasis
from tests.support.corporate_actions import day

FRIDAY, MONDAY, LATER = day("2014-06-06"), day("2014-06-09"), day("2014-08-07")


def test_a_bar_of_several_reaches_as_far_as_they_do() -> None:
    """In its days and in the shares of its parts; what one part is, it is."""
    raw = BarBasis(days=(FRIDAY, FRIDAY), shares_of=(FRIDAY, FRIDAY))
    rebased = BarBasis(days=(MONDAY, MONDAY), shares_of=(LATER, LATER), mixed=True)
    doubted = BarBasis(days=(MONDAY, MONDAY), shares_of=(MONDAY, MONDAY), uncertain=True)

    assert BarBasis.of_parts([raw, rebased]) == BarBasis(
        days=(FRIDAY, MONDAY), shares_of=(FRIDAY, LATER), mixed=True
    )
    assert BarBasis.of_parts([raw, doubted]) == BarBasis(
        days=(FRIDAY, MONDAY), shares_of=(FRIDAY, MONDAY), uncertain=True
    )


def test_what_is_as_it_is_stored_has_no_basis() -> None:
    """Nor has what is made of it."""
    assert BarBasis.of_parts([None, None]) is None
    assert BarBasis.of_parts([]) is None
