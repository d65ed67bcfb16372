"""What a caller of price and batch asks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.bodies import MOST_UNKNOWN
from gateway.http.problems import Problem
from gateway.market.price_request import MAX_BATCH_SYMBOLS, PRICE, batch_request


def wrong(call: Any) -> set[tuple[str, str]]:
    with pytest.raises(Problem) as problem:
        call()
    return {(error.param, error.code) for error in problem.value.errors}


def test_price_has_an_age_limit_in_milliseconds() -> None:
    """None without it; below nothing is not an age."""
    assert PRICE.parse([("max_age_ms", "500")]).max_age_ms == 500
    assert PRICE.parse([]).max_age_ms is None
    assert wrong(lambda: PRICE.parse([("max_age_ms", "-5")])) == {("max_age_ms", "out_of_range")}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"{", ("body", "not_json")),
        (b"[]", ("body", "not_an_object")),
        (b"{}", ("symbols", "out_of_range")),
        (b'{"symbols": []}', ("symbols", "out_of_range")),
        (json.dumps({"symbols": ["A"] * (MAX_BATCH_SYMBOLS + 1)}).encode(), ("symbols", "out_of_range")),
        (b'{"symbols": ["SPY", 7]}', ("symbols[1]", "not_a_symbol")),
        (b'{"symbols": ["SPY"], "field": []}', ("field", "unknown_field")),
        (b'{"symbols": ["SPY"], "fields": []}', ("fields", "not_a_list")),
        (b'{"symbols": ["SPY"], "fields": ["price", "prise"]}', ("fields[1]", "unknown_field")),
        (b'{"symbols": ["SPY"], "as_of": "2013-10-07"}', ("as_of", "not_a_time")),
        (b'{"symbols": ["SPY"], "as_of": 7}', ("as_of", "not_a_time")),
    ],
)
def test_each_wrong_member_of_a_batch_is_named(body: bytes, error: tuple[str, str]) -> None:
    """By its place."""
    assert wrong(lambda: batch_request(body)) == {error}


@pytest.mark.parametrize(
    "wrong", [{"fields": ["prise"] * 8_000}, {f"fields{number}": 1 for number in range(6_000)}]
)
def test_of_very_many_strange_names_the_first_are_told(wrong: dict[str, Any]) -> None:
    """Finding out what each was meant for must not hold everybody else up."""
    with pytest.raises(Problem) as problem:
        batch_request(json.dumps({"symbols": ["SPY"], **wrong}).encode())
    assert [error.code for error in problem.value.errors] == ["unknown_field"] * MOST_UNKNOWN


def test_a_batch_names_each_symbol_once() -> None:
    """Asked twice, answered once, in order."""
    assert batch_request(b'{"symbols": ["B", "A", "B"]}').symbols == ["B", "A"]


@given(st.binary(max_size=200) | st.just(b"[" * 70_000))
def test_any_body_is_a_batch_or_a_problem(body: bytes) -> None:
    """Nothing else is raised."""
    try:
        batch_request(body)
    except Problem as problem:
        assert problem.status in (400, 422)
