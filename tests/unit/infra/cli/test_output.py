"""What the CLI prints is aligned, and coloured only where that is wanted."""

from __future__ import annotations

import io

import pytest

from infra.cli.output import GREEN, RED, colour, table


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Return True."""
        return True


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    """No trailing blanks: the output is copied into other things."""
    text = table(["part", "port"], [["kafka", "19092"], ["x", "1"]])
    assert text.splitlines() == ["part   port", "kafka  19092", "x      1"]


def test_coloured_cells_line_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colour codes take no room on the screen, so they count for nothing in the width."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    green = colour("up", GREEN, Terminal())
    assert table(["a", "b"], [[green, "1"], ["down", "2"]]).splitlines()[1:] == [f"{green}    1", "down  2"]


def test_a_cell_is_one_line_whatever_it_quotes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What moves the cursor, clears the screen or ends the line is left out; colour stays."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    red = colour("bad", RED, Terminal())
    quoted = 'said "a\r\nb\tc\x1b]0;title\x07\x1b[2J\x9b\u2028é"'

    text = table(["why", "state"], [[quoted, red]])

    assert text.splitlines()[1:] == [f'said "a  b c ]0;title  [2J  é"  {red}']


def test_colour_only_on_a_terminal_without_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and NO_COLOR get plain text."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert colour("up", GREEN, Terminal()) == "\033[32mup\033[0m"
    assert colour("up", GREEN, io.StringIO()) == "up"
    monkeypatch.setenv("NO_COLOR", "1")
    assert colour("up", GREEN, Terminal()) == "up"
