"""A query is read as its endpoint declares it: every complaint, at once, in published words and to the letter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from gateway.http.endpoints import MOST_UNKNOWN, Query, defaults_of, parameter, parameters_of, parse
from gateway.http.parameters import AnyText, Moment, OneOf, Whole
from gateway.http.problems import FieldError, Problem
from tests.support.queries import ENDPOINTS, SEEDS, digest, outcome

PUBLISHED: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("complaints.yaml").read_text("utf-8"))


@dataclass(frozen=True, kw_only=True)
class ToyQuery(Query):
    """A query with a range, a length that stands for it, and a rule across two parameters."""

    reads_first: ClassVar[tuple[str, ...]] = ("day",)

    start: int | None = parameter(Moment(), "Begin.")
    end: int | None = parameter(Moment(), "End.", after="start")
    length: str | None = parameter(OneOf(("1d", "1mo")), "Instead of a begin.", not_with=("start",))
    limit: int = parameter(Whole(1, 10), "Most rows.", unit="rows", default=5)
    day: str | None = parameter(AnyText(), "Instead of all of them.", not_with=("length", "start", "end"))

    def complaints(self) -> Iterable[FieldError]:
        """Refuse seven."""
        if self.limit == 7:
            yield FieldError(param="limit", code="out_of_range", detail="seven is too many")


def complaints(*pairs: tuple[str, str]) -> list[tuple[str, str]]:
    """Return (parameter, word) of everything wrong with a query, in order."""
    with pytest.raises(Problem) as problem:
        parse(ToyQuery, pairs)
    assert (problem.value.status, problem.value.code) == (422, "invalid_parameter")
    return [(error.param, error.code) for error in problem.value.errors]


def test_what_is_absent_is_its_default_and_what_is_given_is_kept() -> None:
    """By name, for page tokens."""
    assert parse(ToyQuery, []) == ToyQuery()
    assert defaults_of(ToyQuery)["limit"] == ToyQuery().limit == 5
    query = parse(ToyQuery, [("limit", "3"), ("day", "x")])
    assert (query.limit, query.day, dict(query.given)) == (3, "x", {"limit": "3", "day": "x"})


def test_every_error_is_collected_before_any_is_raised() -> None:
    """A caller fixes them all at once: unknown and repeated ones first, then in the order of reading."""
    assert complaints(("limit", "0"), ("lenght", "1d"), ("start", "soon"), ("limit", "2")) == [
        ("lenght", "unknown_parameter"), ("limit", "repeated_parameter"), ("start", "not_a_time"), ("limit", "out_of_range"),
    ]  # fmt: skip


def test_a_rule_across_parameters_is_judged_with_the_others() -> None:
    """After them."""
    assert complaints(("limit", "7"), ("nope", "1")) == [
        ("nope", "unknown_parameter"),
        ("limit", "out_of_range"),
    ]


def test_two_that_exclude_each_other_are_one_complaint() -> None:
    """What is read later is not read at all; what was read before is judged."""
    assert complaints(("start", "soon"), ("length", "1d")) == [
        ("length", "conflict"),
        ("start", "not_a_time"),
    ]
    assert complaints(("start", "soon"), ("length", "nonsense"), ("day", "x")) == [("day", "conflict")]


def test_an_end_lies_behind_its_start() -> None:
    """The end is exclusive."""
    moment = "2013-10-07T09:30:00Z"
    assert complaints(("start", moment), ("end", moment)) == [("end", "inverted_range")]


def test_parameters_are_listed_in_the_order_of_their_fields() -> None:
    """Whatever the order they are read in."""
    assert list(parameters_of(ToyQuery)) == ["start", "end", "length", "limit", "day"]
    assert parameters_of(Query) == {}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_what_is_made_of_eight_thousand_queries_stays_to_the_letter(endpoint: str) -> None:
    """Requests and complaints, as they were when they were first published."""
    assert [digest(endpoint, seed) for seed in range(SEEDS)] == PUBLISHED["hashes"][endpoint].split()


@pytest.mark.parametrize("sample", PUBLISHED["samples"], ids=lambda sample: sample["endpoint"])
def test_complaints_read_as_published(sample: dict[str, Any]) -> None:
    """Some of them in full, for people."""
    asked = sample["asked"]
    asked = (
        asked.encode() if isinstance(asked, str) else [tuple(a) if isinstance(a, list) else a for a in asked]
    )
    found = outcome(sample["endpoint"], sample["symbol"], asked)
    assert [f"{each['param']} {each['code']}: {each['detail']}" for each in found["errors"]] == sample[
        "complaints"
    ]


def test_of_many_strange_parameters_only_the_first_are_told_of() -> None:
    """Each is compared with those there are; how many more there were is said."""
    found = complaints(*((f"limits{number}", "1") for number in range(1_000)))
    assert len(found) == MOST_UNKNOWN + 1
    assert found[0] == ("limits0", "unknown_parameter")
    assert found[-1] == ("", "unknown_parameter")
    assert len(complaints(*[("limit", "1")] * 1_000)) == MOST_UNKNOWN + 1
