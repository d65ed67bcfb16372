"""A snapshot in which a symbol has the bars of every name its instrument had, so that whatever is made of them spans renames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.database.gap_pages import MAX_ROWS, GapKey, GapPage
from gateway.database.shell.snapshot import PageKey, Snapshot
from gateway.database.versions import BarVersion, GapFilter, Span, View
from gateway.http.moments import EARLIEST_US, LATEST_US
from gateway.market.instrument_names import InstrumentNames
from schemas.clocks import EventTime, KnowledgeTime
from schemas.records import Gap

EVER: Span = (EARLIEST_US, LATEST_US)


class NamedSnapshot(Snapshot):
    """A snapshot that reads each stretch of time under the name of its days: as many statements as there are names in it."""

    def __init__(self, borrowed: Snapshot, names: InstrumentNames) -> None:
        """Read what `borrowed` reads."""
        super().__init__(borrowed._connection)  # noqa: SLF001 - of its own class
        self.names = names

    async def bars(
        self, symbol: str, interval: str, span: Span, view: View, *, limit: int, descending: bool = False
    ) -> list[BarVersion]:
        """Return the newest known version of each bar starting in `span`, as Snapshot does."""
        parts, found = self._parts(symbol, span, interval), list[BarVersion]()
        for name, part in reversed(parts) if descending else parts:
            left = limit - len(found)
            if left > 0:
                found += await super().bars(name, interval, part, view, limit=left, descending=descending)
        return found

    async def versions(
        self, symbol: str, interval: str, span: Span, view: View, *, limit: int, after: PageKey | None
    ) -> list[BarVersion]:
        """Return every known version, by event_time and position, after the key `after`, as Snapshot does."""
        found = list[BarVersion]()
        for name, part in self._parts(symbol, span, interval):
            left = limit - len(found)
            if left > 0:
                found += await super().versions(name, interval, part, view, limit=left, after=after)
        return found

    async def versions_before(
        self, symbol: str, interval: str, view: View, after: PageKey
    ) -> list[BarVersion]:
        """Return of each provider the newest version, up to the key `after`, of the bar that it names."""
        start = EventTime(int(after[0]))
        found = list[BarVersion]()
        for name, _ in self._parts(symbol, (start, EventTime(start + 1)), interval):
            found += await super().versions_before(name, interval, view, after)
        return found

    async def edges(self, symbol: str, interval: str, view: View, *, since: EventTime) -> Span | None:
        """Return of the known bars of an interval from `since` on the starts of the oldest and of the newest."""
        until, found = EventTime(max(since, view.latest_event + 1)), list[Span]()
        for name, (low, high) in self._parts(symbol, (since, until), interval):
            own = replace(view, latest_event=EventTime(high - 1))
            edge = await super().edges(name, interval, own, since=low)
            found += [] if edge is None else [edge]
        return (found[0][0], found[-1][1]) if found else None

    async def first_known(
        self, symbol: str, intervals: Sequence[str], span: Span, provider: str | None
    ) -> KnowledgeTime | None:
        """Return when the first bar of a range became known; None where none ever was."""
        first: KnowledgeTime | None = None
        for name, part in self._parts(symbol, span, "1m"):
            known = await super().first_known(name, intervals, part, provider)
            if known is not None:
                first = known if first is None else min(first, known)
        return first

    async def was_known(
        self, symbol: str, intervals: Sequence[str], span: Span, provider: str | None, as_of: KnowledgeTime
    ) -> bool:
        """Whether any bar of a range was known at `as_of`."""
        for name, part in self._parts(symbol, span, "1m"):
            if await super().was_known(name, intervals, part, provider, as_of):
                return True
        return False

    async def sources(self, symbol: str) -> tuple[list[str], list[str]]:
        """Return who ever gave bars of any of the names, by name, and of which intervals, from the shortest."""
        providers, intervals = set[str](), dict[str, None]()
        for name in self._all(symbol):
            who, which = await super().sources(name)
            providers.update(who)
            intervals |= dict.fromkeys(which)
        return sorted(providers), list(intervals)

    async def knows(self, symbol: str) -> bool:
        """Whether anything is stored of any of the names, or of the symbol."""
        return bool(await self.known_among([symbol, *self._all(symbol)]))

    async def gaps(
        self,
        which: GapFilter,
        *,
        limit: int,
        after: GapKey | None = None,
        descending: bool = False,
        width_us: int | None = None,
        most_rows: int = MAX_ROWS,
    ) -> GapPage:
        """Return a page of the gaps of all names, each within its days, by those and then by (from_time, gap_id)."""
        if which.symbol is None:
            return await super().gaps(
                which, limit=limit, after=after, descending=descending, width_us=width_us, most_rows=most_rows
            )
        parts, found, key = self._parts(which.symbol, (which.start, which.end), "1m"), list[Gap](), None
        for name, (low, high) in reversed(parts) if descending else parts:
            if len(found) >= limit:
                return GapPage(gaps=found, after=key)
            page = await super().gaps(
                replace(which, symbol=name, start=low, end=high),
                limit=limit - len(found), after=after, descending=descending, width_us=width_us, most_rows=most_rows,
            )  # fmt: skip
            found += page.gaps
            if page.after is not None:
                return GapPage(gaps=found, after=page.after)
            key = (found[-1].from_time, found[-1].gap_id) if found else None
        return GapPage(gaps=found)

    def _parts(self, symbol: str, span: Span, interval: str) -> list[tuple[str, Span]]:
        return self.names.parts(span, interval) if symbol == self.names.symbol else [(symbol, span)]

    def _all(self, symbol: str) -> list[str]:
        return list(dict.fromkeys(name for name, _ in self._parts(symbol, EVER, "1m")))


async def stored_names(
    snapshot: Snapshot, names: InstrumentNames, provider: str | None, as_of: KnowledgeTime
) -> InstrumentNames:
    """Return the names without earlier ones under which no bar of their days was known at `as_of`, of a provider if one is named.

    Where the old symbol was never collected, nothing is spanned, and what vendors give of those days under the new one is not hidden.
    """
    stored = set[str]()
    for name, span in names.parts(EVER, "1m")[:-1]:
        _, intervals = await snapshot.sources(name)
        if intervals and await snapshot.was_known(name, intervals, span, provider, as_of):
            stored.add(name)
    return names.of_stored(stored)
