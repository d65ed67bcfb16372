"""Bar intervals."""

from __future__ import annotations

import pytest

from schemas.errors import InvalidRecord
from schemas.intervals import HOUR_US, slot_us


def test_an_interval_has_a_slot_length() -> None:
    """Lengths are microseconds."""
    assert slot_us("1h") == HOUR_US


def test_an_unknown_interval_is_answered_with_the_known_ones() -> None:
    """The remedy is in the message."""
    with pytest.raises(InvalidRecord, match="1m 5m"):
        slot_us("2m")
