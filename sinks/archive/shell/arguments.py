"""Arguments of the archive's commands: ages, moments and days, and what would be right where one is none."""

from __future__ import annotations

import argparse
import math
from contextlib import suppress
from datetime import UTC, date, datetime

A_MOMENT = "2026-11-28T14:30:00Z"


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
        given = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no moment; write it like {A_MOMENT}") from None
    if given.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text} names no zone; write it like {A_MOMENT}")
    return int(given.astimezone(UTC).timestamp()) * 1_000_000 + given.microsecond


def day(text: str) -> date:
    """Return a date."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date; write it like 2026-11-27") from None
