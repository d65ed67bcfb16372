"""The WebSocket reference and the page of codes: as the declarations have it, and written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.http.problems import FIELD_ERRORS, PROBLEMS
from gateway.websocket.codes import CLOSES, ERRORS
from gateway.websocket.commands import COMMANDS
from gateway.websocket.reference import errors_page, websocket_page

REFERENCE = Path(__file__).parents[4] / "docs" / "reference"


@pytest.mark.parametrize(("name", "page"), [("errors.md", errors_page), ("websocket.md", websocket_page)])
def test_the_page_is_written_from_the_declarations_as_they_are(name: str, page: Callable[[], str]) -> None:
    """Else write it anew."""
    assert (REFERENCE / name).read_text("utf-8") == page()


def test_every_code_has_a_line() -> None:
    """Of REST, of the WebSocket, and of dead letters."""
    page = errors_page()
    assert all(f"| `{code}` |" in page for code in (*PROBLEMS, *FIELD_ERRORS, *ERRORS, "malformed"))
    assert all(f"\n| {number} | " in page for number in CLOSES)


def test_every_command_has_a_part() -> None:
    """With its members."""
    assert all(f"### `{name}`" in websocket_page() for name in COMMANDS)
