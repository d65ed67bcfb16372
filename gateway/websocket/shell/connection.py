"""One WebSocket client: its commands read and answered; what it is sent, the ticker of all clients writes.

A client that does not read for ten seconds is closed with 4008; one that reads slowly is served from Kafka.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from aiohttp import WSMsgType, web

from gateway.http.access import Access, AccessDenied, Grant
from gateway.live.shell.live import LiveStreams
from gateway.websocket import answers, messages
from gateway.websocket.codes import CLOSE_FORBIDDEN, CLOSE_INTERNAL, CLOSE_LOST_POSITION, CLOSE_UNAUTHORISED
from gateway.websocket.commands import (
    Authenticate,
    Close,
    Event,
    ListAll,
    Reply,
    Subscribe,
    Unsubscribe,
    Update,
)
from gateway.websocket.delivery import ClientQueue, unjudged
from gateway.websocket.encoding import Message
from gateway.websocket.frames import OpenSubscription
from gateway.websocket.items import RejectedItem, Wanted
from gateway.websocket.limits import Caller
from gateway.websocket.session import AUTH_WITHIN_S, Session
from gateway.websocket.shell.farewell import GONE, Goodbye, say, too_slow
from gateway.websocket.shell.subscriber import StreamCatalogue, Subscriber
from gateway.websocket.shell.ticker import Ticker
from infra.runtime.clock import monotonic_s, wall_us

log = logging.getLogger(__name__)


class Door(Protocol):
    """Whoever counts the clients that are in, and writes to them."""

    @property
    def ticker(self) -> Ticker:
        """The writer of all clients."""

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
        catalogue: StreamCatalogue,
    ) -> None:
        """Take over an upgraded connection; `grant` None: the client has not said yet who it is."""
        self._request, self._ws, self._live, self._access = request, ws, live, access
        self._door, self.grant = door, grant
        self.transport = request.transport
        self._session = Session(caller=None, now_s=monotonic_s())
        self.outbox = ClientQueue(live.feeds, live.past)
        self._ticker, self._worth = door.ticker, catalogue.worth
        self._subscriber = Subscriber(live, self._session, self.outbox, self, catalogue)
        self._serving: asyncio.Task[None] | None = None
        self._goodbye: Goodbye | None = None

    async def run(self, welcome: bytes, preset: Sequence[Wanted | RejectedItem]) -> None:
        """Serve until the client leaves, is sent away, or breaks a rule."""
        self.outbox.push(welcome)
        self._live.join(self)
        self._ticker.join(self)
        try:
            goodbye = await self._serve_until_ended(preset)
        finally:
            self._ticker.leave(self)
            for stream, number in [(place.subscription.stream, n) for n, place in self.outbox.places.items()]:
                self._live.unwatch(stream, self, number)
            self._live.leave(self)
            self._door.leave(self, self._session.caller, len(self._session.streams))
        await say(goodbye, self._request, self._ws, self.outbox, self._live.feeds.epochs)

    async def _serve_until_ended(self, preset: Sequence[Wanted | RejectedItem]) -> Goodbye:
        # The reader is the one task of a client: whoever sends it away interrupts it.
        task = self._serving = asyncio.current_task()
        try:
            if self._goodbye is None:
                await self._read(preset)
        except Goodbye as goodbye:
            return self._goodbye or goodbye
        except ConnectionError:
            pass  # the client is gone
        except asyncio.CancelledError:
            if self._goodbye is None:
                raise
            if task is not None:
                task.uncancel()
        except Exception:  # an HTTP answer to it would be written into the socket
            log.exception("ws_client_failed")
            return Goodbye(CLOSE_INTERNAL, "this is our fault; reconnect and report it")
        finally:
            self._serving = None
        return self._goodbye or Goodbye(GONE, "the client left")

    def end(self, goodbye: Goodbye) -> None:
        """Send the client away; the first reason given counts."""
        if self._goodbye is None:
            self._goodbye = goodbye
            if self._serving is not None:
                self._serving.cancel()

    def want(self, place: OpenSubscription) -> None:
        """See `ticker.Client`."""
        subscription = place.subscription
        self._live.past.want(place.feed.place, subscription.whole + 1, self, subscription.number)

    def beat(self) -> None:
        """See `ticker.Client`."""
        self.outbox.heartbeat(wall_us(), unjudged if self._worth is None else self._worth.of)

    def arrived(self, number: int) -> None:
        """See `past.Awaiting`."""
        self.outbox.arrived(number)
        self._ticker.note(self)

    def gap(self, number: int, fields: Mapping[str, Any]) -> None:
        """See `live.Watcher`."""
        self._push(messages.gap(number, fields))

    def routed(self, numbers: Sequence[int], fields: Mapping[str, Any]) -> None:
        """See `live.Watcher`."""
        if fields["changed"] in ("failover", "failback"):
            self.outbox.refresh(numbers, "failover")
        self._push(messages.route(numbers, fields))

    def log_state(self) -> None:
        """See `live.Watcher`."""
        self._push(messages.log_state(reachable=self._live.reachable, since=self._live.reachable_since))

    def lost_position(self) -> None:
        """See `live.Watcher`."""
        for number in tuple(self.outbox.places):
            self.outbox.drop(number)
        self.end(Goodbye(CLOSE_LOST_POSITION, "the log was replaced; subscribe anew"))

    def _push(self, message: Message) -> None:
        self.outbox.push(message.encode())
        self._note()

    def _note(self) -> None:
        self._ticker.note(self)
        if self.outbox.overflowing:
            self.end(too_slow("answers and notices were left unread"))

    async def _read(self, preset: Sequence[Wanted | RejectedItem]) -> None:
        if self.grant is not None:
            self._session.caller = self._door.admit(self, self.grant)
        try:
            async with asyncio.timeout(AUTH_WITHIN_S):
                while not self._session.authorised:
                    await self._serve(await self._receive())
        except TimeoutError:
            raise Goodbye(CLOSE_UNAUTHORISED, f"no valid auth within {AUTH_WITHIN_S:.0f} s") from None
        if preset:
            await self._serve(Subscribe(None, tuple(preset)))
        while True:
            await self._serve(await self._receive())

    async def _receive(self) -> Event:
        message = await self._ws.receive()
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            return self._session.receive(message.data, monotonic_s())
        # CLOSE, CLOSING, CLOSED; or ERROR, whose data is the exception: an oversized or malformed frame, a lost ping.
        raise Goodbye(GONE, f"the client left: {message.type.name}")

    async def _serve(self, event: Event) -> None:
        match event:
            case Reply(message):
                self.outbox.push(message)
            case Authenticate(request, token):
                self._authenticate(request, token)
            case Subscribe():
                await self._subscriber.subscribe(event)
            case Unsubscribe(request, numbers):
                ended = [number for number in numbers if self._subscriber.close(number)]
                total = len(self._session.streams)
                self._push(answers.Unsubscribed(id=request, subs=ended, total=total))
            case Update(request, number, conflate):
                subscription = self.outbox.places[number].subscription
                subscription.conflate = conflate
                self._push(answers.Updated(id=request, sub=number, effective=subscription.effective))
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
            self.grant = grant
            self._session.caller = self._door.admit(self, grant)
        self._push(answers.AuthOk(id=request, subject=grant.key_id))

    def _list(self) -> list[dict[str, Any]]:
        return [
            {
                "stream": str(place.subscription.stream),
                "sub": number,
                "epoch": self._live.feeds.epochs[place.feed.topic],
                "offset": place.subscription.covered,
                "effective": place.subscription.effective,
            }
            for number, place in self.outbox.places.items()
        ]
