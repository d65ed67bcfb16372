"""Names of streams, gaps and revisions, and when two values are the same value."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas.identity import bar_content, event_id, gap_id, quote_content, stream_name
from tests.support.builders import a_bar_event, a_quote_event


def test_clocks_and_origin_are_not_content() -> None:
    """A re-poll of an unchanged bar is the same value."""
    bar = a_bar_event()

    assert bar_content(bar) == bar_content(
        {**bar, "received_time": 1, "provider": "x", "raw_offset": 3, "index": 9}
    )


@given(
    st.sampled_from(["open", "high", "low", "close", "volume", "vwap"]),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_any_changed_number_is_another_value(name: str, value: float) -> None:
    """The hash sees every field of the content."""
    before = a_bar_event()
    after = before | {name: value}

    assert (bar_content(before) == bar_content(after)) == (before[name] == value)


def test_a_missing_side_differs_from_a_zero_one() -> None:
    """None and 0.0 say different things."""
    assert quote_content(a_quote_event(bid=None)) != quote_content(a_quote_event(bid=0.0))


def test_content_is_the_same_in_every_process() -> None:
    """The value is pinned: state rebuilt elsewhere must agree with it."""
    assert bar_content(a_bar_event()) == bar_content(dict(reversed(a_bar_event().items())))


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
