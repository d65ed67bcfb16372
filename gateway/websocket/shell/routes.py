"""The WebSocket endpoints: `/ws`, and those that begin with streams of a symbol: `/ws/{symbol}` and `/ws/options/{symbol}`."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import ClassVar

from aiohttp import web

from gateway.http.access import Access, Grant, bearer_token
from gateway.http.endpoints import Answer, Endpoint, Parameter, Query
from gateway.http.parameters import Symbol
from gateway.http.shell.answers import Serves
from gateway.live.shell.live import LiveStreams
from gateway.live.streams import BEST, DEFAULT_CHANNELS, OPTION_CHANNEL, InvalidStream, parse_stream
from gateway.websocket import answers, messages
from gateway.websocket.codes import (
    CLOSE_CONNECTIONS,
    CLOSE_OVERLOAD,
    CLOSE_RESTART,
    CLOSE_UNAUTHORISED,
    CLOSE_UNSUPPORTED,
)
from gateway.websocket.delivery import QUEUE_BYTES
from gateway.websocket.frames import FRAME_BYTES
from gateway.websocket.items import MAX_ITEMS, RejectedItem, Wanted
from gateway.websocket.limits import (
    COMMANDS_PER_S,
    KEY_CONNECTIONS,
    MAX_STREAMS,
    STREAMS_PER_UNIT,
    Caller,
    Callers,
    Waiting,
)
from gateway.websocket.session import MAX_COMMAND_BYTES, READ_BYTES
from gateway.websocket.shell.connection import ClientConnection
from gateway.websocket.shell.farewell import Goodbye
from gateway.websocket.shell.sockets import harden
from gateway.websocket.shell.subscriber import StreamCatalogue
from gateway.websocket.shell.ticker import Ticker
from gateway.websocket.subscription import RESUME_MAX_OFFSETS, RESUME_MAX_SLICES
from infra.runtime import metrics
from infra.runtime.clock import monotonic_s, wall_us
from schemas.identity import stream_name

MAX_CONNECTIONS = 4_096  # of this process
RETRY_AFTER_MS = (1_000, 5_000)  # spread, so that those sent away do not come back together
PING_EVERY_S = 20.0  # aiohttp expects the pong within half of it
CLOSE_WITHIN_S = 2.0
SPREAD_S = 2.0
FEATURES = ("resume", "conflation", "gaps", "catch_up", "greeks")
VERSION = 1

_UPGRADED = {
    101: (Answer(words="The connection is a WebSocket: see GET /asyncapi.json.", media=""),),
}
_PROBLEMS = ("upgrade_required", "unauthenticated", "auth_failed", "forbidden")
WS = Endpoint(
    method="GET",
    path="/ws",
    scope="stream",
    topic="Streams",
    summary="A WebSocket of any streams, subscribed by commands.",
    query=Query,
    lenient=True,
    answers=_UPGRADED,
    problems=_PROBLEMS,
)
WS_OF_SYMBOL = Endpoint(
    method="GET",
    path="/ws/{symbol}",
    scope="stream",
    topic="Streams",
    summary="A WebSocket that begins with the streams of one symbol, with no command sent.",
    query=Query,
    lenient=True,
    path_parameters={"symbol": Parameter(kind=Symbol(), words="The symbol, percent-encoded.")},
    answers=_UPGRADED,
    problems=_PROBLEMS,
)
WS_OF_OPTIONS = Endpoint(
    method="GET",
    path="/ws/options/{symbol}",
    scope="stream",
    topic="Streams",
    summary="A WebSocket that begins with the option chain of one symbol, with no command sent.",
    query=Query,
    lenient=True,
    path_parameters={"symbol": Parameter(kind=Symbol(), words="The underlying's symbol, percent-encoded.")},
    answers=_UPGRADED,
    problems=_PROBLEMS,
)


def _response() -> web.WebSocketResponse:
    return web.WebSocketResponse(
        protocols=(messages.SUBPROTOCOL,),
        heartbeat=PING_EVERY_S,
        timeout=CLOSE_WITHIN_S,
        max_msg_size=2 * READ_BYTES,  # what is longer is cut off without a word
        compress=False,
        writer_limit=1,  # every frame waits for the socket to take it
        decode_text=False,
    )


class WebSockets:
    """Every WebSocket client of the process."""

    def __init__(
        self,
        live: LiveStreams,
        access: Access,
        catalogue: StreamCatalogue,
        *,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        """Serve `live`; what it never saw is asked of `catalogue`."""
        self._live, self._access, self._catalogue = live, access, catalogue
        self._max_connections = max_connections
        self._connections: set[ClientConnection] = set()
        self._callers = Callers()
        self.ticker = Ticker(live.take_moved)
        self._waiting: Waiting[ClientConnection] = Waiting()
        self._admitted = 0
        self._draining = False
        self._nobody = asyncio.Event()
        live.on_drain(self.drain)
        live.on_moved(self.ticker.stir)
        access.on_replaced(self._end_revoked)

    async def multiplexed(self, request: web.Request) -> web.StreamResponse:
        """Serve `/ws`: nothing comes before the client subscribes."""
        return await self._serve(request, ())

    async def of_symbol(self, request: web.Request) -> web.StreamResponse:
        """Serve `/ws/{symbol}`: quotes, trades, 1-minute bars and gaps of the symbol, with no command sent."""
        symbol = request.match_info["symbol"]
        return await self._serve(request, [_preset(channel, symbol) for channel in DEFAULT_CHANNELS])

    async def of_options(self, request: web.Request) -> web.StreamResponse:
        """Serve `/ws/options/{symbol}`: slices of the symbol's option chain, with no command sent."""
        return await self._serve(request, [_preset(OPTION_CHANNEL, request.match_info["symbol"])])

    serves: ClassVar[Serves] = (
        (WS, multiplexed),
        (WS_OF_SYMBOL, of_symbol),
        (WS_OF_OPTIONS, of_options),
    )

    async def drain(self, within_s: float) -> None:
        """Send everybody away with 1012, spread so that they do not reconnect in one burst."""
        self._draining = True
        leaving = list(self._connections)
        pause_s = min(SPREAD_S, within_s / 2) / max(len(leaving), 1)
        for connection in leaving:
            connection.end(Goodbye(CLOSE_RESTART, "restarting", retry_after_ms=_retry_after_ms()))
            await asyncio.sleep(pause_s)
        if self._connections:
            self._nobody.clear()
            try:
                async with asyncio.timeout(within_s / 2):
                    await self._nobody.wait()
            except TimeoutError:
                pass  # who does not read is cut off with the server

    async def _serve(
        self, request: web.Request, preset: Sequence[Wanted | RejectedItem]
    ) -> web.StreamResponse:
        ws = _response()
        if not ws.can_prepare(request):
            text = "this is a WebSocket; connect with ws:// or wss://"
            raise web.HTTPUpgradeRequired(text=text, headers={"Upgrade": "websocket"})
        grant = self._authorise(request)
        await ws.prepare(request)
        harden(request.transport)
        connection = ClientConnection(
            request,
            ws,
            self._live,
            access=self._access,
            door=self,
            grant=grant,
            catalogue=self._catalogue,
        )
        refusal = self._refusal(request)
        if refusal is not None:
            connection.end(refusal)
            preset = ()
        elif grant is None and (stale := self._waiting.enter(connection, request.remote or "")) is not None:
            stale.end(self._overload("too many connections that have not said who they are"))
        self._connections.add(connection)
        metrics.WS_CLIENTS.inc()
        try:
            await connection.run(self._welcome(), preset)
        finally:
            metrics.WS_CLIENTS.dec()
            self._connections.discard(connection)
            if not self._connections:
                self._nobody.set()
        return ws

    def admit(self, connection: ClientConnection, grant: Grant) -> Caller:
        """Give a slot to a client that said who it is; raise Goodbye where there is none."""
        self._waiting.leave(connection)
        if not self._access.stands(grant, "stream"):
            raise _taken_back()
        if self._admitted >= self._max_connections:
            raise self._overload("too many connections")
        caller = self._callers.enter(grant.key_id, monotonic_s())
        if caller is None:
            text = f"the key has {KEY_CONNECTIONS} connections; close one, or use another key"
            raise Goodbye(CLOSE_CONNECTIONS, text)
        self._admitted += 1
        return caller

    def leave(self, connection: ClientConnection, caller: Caller | None, streams: int) -> None:
        """Take the slot back, where there was one."""
        self._waiting.leave(connection)
        if caller is not None:
            self._admitted -= 1
            self._callers.leave(caller, streams)

    def _end_revoked(self) -> None:
        """Send away whose key is no more, or may not stream any more."""
        for connection in tuple(self._connections):
            if connection.grant is not None and not self._access.stands(connection.grant, "stream"):
                connection.end(_taken_back())

    def _authorise(self, request: web.Request) -> Grant | None:
        token = bearer_token(request.headers.get("Authorization"))
        if token is None and self._access.required:
            return None  # a browser cannot send the header: the first message must be `auth`
        origin, host = request.headers.get("Origin"), request.headers.get("Host")
        return self._access.check("stream", token=token, origin=origin, host=host)

    @staticmethod
    def _overload(reason: str) -> Goodbye:
        return Goodbye(CLOSE_OVERLOAD, reason, retry_after_ms=_retry_after_ms())

    def _refusal(self, request: web.Request) -> Goodbye | None:
        if self._draining:
            return Goodbye(CLOSE_RESTART, "restarting", retry_after_ms=_retry_after_ms())
        if not self._live.ready:
            return self._overload("not warm yet")
        offered = request.headers.get("Sec-WebSocket-Protocol", messages.SUBPROTOCOL)
        if messages.SUBPROTOCOL not in [name.strip() for name in offered.split(",")]:
            return Goodbye(CLOSE_UNSUPPORTED, f"this server speaks {messages.SUBPROTOCOL}")
        return None

    def _welcome(self) -> bytes:
        return messages.Welcome(
            version=VERSION,
            protocol=messages.SUBPROTOCOL,
            now=wall_us(),
            time_unit="us",
            auth_required=self._access.required,
            heartbeat={"every_ms": messages.HEARTBEAT_EVERY_MS, "timeout_ms": messages.SILENCE_TIMEOUT_MS},
            limits={
                "streams": MAX_STREAMS,
                "items_per_command": MAX_ITEMS,
                "commands_per_s": COMMANDS_PER_S,
                "streams_per_command_unit": STREAMS_PER_UNIT,
                "command_bytes": MAX_COMMAND_BYTES,
                "frame_bytes": FRAME_BYTES,
                "queue_bytes": QUEUE_BYTES,
                "resume_offsets": RESUME_MAX_OFFSETS,
                "resume_slices": RESUME_MAX_SLICES,
            },
            features=FEATURES,
        ).encode()


def _preset(channel: str, symbol: str) -> Wanted | RejectedItem:
    name = stream_name(channel, BEST, symbol)
    try:
        stream = parse_stream(name)
    except InvalidStream as problem:
        return RejectedItem(answers.refused(name, problem.slug, str(problem)))
    return Wanted(stream=stream, start=None, conflate=stream.may_conflate, greeks=stream.has_greeks)


def _taken_back() -> Goodbye:
    return Goodbye(CLOSE_UNAUTHORISED, "the key was taken back; connect with another one")


def _retry_after_ms() -> int:
    return random.randint(*RETRY_AFTER_MS)  # noqa: S311 - spreads reconnections, protects nothing
