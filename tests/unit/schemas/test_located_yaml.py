"""YAML read with lines: stricter than YAML, and never surprised."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.located_yaml import MAX_DEPTH, MAX_FAULTS, MAX_VALUES, dotted, read_located

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text("abcXYZ _-:#'\"\n\t", max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdef", min_size=1), inner, max_size=4)
    ),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("a: on", {"a": "on"}, id="on-is-text"),
        pytest.param("a: [yes, no, y]", {"a": ["yes", "no", "y"]}, id="yes-is-text"),
        pytest.param("a: [true, FALSE, ~, null]", {"a": [True, False, None, None]}, id="constants"),
        pytest.param("a: [1, -2, 1.5, 1e3, .5]", {"a": [1, -2, 1.5, 1000.0, 0.5]}, id="numbers"),
        pytest.param("a: [1_000, 0x10, 1:30, .inf, .nan]", {"a": ["1_000", "0x10", "1:30", ".inf", ".nan"]}, id="no-numbers"),
        pytest.param("a: 2025-01-09", {"a": "2025-01-09"}, id="a-date-is-text"),
        pytest.param("a: '1'", {"a": "1"}, id="quoted"),
        pytest.param("on: 1", {"on": 1}, id="a-key-is-text"),
        pytest.param(f"a: {'9' * 5000}", {"a": "9" * 5000}, id="no-number-of-any-size"),
        pytest.param('{\n\t"a":\t[1,\n\t\t2]}', {"a": [1, 2]}, id="json-with-tabs"),
        pytest.param("", None, id="nothing"),
    ],
)  # fmt: skip
def test_a_scalar_is_what_it_looks_like(text: str, value: Any) -> None:
    """YAML 1.2's constants and decimal numbers; all else is text."""
    found = read_located(text)

    assert (found.value, found.faults) == (value, [])


def test_verbatim_places_keep_the_text() -> None:
    """A symbol may look like a number or a boolean."""
    found = read_located("symbols: [005930, TRUE, ~]\nn: 005", verbatim=[("symbols", "*")])

    assert found.value == {"symbols": ["005930", "TRUE", None], "n": 5}


@given(VALUES)
def test_json_reads_as_json(value: Any) -> None:
    """Whatever JSON can say, indented with tabs, is read as the same value."""
    assert read_located(json.dumps({"v": value}, indent="\t")).value == {"v": value}


def test_every_path_has_its_line() -> None:
    """A key's line is where the key is; what is nowhere gets the line of what is around it."""
    found = read_located("a:\n  b: 1\n  c:\n    - x\n    - y: 2\n")

    assert [found.line_of(path) for path in (("a",), ("a", "c", 0), ("a", "c", 1, "y"))] == [1, 4, 5]
    assert found.line_of(("a", "c", 1, "absent", "deeper")) == 5
    assert read_located("").line_of(("a",)) is None


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        pytest.param("a: 1\nb: 2\na: 3", 3, "given twice, first in line 1", id="key-twice"),
        pytest.param("a: &x [1]", 1, "has an anchor", id="anchor"),
        pytest.param("a: *x", 1, "is an alias", id="alias"),
        pytest.param("a: !!python/object:os.system x", 1, "has a YAML tag", id="tag"),
        pytest.param("a:\n  <<: {b: 1}", 2, "is a merge key", id="merge-key"),
        pytest.param("a: 1\n---\nb: 1", 2, "holds a second document", id="two-documents"),
        pytest.param("? [a]\n: 1", 1, "has a key that is no text", id="list-as-key"),
        pytest.param("a: [1", 2, "is not YAML", id="open-list"),
        pytest.param("a: 'x", 1, "is not YAML", id="open-quote"),
        pytest.param("a\0: 1", None, "is not YAML", id="control-character"),
        pytest.param("\ud800", None, "is not UTF-8", id="half-a-character"),
        pytest.param("[" * (MAX_DEPTH + 2), 1, f"nested deeper than {MAX_DEPTH}", id="deep"),
        pytest.param("[" * 1_000_000, 1, f"nested deeper than {MAX_DEPTH}", id="very-deep"),
        pytest.param("[" + "1," * (MAX_VALUES + 1) + "]", 1, "one value too many", id="many"),
    ],
)  # fmt: skip
def test_what_is_refused_says_its_line(text: str, line: int | None, words: str) -> None:
    """And has a remedy."""
    fault = read_located(text).faults[0]

    assert fault.line == line
    assert words in fault.message
    assert fault.remedy


def test_an_alias_bomb_costs_nothing() -> None:
    """Nine levels of nine are refused at the first alias, and nothing is expanded."""
    levels = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    found = read_located("\n".join(levels))

    assert len(found.faults) == 10 + 9 * 9
    assert len(str(found.value)) < 2_000


def test_faults_are_told_together_and_bounded() -> None:
    """All of them, up to a hundred."""
    assert len(read_located("a: *x\nb: *y\na: 1").faults) == 3
    assert len(read_located("\n".join(f"a{n}: *x" for n in range(1_000))).faults) == MAX_FAULTS


def test_a_path_is_printable() -> None:
    """A key that is no ASCII is escaped, and a long one is cut."""
    assert dotted(("a", 0, "ключ\n")) == "a.0.\\u043a\\u043b\\u044e\\u0447\\n"
    assert len(dotted(("x" * 1_000,))) < 100


@given(st.text(max_size=60))
def test_nothing_is_raised_whatever_the_text(text: str) -> None:
    """There is a value, or there are faults with a remedy."""
    assert all(fault.message and fault.remedy for fault in read_located(text).faults)
