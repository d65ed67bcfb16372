"""Pages of entries: where the one asked for begins, and the answer that says where the next one does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar, overload

from aiohttp import web

from gateway.entries.actions_request import ActionsQuery
from gateway.entries.macro_request import MacroHistoryQuery
from gateway.entries.rows import Place, beyond
from gateway.http.moments import rfc3339
from gateway.http.pages import Page, open_token, query_hash, seal
from gateway.http.shell.answers import cacheable
from infra.runtime.clock import wall_us
from schemas.clocks import EventTime, KnowledgeTime

T = TypeVar("T")


class PassingRows(Sequence[Any], Generic[T]):
    """Rows of items, each made when it is looked at and kept by nobody, and neither is its item then.

    Ten thousand of both that are let go of at once would hold up the loop for longer than making a slice does.
    """

    def __init__(self, items: list[T], show: Callable[[T], Any]) -> None:
        """Show each of `items`, which nobody else should hold, with `show`."""
        self._items: list[T | None] = [*items]
        self._show = show

    def __len__(self) -> int:
        """Return how many there are, or were."""
        return len(self._items)

    @overload
    def __getitem__(self, place: int) -> Any: ...
    @overload
    def __getitem__(self, place: slice) -> list[Any]: ...
    def __getitem__(self, place: int | slice) -> Any:
        """Return one row, or a slice of them; each can be looked at once."""
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        item = self._items[place]
        if item is None:
            raise LookupError(f"row {place} was looked at before")
        self._items[place] = None
        return self._show(item)


class EntryPage:
    """The page a request asks for."""

    def __init__(
        self, request: web.Request, ask: ActionsQuery | MacroHistoryQuery, page_key: bytes, *, pins: int
    ) -> None:
        """Read its token, which `page_key` signed; raises the Problem of one that is foreign, of another query or expired.

        `pins` numbers in it hold for all pages: the first says up to when what was told counts, or pages would not fit together.
        """
        self._request, self._ask, self._page_key = request, ask, page_key
        self._query, self._now = query_hash(request.path, ask.given), wall_us()
        token = ask.page_token
        self._page = open_token(token, self._query, page_key, self._now) if token else None
        after = () if self._page is None else self._page.after
        self.pinned: tuple[int, ...] = tuple(int(each) for each in after[:pins])
        self.after: Place = after[pins:]

    @property
    def as_of(self) -> KnowledgeTime | None:
        """The moment all pages of the question are answered at; None where it is asked for the first one, as of now."""
        return self._ask.as_of if self._page is None else self._page.as_of

    async def answer(
        self,
        found: list[T],
        show: Callable[[T], Any],
        *,
        place: Callable[[T], Place],
        as_of: KnowledgeTime,
        pins: tuple[int, ...],
        meta: Mapping[str, Any],
    ) -> web.StreamResponse:
        """Return the page of all that was `found`, or found from there on, in the order of its places; no two share one.

        What was found is let go of.
        """
        ask, rest = self._ask, beyond(found, self.after, place)
        shown, token = rest[: ask.limit], None
        if len(rest) > len(shown):
            start, end = EventTime(ask.start), EventTime(ask.end)
            edge = Page(as_of=as_of, start=start, end=end, after=(*pins, *place(shown[-1])))
            token = seal(edge, self._query, self._page_key, self._now)
        said = {"as_of": rfc3339(as_of), "knowledge": ask.knowledge, "revisions": ask.revisions}
        about = {**said, "row_count": len(shown), **meta}
        immutable = ask.as_of is not None and ask.knowledge == "known" and token is None
        rows = PassingRows(shown, show)
        found.clear()
        del rest, shown
        return await cacheable(rows, about, self._request, immutable=immutable, next_page_token=token)
