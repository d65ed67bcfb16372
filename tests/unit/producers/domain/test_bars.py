"""Where bars start, when days are final, and which values may not pass."""

from __future__ import annotations

import pytest

from producers.domain.bars import BarOrigin, BarRow, bar_events, bar_start, refused
from producers.domain.polling import PollWindow
from schemas.calendar import calendar_of
from schemas.errors import InvalidRecord
from schemas.intervals import HOUR_US, MINUTE_US, SECOND_US
from tests.unit.producers.vendor_payloads import NINE_THIRTY_S

START = NINE_THIRTY_S * SECOND_US
SPY = calendar_of("SPY")


def daily(rows, *, now):
    origin = BarOrigin(
        symbol="SPY", interval="1d", window=PollWindow(start=0, end=2**60), now=now, calendar=SPY, adjustment_state="split"
    )  # fmt: skip
    return bar_events(
        [BarRow(time=time_s * SECOND_US, values=values) for time_s, values in rows], origin
    ).events


@pytest.mark.parametrize(
    ("interval", "moment", "expected"),
    [
        pytest.param("1m", START + 59 * SECOND_US, START, id="minute"),
        pytest.param("15m", START + 20 * MINUTE_US, START + 15 * MINUTE_US, id="quarter"),
        pytest.param("1d", START + 5 * HOUR_US, START, id="day"),
    ],
)
def test_a_bar_starts_where_its_slot_does(interval: str, moment: int, expected: int) -> None:
    """Intraday bars are counted by the clock; a day starts at its regular open."""
    assert bar_start(moment, interval, SPY) == expected


def test_an_interval_nobody_polls_is_refused() -> None:
    """The message names what would be right."""
    with pytest.raises(InvalidRecord, match="1m"):
        bar_start(START, "1wk", SPY)


def test_the_day_in_progress_replaces_its_earlier_row_and_is_final_at_the_close() -> None:
    """Yahoo repeats the date of the running day; the later row wins, and the close settles it."""
    rows = [(NINE_THIRTY_S, (1, 2, 1, 2, 5)), (NINE_THIRTY_S + 3600, (1, 3, 1, 3, 9))]

    (forming,) = daily(rows, now=START + HOUR_US)
    (settled,) = daily(rows, now=START + 7 * HOUR_US)

    assert (forming["event_time"], forming["close"], forming["final"]) == (START, 3, False)
    assert settled["final"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.01])
def test_values_nobody_traded_at_are_refused(value: float) -> None:
    """NaN, infinity and negative prices never pass the border."""
    assert refused({"close": 1.0, "open": value})
    assert refused({"close": 0.0}) is None
