"""Whether a value says something new: quotes and bars are versions of a key, equal to the current one or not.

Hashes here live and die with the process (state is rebuilt from the log, never stored), so Python's own hash of the
content serves: a tenth of the cost of the stable one in `schemas.identity`.
"""

from __future__ import annotations

from array import array
from operator import itemgetter

from schemas.identity import BAR_CONTENT, QUOTE_CONTENT

SLOTS = 1_536  # bar numbers remembered per stream: a 24-hour day of minutes and then some, 8 bytes each
_EMPTY = 0

bar_content = itemgetter(*BAR_CONTENT)
quote_content = itemgetter(*QUOTE_CONTENT)


class BarVersions:
    """The current version of the newest SLOTS bars of one stream, as 64-bit hashes by bar number."""

    __slots__ = ("_hashes", "_newest", "_slot_us")

    def __init__(self, slot_us: int) -> None:
        """Remember nothing yet; bars are numbered by `slot_us`, microseconds."""
        self._slot_us = slot_us
        self._hashes = array("q", bytes(8 * SLOTS))
        self._newest = -1

    def changes(self, event_time: int, content: tuple[object, ...]) -> bool:
        """Note a bar and return whether it differs from the current version of its key.

        A bar older than what is remembered counts as changed: the sink compares it with what is stored.
        """
        number = event_time // self._slot_us
        ahead = number - self._newest
        if ahead > 0:
            self._advance(number, ahead)
        elif ahead <= -SLOTS:
            return True
        # The time is hashed too: two stamps of one slot are two keys, and the later one takes the place.
        value = hash((event_time, content)) or 1
        place = number % SLOTS
        if self._hashes[place] == value:
            return False
        self._hashes[place] = value
        return True

    def _advance(self, number: int, ahead: int) -> None:
        if ahead >= SLOTS:
            self._hashes = array("q", bytes(8 * SLOTS))
        elif self._newest >= 0:
            for skipped in range(self._newest + 1, number + 1):
                self._hashes[skipped % SLOTS] = _EMPTY
        self._newest = number


class QuoteVersion:
    """The newest quote of one stream; older ones are compared by the sink."""

    __slots__ = ("_content", "_newest")

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._newest = -1
        self._content: tuple[object, ...] = ()

    def changes(self, event_time: int, content: tuple[object, ...]) -> bool:
        """Note a quote and return whether it differs from the current version of its key."""
        if event_time < self._newest:
            return True
        if event_time == self._newest and content == self._content:
            return False
        self._newest, self._content = event_time, content
        return True
