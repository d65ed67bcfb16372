"""Polygon's facts: the free plan's five a minute, and index names that come from a table."""

from __future__ import annotations

from schemas.providers.polygon import FACTS, INDEX_NAMES, INDEX_SYMBOLS, SPANS
from schemas.symbols.venues import FIAT, INDICES


def test_the_free_plan_is_assumed() -> None:
    """Five a minute; what a delayed plan answers is a quarter of an hour old."""
    assert (FACTS.limits.per_minute, FACTS.limits.concurrency, FACTS.delay_s) == (5, 2, 900)
    assert FACTS.quotes_per_s is None
    assert FACTS.capabilities.intervals == tuple(SPANS)


def test_no_two_indices_share_a_name() -> None:
    """The table is read in both directions, and knows only indices of ours."""
    assert len(INDEX_SYMBOLS) == len(INDEX_NAMES)
    assert INDEX_NAMES.keys() <= INDICES.keys()


def test_glued_pairs_split_in_one_way() -> None:
    """No currency ends with another one."""
    assert not [(a, b) for a in FIAT for b in FIAT if a != b and a.endswith(b)]
