"""What may be asked of macro series."""

from __future__ import annotations

import pytest

from gateway.entries.macro_request import MACRO, MACRO_HISTORY
from gateway.http.problems import Problem
from gateway.market.factors import MAX_SERIES


def test_series_are_named_by_key_or_alias_each_once() -> None:
    """The answer has the names that were asked for."""
    ask = MACRO.parse([("keys", "cpi,UST:10Y,cpi")])

    assert ask.keys == {"cpi": "FRED:CPIAUCSL", "UST:10Y": "UST:10Y"}
    assert (ask.knowledge, ask.units) == ("published", "lin")


@pytest.mark.parametrize(
    "keys",
    [
        "",
        "cpi,",
        "FRED:",
        "ust_11y",
        ",".join(f"FRED:A{n}" for n in range(MAX_SERIES + 1)),
        "FRED:X'; --",
        "x" * 5_000,
    ],
)
def test_what_is_no_series_is_told_with_what_would_be(keys: str) -> None:
    """However long it is, in a short answer."""
    with pytest.raises(Problem) as raised:
        MACRO.parse([("keys", keys)])
    (error,) = raised.value.errors
    assert (error.param, len(error.detail) < 300) == ("keys", True)


def test_a_history_is_of_the_newest_vintages_unless_others_are_asked_for() -> None:
    """As published."""
    ask = MACRO_HISTORY.parse([("revisions", "all"), ("limit", "3")])

    assert (ask.revisions, ask.limit, ask.units) == ("all", 3, "lin")
    assert MACRO_HISTORY.parse([]).revisions == "latest"
