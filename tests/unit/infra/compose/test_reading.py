"""The reader of the Compose file puts variables in as Compose does."""

from __future__ import annotations

import pytest

from tests.support.compose_file import MissingVariable, interpolated

SET = {"SET": "value", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$SET and ${SET}", "value and value"),
        ("${NONE}|${EMPTY}", "|"),
        ("${NONE:-default}|${EMPTY:-default}|${SET:-default}", "default|default|value"),
        ("${NONE-default}|${EMPTY-default}", "default|"),
        ("${SET:?why}|${EMPTY?why}", "value|"),
        ("a $$SET", "a $SET"),
    ],
)
def test_a_variable_is_put_in(text: str, expected: str) -> None:
    """By the rules of the Compose specification; a colon counts an empty one as none."""
    assert interpolated(text, SET) == expected


@pytest.mark.parametrize("text", ["${NONE:?say why}", "${NONE?say why}", "${EMPTY:?say why}"])
def test_a_required_one_is_named(text: str) -> None:
    """With the words of the file."""
    with pytest.raises(MissingVariable, match=r"(?:NONE|EMPTY).*say why"):
        interpolated(text, SET)


@pytest.mark.parametrize("text", ["${lower}", "${SET", "100$", "${SET:+other}", "${A:-${B}}"])
def test_what_it_cannot_read_is_no_text(text: str) -> None:
    """Rather than what Compose would make something else of."""
    with pytest.raises(ValueError, match="is no variable"):
        interpolated(text, SET)
