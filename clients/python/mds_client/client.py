"""Subscribes, checks that nothing is missing, and comes back where it was: one asynchronous iterator of events."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from mds_client.chain import Hole
from mds_client.conversation import Conversation, Mismatch, Position
from mds_client.events import Disconnected, Event, Gap, Terminated

SUBPROTOCOL = Subprotocol("mds.v1.json")
SILENCE_S = 12.5  # two and a half heartbeats
BACKOFF_FIRST_S = 0.5
BACKOFF_MOST_S = 30.0
HEALTHY_S = 60.0  # after so long a connection the backoff begins anew
MAX_FRAME_BYTES = 4_194_304
MAX_ITEMS = 500
TERMINAL_CODES = frozenset({4400, 4401, 4403, 4404, 4406, 4409, 4413})
TERMINAL_STATUS = frozenset({401, 403, 404, 426})

log = logging.getLogger(__name__)


class MarketData:
    """A resuming client. Iterate `events`; positions move as your loop asks for the next event."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        on_gap: Callable[[Gap], None] | None = None,
        resume: Mapping[str, Position] | None = None,
        reconnect: bool = True,
    ) -> None:
        """Talk to `url`; `resume` holds positions kept from an earlier run."""
        self._url, self._token, self._reconnect = url, token, reconnect
        self._conversation = Conversation(resume, on_gap)
        self._socket: ClientConnection | None = None
        self._asking: asyncio.Task[None] | None = None
        self.connections = 0

    async def subscribe(
        self, *streams: str, conflate: str | None = None, start: Any = None, greeks: bool | None = None
    ) -> None:
        """Ask for streams, now or with the next connection; `start` is the protocol's `from` for the first time.

        Slices of option chains are followed by their greeks unless `greeks` is False.

        Calls that follow each other without a pause become one command; one that is subscribed is not asked for again.
        """
        for stream in streams:
            self._conversation.want(stream, conflate=conflate, start=start, greeks=greeks)
        self._ask_within(0.0)

    async def unsubscribe(self, *streams: str) -> None:
        """Want streams no more, and forget where they were."""
        command = self._conversation.leave(streams)
        if self._socket is not None:
            await self._socket.send(json.dumps(command))

    async def close(self) -> None:
        """End the iteration of `events`, which may be under way in another task."""
        self._reconnect = False
        if self._socket is not None:
            await self._socket.close()

    async def __aenter__(self) -> MarketData:
        """Return the client, closed at the end of the block."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    def positions(self) -> dict[str, Position]:
        """Return up to where each stream is whole and dealt with; keep it to resume in another process."""
        return self._conversation.positions()

    async def events(self) -> AsyncGenerator[Event, None]:
        """Yield events for ever; raise Terminated where the server will not have us back.

        With `reconnect=False` the iteration ends with the connection.
        """
        failures = 0
        while True:
            began_s, reason = time.monotonic(), "closed"
            try:
                async with aclosing(self._connection()) as events:
                    async for event in events:
                        yield event
            except ConnectionClosed as closed:
                _raise_terminal(closed)
                reason = str(closed)
            except InvalidStatus as refused:
                if refused.response.status_code in TERMINAL_STATUS:
                    text = (refused.response.body or b"").decode(errors="replace")[:200]
                    raise Terminated(refused.response.status_code, text) from refused
                reason = str(refused)
            except (OSError, TimeoutError, InvalidHandshake, Hole, Mismatch) as problem:
                # All of them are healed by coming back with our positions.
                reason = f"{type(problem).__name__}: {problem}"
            finally:
                self._socket = None
            if not self._reconnect:
                yield Disconnected(reason=reason, retry_in_s=None)
                return
            failures = 0 if time.monotonic() - began_s > HEALTHY_S else failures + 1
            most_s = min(BACKOFF_MOST_S, BACKOFF_FIRST_S * 2**failures)
            wait_s = self._conversation.retry_after_s + random.uniform(0, most_s)  # noqa: S311 - spreads clients
            log.warning("disconnected from %s: %s; again in %.1f s", self._url, reason, wait_s)
            yield Disconnected(reason=reason, retry_in_s=wait_s)
            await asyncio.sleep(wait_s)
            self._conversation.retry_after_s = 0.0

    async def _connection(self) -> AsyncGenerator[Event, None]:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        async with connect(
            self._url,
            subprotocols=[SUBPROTOCOL],
            additional_headers=headers,
            max_size=MAX_FRAME_BYTES,
            compression=None,
        ) as socket:
            self._socket = socket
            self._conversation.begin()
            self.connections += 1
            await self._ask(socket)
            while True:
                async with asyncio.timeout(SILENCE_S):
                    frame = await socket.recv()
                for message in json.loads(frame):
                    for event in self._conversation.take(message):
                        yield event
                    if message["t"] == "hb" and self._conversation.refused:
                        self._conversation.ask_refused_again()
                        await self._ask(socket)
                if (again_s := self._conversation.ask_again_s) is not None:
                    self._conversation.ask_again_s = None
                    self._ask_within(again_s)

    def _ask_within(self, delay_s: float) -> None:
        if self._socket is None or (self._asking is not None and not self._asking.done()):
            return  # the next connection asks for all, and whoever waits for what is due then
        self._asking = asyncio.create_task(self._ask_later(self._socket, delay_s))

    async def _ask_later(self, socket: ClientConnection, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        if socket is self._socket:
            try:
                await self._ask(socket)
            except ConnectionClosed:
                pass  # whoever reads hears of it, and the next connection asks again

    async def _ask(self, socket: ClientConnection) -> None:
        streams = self._conversation.due()
        for begin in range(0, len(streams), MAX_ITEMS):
            await socket.send(json.dumps(self._conversation.ask(streams[begin : begin + MAX_ITEMS])))


def _raise_terminal(closed: ConnectionClosed) -> None:
    received = closed.rcvd
    if received is not None and received.code in TERMINAL_CODES:
        raise Terminated(received.code, received.reason) from closed
