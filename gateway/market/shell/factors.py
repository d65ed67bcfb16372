"""Macro series out of a snapshot, as they stand beside bars."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from aiohttp import web

from gateway.database.shell.snapshot import Snapshot
from gateway.database.versions import BarVersion
from gateway.http.problems import Problem
from gateway.http.shell.answers import GRANT
from gateway.market.factors import MAX_ROWS, NOT_YOURS, OLDEST_DAYS, Factor, FactorSeries, bar_ends, factor
from gateway.market.history import PagePlan
from schemas.calendar.sessions import calendar_of
from schemas.clocks import KnowledgeTime
from schemas.intervals import DAY_US

# $1 keys, $2 told by then, $3 and $4 first and last day that periods may begin on, $5 said by then, $6 at most so many.
# Of each entry its newest version; what was said after the last bar had ended stands beside none.
ROWS = """
    SELECT symbol, period_start - DATE '1970-01-01' AS period, published_at, known_from, raw_offset, idx, value,
        provider, units, frequency, rights, simulated
    FROM (
        SELECT DISTINCT ON (stream_id, period_start, vintage_start) * FROM v_macro
        WHERE symbol = ANY ($1) AND known_from <= $2 AND route <> 'shadow'
            AND period_start BETWEEN DATE '1970-01-01' + $3::integer AND DATE '1970-01-01' + $4::integer
        ORDER BY stream_id, period_start, vintage_start, position DESC
    ) told
    WHERE coalesce(published_at, known_from) <= $5 ORDER BY symbol, period_start, position LIMIT $6
"""
_VALUE = itemgetter("period", "published_at", "known_from", "raw_offset", "idx", "value")
_ABOUT = ("provider", "units", "frequency", "rights", "simulated")


async def factors_beside(
    snapshot: Snapshot, plan: PagePlan, bars: Sequence[BarVersion], told_by: KnowledgeTime
) -> list[Factor] | None:
    """Return the factors beside the bars of a page, of what was told by a moment; None: more than one page may have.

    One question for all of them, whose answer is worked on in a thread.
    """
    ask, calendar = plan.ask, calendar_of(plan.ask.symbol)
    ends = await asyncio.to_thread(bar_ends, bars, ask.interval, calendar)
    found: Sequence[Any] = ()
    if bars:
        first, last = int(ends.min()), int(ends.max())
        days = first // DAY_US - OLDEST_DAYS, last // DAY_US
        keys = list(ask.factors.values())
        found = await snapshot.fetch(ROWS, keys, told_by, *days, last, MAX_ROWS + 1)
    if len(found) > MAX_ROWS:
        return None

    def joined() -> list[Factor]:
        stored = {each.key: each for each in _grouped(found)}
        return [
            factor(name, key, stored.get(key), ends, as_of=plan.as_of, knowledge=ask.knowledge)
            for name, key in ask.factors.items()
        ]

    return await asyncio.to_thread(joined)


def _grouped(rows: Sequence[Any]) -> Iterator[FactorSeries]:
    for key, group in groupby(rows, itemgetter("symbol")):
        own = list(group)
        yield FactorSeries(key=key, rows=list(map(_VALUE, own)), **{name: own[-1][name] for name in _ABOUT})


def may_redistribute(request: web.Request) -> bool:
    """Whether a caller may be given what others own: with the scope redistribute, or without keys."""
    grant = request.get(GRANT)
    return grant is None or not grant.key_id or "redistribute" in grant.scopes


def check_rights(request: web.Request, shown: Iterable[Mapping[str, Any]]) -> None:
    """Raise the Problem of a caller who may not be given one of the series that an answer would show."""
    for each in () if may_redistribute(request) else shown:
        if each["rights"] == "restricted":
            raise Problem(code="forbidden", detail=f"{each['key']}: {NOT_YOURS}")
