"""A body whose members are declared as a query's parameters: read alike, and everything wrong named at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gateway.http.bodies import MOST_UNKNOWN, body_schema, read_body
from gateway.http.endpoints import Query, parameter
from gateway.http.moments import parse_moment
from gateway.http.parameters import Moment, OneOf, Symbol
from gateway.http.problems import Problem

EXAMPLE = '{"name": "SPY"}'
NEEDED = ("name", "since")


@dataclass(frozen=True, kw_only=True)
class Toy(Query):
    """A body of a name, a moment and a word that need not be said."""

    name: str = parameter(Symbol(), "Whose.", default="")
    since: int | None = parameter(Moment(dates=True), "Since when.", unit="RFC 3339")
    size: str = parameter(OneOf(("small", "large")), "How large.", default="small")


def venue(members: Mapping[str, Any]) -> str:
    """Return where bare dates are of."""
    return "Asia/Tokyo" if members.get("name") == "SONY" else "America/New_York"


def read(text: str | bytes) -> Toy:
    """Read a body."""
    body = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return read_body(Toy, body, required=NEEDED, example=EXAMPLE, timezone_of=venue)


def complaints(text: str | bytes) -> list[tuple[str, str]]:
    """Return what is wrong with a body."""
    with pytest.raises(Problem) as problem:
        read(text)
    json.dumps(problem.value.document("r")).encode()
    return [(error.param, error.code) for error in problem.value.errors]


def test_members_are_read_as_declared_and_dates_are_of_the_venue_named() -> None:
    """Null is as good as left out where it may be left out."""
    asked = read('{"name": "SONY", "since": "2013-10-07", "size": null}')
    assert (asked.name, asked.size) == ("SONY", "small")
    assert (
        asked.since
        == parse_moment("2013-10-07", "Asia/Tokyo")
        != parse_moment("2013-10-07", "America/New_York")
    )


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ("{}", [("name", "missing_field"), ("since", "missing_field")]),
        ('{"name": 7, "since": null, "size": ["small"], "nmae": "SPY"}', [
            ("name", "not_text"), ("since", "not_text"), ("size", "not_text"), ("nmae", "unknown_field"),
        ]),
        ('{"name": "spy", "since": "soon", "size": "huge"}', [
            ("name", "not_a_symbol"), ("since", "not_a_time"), ("size", "not_a_choice"),
        ]),
        ('{"name": "A", "since": "2013-10-07", "name": "B"}', [("name", "repeated_parameter")]),
        ('{"name": {"name": "A"}, "since": true}', [("name", "not_text"), ("since", "not_text")]),
        ("[]", [("body", "not_an_object")]),
        ("null", [("body", "not_an_object")]),
        ('"{}"', [("body", "not_an_object")]),
        ("{", [("body", "not_json")]),
        ("", [("body", "not_json")]),
        (b"\xff\xfe", [("body", "not_json")]),
        ("[" * 100_000, [("body", "not_json")]),
        ('{"since": ' + "9" * 5_000 + "}", [("body", "not_json")]),
    ],
)  # fmt: skip
def test_everything_wrong_is_named_at_once(body: str | bytes, wrong: list[tuple[str, str]]) -> None:
    """Whatever was sent, the answer can be written."""
    assert complaints(body) == wrong


def test_a_name_that_is_no_text_can_be_answered() -> None:
    """Half of a surrogate pair is JSON and no UTF-8."""
    body = r'{"name": "A", "since": "2013-10-07", "\ud800": "1"}'
    with pytest.raises(Problem) as problem:
        read(body)
    (error,) = problem.value.document("r")["errors"]
    assert (error["param"], error["code"]) == (r"\ud800", "unknown_field")


def test_of_very_many_strange_members_the_first_are_told() -> None:
    """Finding out what each was meant for must not hold everybody else up."""
    many = {f"nam{number}": "1" for number in range(5_000)}
    found = complaints(json.dumps({**many, "name": "SPY", "since": "2013-10-07"}))
    assert found == [(f"nam{number}", "unknown_field") for number in range(MOST_UNKNOWN)]


def test_the_schema_takes_what_is_read_and_says_what_is_left_out() -> None:
    """Of the same declaration."""
    schema = body_schema(Toy, NEEDED)
    assert schema["required"] == ["name", "since"]
    assert schema["properties"]["size"]["default"] == "small"
    assert "default" not in schema["properties"]["name"]
    assert "Unit: RFC 3339." in schema["properties"]["since"]["description"]
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"name": "SPY", "since": "2013-10-07"})
    assert not validator.is_valid({"name": "SPY"}) and not validator.is_valid(
        {"name": "SPY", "since": "x", "y": 1}
    )
