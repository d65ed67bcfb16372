"""Pages answered of late: by the promise of `as_of` the same question about the same moment has the same answer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from gateway.market.history import Answered

KEPT_S = 5.0  # what no moment pins shows as late: that a symbol is known meanwhile, or that bars are no longer kept
MAX_ROWS = 50_000  # of all pages together, some 50 MB


class RecentPages:
    """The pages asked for last, by everything they follow from; the longest unasked go first."""

    def __init__(self, *, most_rows: int = MAX_ROWS) -> None:
        """Keep pages of `most_rows` rows together."""
        self._most_rows = most_rows
        self._pages: OrderedDict[Hashable, tuple[float, Answered]] = OrderedDict()
        self._rows = 0

    def find(self, question: Hashable, now_s: float) -> Answered | None:
        """Return the page of a question where it was answered a short while before `now_s`."""
        found = self._pages.get(question)
        if found is None or now_s - found[0] > KEPT_S:
            return None
        self._pages.move_to_end(question)
        return found[1]

    def keep(self, question: Hashable, page: Answered, now_s: float) -> None:
        """Keep the page of a question answered at `now_s`; one that is larger than all may be is not."""
        self._drop(question)
        if _size(page) > self._most_rows:
            return
        self._pages[question] = now_s, page
        self._rows += _size(page)
        while self._rows > self._most_rows:
            self._drop(next(iter(self._pages)))

    def _drop(self, question: Hashable) -> None:
        found = self._pages.pop(question, None)
        if found is not None:
            self._rows -= _size(found[1])


def _size(page: Answered) -> int:
    """Return how many rows a page counts as: an empty one has its `meta`."""
    return 1 + len(page.rows) + len(page.meta["gaps"])
