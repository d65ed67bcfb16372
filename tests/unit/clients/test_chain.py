"""The one rule a client must keep."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mds_client import Chain, Hole


@given(st.lists(st.integers(0, 50), unique=True).map(sorted), st.data())
def test_a_missing_record_is_always_noticed(offsets: list[int], data: st.DataObject) -> None:
    """Whatever messages are lost or repeated, either every record up to the last seen was seen, or Hole is raised."""
    chain, seen = Chain("e", -1), []
    links = list(zip([-1, *offsets], offsets, strict=False))
    delivered = data.draw(st.lists(st.sampled_from(links), max_size=60)) if links else []
    try:
        for previous, offset in delivered:
            for fresh, _ in chain.fresh(previous, [(offset, {})]):
                seen.append(fresh)
                chain.settle(fresh)
    except Hole as hole:
        assert hole.previous > hole.covered
    assert seen == offsets[: len(seen)]


def test_what_was_dealt_with_is_not_given_again() -> None:
    """Two gateways may send overlapping frames."""
    chain = Chain("e", 5)
    assert chain.fresh(2, [(4, "a"), (5, "b"), (6, "c")]) == [(6, "c")]
    chain.settle(3)
    assert chain.covered == 5


def test_a_link_to_the_unknown_is_a_hole() -> None:
    """The message names what is missing."""
    with pytest.raises(Hole, match=r"\(5, 6\]"):
        Chain("e", 5).fresh(6, [(7, {})])
