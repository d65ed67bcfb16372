"""Begin of a client's streams: what is accepted, and where each begins: with a snapshot, live, or at a position."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.live.computed import NOTHING
from gateway.live.shell.live import LiveStreams, Watcher
from gateway.live.streams import LiveStream
from gateway.market.shell.calendars import load_calendars
from gateway.websocket import answers, messages
from gateway.websocket.commands import Subscribe
from gateway.websocket.delivery import ClientQueue
from gateway.websocket.frames import OpenSubscription
from gateway.websocket.items import RejectedItem, Since, Wanted
from gateway.websocket.offers import Offers
from gateway.websocket.session import Session
from gateway.websocket.shell.worth import Worth
from gateway.websocket.subscription import (
    Recovery,
    ResumeRefused,
    StreamPosition,
    Subscription,
    plan_resume,
    resume_offsets,
)
from schemas.clocks import CanonicalOffset
from schemas.errors import AmbiguousSymbol, BrokerUnavailable, TransientError

KNOWN_WITHIN_S = 2.0
SINCE_WITHIN_S = 5.0

Start = StreamPosition | Recovery | ResumeRefused | Since | str | None
KnownAmong = Callable[[Collection[str]], Awaitable[Collection[str]]]
Ambiguity = Callable[[str], AmbiguousSymbol | None]


def certain(_: str) -> None:
    """Take every symbol for one that names one instrument."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamCatalogue:
    """Symbols and streams there are, as others know: `known_among` may raise TransientError for "cannot say now".

    Without `offers` any stream may come, without `worth` nothing is said of how fresh it is.
    """

    known_among: KnownAmong
    ambiguity: Ambiguity = certain
    offers: Offers | None = None
    worth: Worth | None = None


