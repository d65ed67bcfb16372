"""What nobody watched is claimed only while trades could happen, and only once."""

from __future__ import annotations

from schemas.calendar.sessions import calendar_of
from schemas.intervals import HOUR_US, MINUTE_US
from schemas.records import Discontinuity
from stream_processors.discontinuities import unseen_ranges
from tests.support.builders import NINE_THIRTY

SPY = calendar_of("SPY")
POST_CLOSE = NINE_THIRTY + 10 * HOUR_US + 30 * MINUTE_US  # 20:00
PRE_OPEN = POST_CLOSE + 8 * HOUR_US  # 04:00


def unseen(seen_to: int | None, from_time: int | None, to_time: int) -> list[tuple[int, int]]:
    """Return the unseen ranges of SPY's trades."""
    told = Discontinuity(
        symbol="SPY", interval="", from_time=from_time, to_time=to_time, cause="producer_down"
    )
    return unseen_ranges(SPY, seen_to, told)


def test_the_later_of_last_event_and_the_producers_word_begins_it() -> None:
    """Neither can be right about the time before it."""
    end = NINE_THIRTY + MINUTE_US

    assert unseen(NINE_THIRTY, None, end) == [(NINE_THIRTY, end)]
    assert unseen(None, NINE_THIRTY, end) == [(NINE_THIRTY, end)]
    assert unseen(NINE_THIRTY + 5, NINE_THIRTY, end) == [(NINE_THIRTY + 5, end)]
    assert unseen(NINE_THIRTY, NINE_THIRTY + 5, end) == [(NINE_THIRTY + 5, end)]


def test_nothing_known_claims_nothing() -> None:
    """A stream nobody ever saw has no hole."""
    assert unseen(None, None, NINE_THIRTY) == []
    assert unseen(NINE_THIRTY, None, NINE_THIRTY) == []


def test_closed_hours_are_left_out() -> None:
    """A night between is two ranges; a night alone is none."""
    assert unseen(POST_CLOSE - 5, None, PRE_OPEN + 5) == [
        (POST_CLOSE - 5, POST_CLOSE),
        (PRE_OPEN, PRE_OPEN + 5),
    ]
    assert unseen(POST_CLOSE, None, PRE_OPEN) == []
