"""Subscribes, checks that nothing is missing, and comes back where it was: one asynchronous iterator of events."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from mds_client.chain import Chain, Hole
from mds_client.events import Event, Gap, Record, Recovered, Refusal, Snapshot, State, Terminated

SUBPROTOCOL = Subprotocol("mds.v1.json")
SILENCE_S = 12.5  # two and a half heartbeats
BACKOFF_FIRST_S = 0.5
BACKOFF_MOST_S = 30.0
HEALTHY_S = 60.0  # after so long a connection the backoff begins anew
MAX_FRAME_BYTES = 4_194_304
MAX_ITEMS = 500
TERMINAL_CODES = frozenset({4400, 4401, 4403, 4404, 4406, 4409, 4413})
TERMINAL_STATUS = frozenset({401, 403, 404, 426})

Position = tuple[str, int]
"""(epoch, offset): up to where a stream is whole."""


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
        self._url, self._token, self._on_gap, self._reconnect = url, token, on_gap, reconnect
        self._wanted: dict[str, dict[str, Any]] = {}
        self._chains = {stream: Chain(*position) for stream, position in (resume or {}).items()}
        self._names: dict[int, str] = {}
        self._refused: set[str] = set()
        self._socket: ClientConnection | None = None
        self._retry_after_s = 0.0
        self.connections = 0

    async def subscribe(self, *streams: str, conflate: str | None = None, start: Any = None) -> None:
        """Ask for streams, now or with the next connection; `start` is the protocol's `from` for the first time."""
        for stream in streams:
            self._wanted[stream] = {
                "from": start,
                "conflate": None if conflate is None else {"mode": conflate},
            }
        if self._socket is not None:
            await self._ask(self._socket, streams)

    def positions(self) -> dict[str, Position]:
        """Return up to where each stream is whole and dealt with; keep it to resume in another process."""
        return {stream: (chain.epoch, chain.covered) for stream, chain in self._chains.items()}

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
            await asyncio.sleep(self._retry_after_s + random.uniform(0, most_s))  # noqa: S311 - spreads clients
            self._retry_after_s = 0.0

    async def _connection(self) -> AsyncGenerator[Event, None]:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        async with connect(
            self._url,
            subprotocols=[SUBPROTOCOL],
            additional_headers=headers,
            max_size=MAX_FRAME_BYTES,
            compression=None,
        ) as socket:
            self._socket, self._names = socket, {}
            self.connections += 1
            await self._ask(socket, tuple(self._wanted))
            while True:
                async with asyncio.timeout(SILENCE_S):
                    frame = await socket.recv()
                for message in json.loads(frame):
                    for event in self._take(message):
                        yield event
                    if message["t"] == "hb" and self._refused:
                        await self._ask(socket, tuple(self._refused))

    async def _ask(self, socket: ClientConnection, streams: tuple[str, ...]) -> None:
        for begin in range(0, len(streams), MAX_ITEMS):
            items = [self._item(stream) for stream in streams[begin : begin + MAX_ITEMS]]
            await socket.send(json.dumps({"t": "subscribe", "items": items}))
        self._refused -= set(streams)

    def _item(self, stream: str) -> dict[str, Any]:
        item = {"stream": stream, **self._wanted[stream]}
        if chain := self._chains.get(stream):
            item["from"] = {"epoch": chain.epoch, "offset": chain.covered}
        return {name: value for name, value in item.items() if value is not None}

    def _take(self, message: Mapping[str, Any]) -> Iterator[Event]:
        kind = message["t"]
        if kind == "d":
            yield from self._take_data(message)
        elif kind == "subscribed":
            yield from self._take_results(message["results"])
        elif kind == "hb":
            for sub, offset in message["subs"]:
                self._chains[self._names[sub]].settle(offset)
        elif kind == "snapshot":
            stream = self._names[message["sub"]]
            self._chains[stream] = Chain(message["epoch"], message["offset"])
            records = [record for _, record in message["data"]]
            yield Snapshot(stream=stream, offset=message["offset"], records=records, reason=message["reason"])
        elif kind == "recovered":
            stream = self._names[message["sub"]]
            if message["ok"]:
                self._chains[stream].settle(message["to"])
            names = ("count", "source", "reason")
            given = {name: message[name] for name in names if name in message}
            yield Recovered(stream=stream, ok=message["ok"], **given)
        elif kind in ("gap", "gap_fill"):
            gap = Gap(stream=self._names[message["sub"]], fields=message)
            if self._on_gap is not None:
                self._on_gap(gap)
            yield gap
        elif kind == "state":
            streams = [self._names[sub] for sub in message.get("subs", ()) if sub in self._names]
            yield State(streams=streams, code=message["code"], data=message["data"], fields=message)
        elif kind == "disconnect":
            self._retry_after_s = message.get("retry_after_ms", 0) / 1_000

    def _take_data(self, message: Mapping[str, Any]) -> Iterator[Event]:
        stream = self._names.get(message["sub"])
        if stream is None:
            return
        chain = self._chains[stream]
        conflated = message.get("conf", {}).get("n", 0)
        for offset, fields in chain.fresh(message["prev"], message["m"]):
            yield Record(stream=stream, offset=offset, fields=fields, conflated=conflated)
            chain.settle(offset)  # only now: a loop that dies inside the record gets it again

    def _take_results(self, results: list[Mapping[str, Any]]) -> Iterator[Event]:
        for result in results:
            stream = result["stream"]
            if result["ok"]:
                self._names[result["sub"]] = stream
                held = self._chains.get(stream)
                if held is None:
                    self._chains[stream] = Chain(result["epoch"], result["offset"])
            else:
                problem = result["error"]
                if problem["temporary"]:
                    self._refused.add(stream)
                yield Refusal(
                    stream=stream,
                    code=problem["code"],
                    message=problem["message"],
                    temporary=problem["temporary"],
                )


def _raise_terminal(closed: ConnectionClosed) -> None:
    received = closed.rcvd
    if received is not None and received.code in TERMINAL_CODES:
        raise Terminated(received.code, received.reason) from closed
