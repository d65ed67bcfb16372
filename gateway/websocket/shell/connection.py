"""One WebSocket client: its commands read and answered while one writer sends its frames, each within deadlines.

A client that does not read for ten seconds is closed with 4008; one that reads slowly is served from Kafka.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from aiohttp import WSMsgType, web

from gateway.http.access import Access, AccessDenied, Grant
from gateway.live.shell.live import LiveStreams
from gateway.websocket import answers, messages
from gateway.websocket.codes import CLOSE_FORBIDDEN, CLOSE_LOST_POSITION, CLOSE_UNAUTHORISED
from gateway.websocket.commands import (
    Authenticate,
    Close,
    Event,
    ListAll,
    RejectedItem,
    Reply,
    Subscribe,
    Unsubscribe,
    Update,
    Wanted,
)
from gateway.websocket.delivery import ClientQueue
from gateway.websocket.encoding import Message
from gateway.websocket.limits import Caller
from gateway.websocket.session import AUTH_WITHIN_S, Session
from gateway.websocket.shell.farewell import GONE, Goodbye, say, too_slow
from gateway.websocket.shell.subscriber import Ambiguity, KnownSymbol, LostLog, Subscriber
from gateway.websocket.shell.writer import Writer
from infra.runtime.clock import monotonic_s

E = TypeVar("E", bound=Exception)


class Door(Protocol):
    """Whoever counts the clients that are in."""

    def admit(self, connection: ClientConnection, grant: Grant) -> Caller:
        """Count one in that said who it is, and return its caller; raise Goodbye where there is no room for it."""

    def leave(self, connection: ClientConnection, caller: Caller | None, streams: int) -> None:
        """Count one out with the streams it had; `caller` None: it was never admitted."""


class ClientConnection:
    """Serves one client from `run`'s start to its end; matches `live.Watcher`."""

    def __init__(
        self,
        request: web.Request,
        ws: web.WebSocketResponse,
        live: LiveStreams,
        *,
        access: Access,
        door: Door,
        grant: Grant | None,
        known_symbol: KnownSymbol,
        ambiguity: Ambiguity,
    ) -> None:
        """Take over an upgraded connection; `grant` None: the client has not said yet who it is."""
        self._request, self._ws, self._live, self._access = request, ws, live, access
        self._door, self._grant = door, grant
        self._session = Session(caller=None, now_s=monotonic_s())
        self._outbox = ClientQueue(live.feeds)
        self._known_symbol, self._ambiguity = known_symbol, ambiguity
        self._writer = Writer(ws, self._outbox)
        self._ending: asyncio.Future[Goodbye] = asyncio.get_running_loop().create_future()

    async def run(self, welcome: bytes, preset: Sequence[Wanted | RejectedItem]) -> None:
        """Serve until the client leaves, is sent away, or breaks a rule."""
        self._outbox.push(welcome)
        goodbye = Goodbye(GONE, "cancelled")
        try:
            async with asyncio.TaskGroup() as tasks:
                subscriber = Subscriber(
                    self._live,
                    self._session,
                    self._outbox,
                    self,
                    known_symbol=self._known_symbol,
                    ambiguity=self._ambiguity,
                    spawn=tasks.create_task,
                )
                self._live.join(self)
                tasks.create_task(self._writer.run(subscriber.catch_up), name="ws-writer")
                tasks.create_task(self._until_ended(), name="ws-ending")
                await self._read(subscriber, preset)
        except* Goodbye as reasons:
            goodbye = _first(reasons)
        except* LostLog as losses:
            lost = _first(losses)
            goodbye = too_slow(str(lost), notices=(lost.notice,))
        except* ConnectionError:
            pass  # the client is gone
        finally:
            for stream, number in [
                (place.subscription.stream, n) for n, place in self._outbox.places.items()
            ]:
                self._live.unwatch(stream, self, number)
            self._live.leave(self)
            self._door.leave(self, self._session.caller, len(self._session.streams))
        await say(goodbye, self._request, self._ws, self._outbox, self._live.feeds.epochs)

    def end(self, goodbye: Goodbye) -> None:
        """Send the client away; the first reason given counts."""
        if not self._ending.done():
            self._ending.set_result(goodbye)

    def wake(self, number: int) -> None:
        """See `live.Watcher`."""
        self._outbox.wake(number)
        self._writer.note()

    def gap(self, number: int, fields: Mapping[str, Any]) -> None:
        """See `live.Watcher`."""
        self._push(messages.gap(number, fields))

    def routed(self, numbers: Sequence[int], fields: Mapping[str, Any]) -> None:
        """See `live.Watcher`."""
        if fields["changed"] in ("failover", "failback"):
            self._outbox.refresh(numbers, "failover")
        self._push(messages.route(numbers, fields))

    def log_state(self) -> None:
        """See `live.Watcher`."""
        self._push(messages.log_state(reachable=self._live.reachable, since=self._live.reachable_since))

    def lost_position(self) -> None:
        """See `live.Watcher`."""
        for number in tuple(self._outbox.places):
            self._outbox.drop(number)
        self.end(Goodbye(CLOSE_LOST_POSITION, "the log was replaced; subscribe anew"))

    def _push(self, message: Message) -> None:
        self._outbox.push(message.encode())
        self._note()

    def _note(self) -> None:
        self._writer.note()
        if self._outbox.overflowing:
            self.end(too_slow("answers and notices were left unread"))

    async def _until_ended(self) -> None:
        raise await self._ending

    async def _read(self, subscriber: Subscriber, preset: Sequence[Wanted | RejectedItem]) -> None:
        if self._grant is not None:
            self._session.caller = self._door.admit(self, self._grant)
        try:
            async with asyncio.timeout(AUTH_WITHIN_S):
                while not self._session.authorised:
                    await self._serve(await self._receive(), subscriber)
        except TimeoutError:
            raise Goodbye(CLOSE_UNAUTHORISED, f"no valid auth within {AUTH_WITHIN_S:.0f} s") from None
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
                self._outbox.push(message)
            case Authenticate(request, token):
                self._authenticate(request, token)
            case Subscribe():
                await subscriber.subscribe(event)
            case Unsubscribe(request, numbers):
                ended = [number for number in numbers if subscriber.close(number)]
                total = len(self._session.streams)
                self._push(answers.Unsubscribed(id=request, subs=ended, total=total))
            case Update(request, number, conflate):
                self._outbox.places[number].subscription.conflate = conflate
                mode = {"conflate": "latest" if conflate else "none"}
                self._push(answers.Updated(id=request, sub=number, effective=mode))
            case ListAll(request):
                self._push(answers.Subscriptions(id=request, items=self._list()))
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
            code = CLOSE_UNAUTHORISED if denied.status == 401 else CLOSE_FORBIDDEN
            raise Goodbye(code, denied.detail) from denied
        if self._session.caller is None:  # said again by one that is known, it changes nothing
            self._session.caller = self._door.admit(self, grant)
        self._push(answers.AuthOk(id=request, subject=grant.key_id))

    def _list(self) -> list[dict[str, Any]]:
        return [
            {
                "stream": str(place.subscription.stream),
                "sub": number,
                "epoch": self._live.feeds.epochs[place.feed.topic],
                "offset": place.subscription.covered,
                "effective": {"conflate": "latest" if place.subscription.conflate else "none"},
            }
            for number, place in self._outbox.places.items()
        ]


def _first(group: BaseExceptionGroup[E]) -> E:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
