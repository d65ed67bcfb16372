"""Problem documents."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from gateway.http.problems import (
    ANY_STATUS,
    FIELD_ERRORS,
    PROBLEMS,
    TITLES,
    FieldError,
    Problem,
    about,
    invalid,
    invalid_field,
    unknown_symbol,
)
from schemas.errors import AmbiguousSymbol

GATEWAY = Path(__file__).parents[4] / "gateway"
CODE_OF = {"Problem": "code", "about": 1, "AccessDenied": 0}  # where the code of a problem stands in a call
WORD_OF = {"FieldError": "code", "invalid_field": 1, "_wrong": 1, "Complaint": 0, "BadMoment": 0, "Word": 1}
GIVEN_BY_OTHERS = {AmbiguousSymbol.reason}  # a word of an error of the vocabulary
GIVEN_BY_STATUS = {"bad_request", "unknown_path", "method_not_allowed", "upgrade_required", "http_error"}


def literals(of: dict[str, int | str]) -> Iterator[str]:
    """Yield every literal code in the calls of the gateway."""
    for module in GATEWAY.rglob("*.py"):
        for call in (
            node for node in ast.walk(ast.parse(module.read_text("utf-8"))) if isinstance(node, ast.Call)
        ):
            where = of.get(
                call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            )
            given = [word.value for word in call.keywords if word.arg == where]
            if isinstance(where, int) and len(call.args) > where:
                given.append(call.args[where])
            yield from (
                each.value for each in given if isinstance(each, ast.Constant) and isinstance(each.value, str)
            )


def test_a_problem_names_the_parameter_and_the_request() -> None:
    """The members of problem+json."""
    document = invalid_field("start", "no_zone", "add a zone").document("r1")
    assert document["errors"] == [{"param": "start", "code": "no_zone", "detail": "add a zone"}]
    assert (document["status"], document["request_id"], document["retryable"]) == (422, "r1", False)
    assert set(document) >= {"type", "title", "status", "code", "detail"}


def test_a_name_that_is_no_text_can_be_written() -> None:
    """JSON may name half of a surrogate pair."""
    (error,) = invalid_field("\ud800", "unknown_field", "no").document("r1")["errors"]
    assert orjson.dumps(error) and error["param"] == "\\ud800"


def test_several_wrong_parameters_are_all_named() -> None:
    """One request, one answer, every error."""
    problem = invalid(*(FieldError(param=p, code="c", detail=f"{p} is wrong") for p in ("a", "b")))
    assert [error.param for error in problem.errors] == ["a", "b"]
    assert problem.detail == "a is wrong"


def test_an_unknown_symbol_may_have_a_suggestion() -> None:
    """404, naming the symbol."""
    problem = unknown_symbol("APPL", suggestion="AAPL")
    assert (problem.status, problem.code) == (404, "unknown_symbol")
    assert "AAPL" in problem.detail


def test_a_problem_can_be_raised_and_shown() -> None:
    """It is an exception with a message."""
    assert str(Problem(code="busy", detail="come again", retry_after_s=1)) == "503 busy: come again"


def test_every_code_that_is_raised_is_in_its_table_and_the_other_way_round() -> None:
    """No problem without cause and remedy, and none that cannot come."""
    assert set(literals(CODE_OF)) | GIVEN_BY_STATUS == set(PROBLEMS)
    words = set(literals(WORD_OF)) | GIVEN_BY_OTHERS
    assert words - set(PROBLEMS) == set(FIELD_ERRORS)


@pytest.mark.parametrize("code", PROBLEMS)
def test_the_status_of_a_problem_is_its_codes(code: str) -> None:
    """Given only where a code stands for several."""
    status = PROBLEMS[code].status
    assert Problem(code=code, detail="d", status=status or 417).status == (status or 417)
    if status != ANY_STATUS:
        assert (
            Problem(code=code, detail="d").document("r")["title"]
            == PROBLEMS[code].title
            == TITLES.get(status, "Error")
        )


def test_a_code_that_is_in_no_table_cannot_be_raised() -> None:
    """It would have no remedy."""
    with pytest.raises(KeyError):
        Problem(code="nonsense", detail="d")


def test_a_problem_about_one_parameter_says_it_twice() -> None:
    """For people who read the detail, and for programs that read the errors."""
    problem = about("max_age_ms", "stale_value", "too old", retry_after_s=1, age_ms=7)
    document = problem.document("r")
    assert document["errors"] == [{"param": "max_age_ms", "code": "stale_value", "detail": "too old"}]
    assert (document["status"], document["retryable"], document["age_ms"]) == (503, True, 7)
