"""Volatilities and greeks of live option chains: of what WebSocket clients watch, computed once for all of them as slices come.

Slices are told at once and their greeks follow, so a slow model holds up no quote. They are computed of the newest slice of each root and
expiry, from what was known when the slice was: whichever gateway computes them, and whenever, they are the same, and those of REST.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.database.shell.snapshot import Snapshots
from gateway.database.shell.watermarks import Watermarks
from gateway.http.problems import Problem
from gateway.live.computed import NOTHING, ComputedValues
from gateway.live.feeds import Feed
from gateway.live.newest import NewestRecord
from gateway.live.shell.live import LiveStreams
from gateway.live.streams import OPTION_CHANNEL
from gateway.market.shell.calendars import load_calendars
from gateway.options.chain import encoded_greeks
from gateway.options.inputs import INPUT_LEAD_US, Beside, UnpricedChain, unpriced_chain
from gateway.options.model import priced
from gateway.options.shell.model_queue import ModelQueue
from gateway.options.shell.reading import beside, rate_partitions, stamped_days
from gateway.options.slices import OptionSlice
from gateway.websocket.conflation import fitting
from infra.runtime import metrics
from infra.runtime.backoff import RETRY_S
from infra.runtime.clock import MarketClock, WallMarketClock, monotonic_s, wall_us
from schemas.calendar.sessions import calendar_of
from schemas.clocks import Day, KnowledgeTime, MarketTime
from schemas.errors import InvalidRecord, StoreUnavailable
from schemas.streams import ACTION_STREAM, MACRO_STREAM, QUOTE_STREAM

LOOK_S = 0.1  # as often as watermarks are read
# Of slices computed together, some 2,000 legs: 15 ms, so that the first of a chain come soon.
BYTES_AT_ONCE = 200_000
MAX_BESIDE = 512  # symbols of which what lies beside their slices is kept

log = logging.getLogger(__name__)

Fresh = tuple[Hashable, NewestRecord]


@dataclass(frozen=True, slots=True)
class _Kept:
    """Rates and dividends that lie beside slices of some days, as of a moment."""

    as_of: KnowledgeTime
    days: tuple[Day, Day]
    beside: Beside

    def serves(self, days: tuple[Day, Day], until: int, believed: Sequence[str]) -> bool:
        """Whether all that counts for slices of some days until a moment (µs) is in it."""
        is_within = self.days[0] <= days[0] and days[1] <= self.days[1]
        return is_within and until <= self.as_of and self.beside.believed == believed


class LiveGreeks:
    """Computes what is watched; `run` it beside the loop's other work."""

    def __init__(
        self,
        live: LiveStreams,
        store: Snapshots,
        watermarks: Watermarks,
        partitions: int,
        queue: ModelQueue,
        *,
        clock: MarketClock,
        believed: Callable[[], Sequence[str]],
    ) -> None:
        """Hear of `live`'s feeds; arguments are as those of `OptionChains`."""
        self._live, self._store, self._watermarks, self._queue = live, store, watermarks, queue
        self._is_wall, self._believed = isinstance(clock, WallMarketClock), believed
        self._rates = rate_partitions(partitions)
        self._due: dict[Feed, None] = {}
        self._waiting: dict[Feed, None] = {}
        self._stirred = asyncio.Event()
        self._beside: dict[str, _Kept] = {}
        live.on_feeds(self._note)

    def _note(self, feeds: Iterable[Feed]) -> None:
        found = [feed for feed in feeds if feed.channel == OPTION_CHANNEL]
        if found:
            self._due.update(dict.fromkeys(found))
            self._stirred.set()

    async def run(self) -> None:
        """Compute for ever; what waits for its inputs is looked at again soon, but for no more than half of the time."""
        look_s = 0.0
        while True:
            self._stirred.clear()
            began_s = monotonic_s()
            looks = bool(self._waiting) and began_s >= look_s
            due = dict.fromkeys([*(self._waiting if looks else ()), *self._due])
            self._due = {}
            try:
                await self._compute_all(due)
            except (StoreUnavailable, Problem) as error:
                log.warning("greeks_delayed", extra={"error": str(error)})
                self._due = due | self._due
                await asyncio.sleep(RETRY_S)
                continue
            ended_s = monotonic_s()
            if looks:
                look_s = ended_s + max(LOOK_S, ended_s - began_s)
            if not self._due:
                await self._stirred_within(max(0.0, look_s - ended_s) if self._waiting else None)

    async def _stirred_within(self, seconds: float | None) -> None:
        """Return when there is something new, or after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._stirred.wait()
        except TimeoutError:
            pass

    async def _compute_all(self, due: Iterable[Feed]) -> None:
        for feed in due:
            if await self._compute_feed(feed):
                self._waiting.pop(feed, None)
            else:
                self._waiting[feed] = None

    async def _compute_feed(self, feed: Feed) -> bool:
        """Compute what is new in a feed, scope by scope; whether nothing is left."""
        # thousands may wait while rates stand still, and to find that out of all of them must hold up nobody
        await asyncio.sleep(0)
        done = True
        for scope in sorted(self._live.scopes(feed)):
            done = await self._compute(feed, scope) and done
        return done

    async def _compute(self, feed: Feed, scope: str) -> bool:
        """Compute what is new in a scope of a feed, some at a time; whether nothing is left that waits for its inputs."""
        held, newest = feed.computed(scope), feed.slices(scope)
        held.keep({item for item, _ in newest})
        is_begun = held.through != NOTHING
        fresh = [each for each in newest if each[1].offset > held.through]
        ready = self._ready(feed, fresh)
        while ready:
            part, ready = _some(ready)
            if not await self._add(feed, scope, held, part):
                return True
            if is_begun:
                _tell_how_late(part)
        return len(fresh) == 0 or fresh[-1][1].offset <= held.through

    def _ready(self, feed: Feed, fresh: Sequence[Fresh]) -> list[Fresh]:
        """Return the first ones of which all that they are priced with is stored, as far as it was known by then."""
        own = [feed.partition]
        moments = (
            self._watermarks.through((MACRO_STREAM.topic,), self._rates),
            self._watermarks.through((ACTION_STREAM.topic,), own),
        )
        quotes = self._watermarks.through((QUOTE_STREAM.topic,), own)
        ready = list[Fresh]()
        for each in fresh:
            fields = each[1].fields
            known = fields["known_from"]
            lacks = fields["underlying_price"] is None and fields["underlying_bid"] is None
            if any(moment is None or moment < known - INPUT_LEAD_US for moment in moments):
                break
            if lacks and (quotes is None or quotes < known):
                break
            ready.append(each)
        return ready

    async def _add(self, feed: Feed, scope: str, held: ComputedValues, part: Sequence[Fresh]) -> bool:
        """Compute some slices and have their clients told; whether the feed is still watched."""
        await load_calendars([feed.symbol])
        read = await self._queue.behind(lambda: [_slice(known) for _, known in part])
        slices = [each for each in read if each is not None]
        found = await self._known_beside(feed.symbol, slices)
        calendar = calendar_of(feed.symbol)
        offsets = {(known.fields["raw_offset"], known.fields["index"]): known.offset for _, known in part}

        def encoded(some: Sequence[OptionSlice]) -> dict[int, bytes]:
            unpriced = [
                each
                for of in some
                for each in unpriced_chain(feed.symbol, [of], found, calendar, now=self._asked_at(of)).slices
            ]
            chain = priced(UnpricedChain(symbol=feed.symbol, slices=tuple(unpriced)))
            made = ((offsets[each.slice.raw_offset, each.slice.index], each) for each in chain.slices)
            return {offset: encoded_greeks(offset, each) for offset, each in made}

        bodies = await self._queue.behind(lambda: _as_many_as_can_be(encoded, slices))
        if scope not in self._live.scopes(feed):
            return False
        for item, known in part:
            held.note(item, known.offset, bodies.get(known.offset))
        self._live.stir([feed])
        return True

    def _asked_at(self, each: OptionSlice) -> MarketTime:
        """Return the market's time when a slice became known, as REST takes it."""
        return MarketTime(each.known_from if self._is_wall else each.event_time)

    async def _known_beside(self, symbol: str, slices: Sequence[OptionSlice]) -> Beside:
        """Return what lies beside slices, as it was kept where that reaches up to what they are priced with."""
        if not slices:
            return Beside()
        days = stamped_days(slices)
        needed = max(each.known_from for each in slices) - INPUT_LEAD_US
        lacks = any(each.lacks_underlying for each in slices)
        kept, believed = self._beside.get(symbol), self._believed()
        if kept is not None and not lacks and kept.serves(days, needed, believed):
            return kept.beside
        as_of = KnowledgeTime(max(needed, self._stored_through(slices)))
        async with self._store.snapshot() as snapshot:
            found = await beside(snapshot, symbol, slices, as_of=as_of, believed=believed)
        if len(self._beside) >= MAX_BESIDE:
            self._beside.clear()
        self._beside[symbol] = _Kept(as_of, days, found)
        return found

    def _stored_through(self, slices: Sequence[OptionSlice]) -> int:
        """Return up to when rates and dividends are whole."""
        rates = self._watermarks.through((MACRO_STREAM.topic,), self._rates)
        actions = self._watermarks.through((ACTION_STREAM.topic,), [slices[0].partition])
        return 0 if rates is None or actions is None else min(rates, actions)


