"""Versions of bars that correct nothing: the provider told the same bar again in the shares of another day, after a split.

Whoever lists versions has each beside the one before it, and needs to know of no split: they are recognised by themselves.
Prices of a few cents, which rounding moves further than the tolerance, pass for corrections; so do bars whose volume the
vendor leaves as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gateway.database.versions import BarVersion

Doubles = NDArray[np.float64]
PRICE_TOLERANCE = 0.002  # as where the ratio is known (analytics/bar_basis.py)
VOLUME_TOLERANCE = 0.005  # also of a ratio, to 1: nearer to it a correction could not be told from a split
SPLIT = "split"  # of raw prices nobody rebases any, and of prices less dividends no ratio says it


def marked(versions: Sequence[BarVersion], before: Iterable[BarVersion]) -> list[BarVersion]:
    """Return versions, in the order in which they became known, with those marked that are rebased.

    Each is held against the version of its provider's bar before it: one of `versions`, or of `before`, which are those
    that precede the first of them.
    """
    earlier = {(each.provider, each.event_time): each for each in before}
    pairs: list[tuple[int, BarVersion]] = []
    for place, version in enumerate(versions):
        bar = version.provider, version.event_time
        previous, earlier[bar] = earlier.get(bar), version
        if previous is not None and previous.adjustment_state == version.adjustment_state == SPLIT:
            pairs.append((place, previous))
    shown = list(versions)
    if not pairs:
        return shown
    flags = is_rebased_by_some_ratio(
        _said(previous for _, previous in pairs),
        _said(versions[place] for place, _ in pairs),
    )
    for (place, _), rebased in zip(pairs, flags.tolist(), strict=True):
        if rebased:
            shown[place] = replace(shown[place], rebased=True)
    return shown


def is_rebased_by_some_ratio(earlier: Doubles, now: Doubles) -> NDArray[np.bool_]:
    """Return which bars say what they said before in other shares, for who knows no ratio; arrays (5, n), the volume last.

    All four prices moved by one ratio, within 0.2 %, which is not 1, and the volume by its inverse, within 0.5 %. Without a
    volume on either side the prices must differ among themselves: one number that moved is as likely a correction.
    """
    prices, volumes = now[:4], now[4]
    with np.errstate(all="ignore"):
        # The middle of what the prices say: an outlier is then off by itself.
        ratio = np.median(prices / earlier[:4], axis=0)
        alike = np.all(np.abs(prices / (earlier[:4] * ratio) - 1.0) < PRICE_TOLERANCE, axis=0)
        inverse = np.abs(volumes * ratio / earlier[4] - 1.0) < VOLUME_TOLERANCE
        moved = np.abs(ratio - 1.0) > VOLUME_TOLERANCE
        ranged = prices.max(axis=0) > prices.min(axis=0) * (1.0 + PRICE_TOLERANCE)
    silent = (volumes == 0.0) & (earlier[4] == 0.0)
    return np.asarray(alike & moved & np.where(silent, ranged, inverse))


def _said(bars: Iterable[BarVersion]) -> Doubles:
    """Return open, high, low, close and volume of n bars, of shape (5, n)."""
    return np.array([(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars]).T
