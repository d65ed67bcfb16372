"""Pages of gaps: whatever the windows, all gaps once, in order; and so much is read for a page and no more."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.database.gap_pages import (
    HEAVY_ROWS,
    MAX_ROWS,
    NARROWEST_US,
    WIDEST_US,
    GapKey,
    GapPage,
    GapWalk,
    first_width_us,
)
from gateway.database.versions import GapFilter
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, MINUTE_US
from schemas.records import Gap
from tests.support.builders import a_gap

LOW, HIGH = EventTime(100 * DAY_US), EventTime(400 * DAY_US)
SPANS = st.tuples(st.integers(60, 420), st.integers(1, 100), st.sampled_from(["open", "filled"]))


def gap_of(number: int, span: tuple[int, int, str]) -> Gap:
    """Return a gap of so many days from a day on."""
    first, days, state = span
    times = {"from_time": first * DAY_US, "to_time": (first + days) * DAY_US}
    return a_gap(gap_id=f"{number:03}", state=state, **times)


def a_page(
    gaps: list[Gap], *, after: GapKey | None, descending: bool, limit: int, width_us: int, rows: int
) -> GapPage:
    """Walk over these gaps for one page; each window costs so many rows."""
    which = GapFilter(symbol="SPY", start=LOW, end=HIGH, state="open")
    walk = GapWalk(
        which=which, low=LOW, high=HIGH, limit=limit, descending=descending, after=after, width_us=width_us
    )
    while (window := walk.window) is not None:
        low, high = window
        overlapping = [gap for gap in gaps if gap.from_time < high and gap.to_time > low]
        if (page := walk.take(overlapping, rows)) is not None:
            return page
    return GapPage(gaps=walk.found)


@given(
    st.lists(SPANS, max_size=40),
    st.booleans(),
    st.integers(1, 7),
    st.integers(DAY_US, 90 * DAY_US),
    st.sampled_from([0, 3_000, HEAVY_ROWS + 1, MAX_ROWS + 1]),
)
def test_all_pages_together_are_all_gaps_in_order(
    spans: list[tuple[int, int, str]], descending: bool, limit: int, width_us: int, rows: int
) -> None:
    """Those of the state asked for that overlap the range, however long before it they began."""
    gaps = [gap_of(number, span) for number, span in enumerate(spans)]
    found: list[Gap] = []
    after: GapKey | None = None
    for _ in range(2_000):
        page = a_page(gaps, after=after, descending=descending, limit=limit, width_us=width_us, rows=rows)
        assert len(page.gaps) <= limit
        found += page.gaps
        after = page.after
        if after is None:
            break

    wanted = [gap for gap in gaps if gap.state == "open" and gap.from_time < HIGH and gap.to_time > LOW]
    assert after is None
    assert found == sorted(wanted, key=lambda gap: (gap.from_time, gap.gap_id), reverse=descending)


@pytest.mark.parametrize("descending", [False, True])
def test_a_page_ends_where_enough_was_read(descending: bool) -> None:
    """Empty if need be; the next one goes on from there."""
    page = a_page([], after=None, descending=descending, limit=10, width_us=DAY_US, rows=MAX_ROWS + 1)
    edge = HIGH - DAY_US if descending else LOW + DAY_US
    assert page == GapPage(gaps=[], after=(EventTime(edge), ""))


def test_windows_follow_what_was_read() -> None:
    """Wider over empty years, narrower where much is told, within bounds."""
    walk = GapWalk(
        which=GapFilter(symbol="SPY"), low=LOW, high=EventTime(10**18), limit=1, descending=False,
        width_us=4 * DAY_US, most_rows=10**9,
    )  # fmt: skip
    widths = []
    for rows in (0, 0, HEAVY_ROWS + 1, HEAVY_ROWS, *[HEAVY_ROWS + 1] * 5, *[0] * 20):
        assert walk.take([], rows) is None
        widths.append(walk.width_us)
    assert [width // DAY_US for width in widths[:4]] == [8, 16, 8, 8]
    assert min(widths) == NARROWEST_US
    assert max(widths) == WIDEST_US
    assert bisect_left(widths, WIDEST_US, 9) < len(widths)


def test_the_first_window_holds_as_many_bars_of_any_interval() -> None:
    """Of a day's bars it may be years wide."""
    assert first_width_us(None) == first_width_us(["1d", "1m"]) == 10_000 * MINUTE_US
    assert first_width_us(["1d"]) == WIDEST_US
