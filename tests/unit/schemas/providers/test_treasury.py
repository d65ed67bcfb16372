"""The Treasury's facts: macro series without a key, from 1990 on."""

from __future__ import annotations

from schemas.providers.treasury import FACTS, FIRST_YEAR


def test_one_request_a_second_and_no_key() -> None:
    """No number is published; restraint is ours. The par curve begins in 1990."""
    assert FACTS.credentials == ()
    assert (FACTS.limits.per_second, FACTS.limits.concurrency) == (1, 1)
    assert FIRST_YEAR == 1990
    assert "UST:1M" in FACTS.series_samples
