"""Bar intervals."""

from __future__ import annotations

import pytest

from schemas.errors import InvalidRecord
from schemas.intervals import HOUR_US, interval_label, slot_us


def test_an_interval_has_a_slot_length() -> None:
    """Lengths are microseconds."""
    assert slot_us("1h") == HOUR_US


def test_an_unknown_interval_is_answered_with_the_known_ones() -> None:
    """The remedy is in the message."""
    with pytest.raises(InvalidRecord, match="1m 5m"):
        slot_us("2m")


@pytest.mark.parametrize(
    ("interval", "stream", "label"),
    [("1m", "bars", "1m"), ("1mo", "bars", "1mo"), ("", "trades", "trades"), ("7s", "bars", "other")],
)
def test_labels_of_intervals_are_few(interval: str, stream: str, label: str) -> None:
    """A stream without intervals has its name; what nobody declared is one label."""
    assert interval_label(interval, stream) == label
