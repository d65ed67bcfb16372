"""Ids name what they stand for, and bind the rest."""

from __future__ import annotations

from schemas.identity import event_id, gap_id, stream_name


def test_an_event_id_names_its_position_and_binds_the_rest() -> None:
    """Two revisions of one key have two ids; the readable part is the place in the log."""
    first = event_id("bars.v1", "SPY", 60_000_000, 2, 17, 4)
    second = event_id("bars.v1", "SPY", 60_000_000, 2, 18, 4)

    assert first.startswith("b2.17.4.")
    assert first != second
    assert first != event_id("bars.v1", "QQQ", 60_000_000, 2, 17, 4)


def test_a_gap_keeps_its_id_when_its_end_moves() -> None:
    """The id depends on the stream and the start alone."""
    stream = stream_name("bars.1m", "yahoo", "SPY")

    assert gap_id(stream, 60) == gap_id("bars.1m:yahoo:SPY", 60)
    assert gap_id(stream, 60) != gap_id(stream, 120)
