"""Problem documents."""

from __future__ import annotations

from gateway.http.problems import FieldError, Problem, invalid, invalid_field, unknown_symbol


def test_a_problem_names_the_parameter_and_the_request() -> None:
    """The members of problem+json."""
    document = invalid_field("start", "no_zone", "add a zone").document("r1")
    assert document["errors"] == [{"param": "start", "code": "no_zone", "detail": "add a zone"}]
    assert (document["status"], document["request_id"], document["retryable"]) == (422, "r1", False)
    assert set(document) >= {"type", "title", "status", "code", "detail"}


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
    assert str(Problem(status=503, code="x", detail="come again", retry_after_s=1)) == "503 x: come again"
