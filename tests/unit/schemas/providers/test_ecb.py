"""The ECB's facts: macro series without a key."""

from __future__ import annotations

from schemas.providers.ecb import FACTS


def test_one_request_a_second_and_no_key() -> None:
    """No number is published; restraint is ours."""
    assert FACTS.credentials == ()
    assert (FACTS.limits.per_second, FACTS.limits.concurrency) == (1, 1)
    assert FACTS.capabilities.macro
    assert FACTS.samples == ()