class Subscriber:
    """Begins and restores the subscriptions of one client."""

    def __init__(
        self,
        live: LiveStreams,
        session: Session,
        outbox: ClientQueue,
        watcher: Watcher,
        catalogue: StreamCatalogue,
    ) -> None:
        """Serve `outbox`."""
        self._live, self._session, self._outbox = live, session, outbox
        self._watcher, self._catalogue = watcher, catalogue

    async def subscribe(self, request: Subscribe) -> None:
        """Answer with one result per item, in order, and begin what was accepted; one bad item spoils no other."""
        asked = [item for item in request.items if isinstance(item, Wanted)]
        unclear = {item.stream.symbol: self._catalogue.ambiguity(item.stream.symbol) for item in asked}
        wanted = [item for item in asked if unclear[item.stream.symbol] is None]
        known = await self._ask_known(item.stream.symbol for item in wanted)
        await self._load_calendars([symbol for symbol, answer in known.items() if answer])
        starts = await self._resolve_all(item for item in wanted if known[item.stream.symbol])
        results: list[Any] = []
        begin: list[tuple[OpenSubscription, Start]] = []
        for item in request.items:
            if isinstance(item, RejectedItem):
                results.append(item.result)
                continue
            refusal = (
                self._session.problem(item.stream)
                or _unclear(item.stream, unclear[item.stream.symbol])
                or _unknown(item.stream, known=known.get(item.stream.symbol))
                or self._offered(item.stream)
            )
            if refusal is not None:
                results.append(refusal)
                continue
            start = starts.get(item.stream, item.start)
            place = self._open(item)
            results.append(self._accept(place, start))
            begin.append((place, start))
        total = len(self._session.streams)
        self._outbox.push(answers.Subscribed(id=request.request, results=results, total=total).encode())
        for place, start in begin:
            self._begin(place, start)

    def close(self, number: int) -> bool:
        """End a subscription; whether there was one."""
        stream = self._outbox.drop(number)
        self._session.close(number)
        if stream is not None:
            self._live.unwatch(stream, self._watcher, number)
        return stream is not None

    def _open(self, item: Wanted) -> OpenSubscription:
        number = self._session.open(item.stream)
        feed = self._live.watch(item.stream, self._watcher, number)
        applied = self._live.feeds.applied(feed)
        place = OpenSubscription(
            Subscription(number, item.stream, conflate=item.conflate, covered=applied), feed
        )
        if item.greeks:
            place.subscription.computed = NOTHING
        self._outbox.open(place)
        return place

    def _accept(self, place: OpenSubscription, start: Start) -> dict[str, Any]:
        subscription, feed = place.subscription, place.feed
        epoch = self._live.feeds.epochs[feed.topic]
        if isinstance(start, StreamPosition) and start.epoch == epoch:
            subscription.covered = subscription.whole = start.offset
        return self._worth(subscription) | {
            "stream": str(subscription.stream),
            "sub": subscription.number,
            "ok": True,
            "epoch": epoch,
            "offset": subscription.covered,
            "floor_offset": feed.ring.floor(subscription.stream.scope),
            "effective": {"provider": subscription.stream.scope, **subscription.effective},
            "state": "open" if self._live.reachable else "recovering",
        }

    def _worth(self, subscription: Subscription) -> dict[str, Any]:
        judged = None if self._catalogue.worth is None else self._catalogue.worth.of(subscription.stream)
        if judged is None:
            return {}
        subscription.state = judged.code
        told = {"data": messages.data_of(judged.code), "code": judged.code}
        return told if judged.last_event_ts is None else told | {"last_event_ts": judged.last_event_ts}

    def _offered(self, stream: LiveStream) -> Mapping[str, Any] | None:
        offers = self._catalogue.offers
        return None if offers is None else offers.refusal(stream, self._live.feeds.find(*stream.feed))

    def _begin(self, place: OpenSubscription, start: Start) -> None:
        subscription, feed = place.subscription, place.feed
        if isinstance(start, StreamPosition):
            floor, epoch = feed.ring.floor(subscription.stream.scope), self._live.feeds.epochs[feed.topic]
            applied, most = self._live.feeds.applied(feed), resume_offsets(subscription.stream)
            start = plan_resume(start, epoch=epoch, floor=floor, applied=applied, most=most)
        if isinstance(start, Recovery):
            subscription.recover(start)
        elif isinstance(start, ResumeRefused):
            self._outbox.refuse(place, start.reason)
        elif start is None:
            subscription.restart("subscribe")
        self._outbox.wake(subscription.number)

    async def _ask_known(self, symbols: Iterable[str]) -> dict[str, bool | None]:
        known: dict[str, bool | None] = {symbol: self._live.knows(symbol) or None for symbol in symbols}
        unseen = [symbol for symbol, answer in known.items() if answer is None]
        try:
            async with asyncio.timeout(KNOWN_WITHIN_S):
                found = await self._catalogue.known_among(unseen) if unseen else ()
        except (TransientError, TimeoutError):
            return known  # None stays: nobody can say now
        return known | {symbol: symbol in found for symbol in unseen}

    async def _load_calendars(self, symbols: Sequence[str]) -> None:
        if self._catalogue.worth is None:
            return
        try:
            async with asyncio.timeout(KNOWN_WITHIN_S):
                await load_calendars(symbols)
        except TimeoutError:
            pass  # it goes on beside the loop; until then the market's hours count as unknown

    async def _resolve_all(self, items: Iterable[Wanted]) -> dict[LiveStream, Start]:
        moments = [(item.stream, item.start.time_us) for item in items if isinstance(item.start, Since)]
        starts: dict[LiveStream, Start] = {
            stream: ResumeRefused(reason="unavailable") for stream, _ in moments
        }
        try:
            async with asyncio.timeout(SINCE_WITHIN_S):
                for stream, time_us in moments:
                    starts[stream] = await self._resolve(stream, time_us)
        except TimeoutError:
            pass  # what could not be asked in time begins with a snapshot
        return starts

    async def _resolve(self, stream: LiveStream, time_us: int) -> StreamPosition | ResumeRefused:
        feed = self._live.feeds.feed(*stream.feed)
        try:
            first = await self._live.offset_at(feed, time_us)
        except BrokerUnavailable:
            return ResumeRefused(reason="unavailable")
        if first is None:
            return ResumeRefused(reason="expired")
        return StreamPosition(epoch=self._live.feeds.epochs[feed.topic], offset=CanonicalOffset(first - 1))


def _unclear(stream: LiveStream, fault: AmbiguousSymbol | None) -> dict[str, Any] | None:
    if fault is None:
        return None
    return answers.refused(str(stream), fault.reason, str(fault), candidates=list(fault.candidates))


def _unknown(stream: LiveStream, *, known: bool | None) -> dict[str, Any] | None:
    if known:
        return None
    if known is None:
        text = "whether the symbol exists cannot be told now; ask again"
        return answers.refused(str(stream), "overloaded", text)
    text = f"{stream.symbol} is neither configured nor stored here; see GET /stocks/{stream.symbol}/price"
    return answers.refused(str(stream), "unknown_symbol", text)
