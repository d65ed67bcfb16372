"""What a caller of the gaps and cursors asks."""

from __future__ import annotations

import pytest

from gateway.http.moments import EARLIEST_US, LATEST_US, parse_moment
from gateway.http.problems import Problem
from gateway.market.gaps_request import check_cursor, gaps_request


def test_without_parameters_all_gaps_of_all_time_are_asked_for() -> None:
    """Oldest first, a page of them."""
    ask = gaps_request([])
    assert (ask.symbol, ask.start, ask.end, ask.sort, ask.limit) == (
        None,
        EARLIEST_US,
        LATEST_US,
        "asc",
        1_000,
    )


def test_a_bare_date_is_of_the_symbols_venue() -> None:
    """And of UTC where no symbol is named."""
    assert gaps_request([("symbol", "SPY"), ("start", "2013-10-07")]).start == parse_moment(
        "2013-10-07", "America/New_York"
    )
    assert gaps_request([("start", "2013-10-07")]).start == parse_moment("2013-10-07", "UTC")


@pytest.mark.parametrize(
    ("pairs", "error"),
    [
        ([("state", "lost")], ("state", "not_a_choice")),
        ([("symbol", "spy"), ("state", "lost")], ("symbol", "not_a_symbol")),
        ([("start", "2013-10-08"), ("end", "2013-10-08")], ("end", "inverted_range")),
        ([("as_of", "2013-10-08T14:30:00Z")], ("as_of", "needs_symbol")),
        ([("symbol", "SPY"), ("as_of", "2013-10-08")], ("as_of", "not_a_time")),
    ],
)
def test_each_wrong_parameter_is_named(pairs: list[tuple[str, str]], error: tuple[str, str]) -> None:
    """A symbol that is none stands alone: without it the dates mean nothing."""
    with pytest.raises(Problem) as problem:
        gaps_request(pairs)
    assert [(each.param, each.code) for each in problem.value.errors] == [error]


def test_a_cursor_is_of_an_interval_or_a_channel_and_one_provider() -> None:
    """Both wrong parts are named at once; best is nobody's cursor but may be the name of one."""
    check_cursor("SPY", "quotes", "best")
    with pytest.raises(Problem) as problem:
        check_cursor("SPY", "2m", "Yahoo!")
    assert [each.param for each in problem.value.errors] == ["interval", "source"]
