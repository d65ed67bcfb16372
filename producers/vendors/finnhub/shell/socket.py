"""Finnhub's trade socket: connect, subscribe all, notice silence. Reading stops when the caller stops: TCP does the rest."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

import aiohttp
import orjson
from aiohttp import ClientWebSocketResponse, WSMsgType

from infra.runtime.clock import wall_us
from infra.runtime.metrics import PROVIDER_ERRORS
from producers.budget.pauses import read_signal
from producers.budget.shell.gate import Admission, Gate
from producers.http.shell.client import AUTHENTICATION
from producers.vendors.answers import Frame
from producers.vendors.finnhub.parsing import PROVIDER, parse_frame
from schemas.errors import BudgetExhausted, ProviderRefused, ProviderThrottled, ProviderUnavailable

SOCKET_URL = "wss://ws.finnhub.io"
ENDPOINT = "socket"
HANDSHAKE = "websocket"  # the endpoint whose limits a connection counts to
HANDSHAKE_DEADLINE_S = 10.0
SUBSCRIBE_DEADLINE_S = 30.0
CLOSE_DEADLINE_S = 1.0
SILENCE_S = 60.0  # Finnhub pings about every ten seconds; twice seen: pings just stop
MAX_FRAME_BYTES = 2_097_152  # what fits a dead letter


class Connection:
    """One open socket with everything subscribed; frames come in order, as bytes."""

    def __init__(self, socket: ClientWebSocketResponse[bool], *, silence_s: float) -> None:
        """Read from `socket`; it is broken when it says nothing for `silence_s` while we listen."""
        self.connection_id = secrets.token_hex(8)
        self._socket = socket
        self._silence_s = silence_s

    async def receive(self) -> bytes:
        """Return the next frame; raise ProviderUnavailable where the connection is over."""
        try:
            message = await self._socket.receive(self._silence_s)
        except TimeoutError:
            raise ProviderUnavailable(
                f"finnhub socket: silent for {self._silence_s:.0f} s, not even a ping"
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise ProviderUnavailable(f"finnhub socket: {type(error).__name__}") from None
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            return bytes(message.data)
        raise ProviderUnavailable(
            f"finnhub socket: closed ({message.type.name}, code {self._socket.close_code})"
        )

    async def subscribe(self, symbols: Sequence[str]) -> None:
        """Receive `symbols` as well; raise ProviderUnavailable where the connection is over."""
        await self._say("subscribe", symbols)

    async def unsubscribe(self, symbols: Sequence[str]) -> None:
        """Receive `symbols` no more, but for what is on its way; raises like `subscribe`."""
        await self._say("unsubscribe", symbols)

    async def _say(self, kind: str, symbols: Sequence[str]) -> None:
        try:
            async with asyncio.timeout(SUBSCRIBE_DEADLINE_S):
                for symbol in symbols:
                    await self._socket.send_str(orjson.dumps({"type": kind, "symbol": symbol}).decode())
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            PROVIDER_ERRORS.labels(PROVIDER, ENDPOINT, "connection").inc()
            raise ProviderUnavailable(f"finnhub socket: {type(error).__name__}") from None


class FinnhubSocket:
    """Opens connections to the trade socket."""

    provider = PROVIDER
    endpoint = ENDPOINT

    def __init__(
        self,
        session: aiohttp.ClientSession,
        token: str,
        *,
        gate: Gate,
        url: str = SOCKET_URL,
        silence_s: float = SILENCE_S,
    ) -> None:
        """Connect to `url` with `token`, which this vendor takes only in the query, whenever `gate` admits it."""
        self._session = session
        self._token = token
        self._gate = gate
        self._url = url
        self._silence_s = silence_s

    def parse(
        self, payload: bytes, *, sequence: int, asked: Mapping[str, str], simulated: Collection[str]
    ) -> Frame:
        """Return what one frame holds; raises as TradeSocket says."""
        return parse_frame(payload, sequence=sequence, asked=asked, simulated=simulated)

    @asynccontextmanager
    async def connected(self, symbols: Sequence[str]) -> AsyncIterator[Connection]:
        """Open a connection and subscribe `symbols`; the handshake is a request of the vendor's budget.

        Raises ProviderUnavailable, ProviderThrottled (wait as told), BudgetExhausted or ProviderRefused.
        """
        socket = await self._open()
        try:
            connection = Connection(socket, silence_s=self._silence_s)
            await connection.subscribe(symbols)
            yield connection
        finally:
            await socket.close()

    async def _open(self) -> ClientWebSocketResponse[bool]:
        try:
            async with self._gate.admitted(HANDSHAKE, "live", within_s=HANDSHAKE_DEADLINE_S) as admission:
                socket = await self._handshake(admission)
        except BudgetExhausted:
            PROVIDER_ERRORS.labels(PROVIDER, ENDPOINT, "budget").inc()
            raise
        return socket

    async def _handshake(self, admission: Admission) -> ClientWebSocketResponse[bool]:
        try:
            async with asyncio.timeout(HANDSHAKE_DEADLINE_S):
                socket = await self._session.ws_connect(
                    self._url,
                    params={"token": self._token},
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_DEADLINE_S),
                    max_msg_size=MAX_FRAME_BYTES,
                    decode_text=False,
                )
            self._gate.answered(admission)
            return socket
        except aiohttp.WSServerHandshakeError as error:
            # The error's text holds the URL, and that the token.
            PROVIDER_ERRORS.labels(PROVIDER, ENDPOINT, str(error.status)).inc()
            if error.status in AUTHENTICATION:
                raise ProviderRefused(
                    "finnhub socket refused our token; set PRODUCERS_FINNHUB_TOKEN to a valid one"
                ) from None
            signal = read_signal(error.status, error.headers or {}, b"", wall_us())
            if signal is not None and error.status == 429:
                raise ProviderThrottled(PROVIDER, self._gate.refused(admission, signal)) from None
            raise ProviderUnavailable(f"finnhub socket: handshake answered {error.status}") from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._broken(type(error).__name__, "connection") from None

    def _broken(self, what: str, code: str) -> ProviderUnavailable:
        PROVIDER_ERRORS.labels(PROVIDER, ENDPOINT, code).inc()
        return ProviderUnavailable(f"finnhub socket: {what}")
