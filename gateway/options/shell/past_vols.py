"""Volatilities of past sessions out of the database, made when they are asked for and kept: the past is the same for ever.

Months are looked at from the newest back, each with a statement for its places and one for its slices, and priced in portions behind what waits in
the queue, so that a long history holds up no other chain.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Final, NamedTuple

from analytics.chain_metrics import HISTORY_DAYS
from analytics.surface import Smile
from gateway.database import option_statements
from gateway.database.option_statements import PRICED_FIELDS
from gateway.database.shell.snapshot import Snapshot, Snapshots
from gateway.http.problems import Problem
from gateway.options.history import (
    NO_VOLATILITY,
    SPARE_SESSIONS,
    PastChain,
    PastEnds,
    PastMonth,
    PastPlace,
    PastSlice,
    past_chain,
    past_moments,
    past_months,
    past_smiles,
)
from gateway.options.inputs import Beside, dividend_days, yield_days
from gateway.options.model import MODEL_VERSION
from gateway.options.places import listed_span
from gateway.options.shell.model_queue import KeptByLegs, ModelQueue
from gateway.options.shell.reading import (
    SLICE_FLAGS,
    cash_dividends,
    par_yields,
    place_fields,
    quotes_about,
    slice_fields,
)
from gateway.options.slices import COLUMN_PREFIX, OptionSlice
from infra.runtime.postgres.errors import Record
from schemas.calendar.sessions import calendar_of, calendars_in_force
from schemas.clocks import Day, KnowledgeTime
from schemas.errors import StoreUnavailable
from schemas.intervals import DAY_US
from schemas.partitions import partition_of

WITHIN_S: Final = 8.0  # that an answer waits for its history: less than for the database
KEPT_SESSIONS: Final = 100_000  # about 250 bytes each: of 400 chains
# Some 40 ms of the model's thread at a time: slices of which a part is enough, and legs of those that are priced whole.
SLICES_AT_ONCE: Final = 8
LEGS_AT_ONCE: Final = 2_500

log = logging.getLogger(__name__)


_Stored = tuple[PastChain, PastPlace, Record]
"""A slice to be priced, with its row."""


class HistoryAsked(NamedTuple):
    """A question about the last `sessions` before a day, as of a moment; `provider` and `believed` as of chains."""

    symbol: str
    provider: str | None
    believed: tuple[str, ...]
    today: date
    sessions: int
    as_of: KnowledgeTime


@dataclass(frozen=True, slots=True)
class PastVolatilities:
    """Volatilities of sessions, NaN of one without, the newest last; not complete where some were not made in time.

    Of a year in which some have none the sessions of a month before it are there as well, to take their places.
    """

    volatilities: Sequence[float] = ()
    is_complete: bool = True


class PastVols:
    """Makes one history at a time; calendars of what is asked about are loaded before."""

    def __init__(self, store: Snapshots, partitions: int, queue: ModelQueue) -> None:
        """Read `store`, price in `queue`."""
        self._store, self._partitions, self._queue = store, partitions, queue
        self._kept: KeptByLegs[float] = KeptByLegs(KEPT_SESSIONS)
        self._one = asyncio.Lock()

    async def before(self, asked: HistoryAsked, *, within_s: float = WITHIN_S) -> PastVolatilities:
        """Return the 30-day volatilities of the sessions asked about; after `within_s` those there are by then.

        Of a store that cannot answer likewise: the chain itself has been read.
        """
        most = asked.sessions + (SPARE_SESSIONS if asked.sessions == HISTORY_DAYS else 0)
        all_moments = past_moments(calendar_of(asked.symbol), asked.today, asked.as_of, count=most)
        moments = all_moments[-asked.sessions :]
        found: dict[KnowledgeTime, float] = {}
        try:
            async with asyncio.timeout(within_s):
                await self._look(asked, moments, found)
                if any(math.isnan(each) for each in found.values()):
                    moments = all_moments
                    await self._look(asked, moments, found)
        except (TimeoutError, StoreUnavailable, Problem) as error:
            log.warning("history_incomplete", extra={"symbol": asked.symbol, "error": str(error)})
        return PastVolatilities(
            [found[each] for each in moments if each in found], is_complete=len(found) == len(moments)
        )

    async def _look(
        self, asked: HistoryAsked, moments: Sequence[KnowledgeTime], found: dict[KnowledgeTime, float]
    ) -> None:
        """Add the volatilities of sessions to `found`, kept or made."""
        if not self._recall(asked, moments, found):
            async with self._one:
                # whoever had it before may have made the same
                self._recall(asked, moments, found)
                await self._make(asked, [each for each in moments if each not in found], found)

    def _recall(
        self, asked: HistoryAsked, moments: Sequence[KnowledgeTime], found: dict[KnowledgeTime, float]
    ) -> bool:
        """Add what is kept to `found`; whether that is all of them."""
        for moment in moments:
            kept = self._kept.get(_name(asked, moment))
            if kept is not None:
                found[moment] = kept
        return all(each in found for each in moments)

    async def _make(
        self, asked: HistoryAsked, moments: Sequence[KnowledgeTime], found: dict[KnowledgeTime, float]
    ) -> None:
        """Add the volatilities of sessions to `found`, month by month from the newest."""
        if not moments:
            return
        months = past_months(moments)
        known = await self._known(asked, Day(months[0].span[0] // DAY_US), months[-1])
        for month in reversed(months):
            made = await self._of_month(asked, month, known)
            for moment in month.moments:
                found[moment] = made.get(moment, NO_VOLATILITY)
                self._kept.keep(_name(asked, moment), found[moment], 1)

    async def _known(self, asked: HistoryAsked, first: Day, newest: PastMonth) -> Beside:
        """Return the yields and dividends of all days from the first on."""
        last = Day(newest.span[1] // DAY_US)
        async with self._store.snapshot() as snapshot:
            told = await par_yields(snapshot, yield_days(first, last), newest.moments[-1])
            ex_dates = dividend_days(first, last)
            dividends = await cash_dividends(snapshot, asked.symbol, ex_dates, newest.moments[-1])
        told.sort(key=lambda each: each.observed)
        return Beside(par_yields=told, dividends=dividends, believed=asked.believed)

    async def _of_month(
        self, asked: HistoryAsked, month: PastMonth, known: Beside
    ) -> Mapping[KnowledgeTime, float]:
        """Return the volatilities of sessions of which slices are listed."""
        async with self._store.snapshot() as snapshot:
            stored = await places_at(snapshot, asked.symbol, asked.provider, month)
        ends = PastEnds(asked.symbol, calendar_of(asked.symbol))
        chains = await self._queue.behind(
            lambda: [past_chain(some, ends, moment) for moment, some in stored.items()]
        )
        listed = [each for each in chains if each is not None]
        smiles: dict[KnowledgeTime, dict[Hashable, Smile | None]] = {each.moment: {} for each in listed}
        while wanted := [(each, place) for each in listed for place in each.wanted(smiles[each.moment])]:
            async with self._store.snapshot() as snapshot:
                rows = await _quoted(snapshot, [place for _, place in wanted])
                lacking = {each.moment: each.lacking for each, place in wanted if place.lacks_underlying}
                stamps = [stamp for some in lacking.values() for stamp in some]
                quotes = await quotes_about(snapshot, asked.symbol, stamps)
            for chain, place in wanted:
                # of what is not kept any more nothing can be said
                smiles[chain.moment][place.key] = None
            there = [(chain, place, rows[place.key]) for chain, place in wanted if place.key in rows]
            await self._price(asked.symbol, there, replace(known, quotes=quotes), smiles)
        return {each.moment: each.volatility(smiles[each.moment]) for each in listed}

    async def _price(
        self,
        symbol: str,
        stored: Sequence[_Stored],
        beside: Beside,
        smiles: Mapping[KnowledgeTime, dict[Hashable, Smile | None]],
    ) -> None:
        """Add the smiles of slices, in portions; those of which a part is not enough once more, whole."""
        for is_whole in (False, True):
            unsure: list[_Stored] = []
            for some in _portions(stored):
                work = partial(self._smiles, symbol, some, beside, is_whole=is_whole)
                for each, (smile, is_sure) in zip(some, await self._queue.behind(work), strict=True):
                    smiles[each[0].moment][each[1].key] = smile
                    unsure += [] if is_sure else [each]
            stored = unsure

    def _smiles(
        self, symbol: str, some: Sequence[_Stored], beside: Beside, *, is_whole: bool
    ) -> list[tuple[Smile | None, bool]]:
        partition = partition_of(symbol, self._partitions)
        slices = [
            PastSlice(_slice(row, symbol, place, partition), chain.moment) for chain, place, row in some
        ]
        return past_smiles(symbol, slices, beside, calendar_of(symbol), is_whole=is_whole)


def _name(asked: HistoryAsked, moment: KnowledgeTime) -> Hashable:
    """Return what a session's volatility follows from: another calendar says other hours, another order of sources other dividends."""
    calendars = calendars_in_force().fingerprint
    return asked.symbol, asked.provider, asked.believed, calendars, MODEL_VERSION, moment


