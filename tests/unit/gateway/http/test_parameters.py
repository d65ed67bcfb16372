"""Query parameters, parsed once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.parameters import Parameters, checked_symbol, closest
from gateway.http.problems import Problem


def test_every_error_is_collected_before_any_is_raised() -> None:
    """A caller fixes them all at once."""
    query = Parameters([("limit", "0"), ("sort", "up"), ("nope", "1"), ("limit", "2")], ("limit", "sort"))
    query.integer("limit", 1, 10, 5)
    query.choice("sort", ("asc", "desc"), "asc")
    with pytest.raises(Problem) as problem:
        query.check()
    assert sorted((e.param, e.code) for e in problem.value.errors) == [
        ("limit", "out_of_range"), ("limit", "repeated_parameter"), ("nope", "unknown_parameter"),
        ("sort", "not_a_choice"),
    ]  # fmt: skip


def test_an_unknown_parameter_names_the_closest() -> None:
    """A typo is an error, never a default."""
    query = Parameters([("intervall", "1d")], ("interval", "limit"))
    assert "did you mean interval?" in query.errors[0].detail


def test_absent_parameters_are_their_defaults() -> None:
    """And no error."""
    query = Parameters([], ("limit", "provider"))
    assert (query.integer("limit", 1, 10, 5), query.provider(), query.given()) == (5, None, {})
    query.check()


def test_best_is_no_provider_in_particular() -> None:
    """A name is itself."""
    assert Parameters([("provider", "best")], ("provider",)).provider() is None
    assert Parameters([("provider", "yahoo")], ("provider",)).provider() == "yahoo"


@pytest.mark.parametrize("symbol", ["SPY", "BRK.B", "^GSPC", "BTC-USD", "EURUSD=X", "ES=F"])
def test_symbols_of_every_market_are_accepted(symbol: str) -> None:
    """As vendors write them."""
    assert checked_symbol(symbol) == symbol


@pytest.mark.parametrize("symbol", ["", "spy", "A B", "-A", "A" * 33, "A;DROP", "А"])  # noqa: RUF001
def test_what_is_no_symbol_is_refused(symbol: str) -> None:
    """Naming the parameter."""
    with pytest.raises(Problem) as problem:
        checked_symbol(symbol)
    assert problem.value.errors[0].param == "symbol"


def test_a_lower_case_symbol_is_corrected_by_the_message() -> None:
    """Never silently."""
    with pytest.raises(Problem, match=r"did you mean SPY\?"):
        checked_symbol("spy")


@given(st.lists(st.tuples(st.text(), st.text())))
def test_any_query_is_parsed_or_refused(pairs: list[tuple[str, str]]) -> None:
    """Nothing else is raised."""
    query = Parameters([*pairs, ("start", "x")], ("limit", "start", "provider"))
    query.integer("limit", 1, 10, 5)
    query.moment("start", "UTC")
    query.provider()
    with pytest.raises(Problem):
        query.check()


def test_nothing_is_near_to_nonsense() -> None:
    """A suggestion is near or absent."""
    assert closest("qqqq", ("interval",)) is None
