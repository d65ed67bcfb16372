"""The reader of PromQL that the tests of rules and of dashboards share."""

from __future__ import annotations

import pytest

from tests.support.promql import (
    Binary,
    Call,
    Constant,
    Matcher,
    Node,
    NotPromql,
    Selector,
    grouped_by,
    parsed,
    selectors,
)

X, Y, Z = Selector("x"), Selector("y"), Selector("m:r:z")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param(
            "sum by (a, b) (rate(x[5m])) > 0.5",
            Binary(">", Call("sum", ("a", "b"), (Call("rate", (), (Selector("x", range="[5m]"),)),)), Constant("0.5")),
            id="function",
        ),
        pytest.param(
            'x{a!="b {c}",d=~"e.+"}',
            Selector("x", (Matcher("a", "!=", "b {c}"), Matcher("d", "=~", "e.+"))),
            id="matchers",
        ),
        pytest.param("x offset 1h", Selector("x", offset="1h"), id="offset"),
        pytest.param("x[5m] offset 1h", Selector("x", range="[5m]", offset="1h"), id="range-and-offset"),
        pytest.param("x > y * 2", Binary(">", X, Binary("*", Y, Constant("2"))), id="strength"),
        pytest.param("x - y - 1", Binary("-", Binary("-", X, Y), Constant("1")), id="from-the-left"),
        pytest.param("x or y and m:r:z", Binary("or", X, Binary("and", Y, Z)), id="or-binds-least"),
        pytest.param("(x or y) unless m:r:z", Binary("unless", Binary("or", X, Y), Z), id="brackets"),
        pytest.param("x and on () (y == 1)", Binary("and", X, Binary("==", Y, Constant("1")), "on"), id="on-nothing"),
        pytest.param(
            "x < on (a) group_left (b) y", Binary("<", X, Y, "on", ("a",), ("b",)), id="many-to-one"
        ),
        pytest.param("x * ignoring (a) y", Binary("*", X, Y, "ignoring", ("a",)), id="ignoring"),
    ],
)  # fmt: skip
def test_an_expression_is_read_as_prometheus_reads_it(text: str, found: Node) -> None:
    """With what binds first, and which labels belong together."""
    assert parsed(text) == found


def test_what_an_expression_reads_and_goes_by_is_found() -> None:
    """However deep it stands."""
    node = parsed("max by (a) (x) - max by (a) (x offset 1h) < on (b) group_left (c) m:r:z unless absent(y)")

    assert selectors(node) == [X, Selector("x", offset="1h"), Z, Y]
    assert grouped_by(node) == {"a", "b", "c"}


@pytest.mark.parametrize(
    "text",
    [
        "", "max(", "max(x))", "x{a=b}", 'x{a"b"}', "x[5]", "nothing(x)", "x >", "max by (a", "x y", "x{a='b'}",
        "x offset", "x offset 5", "x offset 1y", "x and on y", "x < group_left () y", "max by (,) (x)", "x[5m",
    ],
)  # fmt: skip
def test_what_is_no_expression_is_refused(text: str) -> None:
    """And so is what this reader does not know."""
    with pytest.raises(NotPromql):
        parsed(text)
