"""A cursor follows the stream, and names each expected bar it moved over exactly once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.calendar.sessions import US_EQUITIES, load_calendar
from schemas.identity import gap_id
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US
from schemas.streams import StreamId
from sinks.batch.frontier import NEVER
from sinks.ledger.cursors import (
    Cursor,
    extents,
    gap_of,
    holes_of_stream,
    judge_block,
    jumping_streams,
    moved,
)
from tests.support.builders import NINE_THIRTY
from tests.support.row_groups import streams_of

XNYS = load_calendar(US_EQUITIES)
CLOSE = NINE_THIRTY + 390 * MINUTE_US


def minutes(*numbers: int) -> list[int]:
    """Return bar starts by minute of the session."""
    return [NINE_THIRTY + number * MINUTE_US for number in numbers]


def missing(holes: list[tuple[int, int]]) -> list[int]:
    """Return the minutes the holes hold."""
    return [(at - NINE_THIRTY) // MINUTE_US for low, high in holes for at in range(low, high, MINUTE_US)]


def test_nothing_is_missing_before_the_first_bar() -> None:
    """A stream begins where it begins; inside its first block holes count."""
    last_seen, holes = judge_block(None, minutes(7, 5), "1m", XNYS)

    assert last_seen == minutes(7)[0]
    assert missing([(hole.from_time, hole.to_time) for hole in holes]) == [6]


def test_a_late_bar_reveals_nothing() -> None:
    """Neither does it move the cursor back."""
    assert judge_block(minutes(7)[0], minutes(3), "1m", XNYS) == (minutes(7)[0], [])


def test_the_night_is_no_hole() -> None:
    """The first bar of a day follows the last of the day before; a missing last bar is a hole of one."""
    opening = NINE_THIRTY + DAY_US

    assert judge_block(CLOSE - MINUTE_US, [opening], "1m", XNYS)[1] == []
    (hole,) = judge_block(CLOSE - 2 * MINUTE_US, [opening], "1m", XNYS)[1]
    assert (hole.from_time, hole.to_time, hole.expected) == (CLOSE - MINUTE_US, CLOSE, 1)


@pytest.mark.parametrize(
    "stamp", [0, 13 * HOUR_US + 30 * MINUTE_US, 20 * HOUR_US], ids=["midnight", "open", "close"]
)
def test_daily_bars_are_compared_by_day(stamp: int) -> None:
    """Monday to Thursday lacks Tuesday and Wednesday, wherever in its day the vendor stamps a bar."""
    monday = NINE_THIRTY // DAY_US * DAY_US

    (hole,) = judge_block(monday + stamp, [monday + 3 * DAY_US + stamp], "1d", XNYS)[1]

    assert (hole.from_time, hole.to_time, hole.expected) == (monday + DAY_US, monday + 3 * DAY_US, 2)


@given(
    blocks=st.lists(st.sets(st.integers(0, 389), max_size=6), max_size=8),
    first=st.integers(0, 389),
)
def test_holes_and_bars_share_out_the_day(blocks: list[set[int]], first: int) -> None:
    """Of the minutes a cursor passed, each was seen before the cursor passed it, or is in exactly one hole."""
    log = {number: minutes(*sorted(block)) for number, block in enumerate([{first}, *blocks])}

    holes = [(h.from_time, h.to_time) for *_, h in holes_of_stream(None, log, "1m", XNYS)]

    reached, seen = first, {first}
    for block in blocks:
        ahead = {minute for minute in block if minute > reached}
        seen |= ahead
        reached = max(ahead, default=reached)
    assert sorted(missing(holes)) == [minute for minute in range(first, reached) if minute not in seen]


@given(
    rows=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), st.booleans()), max_size=20),
    last=st.lists(st.none() | st.integers(0, 9), min_size=3, max_size=3),
)
def test_a_stream_that_is_skipped_reveals_nothing(
    rows: list[tuple[int, int, bool]], last: list[int | None]
) -> None:
    """The quick look lets every stream through that the full judgement finds a hole in."""
    streams = streams_of([stream for stream, _, _ in rows])
    event_time = np.array([minutes(minute)[0] for _, minute, _ in rows], np.int64)
    final = np.array([f for _, _, f in rows], np.bool_)
    seen = [None if minute is None else minutes(minute)[0] for minute in last]

    jumping = jumping_streams(
        streams, event_time, final, np.array([NEVER if s is None else s for s in seen]), np.full(3, MINUTE_US)
    )

    for stream in range(3):
        log = {n: [int(event_time[n])] for n, (s, _, f) in enumerate(rows) if s == stream and f}
        assert stream in jumping or not holes_of_stream(seen[stream], log, "1m", XNYS)


def test_extents_count_only_what_counts() -> None:
    """Streams without a counted row are left out."""
    streams = streams_of([0, 1, 0, 2])

    found = extents(streams, np.array([5, 6, 3, 9]), np.array([True, False, True, True]))

    assert list(found) == [(0, 3, 5), (2, 9, 9)]


def test_a_cursor_never_moves_back() -> None:
    """Earlier rows move its start, later ones its end."""
    assert moved(None, 5, 9) == Cursor(start=5, last_seen=9)
    assert moved(Cursor(start=5, last_seen=9), 2, 4) == Cursor(start=2, last_seen=9)


def test_a_hole_has_the_id_the_processor_gives_it() -> None:
    """Both name it by stream and beginning, so the two findings are one gap."""
    (hole,) = judge_block(minutes(1)[0], minutes(4), "1m", XNYS)[1]

    gap = gap_of(hole, StreamId("bars", "1m", "yahoo", "SPY"), known_from=1, raw_offset=2, ordinal=3)

    assert (gap.gap_id, gap.stream) == (gap_id("bars.1m:yahoo:SPY", minutes(2)[0]), "bars.1m:yahoo:SPY")
    assert (gap.from_time, gap.to_time, gap.expected, gap.detector) == (*minutes(2, 4), 2, "sink")
