"""Requests of history: which parameter names the start of the range."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.market.bars_request import HISTORY, INTRADAY, bars_request
from schemas.calendar.sessions import load_calendar
from tests.support.builders import NINE_THIRTY

XNYS = load_calendar("XNYS")


@pytest.mark.parametrize(
    ("endpoint", "given", "named"),
    [
        (HISTORY, {"start": "2013-10-01"}, "start"),
        (INTRADAY, {"date": "2013-10-01"}, "date"),
        (HISTORY, {"period": "1mo"}, None),
        (HISTORY, {}, None),
    ],
    ids=str,
)
def test_the_start_is_named_or_reached_back_to(
    endpoint: Any, given: dict[str, str], named: str | None
) -> None:
    """Of a start that is named what is no longer kept is refused."""
    assert bars_request(endpoint, "SPY", given.items(), XNYS, NINE_THIRTY).start_given == named
