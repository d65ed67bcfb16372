"""A cursor follows the stream."""

from __future__ import annotations

import numpy as np

from sinks.ledger.cursors import Cursor, extents, moved
from tests.support.row_groups import streams_of


def test_extents_count_only_what_counts() -> None:
    """Streams without a counted row are left out."""
    streams = streams_of([0, 1, 0, 2])

    found = extents(streams, np.array([5, 6, 3, 9]), np.array([True, False, True, True]))

    assert list(found) == [(0, 3, 5), (2, 9, 9)]


def test_a_cursor_never_moves_back() -> None:
    """Earlier rows move its start, later ones its end."""
    assert moved(None, 5, 9) == Cursor(start=5, last_seen=9)
    assert moved(Cursor(start=5, last_seen=9), 2, 4) == Cursor(start=2, last_seen=9)
