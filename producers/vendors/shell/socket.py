"""A vendor's trade socket: connect, subscribe all, notice silence. Reading stops when the caller stops: TCP does the rest.

A vendor's own class says what subscribing is in its words, and what a frame holds.
"""

from __future__ import annotations

import asyncio
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal

import aiohttp
from aiohttp import ClientWebSocketResponse, WSMsgType

from infra.runtime.clock import wall_us
from infra.runtime.metrics import PROVIDER_ERRORS
from producers.budget.pauses import read_signal
from producers.budget.shell.gate import Admission, Gate
from producers.http.shell.client import AUTHENTICATION
from producers.http.shell.failures import code_of, held_back
from producers.vendors.answers import Frame
from schemas.errors import MarketDataError, ProviderRefused, ProviderThrottled, ProviderUnavailable
from schemas.providers.facts import ProviderFacts

SubscriptionKind = Literal["subscribe", "unsubscribe"]

ENDPOINT = "socket"
HANDSHAKE = "websocket"  # the endpoint whose limits a connection counts to
HANDSHAKE_DEADLINE_S = 10.0
SUBSCRIBE_DEADLINE_S = 30.0
CLOSE_DEADLINE_S = 1.0
SILENCE_S = 60.0  # vendors ping every few seconds; Finnhub was seen to stop pinging and stay connected
MAX_FRAME_BYTES = 2_097_152  # what fits a dead letter


class Connection:
    """One open socket with everything subscribed; frames come in order, as bytes."""

    def __init__(
        self,
        provider: str,
        socket: ClientWebSocketResponse[bool],
        *,
        message: Callable[[SubscriptionKind, str], str],
        silence_s: float,
    ) -> None:
        """Read from `socket`; it is broken when it says nothing for `silence_s` while we listen."""
        self.connection_id = secrets.token_hex(8)
        self._provider = provider
        self._socket = socket
        self._message = message
        self._silence_s = silence_s

    async def receive(self) -> bytes:
        """Return the next frame; raise ProviderUnavailable where the connection is over."""
        try:
            message = await self._socket.receive(self._silence_s)
        except TimeoutError:
            raise ProviderUnavailable(
                f"{self._provider} socket: silent for {self._silence_s:.0f} s, not even a ping"
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise ProviderUnavailable(f"{self._provider} socket: {type(error).__name__}") from None
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            return bytes(message.data)
        raise ProviderUnavailable(
            f"{self._provider} socket: closed ({message.type.name}, code {self._socket.close_code})"
        )

    async def subscribe(self, symbols: Sequence[str]) -> None:
        """Receive `symbols` as well; raise ProviderUnavailable where the connection is over."""
        await self._say("subscribe", symbols)

    async def unsubscribe(self, symbols: Sequence[str]) -> None:
        """Receive `symbols` no more, but for what is on its way; raises like `subscribe`."""
        await self._say("unsubscribe", symbols)

    async def _say(self, kind: SubscriptionKind, symbols: Sequence[str]) -> None:
        try:
            async with asyncio.timeout(SUBSCRIBE_DEADLINE_S):
                for symbol in symbols:
                    await self._socket.send_str(self._message(kind, symbol))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            PROVIDER_ERRORS.labels(self._provider, ENDPOINT, "connection").inc()
            raise ProviderUnavailable(f"{self._provider} socket: {type(error).__name__}") from None


class VendorSocket(ABC):
    """Opens connections to a trade socket; one that lacks `message` or `parse` cannot be made."""

    endpoint = ENDPOINT

    def __init__(
        self,
        facts: ProviderFacts,
        session: aiohttp.ClientSession,
        *,
        gate: Gate,
        url: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        silence_s: float = SILENCE_S,
    ) -> None:
        """Connect to `url` whenever `gate` admits it, with the key in `params` or, better, in `headers`."""
        self.provider = facts.name
        self._facts = facts
        self._session = session
        self._gate = gate
        self._url = url
        self._params = dict(params or {})
        self._headers = dict(headers or {})
        self._silence_s = silence_s

    @abstractmethod
    def message(self, kind: SubscriptionKind, symbol: str) -> str:
        """Return what is said to receive a symbol (in the vendor's spelling), or to receive it no more."""

    @abstractmethod
    def parse(
        self, payload: bytes, *, sequence: int, asked: Mapping[str, str], simulated: Collection[str]
    ) -> Frame:
        """Return what one frame holds; raises as TradeSocket says."""

    @asynccontextmanager
    async def connected(self, symbols: Sequence[str]) -> AsyncIterator[Connection]:
        """Open a connection and subscribe `symbols`; the handshake is a request of the vendor's budget.

        Raises ProviderUnavailable, ProviderThrottled (wait as told), BudgetExhausted or ProviderRefused.
        """
        socket = await self._open()
        try:
            connection = Connection(self.provider, socket, message=self.message, silence_s=self._silence_s)
            await connection.subscribe(symbols)
            yield connection
        finally:
            await socket.close()

    async def _open(self) -> ClientWebSocketResponse[bool]:
        async with AsyncExitStack() as stack:
            with held_back(self.provider, ENDPOINT):
                admission = await stack.enter_async_context(
                    self._gate.admitted(HANDSHAKE, "live", within_s=HANDSHAKE_DEADLINE_S)
                )
            return await self._handshake(admission)

    async def _handshake(self, admission: Admission) -> ClientWebSocketResponse[bool]:
        try:
            async with asyncio.timeout(HANDSHAKE_DEADLINE_S):
                socket = await self._session.ws_connect(
                    self._url,
                    params=self._params,
                    headers=self._headers,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_DEADLINE_S),
                    max_msg_size=MAX_FRAME_BYTES,
                    decode_text=False,
                )
            self._gate.answered(admission)
            return socket
        except aiohttp.WSServerHandshakeError as error:
            # The error's text holds the URL, and that the token.
            refusal = self._refusal(admission, error)
            code = code_of(refusal) if isinstance(refusal, ProviderThrottled) else str(error.status)
            PROVIDER_ERRORS.labels(self.provider, ENDPOINT, code).inc()
            raise refusal from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._broken(type(error).__name__, "connection") from None

    def _refusal(self, admission: Admission, error: aiohttp.WSServerHandshakeError) -> MarketDataError:
        signal = read_signal(error.status, error.headers or {}, b"", wall_us(), self._facts.words)
        if signal is not None and (error.status == 429 or signal.kind == "banned"):
            return self._gate.refused(admission, signal)
        if error.status in AUTHENTICATION:
            return ProviderRefused(
                f"{self.provider} socket refused our key; set {self._facts.keys or 'its key'} to a valid one"
            )
        return ProviderUnavailable(f"{self.provider} socket: handshake answered {error.status}")

    def _broken(self, what: str, code: str) -> ProviderUnavailable:
        PROVIDER_ERRORS.labels(self.provider, ENDPOINT, code).inc()
        return ProviderUnavailable(f"{self.provider} socket: {what}")
