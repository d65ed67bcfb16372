"""Windows and positions: nothing is skipped, nothing unchanged is repeated, only delivery moves the position."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.polling.position import (
    MAX_DAILY_SPAN_US,
    MAX_INTRADAY_SPAN_US,
    MAX_SPAN_US,
    BarsPosition,
    changed,
    delivered,
    is_caught_up,
    next_window,
)
from producers.vendors.answers import PollWindow
from schemas.deriving import Field, content, own_fields
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US
from schemas.streams import BAR_STREAM
from tests.support.builders import NINE_THIRTY, a_bar_event

OVERLAP = 5 * MINUTE_US
STEP = MINUTE_US


def window_of(bars: BarsPosition, now: int) -> PollWindow:
    return next_window(bars, now, step_us=STEP, overlap_us=OVERLAP)


def move(bars: BarsPosition, window: PollWindow, events, now: int) -> BarsPosition:
    return delivered(bars, window, events, now, step_us=STEP, overlap_us=OVERLAP)


def bars_at(*minutes: int, **changes):
    return [a_bar_event(event_time=NINE_THIRTY + minute * MINUTE_US, **changes) for minute in minutes]


def test_a_window_begins_with_the_overlap_and_holds_the_minute_in_progress() -> None:
    """From five minutes before the position to the end of the running minute, in whole minutes."""
    now = NINE_THIRTY + 10 * MINUTE_US + 1

    window = window_of(BarsPosition(position=NINE_THIRTY + 10 * MINUTE_US), now)

    assert window == PollWindow(start=NINE_THIRTY + 5 * MINUTE_US, end=NINE_THIRTY + 11 * MINUTE_US)
    assert is_caught_up(window, now)


def test_a_backlog_is_walked_in_windows_a_vendor_accepts() -> None:
    """Twenty days are more than one request may ask for."""
    bars, now, windows = BarsPosition(position=NINE_THIRTY), NINE_THIRTY + 20 * DAY_US, []
    while not windows or not is_caught_up(windows[-1], now):
        windows.append(window_of(bars, now))
        bars = move(bars, windows[-1], [], now)

    assert len(windows) == 3
    assert all(window.end - window.start <= MAX_SPAN_US for window in windows)
    assert all(after.start <= before.end for before, after in pairwise(windows))


def test_an_unchanged_bar_is_not_news() -> None:
    """What was delivered is published again only where it says something else."""
    now = NINE_THIRTY + 3 * MINUTE_US
    bars = BarsPosition(position=NINE_THIRTY)
    bars = move(bars, window_of(bars, now), bars_at(0, 1, 2), now)
    corrected = bars_at(1, close=167.99)

    assert changed(bars, bars_at(0, 1, 2)) == []
    assert changed(bars, [*bars_at(0), *corrected, *bars_at(3)]) == [*corrected, *bars_at(3)]


def test_a_bar_that_differs_in_the_day_of_its_shares_alone_is_not_news() -> None:
    """Or every bar in reach would be published again with the first poll of a day."""
    now = NINE_THIRTY + 3 * MINUTE_US
    bars = BarsPosition(position=NINE_THIRTY)
    bars = move(
        bars, window_of(bars, now), bars_at(0, adjustment_state="split", adjusted_through=16_227), now
    )

    assert changed(bars, bars_at(0, adjustment_state="split", adjusted_through=16_228)) == []


def test_a_bar_whose_session_alone_changed_is_news() -> None:
    """A vendor that moves a bar from the session to the hours after it corrects what is stored."""
    now = NINE_THIRTY + 3 * MINUTE_US
    bars = BarsPosition(position=NINE_THIRTY)
    bars = move(bars, window_of(bars, now), bars_at(0, 1, session="regular"), now)

    assert changed(bars, bars_at(0, session="regular") + bars_at(1, session="post")) == bars_at(
        1, session="post"
    )


@pytest.mark.parametrize(
    "field", [f for f in own_fields(BAR_STREAM) if f.name in content(BAR_STREAM)], ids=lambda f: f.name
)
def test_a_bar_that_differs_in_anything_it_says_is_news(field: Field) -> None:
    """Whatever the processor would take for a new version must reach it."""
    now = NINE_THIRTY + 3 * MINUTE_US
    bars = BarsPosition(position=NINE_THIRTY)
    (before,) = bars_at(0)
    bars = move(bars, window_of(bars, now), [before], now)
    other = {"double": 1.5, "long": 7, "boolean": False, "string": "EUR"}
    value = (
        other.get(field.kind)
        if field.kind != "enum"
        else next(s for s in field.symbols if s != before[field.name])
    )

    assert changed(bars, [before | {field.name: value}]) == [before | {field.name: value}]


def test_a_forming_bar_that_becomes_final_is_news() -> None:
    """The last version of a bar differs from the one before it by `final` alone."""
    now = NINE_THIRTY + 30_000_000
    bars = BarsPosition(position=NINE_THIRTY)
    bars = move(bars, window_of(bars, now), bars_at(0, final=False), now)

    assert changed(bars, bars_at(0, final=True)) == bars_at(0, final=True)


def test_a_delayed_feed_is_not_skipped_over() -> None:
    """Bars that a vendor shows a quarter of an hour late are still asked for."""
    bars, shown = BarsPosition(position=NINE_THIRTY), set()
    for minute in range(120):
        now = NINE_THIRTY + minute * MINUTE_US
        window = window_of(bars, now)
        events = [
            event
            for event in bars_at(*range(max(0, minute - 15)))
            if window.start <= event["event_time"] < window.end
        ]
        shown |= {event["event_time"] for event in changed(bars, events)}
        bars = move(bars, window, events, now)

    assert shown == {NINE_THIRTY + minute * MINUTE_US for minute in range(104)}


def test_a_backlog_that_ends_near_the_present_does_not_skip_a_delayed_feed() -> None:
    """A full window that stops minutes before now says nothing about minutes the vendor has yet to show."""
    bars = BarsPosition(position=NINE_THIRTY + OVERLAP)
    now = NINE_THIRTY + MAX_SPAN_US + 10 * MINUTE_US
    window = window_of(bars, now)
    shown = [a_bar_event(event_time=now - 30 * MINUTE_US)]

    moved = move(bars, window, shown, now)

    assert not is_caught_up(window, now)
    assert moved.position == now - 29 * MINUTE_US


def test_a_symbol_that_never_trades_asks_for_no_more_than_a_request_holds() -> None:
    """The window of a silent symbol stops growing at what the vendor accepts."""
    bars, windows = BarsPosition(position=NINE_THIRTY), []
    for minute in range(0, 8 * 24 * 60, 5):
        now = NINE_THIRTY + minute * MINUTE_US
        windows.append(window_of(bars, now))
        bars = move(bars, windows[-1], [], now)

    assert max(window.end - window.start for window in windows) == MAX_SPAN_US
    assert all(after.start <= before.end for before, after in pairwise(windows))
    assert is_caught_up(windows[-1], now)


def test_what_is_remembered_is_bounded_by_the_overlap() -> None:
    """After a long backlog only the bars that are asked for again are kept."""
    now = NINE_THIRTY + 900 * MINUTE_US
    bars = BarsPosition(position=NINE_THIRTY)
    bars = move(bars, window_of(bars, now), bars_at(*range(900)), now)

    assert len(bars.delivered) <= OVERLAP // STEP + 1


@settings(max_examples=50, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(1, 3 * 24 * 60), st.booleans()), min_size=1, max_size=40),
    delay=st.integers(0, 59),
)
def test_every_bar_is_published_whatever_polls_fail(steps: list[tuple[int, bool]], delay: int) -> None:
    """Over any schedule of polls that fail, each bar the vendor shows (up to an hour late) is delivered."""
    bars, now, published = BarsPosition(position=NINE_THIRTY), NINE_THIRTY, set()
    walk = [(1, True)] * (2 + sum(minutes for minutes, _ in steps) * MINUTE_US // (MAX_SPAN_US - OVERLAP))
    for minutes, confirmed in [*steps, *walk]:
        now += minutes * MINUTE_US
        window = window_of(bars, now)
        shown = range(max(window.start, NINE_THIRTY), min(window.end, now - delay * MINUTE_US), 7 * STEP)
        first = -(-(shown.start - NINE_THIRTY) // (7 * STEP)) * 7 * STEP + NINE_THIRTY
        events = [a_bar_event(event_time=moment) for moment in range(first, shown.stop, 7 * STEP)]
        if not confirmed:  # fetched, but Kafka did not confirm: nothing may be remembered
            continue
        news = changed(bars, events)
        published |= {event["event_time"] for event in news}
        moved = move(bars, window, events, now)
        assert bars.position <= moved.position <= now
        bars = moved

    assert published == set(range(NINE_THIRTY, now - delay * MINUTE_US, 7 * STEP))


@pytest.mark.parametrize(
    ("step", "span"),
    [
        pytest.param(MINUTE_US, MAX_SPAN_US, id="1m"),
        pytest.param(5 * MINUTE_US, MAX_INTRADAY_SPAN_US, id="5m"),
        pytest.param(HOUR_US, MAX_INTRADAY_SPAN_US, id="1h"),
        pytest.param(DAY_US, MAX_DAILY_SPAN_US, id="1d"),
    ],
)
def test_a_backlog_of_longer_bars_is_walked_in_longer_windows(step: int, span: int) -> None:
    """Two spans of nothing, in windows no vendor refuses, without a hole between them."""
    overlap, bars = 2 * step, BarsPosition(position=NINE_THIRTY)
    now, windows = NINE_THIRTY + 2 * span, list[PollWindow]()
    while not windows or not is_caught_up(windows[-1], now):
        windows.append(next_window(bars, now, step_us=step, overlap_us=overlap))
        bars = delivered(bars, windows[-1], [], now, step_us=step, overlap_us=overlap)

    assert len(windows) <= 8  # what an hour has not settled is walked bar by bar
    assert max(window.end - window.start for window in windows) == span
    assert all(after.start <= before.end for before, after in pairwise(windows))


def test_a_daily_bar_is_asked_for_until_it_is_final_whatever_day_follows() -> None:
    """Friday's bar, final at its close, and Monday's are both in Monday's window, over a change of the clocks too."""
    friday, monday = NINE_THIRTY + 4 * DAY_US, NINE_THIRTY + 7 * DAY_US + HOUR_US
    bars = BarsPosition(position=friday)
    bars = delivered(
        bars,
        PollWindow(start=friday - DAY_US, end=friday + DAY_US),
        [a_bar_event(event_time=friday, interval="1d")],
        friday + 8 * HOUR_US,
        step_us=DAY_US,
        overlap_us=2 * DAY_US,
    )
    window = next_window(bars, monday, step_us=DAY_US, overlap_us=2 * DAY_US)

    assert window.start <= friday
    assert window.start % DAY_US == 0
    assert monday < window.end <= monday + DAY_US
