"""Renames as the store has them, held in memory: what an instrument was called, without a statement of an answer's own.

A rename may be told in any partition, and that there is none is known of a moment when all of them have come to it. So that no answer
waits for partitions that are none of its own, a rename counts once it has been known for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from analytics.action_choice import ActionView
from analytics.symbol_names import Renames
from gateway.database.rows import row_reader
from gateway.database.shell.snapshot import Snapshots
from gateway.database.shell.watermarks import Watermarks
from gateway.database.statements import RENAMES
from gateway.http.moments import EARLIEST_US
from gateway.market.history_request import HistoryRequest
from gateway.market.instrument_names import InstrumentNames, PinnedNames
from schemas.calendar.sessions import calendar_of
from schemas.clocks import KnowledgeTime, day_of
from schemas.entries import CorporateAction
from schemas.intervals import MINUTE_US
from schemas.streams import ACTION_STREAM

# A partition that has come no further for so long is an incident; a processor that is restarted takes less.
SETTLE_US = 10 * MINUTE_US
ROWS_AT_ONCE = 5_000
TOPICS = (ACTION_STREAM.topic,)
_rename: Callable[..., CorporateAction] = row_reader(ACTION_STREAM, CorporateAction)


class NameBook:
    """The names of instruments at any moment that all partitions of actions have come to."""

    def __init__(
        self,
        store: Snapshots,
        watermarks: Watermarks,
        *,
        partitions: int,
        believed: Callable[[], Sequence[str]],
        wall_market: bool,
    ) -> None:
        """Read from `store` what is new when it is asked for; `believed` are sources, the first most."""
        self._store, self._watermarks, self._believed = store, watermarks, believed
        self._every = tuple(range(partitions))
        self._wall_market = wall_market
        self._renames = Renames()
        self._read_through = KnowledgeTime(EARLIEST_US)
        self._reading = asyncio.Lock()

    def newest(self) -> KnowledgeTime | None:
        """Return the newest as_of that names can be told of; None where a partition has no watermark yet."""
        through = self._watermarks.through(TOPICS, self._every)
        return None if through is None else KnowledgeTime(through + SETTLE_US)

    async def names(
        self, ask: HistoryRequest, as_of: KnowledgeTime, pins: PinnedNames | None = None
    ) -> InstrumentNames:
        """Return the names a request is answered by at `as_of`, of a further page `pins`, those of the first.

        Waits as Watermarks.reached does, and raises its Problem, or StoreUnavailable.
        """
        calendar = calendar_of(ask.symbol)
        own = InstrumentNames.own(ask.symbol, calendar)
        if ask.names == "own":
            return own
        settled = KnowledgeTime(as_of - SETTLE_US)
        await self._watermarks.reached(settled, TOPICS, self._every)
        await self._reach(settled)
        names = own
        if self._renames.leads_to(ask.symbol):
            is_known = ask.knowledge == "known"
            view = ActionView(
                as_of=settled if is_known else as_of,
                knowledge=ask.knowledge,
                providers=self._believed(),
                calendar=calendar,
            )
            # A simulated market cannot say what day it was there at `as_of`.
            begun = day_of(calendar.date_of(as_of)) if self._wall_market else None
            told_by = settled if is_known else max(settled, self._read_through)
            chain = self._renames.chain(ask.symbol, view, told_by=told_by, begun=begun)
            names = InstrumentNames.of_chain(ask.symbol, chain, calendar, is_known=is_known)
        return names if pins is None else names.pinned(pins)

    async def _reach(self, moment: KnowledgeTime) -> None:
        """Read what became known up to `moment`, and what has since; nothing where it is here already."""
        if moment <= self._read_through:
            return
        async with self._reading:
            through = self._watermarks.through(TOPICS, self._every)
            if moment <= self._read_through or through is None:
                return
            since = KnowledgeTime(self._read_through + 1)
            after = (self._read_through, 0, 0)
            while True:
                async with self._store.snapshot() as snapshot:
                    rows = await snapshot.fetch(RENAMES, since, *after, ROWS_AT_ONCE)
                self._renames.add(_rename(row, row["symbol"], row[0]) for row in rows)
                if len(rows) < ROWS_AT_ONCE:
                    break
                after = rows[-1]["known_from"], rows[-1]["stream_id"], rows[-1]["position"]
            self._read_through = through
