"""Ids name what they stand for, and bind the rest."""

from __future__ import annotations

import pytest

from schemas.errors import InvalidRecord
from schemas.identity import event_id, gap_id, stream_name, stream_of, stream_text
from schemas.streams import StreamId


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


@pytest.mark.parametrize(
    ("series", "text"),
    [
        (StreamId("bars", "1m", "yahoo", "AAPL"), "bars.1m:yahoo:AAPL"),
        (StreamId("quotes", "", "best", "BRK.B"), "quotes:best:BRK.B"),
    ],
)
def test_a_series_and_its_text_are_made_of_one_another(series: StreamId, text: str) -> None:
    """The text holds all that names a series, so that it leads back to it."""
    assert stream_text(series) == text
    assert stream_of(text) == series


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bars:yahoo:AAPL",
        "bars.:yahoo:AAPL",
        "quotes.:yahoo:AAPL",
        "quotes.1m:yahoo:AAPL",
        "news:yahoo:AAPL",
        "quotes:yahoo",
        "quotes::A",
    ],
)
def test_a_text_that_names_no_declared_series_is_refused(text: str) -> None:
    """An interval too many or too few, an unknown stream, a missing part."""
    with pytest.raises(InvalidRecord, match="names no series"):
        stream_of(text)
