"""Begin and return of a client's streams: snapshot, live, resume from memory or Kafka, catch up after falling behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

from gateway.live.shell.live import LiveStreams, Watcher
from gateway.live.streams import LiveStream
from gateway.websocket import answers, messages
from gateway.websocket.commands import RejectedItem, Since, Subscribe, Wanted
from gateway.websocket.delivery import ClientQueue, OpenSubscription
from gateway.websocket.session import Session
from gateway.websocket.subscription import (
    RESUME_MAX_RECORDS,
    RESUME_WITHIN_S,
    FromLog,
    FromMemory,
    RefusedReason,
    Replay,
    ResumeRefused,
    StreamPosition,
    Subscription,
    plan_resume,
)
from infra.runtime import metrics
from infra.runtime.backoff import RETRY_S
from schemas.clocks import CanonicalOffset
from schemas.errors import AmbiguousSymbol, BrokerUnavailable, TransientError

KNOWN_WITHIN_S = 2.0
KNOWN_AT_ONCE = 8  # questions to the database at a time, for one command

Start = StreamPosition | ResumeRefused | Since | str | None
KnownSymbol = Callable[[str], Awaitable[bool]]
Ambiguity = Callable[[str], AmbiguousSymbol | None]
Spawn = Callable[[Coroutine[Any, Any, None]], object]


def certain(_: str) -> None:
    """Take every symbol for one that names one instrument."""


class LostLog(Exception):
    """The client fell behind what Kafka retains: nothing can make its stream whole again."""

    def __init__(self, stream: LiveStream, covered: CanonicalOffset) -> None:
        super().__init__(f"{stream} fell behind what the log retains; subscribe anew")
        self.notice = messages.Lagged(stream=str(stream), after={"offset": covered}).encode()


class Subscriber:
    """Begins and restores the subscriptions of one client."""

    def __init__(
        self,
        live: LiveStreams,
        session: Session,
        outbox: ClientQueue,
        watcher: Watcher,
        *,
        known_symbol: KnownSymbol,
        spawn: Spawn,
        ambiguity: Ambiguity = certain,
    ) -> None:
        """Serve `outbox`; reads from Kafka run as tasks made by `spawn`."""
        self._live, self._session, self._outbox = live, session, outbox
        self._watcher, self._known_symbol, self._spawn = watcher, known_symbol, spawn
        self._ambiguity = ambiguity

    async def subscribe(self, request: Subscribe) -> None:
        """Answer with one result per item, in order, and begin what was accepted; one bad item spoils no other."""
        asked = [item for item in request.items if isinstance(item, Wanted)]
        unclear = {item.stream.symbol: self._ambiguity(item.stream.symbol) for item in asked}
        wanted = [item for item in asked if unclear[item.stream.symbol] is None]
        known = await self._ask_known(item.stream.symbol for item in wanted)
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

    def catch_up(self, place: OpenSubscription) -> None:
        """Serve a client that fell behind memory from Kafka, a chunk at a time."""
        metrics.WS_CATCH_UPS.inc()
        self._spawn(self._catch_up(place))

    def _open(self, item: Wanted) -> OpenSubscription:
        number = self._session.open(item.stream)
        feed = self._live.watch(item.stream, self._watcher, number)
        applied = self._live.feeds.applied(feed)
        place = OpenSubscription(
            Subscription(number, item.stream, conflate=item.conflate, covered=applied), feed
        )
        self._outbox.open(place)
        return place

    def _accept(self, place: OpenSubscription, start: Start) -> dict[str, Any]:
        subscription, feed = place.subscription, place.feed
        epoch = self._live.feeds.epochs[feed.topic]
        if isinstance(start, StreamPosition) and start.epoch == epoch:
            subscription.covered = subscription.whole = start.offset
        return {
            "stream": str(subscription.stream),
            "sub": subscription.number,
            "ok": True,
            "epoch": epoch,
            "offset": subscription.covered,
            "floor_offset": feed.ring.floor(subscription.stream.scope),
            "effective": {
                "provider": subscription.stream.scope,
                "conflate": "latest" if subscription.conflate else "none",
            },
            "state": "open" if self._live.reachable else "recovering",
        }

    def _begin(self, place: OpenSubscription, start: Start) -> None:
        subscription, feed = place.subscription, place.feed
        applied = self._live.feeds.applied(feed)
        if isinstance(start, ResumeRefused):
            self._restart(place, start.reason)
        elif isinstance(start, StreamPosition):
            floor = feed.ring.floor(subscription.stream.scope)
            epoch = self._live.feeds.epochs[feed.topic]
            self._resume(place, start, plan_resume(start, epoch=epoch, floor=floor, applied=applied), applied)
        elif start is None:
            subscription.restart("subscribe")
        self._outbox.wake(subscription.number)

    def _resume(
        self,
        place: OpenSubscription,
        wanted: StreamPosition,
        plan: FromMemory | FromLog | ResumeRefused,
        applied: CanonicalOffset,
    ) -> None:
        subscription = place.subscription
        if isinstance(plan, ResumeRefused):
            self._restart(place, plan.reason)
        elif isinstance(plan, FromMemory):
            entries = tuple(place.feed.ring.after(wanted.offset, subscription.stream.scope))
            metrics.WS_RESUMES.labels("memory").inc()
            subscription.replay(Replay(entries=entries, after=wanted.offset, to=applied, source="memory"))
        else:
            subscription.await_history()
            self._spawn(self._resume_from_log(place, plan))

    async def _resume_from_log(self, place: OpenSubscription, plan: FromLog) -> None:
        subscription = place.subscription
        entries, _, outcome = await self._live.history(
            subscription.stream,
            place.feed,
            after=plan.after,
            up_to=plan.up_to,
            max_records=RESUME_MAX_RECORDS,
            within_s=RESUME_WITHIN_S,
        )
        if outcome == "complete":
            metrics.WS_RESUMES.labels("kafka").inc()
            subscription.replay(Replay(entries=entries, after=plan.after, to=plan.up_to, source="kafka"))
        else:
            self._restart(place, outcome)
        self._watcher.wake(subscription.number)

    async def _catch_up(self, place: OpenSubscription) -> None:
        subscription = place.subscription
        while True:
            after = subscription.whole
            entries, to, outcome = await self._live.history(
                subscription.stream,
                place.feed,
                after=after,
                up_to=self._live.feeds.applied(place.feed),
                max_records=RESUME_MAX_RECORDS,
                within_s=RESUME_WITHIN_S,
            )
            if outcome in ("expired", "epoch_changed"):
                raise LostLog(subscription.stream, after)
            if outcome != "unavailable":
                subscription.replay(Replay(entries=entries, after=after, to=to))
                self._watcher.wake(subscription.number)
                return
            await asyncio.sleep(RETRY_S)

    def _restart(self, place: OpenSubscription, reason: RefusedReason) -> None:
        metrics.WS_RESUMES.labels(reason).inc()
        number, floor = place.subscription.number, place.feed.ring.floor(place.subscription.stream.scope)
        self._outbox.push(
            messages.Recovered(sub=number, ok=False, reason=reason, floor_offset=floor).encode()
        )
        place.subscription.restart("recovery")

    async def _ask_known(self, symbols: Iterable[str]) -> dict[str, bool | None]:
        known: dict[str, bool | None] = {symbol: self._live.knows(symbol) or None for symbol in symbols}
        turns = asyncio.Semaphore(KNOWN_AT_ONCE)

        async def ask(symbol: str) -> None:
            try:
                async with turns:
                    known[symbol] = await self._known_symbol(symbol)
            except TransientError:
                pass  # stays None: nobody can say now

        try:
            async with asyncio.timeout(KNOWN_WITHIN_S), asyncio.TaskGroup() as tasks:
                for symbol in [symbol for symbol, answer in known.items() if answer is None]:
                    tasks.create_task(ask(symbol))
        except TimeoutError:
            pass
        return known

    async def _resolve_all(self, items: Iterable[Wanted]) -> dict[LiveStream, Start]:
        moments = [(item.stream, item.start.time_us) for item in items if isinstance(item.start, Since)]
        starts: dict[LiveStream, Start] = {
            stream: ResumeRefused(reason="unavailable") for stream, _ in moments
        }
        try:
            async with asyncio.timeout(RESUME_WITHIN_S):
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
