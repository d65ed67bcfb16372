"""Arguments of the archive's commands: ages, moments and days, and what would be right where one is none."""

from __future__ import annotations

import argparse
import math
from contextlib import suppress
from datetime import date

from infra.runtime.clock import moment_us


def days(text: str) -> float:
    """Return an age in days, zero or more."""
    with suppress(ValueError):
        given = float(text)
        if 0 <= given < math.inf:
            return given
    raise argparse.ArgumentTypeError(f"{text!r} is no age; give days, 0 or more, such as 30")


def moment(text: str) -> int:
    """Return an RFC 3339 moment in µs since the Unix epoch."""
    try:
        return moment_us(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def day(text: str) -> date:
    """Return a date that another one follows."""
    try:
        given = date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date; write it like 2026-11-27") from None
    if given == date.max:
        raise argparse.ArgumentTypeError(f"{text} has no end; give an earlier day, such as 2026-11-27")
    return given
