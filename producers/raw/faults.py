"""Faults of whole answers that were told with their bytes: the same one again says nothing new, and costs as much each time."""

from __future__ import annotations

import re
from collections.abc import Collection

MOST_KINDS = 16  # of one endpoint a day: a vendor that words every fault anew must not fill the log either
KEPT_S = 86_400.0

_VARYING = re.compile(r"'[^']*'|\"[^\"]*\"|\d+")
_WORD = re.compile(r"[A-Z0-9^][A-Z0-9.=^-]*(?![a-z])")


class KnownFaults:
    """Kinds of faults by where they occurred; places, numbers, quoted values and symbols in their text make no other kind."""

    def __init__(self) -> None:
        """Know none."""
        self._kinds: dict[tuple[str, ...], dict[str, float]] = {}

    def is_new(
        self, where: tuple[str, ...], fault: str, now_s: float, *, symbols: Collection[str] = ()
    ) -> bool:
        """Note a fault; return whether it is the first of its kind in a day (`now_s` is monotonic), and there were not many kinds."""
        kinds = self._kinds.setdefault(where, {})
        for kind in [kind for kind, told_s in kinds.items() if now_s - told_s >= KEPT_S]:
            del kinds[kind]
        kind = _kind(fault, symbols)
        if kind in kinds or len(kinds) >= MOST_KINDS:
            return False
        kinds[kind] = now_s
        return True


def _kind(fault: str, symbols: Collection[str]) -> str:
    for symbol in symbols:
        if symbol in fault:  # as a word: F is no part of "Field required"
            fault = re.sub(rf"(?<![A-Za-z0-9]){re.escape(symbol)}(?![A-Za-z0-9])", "", fault)
    return _VARYING.sub("", _WORD.sub("", fault))
