"""`/stocks/{symbol}/actions`: what was said of a symbol's corporate actions, as it was known at a moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from aiohttp import web

from gateway.database.shell.snapshot import Snapshot, Snapshots
from gateway.database.shell.watermarks import Watermarks
from gateway.entries.actions_request import ACTIONS, ActionsQuery
from gateway.entries.rows import action_place, entry_row, published_by
from gateway.entries.shell.pages import EntryPage
from gateway.entries.shell.reading import entries, moment_of, told_by
from gateway.http.parameters import checked_symbol
from gateway.http.problems import unknown_symbol
from gateway.http.shell.answers import Serves
from gateway.market.shell.calendars import load_calendars
from schemas.calendar.sessions import calendar_of
from schemas.clocks import Day, KnowledgeTime
from schemas.entries import CorporateAction
from schemas.partitions import partition_of
from schemas.streams import ACTION_STREAM
from schemas.validation import FIRST_DAY, LAST_DAY

TOPICS = (ACTION_STREAM.topic,)
EVERY_DAY = Day(FIRST_DAY), Day(LAST_DAY)


class Actions:
    """Answers of the entries that are stored of a symbol."""

    def __init__(
        self,
        store: Snapshots,
        watermarks: Watermarks,
        partitions: int,
        page_key: bytes,
        *,
        names: Callable[[str], bool],
    ) -> None:
        """Answer for a symbol by its partition of `partitions`; one is known as well that is configured or was seen."""
        self._store, self._watermarks, self._partitions = store, watermarks, partitions
        self._page_key, self._names = page_key, names

    async def actions(self, request: web.Request) -> web.StreamResponse:
        """GET /stocks/{symbol}/actions: by (ex_date, provider, action_id), and of all revisions by place."""
        symbol = request.match_info["symbol"]
        checked_symbol(symbol)
        ask = ACTIONS.parse(request.query.items())
        page = EntryPage(request, ask, self._page_key, pins=1)
        partition = partition_of(symbol, self._partitions)
        as_of = await moment_of(page.as_of, self._watermarks, TOPICS, [partition])
        by = as_of if ask.knowledge == "known" else told_by(as_of, self._watermarks, TOPICS, partition)
        if page.pinned:
            by = await moment_of(KnowledgeTime(page.pinned[0]), self._watermarks, TOPICS, [partition])
        found = await self._found(symbol, ask, as_of, by)

        def row(action: CorporateAction) -> dict[str, Any]:
            return entry_row(ACTION_STREAM, partition, action)

        return await page.answer(found, row, place=action_place, as_of=as_of, pins=(by,), meta={})

    async def _found(
        self, symbol: str, ask: ActionsQuery, as_of: KnowledgeTime, by: KnowledgeTime
    ) -> list[CorporateAction]:
        """Return what counts of what was told `by` then, in order; raise the Problem of a symbol nobody knows."""
        by_known, latest = ask.knowledge == "known", ask.revisions == "latest"
        asked = ask.start, Day(ask.end - 1)
        async with self._store.snapshot() as snapshot:
            found = await entries(
                snapshot,
                CorporateAction,
                symbol,
                as_of=by,
                provider=ask.provider,
                days=asked if by_known else EVERY_DAY,
                revisions="latest" if by_known and latest else "all",
            )
            is_known = bool(found) or await snapshot.knows(symbol)
        if not is_known and not self._names(symbol):
            raise unknown_symbol(symbol)
        if not by_known:
            await load_calendars([symbol])
            found = published_by(found, as_of, calendar_of(symbol), latest=latest)
            found = [each for each in found if asked[0] <= each.ex_date <= asked[1]]
        return found if ask.types is None else [each for each in found if each.type in ask.types]

    serves: ClassVar[Serves] = ((ACTIONS, actions),)


async def action_versions(
    snapshot: Snapshot, symbol: str, *, known_by: KnowledgeTime, every: bool
) -> list[CorporateAction]:
    """Return what all providers told of a symbol's actions by a moment: the newest version of each, or every one."""
    return await entries(
        snapshot,
        CorporateAction,
        symbol,
        as_of=known_by,
        provider=None,
        days=EVERY_DAY,
        revisions="all" if every else "latest",
    )
