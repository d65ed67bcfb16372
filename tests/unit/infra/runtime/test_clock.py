"""Clocks and their text form."""

from __future__ import annotations

import re
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.runtime.clock import WallMarketClock, moment_us, rfc3339, wall_us


@given(st.integers(0, 4_102_444_800_000_000))
def test_rfc3339_is_exact_to_the_microsecond(moment: int) -> None:
    """No rounding through floats."""
    parsed = datetime.fromisoformat(rfc3339(moment))
    whole = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

    assert (parsed - whole).days * 86_400_000_000 + (
        parsed - whole
    ).seconds * 1_000_000 + parsed.microsecond == moment
    assert rfc3339(moment).endswith("Z")


@given(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999))
def test_a_moment_is_read_as_it_was_written(moment: int) -> None:
    """Of every year that has a name."""
    assert moment_us(rfc3339(moment)) == moment


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("soon", "'soon' is no moment; write it like 2026-11-28T14:30:00Z"),
        ("2026-11-28T14:30:00", "2026-11-28T14:30:00 names no zone; write it like 2026-11-28T14:30:00Z"),
        (
            "0001-01-01T00:00:00+14:00",
            "0001-01-01T00:00:00+14:00 is in no year of UTC; write it like 2026-11-28T14:30:00Z",
        ),
    ],
)
def test_what_is_no_moment_is_told_what_would_be(text: str, said: str) -> None:
    """In two halves: what is wrong, and what to write."""
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        moment_us(text)


def test_the_wall_clock_of_the_market_is_the_wall_clock() -> None:
    """Without a simulator there is one time."""
    assert abs(WallMarketClock().now_us() - wall_us()) < 60_000_000
