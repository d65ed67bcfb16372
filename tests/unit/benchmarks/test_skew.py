"""Shares of symbols and of the fullest partition."""

from __future__ import annotations

import pytest

from benchmarks.skew import fullest, zipf
from schemas.partitions import partition_of


def test_shares_of_all_symbols_are_the_whole() -> None:
    """The second has half of the first one's, the third a third."""
    shares = zipf(3)

    assert sum(shares) == pytest.approx(1)
    assert shares == pytest.approx([6 / 11, 3 / 11, 2 / 11])


def test_the_fullest_partition_holds_its_symbols_together() -> None:
    """Of one partition that is everything, and of many no less than the largest symbol."""
    shares = {"SPY": 0.5, "IBM": 0.3, "AAPL": 0.2}
    homes = {symbol: partition_of(symbol, 4) for symbol in shares}
    together = max(
        sum(share for symbol, share in shares.items() if homes[symbol] == home) for home in homes.values()
    )

    assert fullest(shares, 1) == pytest.approx(1)
    assert fullest(shares, 4) == pytest.approx(together)
    assert fullest(shares, 1_024) >= 0.5
