"""Subscribes, checks that nothing is missing, and comes back where it was: one asynchronous iterator of events."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from mds_client.chain import Hole
from mds_client.conversation import Conversation, Position
from mds_client.events import Event, Gap, Terminated

SUBPROTOCOL = Subprotocol("mds.v1.json")
SILENCE_S = 12.5  # two and a half heartbeats
BACKOFF_FIRST_S = 0.5
BACKOFF_MOST_S = 30.0
HEALTHY_S = 60.0  # after so long a connection the backoff begins anew
MAX_FRAME_BYTES = 4_194_304
MAX_ITEMS = 500
TERMINAL_CODES = frozenset({4400, 4401, 4403, 4404, 4406, 4409, 4413})
TERMINAL_STATUS = frozenset({401, 403, 404, 426})


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
        self.connections = 0

    async def subscribe(self, *streams: str, conflate: str | None = None, start: Any = None) -> None:
        """Ask for streams, now or with the next connection; `start` is the protocol's `from` for the first time."""
        for stream in streams:
            self._conversation.want(stream, conflate=conflate, start=start)
        if self._socket is not None:
            await self._ask(self._socket, streams)

    def positions(self) -> dict[str, Position]:
        """Return up to where each stream is whole and dealt with; keep it to resume in another process."""
        return self._conversation.positions()

    async def events(self) -> AsyncGenerator[Event, None]:
        """Yield events for ever; raise Terminated where the server will not have us back.

        With `reconnect=False` the iteration ends with the connection.
        """
        failures = 0
        while True:
            began_s = time.monotonic()
            try:
                async with aclosing(self._connection()) as events:
                    async for event in events:
                        yield event
            except ConnectionClosed as closed:
                _raise_terminal(closed)
            except InvalidStatus as refused:
                if refused.response.status_code in TERMINAL_STATUS:
                    reason = (refused.response.body or b"").decode(errors="replace")[:200]
                    raise Terminated(refused.response.status_code, reason) from refused
            except (OSError, TimeoutError, InvalidHandshake, Hole):
                pass  # all of them are healed by coming back with our positions
            finally:
                self._socket = None
            if not self._reconnect:
                return
            failures = 0 if time.monotonic() - began_s > HEALTHY_S else failures + 1
            most_s = min(BACKOFF_MOST_S, BACKOFF_FIRST_S * 2**failures)
            wait_s = self._conversation.retry_after_s + random.uniform(0, most_s)  # noqa: S311 - spreads clients
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
            await self._ask(socket, self._conversation.wanted)
            while True:
                async with asyncio.timeout(SILENCE_S):
                    frame = await socket.recv()
                for message in json.loads(frame):
                    for event in self._conversation.take(message):
                        yield event
                    if message["t"] == "hb" and self._conversation.refused:
                        await self._ask(socket, tuple(self._conversation.refused))

    async def _ask(self, socket: ClientConnection, streams: tuple[str, ...]) -> None:
        for begin in range(0, len(streams), MAX_ITEMS):
            items = [self._conversation.item(stream) for stream in streams[begin : begin + MAX_ITEMS]]
            await socket.send(json.dumps({"t": "subscribe", "items": items}))
        self._conversation.refused -= set(streams)


def _raise_terminal(closed: ConnectionClosed) -> None:
    received = closed.rcvd
    if received is not None and received.code in TERMINAL_CODES:
        raise Terminated(received.code, received.reason) from closed
