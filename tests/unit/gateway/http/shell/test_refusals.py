"""Suggestions for a path that is not known."""

from __future__ import annotations

import pytest

from gateway.http.shell.refusals import MAX_SUGGESTED_CHARS, nearest_path

PATTERNS = ["/", "/health", "/stocks/{symbol}/price", "/stocks/{symbol}/history", "/stocks/batch", "/gaps"]


@pytest.mark.parametrize(
    ("path", "suggestion"),
    [
        ("/stocks/BRK.B/prise", "/stocks/BRK.B/price"),
        ("/stock/SPY/history", "/stocks/SPY/history"),
        ("/heath", "/health"),
        ("/health/", "/health"),
        ("/stocks/batches", "/stocks/batch"),
        ("/quite/something/else/entirely", None),
    ],
)
def test_the_nearest_path_keeps_the_callers_own_parts(path: str, suggestion: str | None) -> None:
    """A symbol is not corrected, the words around it are."""
    assert nearest_path(path, PATTERNS) == suggestion


def test_a_long_path_is_not_compared() -> None:
    """It would cost its square, and anybody may send it."""
    symbol = "A" * (MAX_SUGGESTED_CHARS - len("/stocks//prise"))
    assert nearest_path(f"/stocks/{symbol}/prise", PATTERNS) == f"/stocks/{symbol}/price"
    assert nearest_path(f"/stocks/{symbol}A/prise", PATTERNS) is None
