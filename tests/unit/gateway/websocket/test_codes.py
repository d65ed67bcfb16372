"""Numbers and words clients act on."""

from __future__ import annotations

import pytest
from mds_client.client import TERMINAL_CODES

from gateway.websocket.codes import CLOSES, ERRORS


def test_error_numbers_are_as_published() -> None:
    """A number is never given to another word; those of words no longer sent stay free."""
    assert {slug: code.number for slug, code in ERRORS.items()} == {
        "bad_message": 100, "unauthenticated": 101, "unknown_channel": 110, "unknown_symbol": 111, "symbol_limit": 113,
        "already_subscribed": 114, "ambiguous_symbol": 115, "unknown_subscription": 116, "too_many_items": 117,
            "unknown_provider": 118, "not_collected": 119, "rate_limited": 130,
        "overloaded": 131,
    }  # fmt: skip
    assert [slug for slug, code in ERRORS.items() if code.temporary] == ["rate_limited", "overloaded"]


@pytest.mark.parametrize("code", CLOSES)
def test_the_client_comes_back_exactly_where_the_server_says_so(code: int) -> None:
    """Ours does, and whoever reads `reconnect`."""
    assert CLOSES[code].reconnect == (code not in TERMINAL_CODES)
