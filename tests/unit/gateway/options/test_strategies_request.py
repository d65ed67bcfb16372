"""Questions about strategies."""

from __future__ import annotations

from datetime import date

import pytest
from jsonschema import Draft202012Validator

from analytics.strategies import NOT_ADVICE
from analytics.strategy_types import STRATEGY_TYPES, VIEWS
from gateway.http.openapi import openapi
from gateway.http.problems import Problem
from gateway.options.strategies_request import STRATEGIES


def test_without_parameters_the_best_twenty_of_all_are_meant() -> None:
    """Of up to four options, five listed strikes from each to the next."""
    ask = STRATEGIES.parse([])

    assert (ask.limit, ask.legs_max, ask.width_max) == (20, 4, 5)
    assert (ask.view, ask.expiry, ask.types, ask.max_loss, ask.max_margin, ask.min_pop) == (None,) * 6
    assert (ask.provider, ask.as_of) == (None, None)


def test_every_filter_is_read() -> None:
    """Types in the order they are listed, each once."""
    ask = STRATEGIES.parse(
        [
            ("view", "bullish"),
            ("expiry", "2016-01-15"),
            ("types", "collar,long_call,collar"),
            ("max_loss", "1000"),
            ("max_margin", "2500.50"),
            ("legs_max", "2"),
            ("width_max", "3"),
            ("min_pop", "0.6"),
            ("limit", "7"),
            ("provider", "polygon"),
            ("as_of", "2015-12-24T18:00:00Z"),
        ]
    )

    assert (ask.view, ask.expiry, ask.types) == ("bullish", (date(2016, 1, 15),), ("long_call", "collar"))
    assert (ask.max_loss, ask.max_margin, ask.min_pop) == (1_000.0, 2_500.5, 0.6)
    assert (ask.legs_max, ask.width_max, ask.limit) == (2, 3, 7)
    assert (ask.provider, ask.as_of) == ("polygon", 1_450_980_000_000_000)


@pytest.mark.parametrize(
    ("name", "given", "hint"),
    [
        ("view", "bulish", "did you mean bullish?"),
        ("types", "iron_condors", "did you mean iron_condor?"),
        ("types", "long_call,", "use one of: long_call"),
        ("min_pob", "0.5", "did you mean min_pop?"),
        ("min_pop", "60", "use a number of 0 to 1"),
        ("max_loss", "-500", "use a number of 0 to"),
        ("max_margin", "1e9", "use a number of 0 to"),
        ("legs_max", "5", "use a whole number of 1 to 4"),
        ("width_max", "0", "use a whole number of 1 to 20"),
        ("limit", "501", "use a whole number of 1 to 500"),
        ("expiry", "friday", "write it like 2026-03-02"),
    ],
)
def test_what_is_wrong_is_told_with_what_would_be_right(name: str, given: str, hint: str) -> None:
    """The parameter by its name, the nearest word."""
    with pytest.raises(Problem) as raised:
        STRATEGIES.parse([(name, given)])
    (error,) = raised.value.errors
    assert (raised.value.status, error.param) == (422, name)
    assert hint in error.detail


def test_all_that_is_wrong_is_told_at_once() -> None:
    """In the order in which a reader would look."""
    with pytest.raises(Problem) as raised:
        STRATEGIES.parse([("limit", "0"), ("types", "x"), ("view", "x"), ("min_pop", "x")])
    assert [each.param for each in raised.value.errors] == ["view", "types", "min_pop", "limit"]


def test_the_words_of_a_view_say_which_types_suit_it() -> None:
    """In the document every client reads; each type once."""
    document = openapi([STRATEGIES], "test")
    operation = document["paths"]["/options/{symbol}/strategies"]["get"]
    (view,) = (each for each in operation["parameters"] if each["name"] == "view")
    said = (
        view["description"].replace(";", ",").replace(".", ",").replace(":", ",").replace(" ", ",").split(",")
    )

    assert view["schema"]["enum"] == list(VIEWS)
    assert [said.count(each.name) for each in STRATEGY_TYPES] == [1] * len(STRATEGY_TYPES)


def test_the_answer_declares_that_it_is_no_advice() -> None:
    """As a word that must be there; amounts say that they are of a share."""
    document = openapi([STRATEGIES], "test")
    operation = document["paths"]["/options/{symbol}/strategies"]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    row = schema["properties"]["data"]["items"]

    Draft202012Validator.check_schema(schema)
    assert schema["properties"]["disclaimer"]["enum"] == [NOT_ADVICE]
    assert {"disclaimer", "data", "meta"} <= set(schema["required"])
    assert "model_version" in schema["properties"]["meta"]["required"]
    for amount in ("cost", "mid_entry", "max_profit", "max_loss", "expected_value", "margin"):
        assert row["properties"][amount]["description"].endswith("Unit: USD a share.")