def _some(ready: Sequence[Fresh]) -> tuple[list[Fresh], list[Fresh]]:
    """Return as many slices as are computed together, at least one, and the others."""
    most = fitting([known.body for _, known in ready], BYTES_AT_ONCE)
    return list(ready[:most]), list(ready[most:])


def _as_many_as_can_be(
    encoded: Callable[[Sequence[OptionSlice]], dict[int, bytes]], slices: Sequence[OptionSlice]
) -> dict[int, bytes]:
    """Return what is implied by slices, encoded, by their offset in the log; of one that the model fails on nothing, and the log says so."""
    try:
        return encoded(slices)
    except Exception:
        # REST answers 500 for such a chain; here it would end the process, and again after every start
        if len(slices) == 1:
            log.exception("greeks_failed", extra={"symbol": slices[0].symbol, "event_id": slices[0].event_id})
            return {}
        alone = [_as_many_as_can_be(encoded, [each]) for each in slices]
        return {offset: body for bodies in alone for offset, body in bodies.items()}


def _tell_how_late(part: Sequence[Fresh]) -> None:
    now = wall_us()
    for _, known in part:
        metrics.WS_GREEKS_MS.observe((now - known.fields["known_from"]) / 1_000)


def _slice(known: NewestRecord) -> OptionSlice | None:
    """Return the slice of a live record; None, and a line in the log, of one that is none."""
    legs: dict[str, Any] = orjson.loads(known.body)[1]["legs"]
    try:
        return OptionSlice.of_live(known.fields, legs, known.partition)
    except InvalidRecord as error:
        log.warning("greeks_impossible", extra={"offset": known.offset, "error": str(error)})
        return None
