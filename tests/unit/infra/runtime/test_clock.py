"""Clocks and their text form."""

from __future__ import annotations

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from infra.runtime.clock import WallMarketClock, rfc3339, wall_us


@given(st.integers(0, 4_102_444_800_000_000))
def test_rfc3339_is_exact_to_the_microsecond(moment: int) -> None:
    """No rounding through floats."""
    parsed = datetime.fromisoformat(rfc3339(moment))
    whole = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

    assert (parsed - whole).days * 86_400_000_000 + (
        parsed - whole
    ).seconds * 1_000_000 + parsed.microsecond == moment
    assert rfc3339(moment).endswith("Z")


def test_the_wall_clock_of_the_market_is_the_wall_clock() -> None:
    """Without a simulator there is one time."""
    assert abs(WallMarketClock().now_us() - wall_us()) < 60_000_000
