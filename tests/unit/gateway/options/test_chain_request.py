"""What may be asked of chains."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.http.problems import FIELD_ERRORS, PROBLEMS, Problem
from gateway.options.chain_columns import COLUMN_NAMES
from gateway.options.chain_request import CHAIN


def complaints(*pairs: tuple[str, str]) -> list[tuple[str, str, str]]:
    """Return parameter, word and sentence of everything wrong with a query."""
    with pytest.raises(Problem) as raised:
        CHAIN.parse(pairs)
    assert (raised.value.status, raised.value.code) == (422, "invalid_parameter")
    assert all(each.code in FIELD_ERRORS for each in raised.value.errors)
    return [(each.param, each.code, each.detail) for each in raised.value.errors]


def test_without_parameters_the_whole_chain_is_meant_as_it_is_now() -> None:
    """A thousand rows of it, without contracts that deliver something else."""
    ask = CHAIN.parse([])

    assert (ask.expiry, ask.min_strike, ask.right, ask.moneyness, ask.root, ask.as_of) == (None,) * 6
    assert (ask.status, ask.adjusted, ask.layout, ask.format) == ("all", "exclude", "rows", "json")
    assert (ask.limit, ask.max_age_s) == (1_000, 1_200)


def test_everything_that_is_asked_is_read() -> None:
    """In one query."""
    ask = CHAIN.parse(
        [
            ("min_expiry", "2016-01-15"), ("max_expiry", "2016-01-15"), ("min_strike", "700"), ("max_strike", "700"), ("right", "P"),
            ("moneyness", "0.8,1.2"), ("root", "SPXW"), ("status", "ok"), ("provider", "polygon"), ("as_of", "2015-12-24T18:00:00Z"),
            ("max_age_s", "60"), ("adjusted", "include"), ("layout", "columns"), ("limit", "5000"),
        ]
    )  # fmt: skip

    assert (ask.min_expiry, ask.max_expiry) == (date(2016, 1, 15), date(2016, 1, 15))
    assert (ask.min_strike, ask.max_strike, ask.right, ask.moneyness) == (700.0, 700.0, "P", (0.8, 1.2))
    assert (ask.root, ask.status, ask.provider, ask.as_of) == ("SPXW", "ok", "polygon", 1_450_980_000_000_000)
    assert (ask.max_age_s, ask.adjusted, ask.layout, ask.limit) == (60, "include", "columns", 5_000)


def test_columns_are_all_but_those_that_take_longer_unless_some_are_named() -> None:
    """In the order of the declaration, whatever the order asked for."""
    assert set(COLUMN_NAMES) - set(CHAIN.parse([]).columns) == {"iv_bid", "iv_ask"}
    assert set(CHAIN.parse([]).columns) - set(CHAIN.parse([("greeks", "false")]).columns) == {
        "delta", "gamma", "vega", "theta", "rho",
    }  # fmt: skip
    some = CHAIN.parse([("fields", "iv_ask,strike,iv")])
    assert (some.columns, some.with_sides) == (("strike", "iv", "iv_ask"), True)
    assert not CHAIN.parse([]).with_sides


@pytest.mark.parametrize(
    ("pairs", "param", "code", "remedy"),
    [
        (
            [("min_expiry", "2016-02-01"), ("max_expiry", "2016-01-15")],
            "max_expiry",
            "inverted_range",
            "exchange",
        ),
        (
            [("min_strike", "800"), ("max_strike", "700.5")],
            "max_strike",
            "inverted_range",
            "below min_strike 800.0",
        ),
        ([("expiry", "2016-01-15"), ("min_expiry", "2016-01-15")], "expiry", "conflict", "use one of them"),
        ([("expiry", ",".join(f"20{year}-01-15" for year in range(20, 71)))], "expiry", "out_of_range", "50"),
        ([("fields", "strike,dleta")], "fields", "not_a_choice", "did you mean delta?"),
        ([("fields", "iv"), ("greeks", "true")], "greeks", "conflict", "leave greeks out"),
        ([("right", "call")], "right", "not_a_choice", "use one of: C P"),
        ([("root", "spxw")], "root", "not_a_symbol", "SPXW"),
        ([("format", "csv"), ("layout", "columns")], "layout", "conflict", "format=json"),
        ([("limit", "5001")], "limit", "out_of_range", "1 to 5000"),
        ([("max_age_s", "0")], "max_age_s", "out_of_range", "1 to"),
        ([("moneynes", "0.8,1.2")], "moneynes", "unknown_parameter", "did you mean moneyness?"),
    ],
)
def test_what_is_wrong_is_told_with_what_would_be_right(
    pairs: list[tuple[str, str]], param: str, code: str, remedy: str
) -> None:
    """One complaint a fault."""
    ((told, word, detail),) = complaints(*pairs)

    assert (told, word) == (param, code)
    assert remedy in detail


def test_all_that_is_wrong_is_told_at_once() -> None:
    """Each by its name."""
    found = complaints(("expiry", "soon"), ("status", "good"), ("greeks", "yes"), ("min_strike", "x"))

    assert {param for param, _, _ in found} == {"expiry", "status", "greeks", "min_strike"}


def test_what_can_go_wrong_is_of_the_published_table() -> None:
    """Each problem is a word of it."""
    assert set(CHAIN.problems) <= PROBLEMS.keys()
