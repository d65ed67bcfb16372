"""One WebSocket client: a reader of its commands and one writer of its frames, each within deadlines.

A client that does not read for ten seconds is closed with 4008; one that reads slowly is served from Kafka.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from aiohttp import WSMsgType, web

from gateway.http.access import Access, AccessDenied
from gateway.live.shell.live import LiveStreams
from gateway.websocket import messages
from gateway.websocket.commands import (
    Authenticate,
    Close,
    Event,
    ListAll,
    Rejected,
    Reply,
    Subscribe,
    Unsubscribe,
    Update,
    Wanted,
)
from gateway.websocket.delivery import ClientQueue, Frame
from gateway.websocket.session import AUTH_WITHIN_S, Session
from gateway.websocket.shell.sockets import abort, drained
from gateway.websocket.shell.subscriber import Ambiguity, KnownSymbol, LostLog, Subscriber
from infra.runtime import metrics
from infra.runtime.clock import monotonic_s, wall_us

TICK_S = 0.01  # what comes within one tick goes out as one frame
SEND_WITHIN_S = 10.0
CLOSE_GRACE_S = 3.0  # for a client that stopped reading to read why it is closed
HEARTBEAT_S = messages.HEARTBEAT_EVERY_MS / 1_000
RETRY_SLOW_MS = 1_000

log = logging.getLogger(__name__)
E = TypeVar("E", bound=Exception)


class Goodbye(Exception):
    """The connection ends with this code; `code` 0 means that the client is already gone."""

    def __init__(
        self, code: int, reason: str, *, retry_after_ms: int | None = None, notices: Sequence[bytes] = ()
    ) -> None:
        super().__init__(reason)
        self.notices = notices
        self.code = code
        self.reason = reason
        self.retry_after_ms = retry_after_ms


GONE = 0


class Connection:
    """Serves one client from `run`'s start to its end; matches `live.Watcher`."""

    def __init__(
        self,
        request: web.Request,
        ws: web.WebSocketResponse,
        live: LiveStreams,
        *,
        access: Access,
        authorised: bool,
        known_symbol: KnownSymbol,
        ambiguity: Ambiguity,
    ) -> None:
        """Take over an upgraded connection."""
        self._request, self._ws, self._live, self._access = request, ws, live, access
        self._session = Session(authorised=authorised, now_s=monotonic_s())
        self._queue = ClientQueue(live.feeds)
        self._known_symbol, self._ambiguity = known_symbol, ambiguity
        self._something = asyncio.Event()
        self._ending: asyncio.Future[Goodbye] = asyncio.get_running_loop().create_future()

    async def run(self, welcome: bytes, preset: Sequence[Wanted | Rejected]) -> None:
        """Serve until the client leaves, is sent away, or breaks a rule."""
        self._queue.push(welcome)
        goodbye = Goodbye(GONE, "cancelled")
        try:
            async with asyncio.TaskGroup() as tasks:
                subscriber = Subscriber(
                    self._live,
                    self._session,
                    self._queue,
                    self,
                    known_symbol=self._known_symbol,
                    ambiguity=self._ambiguity,
                    spawn=tasks.create_task,
                )
                self._live.join(self)
                tasks.create_task(self._write(subscriber), name="ws-writer")
                tasks.create_task(self._until_ended(), name="ws-ending")
                await self._read(subscriber, preset)
        except* Goodbye as reasons:
            goodbye = _first(reasons)
        except* LostLog as losses:
            lost = _first(losses)
            goodbye = _slow(str(lost), notices=(lost.notice,))
        except* ConnectionError:
            pass  # the client is gone
        finally:
            for stream, number in [(place.subscription.stream, n) for n, place in self._queue.places.items()]:
                self._live.unwatch(stream, self, number)
            self._live.leave(self)
        await self._say_goodbye(goodbye)

    def end(self, goodbye: Goodbye) -> None:
        """Send the client away; the first reason given counts."""
        if not self._ending.done():
            self._ending.set_result(goodbye)

    def wake(self, number: int) -> None:
        """See `live.Watcher`."""
        self._queue.wake(number)
        self._something.set()

    def gap(self, number: int, fields: Mapping[str, Any]) -> None:
        """See `live.Watcher`."""
        self._push(messages.gap(number, fields))

    def routed(self, numbers: Sequence[int], fields: Mapping[str, Any]) -> None:
        """See `live.Watcher`."""
        if fields["changed"] in ("failover", "failback"):
            self._queue.refresh(numbers, "failover")
        self._push(messages.route(numbers, fields))

    def log_state(self) -> None:
        """See `live.Watcher`."""
        reachable = self._live.reachable
        self._push(
            messages.message(
                "state",
                stream="open" if reachable else "recovering",
                data="ok" if reachable else "suspect",
                code="log_reachable" if reachable else "log_unreachable",
                since=self._live.reachable_since,
            )
        )

    def lost_position(self) -> None:
        """See `live.Watcher`."""
        for number in tuple(self._queue.places):
            self._queue.drop(number)
        self.end(Goodbye(messages.CLOSE_LOST_POSITION, "the log was replaced; subscribe anew"))

    def _push(self, message: bytes) -> None:
        self._queue.push(message)
        self._note()

    def _note(self) -> None:
        self._something.set()
        if self._queue.overflowing:
            self.end(_slow("answers and notices were left unread"))

    async def _until_ended(self) -> None:
        raise await self._ending

    async def _read(self, subscriber: Subscriber, preset: Sequence[Wanted | Rejected]) -> None:
        try:
            async with asyncio.timeout(AUTH_WITHIN_S):
                while not self._session.authorised:
                    await self._serve(await self._receive(), subscriber)
        except TimeoutError:
            raise Goodbye(
                messages.CLOSE_UNAUTHORISED, f"no valid auth within {AUTH_WITHIN_S:.0f} s"
            ) from None
        if preset:
            await self._serve(Subscribe(None, tuple(preset)), subscriber)
        while True:
            await self._serve(await self._receive(), subscriber)

    async def _receive(self) -> Event:
        message = await self._ws.receive()
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            return self._session.receive(message.data, monotonic_s())
        # CLOSE, CLOSING, CLOSED; or ERROR, whose data is the exception: an oversized or malformed frame, a lost ping.
        raise Goodbye(GONE, f"the client left: {message.type.name}")

    async def _serve(self, event: Event, subscriber: Subscriber) -> None:
        match event:
            case Reply(message):
                self._push(message)
            case Authenticate(request, token):
                self._authenticate(request, token)
            case Subscribe():
                await subscriber.subscribe(event)
            case Unsubscribe(request, numbers):
                ended = [number for number in numbers if subscriber.close(number)]
                total = len(self._session.streams)
                self._push(messages.message("unsubscribed", id=request, subs=ended, total=total))
            case Update(request, number, conflate):
                self._queue.places[number].subscription.conflate = conflate
                mode = {"conflate": "latest" if conflate else "none"}
                self._push(messages.message("updated", id=request, sub=number, effective=mode))
            case ListAll(request):
                self._push(messages.message("subscriptions", id=request, items=self._list()))
            case Close(code, reason):
                raise Goodbye(code, reason)
        self._note()

    def _authenticate(self, request: Any, token: str) -> None:
        headers = self._request.headers
        try:
            grant = self._access.check(
                "stream", token=token, origin=headers.get("Origin"), host=headers.get("Host")
            )
        except AccessDenied as denied:
            code = messages.CLOSE_UNAUTHORISED if denied.status == 401 else messages.CLOSE_FORBIDDEN
            raise Goodbye(code, denied.detail) from denied
        self._session.authorised = True
        self._push(messages.message("auth_ok", id=request, subject=grant.key_id))

    def _list(self) -> list[dict[str, Any]]:
        return [
            {
                "stream": str(place.subscription.stream),
                "sub": number,
                "epoch": self._live.feeds.epochs[place.feed.topic],
                "offset": place.subscription.covered,
                "effective": {"conflate": "latest" if place.subscription.conflate else "none"},
            }
            for number, place in self._queue.places.items()
        ]

    async def _write(self, subscriber: Subscriber) -> None:
        heartbeat_at_s = monotonic_s() + HEARTBEAT_S
        while True:
            now_s = monotonic_s()
            if now_s >= heartbeat_at_s:
                self._queue.heartbeat(wall_us())
                heartbeat_at_s = now_s + HEARTBEAT_S
            frame = self._queue.frame()
            for place in self._queue.fallen():
                subscriber.catch_up(place)
            if frame is not None:
                await self._send(frame)
                # A backlog goes out at full speed, yet every other client has its turn in between.
                await asyncio.sleep(0 if self._queue.waiting else max(0.0, now_s + TICK_S - monotonic_s()))
            else:
                await self._rest(heartbeat_at_s - now_s)

    async def _rest(self, at_most_s: float) -> None:
        if not self._queue.waiting:
            self._something.clear()
        try:
            async with asyncio.timeout(at_most_s):
                await self._something.wait()
        except TimeoutError:
            pass  # time for a heartbeat

    async def _send(self, frame: Frame) -> None:
        try:
            async with asyncio.timeout(SEND_WITHIN_S):
                await self._ws.send_frame(frame.encode(), WSMsgType.TEXT)
        except TimeoutError:
            raise _slow(f"nothing was read for {SEND_WITHIN_S:.0f} s") from None
        metrics.WS_SENT_MESSAGES.inc(frame.records)
        if frame.conflated:
            metrics.WS_DROPPED_MESSAGES.inc(frame.conflated)
        now = wall_us()
        for append_time in frame.append_times:
            metrics.WS_PUBLISH_LATENCY_MS.observe((now - append_time) / 1_000)

    async def _say_goodbye(self, goodbye: Goodbye) -> None:
        transport = self._request.transport
        if goodbye.code != GONE and transport is not None:
            if goodbye.code == messages.CLOSE_SLOW:
                metrics.WS_SLOW_CLOSES.inc()
                metrics.WS_DROPPED_MESSAGES.inc(self._queue.unsent())
            log.info("ws_client_sent_away", extra={"code": goodbye.code, "reason": goodbye.reason})
            try:
                async with asyncio.timeout(CLOSE_GRACE_S):
                    await drained(transport)
                    last = messages.disconnect(
                        goodbye.code,
                        goodbye.reason,
                        retry_after_ms=goodbye.retry_after_ms,
                        resume=self._resume_tokens(),
                    )
                    await self._ws.send_frame(messages.frame([*goodbye.notices, last]), WSMsgType.TEXT)
                    await self._ws.close(code=goodbye.code, message=goodbye.reason.encode()[:120])
            except (TimeoutError, ConnectionError, RuntimeError):
                pass  # it does not read, or it is gone
        if transport is not None and (goodbye.code == messages.CLOSE_SLOW or not self._ws.closed):
            abort(transport)

    def _resume_tokens(self) -> list[tuple[str, str, int]]:
        return [
            (str(stream), self._live.feeds.epochs[stream.topic], covered)
            for stream, covered in self._queue.positions()
        ]


def _slow(reason: str, notices: Sequence[bytes] = ()) -> Goodbye:
    text = f"too slow: {reason}"
    return Goodbye(messages.CLOSE_SLOW, text, retry_after_ms=RETRY_SLOW_MS, notices=notices)


def _first(group: BaseExceptionGroup[E]) -> E:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