async def places_at(
    snapshot: Snapshot, symbol: str, provider: str | None, month: PastMonth
) -> dict[KnowledgeTime, list[PastPlace]]:
    """Return as of each moment of a month the newest slice of each provider, root and expiry."""
    before = [listed_span(moment)[1] for moment in month.moments]
    rows = await snapshot.fetch(
        option_statements.NEWEST_AT_MOMENTS, symbol, provider, *month.span, month.moments, before
    )
    found: dict[KnowledgeTime, list[PastPlace]] = {}
    adjusted = SLICE_FLAGS["is_adjusted"].mask
    for row in rows:
        place = PastPlace(
            **place_fields(dict(row)),
            is_adjusted=bool(row["flags"] & adjusted),
            lacks_underlying=row["lacks"],
        )
        found.setdefault(month.moments[row["number"] - 1], []).append(place)
    return found


async def _quoted(snapshot: Snapshot, places: Sequence[PastPlace]) -> Mapping[Hashable, Record]:
    """Return the rows of slices by their keys, with what a volatility follows from."""
    rows = await snapshot.fetch(
        option_statements.QUOTES_OF_SLICES_AT,
        [place.stream_id for place in places],
        [place.event_time for place in places],
        [place.position for place in places],
        min(place.event_time for place in places),
        max(place.event_time for place in places) + 1,
    )
    return {(row["stream_id"], row["position"]): row for row in rows}


def _slice(row: Record, symbol: str, place: PastPlace, partition: int) -> OptionSlice:
    """Return the slice of a row; of its legs what no volatility follows from is null."""
    legs = {name: row[COLUMN_PREFIX + name] for name in PRICED_FIELDS}
    return OptionSlice.of_live(slice_fields(dict(row), symbol, place.provider), legs, partition)


def _portions(stored: Sequence[_Stored]) -> list[list[_Stored]]:
    """Return slices to be priced, as many at a time as hold up nobody."""
    portions: list[list[_Stored]] = []
    legs = LEGS_AT_ONCE
    for each in stored:
        count = len(each[2][COLUMN_PREFIX + "strike"])
        if legs + count > LEGS_AT_ONCE or len(portions[-1]) == SLICES_AT_ONCE:
            portions.append([])
            legs = 0
        portions[-1].append(each)
        legs += count
    return portions
