"""A trade is finite, never negative, and knows its frame."""

from __future__ import annotations

from typing import Any

import pytest

from producers.vendors.trade_rows import frame_hash, trade_event


def test_a_trade_has_every_field_of_its_topic() -> None:
    """Numbers become floats; what a vendor does not say is empty."""
    event = trade_event("SPY", 7, 167, 100, sequence=3, digest=5, conditions="1,12", simulated=True)

    assert event == {
        "symbol": "SPY", "event_time": 7, "price": 167.0, "size": 100.0, "trade_id": None, "conditions": "1,12",
        "venue": "", "simulated": True, "frame_sequence": 3, "frame_hash": 5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("price", "size", "conditions"),
    [("1", 1.0, ""), (1.0, None, ""), (True, 1.0, ""), (float("nan"), 1.0, ""), (-1.0, 1.0, ""), (0.0, 1.0, ""), (1.0, 1.0, "\x00"), (1.0, 1.0, "x" * 257)],
)  # fmt: skip
def test_what_nobody_traded_is_refused(price: Any, size: Any, conditions: str) -> None:
    """With the reason, so that it can be dead-lettered alone."""
    with pytest.raises(ValueError, match=r"price|conditions"):
        trade_event("SPY", 7, price, size, sequence=1, digest=1, conditions=conditions)


def test_equal_frames_have_equal_hashes() -> None:
    """And other frames others."""
    assert frame_hash(b"a") == frame_hash(b"a") != frame_hash(b"b")
    assert -(2**63) <= frame_hash(b"a") < 2**63
