"""Calendars as they were known at a past moment: each overlay of the configuration, and from when on it counts."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from schemas.calendar.overlay import CalendarOverlay
from schemas.calendar.sessions import CalendarBook, calendars_in_force
from schemas.clocks import KnowledgeTime, WallTime
from schemas.intervals import SECOND_US

# A reader has an overlay before it counts, else what was answered of a moment would change.
COUNTS_AFTER_US = 10 * SECOND_US
CLOCKS_DIFFER_US = 5 * SECOND_US
NEVER = WallTime((1 << 63) - 1)
HELD_BOOKS = 32  # of the moments asked about last; a market of one book is some 3 MB


class AnnouncedOverlay(NamedTuple):
    """The overlay of generation `number`, and when a broker appended it (µs)."""

    number: int
    appended: WallTime
    overlay: CalendarOverlay


class CalendarHistory:
    """Overlays announced so far; one thread takes them up, any may ask."""

    def __init__(self) -> None:
        """Know of none: what is in force answers, and nothing is settled."""
        self._announced: dict[int, AnnouncedOverlay] = {}
        self._books: list[tuple[KnowledgeTime, CalendarBook]] = []
        self._asked: dict[CalendarBook, None] = {}  # what was asked for longest ago comes first
        self._read_through: WallTime | None = None

    def take(self, announced: Iterable[AnnouncedOverlay]) -> None:
        """Take up some, in any order, also those it has; the first counts for the time before it, too."""
        self._announced |= {each.number: each for each in announced}
        books: list[tuple[KnowledgeTime, CalendarBook]] = []
        made, counts_from = {book.overlay: book for _, book in self._books}, 0
        for _, appended, overlay in sorted(self._announced.values(), key=lambda each: each.number):
            counts_from = max(counts_from + 1, appended + COUNTS_AFTER_US)  # whatever a broker's clock did
            book = made.get(overlay) or made.setdefault(overlay, CalendarBook(overlay))
            if not books or books[-1][1] is not book:
                books.append((KnowledgeTime(counts_from), book))
        self._books = books

    def read_through(self, moment: WallTime) -> None:
        """Note that all that was announced by then, by our own clock (µs), is taken up."""
        self._read_through = moment

    def settle(self) -> None:
        """State that nothing will be announced: no configuration is followed."""
        self._read_through = NEVER

    def at(self, as_of: KnowledgeTime) -> CalendarBook:
        """Return the calendars that count at a moment; those of many other moments ago are loaded anew.

        Of one task at a time.
        """
        books = self._books
        if not books:
            return calendars_in_force()
        book = books[max(bisect_right(books, as_of, key=lambda each: each[0]) - 1, 0)][1]
        self._asked.pop(book, None)
        self._asked[book] = None
        if len(self._asked) > HELD_BOOKS:
            oldest = next(iter(self._asked))
            del self._asked[oldest]
            oldest.unload()
        return book

    def is_settled(self, as_of: KnowledgeTime) -> bool:
        """Whether nothing announced from now on can count at a moment, by clocks that differ by 5 s at most."""
        through = self._read_through
        return through is not None and as_of <= through + COUNTS_AFTER_US - CLOCKS_DIFFER_US
