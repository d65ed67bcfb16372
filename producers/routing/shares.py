"""Shares of the symbols asked for lately of which an answer was good, each symbol counted once; pure.

A mean over answers says what is asked for often, a maximum what the best symbol does; a share says how many are served.
Each note takes a constant number of steps, amortised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Part = Literal["success", "fresh", "honest", "confirmed"]
PARTS: tuple[Part, ...] = ("success", "fresh", "honest", "confirmed")

Marks = Mapping[Part, bool | None]
"""What an answer says of one symbol; None, and what is left out, cannot be judged."""


@dataclass(slots=True)
class _Count:
    good: int = 0
    judged: int = 0

    def add(self, mark: bool | None, sign: int) -> None:  # noqa: FBT001 - it is the mark that is counted
        if mark is not None:
            self.judged += sign
            self.good += sign * mark


class RecentShares:
    """Marks of the symbols one provider was asked for within `within_s` seconds, and their shares."""

    def __init__(self) -> None:
        """Begin with nothing asked."""
        self._marks: dict[str, tuple[float, Marks]] = {}  # what was asked longest ago comes first
        self._counts = {part: _Count() for part in PARTS}

    def note(self, symbol: str, marks: Marks, now_s: float, within_s: float) -> None:
        """Take what the newest answer says of a symbol; what was asked longer ago counts no more."""
        self._forget(symbol)
        self._marks[symbol] = now_s, marks
        self._add(marks, 1)
        while (oldest := next(iter(self._marks))) and now_s - self._marks[oldest][0] > within_s:
            self._forget(oldest)

    def amend(self, symbol: str, part: Part, *, mark: bool) -> None:
        """Take what was learned elsewhere of a symbol asked for lately."""
        if symbol in self._marks:
            at_s, before = self._marks[symbol]
            self._add(before, -1)
            self._marks[symbol] = at_s, {**before, part: mark}
            self._add(self._marks[symbol][1], 1)

    def share(self, part: Part) -> float | None:
        """Return the share in [0, 1] that is good; None where nothing can be judged."""
        count = self._counts[part]
        return count.good / count.judged if count.judged else None

    def clear(self) -> None:
        """Begin anew."""
        self._marks.clear()
        self._counts = {part: _Count() for part in PARTS}

    def _forget(self, symbol: str) -> None:
        if (known := self._marks.pop(symbol, None)) is not None:
            self._add(known[1], -1)

    def _add(self, marks: Marks, sign: int) -> None:
        for part, mark in marks.items():
            self._counts[part].add(mark, sign)
