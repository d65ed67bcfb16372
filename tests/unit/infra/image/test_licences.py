"""Which licences pass: expressions met by allowed ones, jars by group, files by pattern."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.image.licences import ALLOWED, CARRIED, SETTLED, canonical, carried_by, of_jar, refused, stated

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize(
    "expression",
    [
        "MIT",
        "MPL-2.0 AND (Apache-2.0 OR MIT)",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "MIT OR Apache-2.0 OR AGPL-3.0-only",
        "AGPL-3.0-only AND MIT OR ISC",
        "GPL-3.0-or-later  WITH  GCC-exception-3.1",
        "Apache-2.0 WITH LLVM-exception OR SSPL-1.0",
    ],
)
def test_an_expression_that_allowed_licences_meet_passes(expression: str) -> None:
    """Of a choice one is enough."""
    assert not refused(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "AGPL-3.0-only",
        "MIT AND AGPL-3.0-only",
        "MIT AND (AGPL-3.0-only OR SSPL-1.0)",
        "ISC OR MIT AND AGPL-3.0-only)",
        "GPL-3.0-or-later",
        "GPL-2.0-only WITH GCC-exception-3.1",
        "BSD License",
        "MIT MIT",
        "MIT OR",
        "OR MIT",
        "(MIT",
        "MIT)",
        "()",
        "MIT AND",
        "mit",
    ],
)
def test_any_other_is_refused(expression: str) -> None:
    """A licence that is not on the list, words that are no expression, one that breaks off."""
    assert refused(expression)


TREES = st.recursive(
    st.sampled_from(["MIT", "ISC", "Zlib", "AGPL-3.0-only", "SSPL-1.0"]),
    lambda inner: st.tuples(inner, st.sampled_from(["AND", "OR"]), inner),
    max_leaves=12,
)


@given(TREES)
def test_an_expression_is_judged_by_its_structure(tree: Any) -> None:
    """As Python judges the same with truths in place of licences."""

    def written(node: Any) -> str:
        return node if isinstance(node, str) else f"({written(node[0])} {node[1]} {written(node[2])})"

    def met(node: Any) -> bool:
        if isinstance(node, str):
            return node in ALLOWED
        return met(node[0]) and met(node[2]) if node[1] == "AND" else met(node[0]) or met(node[2])

    assert refused(written(tree)) is not met(tree)


@given(st.text(alphabet="()ANDORMIT ", max_size=40))
def test_no_text_breaks_it(text: str) -> None:
    """Metadata are what somebody typed."""
    assert refused(text) in (True, False)


@pytest.mark.parametrize(
    ("licences", "expected"),
    [
        pytest.param([{"expression": "MIT OR ISC"}], "MIT OR ISC", id="expression"),
        pytest.param([{"license": {"id": "MIT"}}], "MIT", id="identifier"),
        pytest.param([{"license": {"name": "BSD"}}], "", id="words"),
        pytest.param([{"license": {"id": "MIT"}}, {"license": {"id": "ISC"}}], "", id="both-or-either"),
        pytest.param([], "", id="nothing"),
    ],
)
def test_a_component_states_one_expression_or_none(licences: list[Any], expected: str) -> None:
    """Two side by side do not say whether both hold or either."""
    assert stated({"name": "a", "licenses": licences}) == expected


def test_what_is_settled_or_carried_is_allowed() -> None:
    """Under canonical names and with a reason each, so that nothing is on a list in vain."""
    assert [name for name, entry in SETTLED.items() if refused(entry.expression) or not entry.reason] == []
    assert [name for name in SETTLED if canonical(name) != name] == []
    assert [entry.name for entry in CARRIED if refused(entry.expression)] == []
    assert all(ALLOWED.values())


def test_every_jar_has_a_licence() -> None:
    """Of the lock as it is; a group nobody looked at has none."""
    lock = json.loads((ROOT / "infra/embedded/kafka.lock.json").read_text("utf-8"))
    coordinates = [jar["coordinate"] for jar in lock["jars"]]

    assert [coordinate for coordinate in coordinates if refused(of_jar(coordinate))] == []
    assert of_jar("com.example:thing:1.0") == ""
    assert of_jar("org.apachefoo:thing:1.0") == ""
    assert of_jar("org.slf4j:slf4j-api:1.7.36") == "MIT"


def test_a_file_is_known_by_its_place() -> None:
    """With what is linked into it; a library of the same name elsewhere is another."""
    found = carried_by("confluent_kafka.libs/librdkafka-0cb94173.so.1")

    assert [entry.name for entry in found] == ["librdkafka", "OpenSSL"]
    assert carried_by("other.libs/librdkafka-0cb94173.so.1") == []
