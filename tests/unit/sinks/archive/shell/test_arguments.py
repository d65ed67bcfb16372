"""Arguments of the archive's commands: what is none is refused with what would be right."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from sinks.archive.shell.arguments import day, days, moment


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (days, "0", 0.0),
        (days, "0.5", 0.5),
        (moment, "1970-01-01T00:00:01.000002Z", 1_000_002),
        (moment, "1970-01-01T02:00:00+02:00", 0),
        (moment, "1969-12-31T23:59:59.25Z", -750_000),
        (day, "2024-02-29", date(2024, 2, 29)),
        (day, "9999-12-30", date(9999, 12, 30)),
    ],
)
def test_what_is_one_is_read(read: Callable[[str], Any], text: str, value: object) -> None:
    """Exactly."""
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text", "said"),
    [
        (days, "-1", "give days"),
        (days, "nan", "give days"),
        (days, "inf", "give days"),
        (moment, "soon", "write it like 2026-11-28T14:30:00Z"),
        (moment, "2026-11-28T14:30:00", "names no zone"),
        (moment, "0001-01-01T00:00:00+14:00", "no year of UTC; write it like"),
        (moment, "9999-12-31T23:59:59-14:00", "no year of UTC; write it like"),
        (day, "9999-12-31", "give an earlier day"),
        (day, "2026-02-29", "write it like 2026-11-27"),
        (day, "yesterday", "write it like 2026-11-27"),
    ],
)
def test_what_is_none_is_told_what_would_be(read: Callable[[str], Any], text: str, said: str) -> None:
    """With the text that was given."""
    with pytest.raises(argparse.ArgumentTypeError, match=said):
        read(text)
