"""Two sides matched row by row, and what is said of those that differ."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from infra.runtime.postgres.comparing import SHOWN, VIEWS, ComparedView, Row, Verdict, compare
from schemas.streams import STREAMS

BARS = ComparedView(name="v_bars", key=("stream_id", "event_time"), stream="bars")


async def side(rows: Sequence[Row]) -> AsyncIterator[Row]:
    """Yield rows as a database does."""
    for row in rows:
        yield row


def bar(stream: int, moment: int, close: float = 1.0) -> dict[str, Any]:
    """Return a row."""
    return {"symbol": f"S{stream}", "stream_id": stream, "event_time": moment, "close": close}


def strict(_: ComparedView, ours: Row | None, theirs: Row | None) -> Verdict:
    """Judge by content alone."""
    return "same" if ours == theirs else "different"


@pytest.mark.parametrize("swapped", [False, True])
async def test_rows_changed_deleted_and_added_are_each_found(swapped: bool) -> None:
    """Wherever they lie, on either side, and only they."""
    ours = [bar(1, 1), bar(1, 2), bar(1, 4, 9.0), bar(2, 1), bar(3, 7)]
    theirs = [bar(1, 1), bar(1, 4), bar(2, 1), bar(2, 2), bar(3, 7), bar(9, 1)]
    if swapped:
        ours, theirs = theirs, ours

    done = await compare(BARS, side(ours), side(theirs), strict)

    assert (done.same, done.different) == (3, 4)
    pairs = done.first if not swapped else [(b, a) for a, b in done.first]
    assert pairs == [
        (bar(1, 2), None),
        (bar(1, 4, 9.0), bar(1, 4)),
        (None, bar(2, 2)),
        (None, bar(9, 1)),
    ]


async def test_differences_are_told_by_key_with_both_values() -> None:
    """Only what differs of a row; a row of one side whole."""
    done = await compare(BARS, side([bar(1, 4, 9.0), bar(2, 1)]), side([bar(1, 4)]), strict)

    assert done.lines("database", "topics") == [
        "v_bars symbol=S1 event_time=4: close is 9.0 in the database, 1.0 in the topics",
        f"v_bars symbol=S2 event_time=1: only in the database: {bar(2, 1)}",
    ]


async def test_only_the_first_differences_are_held() -> None:
    """However many there are."""
    done = await compare(BARS, side([bar(1, n) for n in range(50)]), side([]), strict)

    assert (done.different, len(done.first)) == (50, SHOWN)


async def test_what_is_not_settled_is_counted_apart() -> None:
    """Neither alike nor different."""
    done = await compare(BARS, side([bar(1, 1)]), side([]), lambda *_: "unsettled")

    assert (done.same, done.different, done.unsettled, done.first) == (0, 0, 1, [])


def test_every_declared_stream_is_compared() -> None:
    """In all its versions, and so are series, gaps, evidence and coverage."""
    names = {view.name for view in VIEWS}

    assert {f"v_{stream.name}" for stream in STREAMS} <= names
    assert {"v_bars_all", "v_bars_forming", "v_quotes_latest", "v_streams"} <= names
    assert {"v_gaps", "v_gap_evidence", "v_coverage"} <= names
