"""Suggestions for mistyped paths."""

from __future__ import annotations

import pytest

from gateway.http.shell.app import nearest_path

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
