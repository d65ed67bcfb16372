"""The WebSocket protocol without I/O: command bytes in, what to do about them out.

A session never raises on what a client sends. A command is answered, refused with a typed error that carries its id,
or ends the connection with a published close code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import orjson

from gateway.live.streams import LiveStream
from gateway.websocket import answers
from gateway.websocket.codes import CLOSE_RATE, CLOSE_TOO_LARGE
from gateway.websocket.commands import Close, Event, Reply, bad, id_of, interpret
from gateway.websocket.items import MAX_ITEMS, streams_in
from gateway.websocket.limits import (
    COMMANDS_BURST,
    COMMANDS_PER_S,
    MAX_STREAMS,
    STREAMS_PER_UNIT,
    Caller,
    CostBucket,
)

MAX_COMMAND_BYTES = 65_536
READ_BYTES = 524_288  # what is longer than a command is read up to here, for the answer to carry its id
MAX_REFUSALS = 200  # rate-limited commands before the connection is closed
AUTH_WITHIN_S = 5.0
_TOO_LARGE = f"a command has at most {MAX_COMMAND_BYTES} bytes; send several"


class Session:
    """One client's side of the protocol: who it is, what it is subscribed to, how fast it may ask."""

    def __init__(self, *, caller: Caller | None, now_s: float, max_streams: int = MAX_STREAMS) -> None:
        """Begin; `caller` None: it has not said yet who it is. `now_s` is any clock that never steps."""
        self.caller = caller
        self.streams: dict[int, LiveStream] = {}
        self._numbers: dict[LiveStream, int] = {}
        self._max_streams = max_streams
        self._next_number = 1
        self._bucket = CostBucket(COMMANDS_PER_S, COMMANDS_BURST, now_s)
        self._refusals = 0

    @property
    def authorised(self) -> bool:
        """Whether it is known who the client is."""
        return self.caller is not None

    def receive(self, data: bytes, now_s: float) -> Event:
        """Return what one command asks for."""
        if len(data) > READ_BYTES:
            return Close(CLOSE_TOO_LARGE, _TOO_LARGE)
        command: Any = None
        fault: Event | None = None
        try:
            command = orjson.loads(data)
        except orjson.JSONDecodeError as problem:
            fault = bad(None, f"not JSON: {problem}; send one JSON object a frame")
        # What it costs is counted before anything of it is read: a refusal must be cheaper than the work.
        asked = streams_in(command)
        cost = 1 + len(data) // MAX_COMMAND_BYTES + (asked / STREAMS_PER_UNIT if asked <= MAX_ITEMS else 0)
        wait_s = self._wait_s(cost, now_s)
        if wait_s > 0:
            return self._refuse(command, wait_s)
        if len(data) > MAX_COMMAND_BYTES and asked <= MAX_ITEMS:
            return bad(id_of(command), _TOO_LARGE)
        return fault or interpret(command, self.streams, authorised=self.authorised)

    def open(self, stream: LiveStream) -> int:
        """Return the number of a new subscription."""
        number, self._next_number = self._next_number, self._next_number + 1
        self.streams[number] = stream
        self._numbers[stream] = number
        if self.caller is not None:
            self.caller.streams += 1
        return number

    def close(self, number: int) -> None:
        """Forget a subscription; its number is not used again."""
        stream = self.streams.pop(number, None)
        if stream is not None:
            del self._numbers[stream]
            if self.caller is not None:
                self.caller.streams -= 1

    def problem(self, stream: LiveStream) -> Mapping[str, Any] | None:
        """Return the refusal of one more subscription to `stream`, or None where it is welcome."""
        number = self._numbers.get(stream)
        if number is not None:
            text = f"already subscribed as {number}; use update, or unsubscribe first"
            return answers.refused(str(stream), "already_subscribed", text, sub=number)
        if len(self.streams) >= self._max_streams:
            text = f"at most {self._max_streams} streams a connection; open another connection"
            return answers.refused(str(stream), "symbol_limit", text)
        if self.caller is not None and not self.caller.may_subscribe:
            text = "the key has as many streams as it may, in all its connections; unsubscribe from some"
            return answers.refused(str(stream), "symbol_limit", text)
        return None

    def _wait_s(self, cost: float, now_s: float) -> float:
        wait_s = self._bucket.wait_s(cost, now_s)
        if self.caller is not None:
            wait_s = max(wait_s, self.caller.wait_s(cost, now_s))
        if wait_s == 0:
            self._bucket.take(cost)
            if self.caller is not None:
                self.caller.take(cost)
        return wait_s

    def _refuse(self, command: Any, wait_s: float) -> Event:
        self._refusals += 1
        if self._refusals > MAX_REFUSALS:
            return Close(CLOSE_RATE, f"more than {COMMANDS_PER_S:.0f} commands a second; slow down")
        text = (
            f"at most {COMMANDS_PER_S:.0f} commands a second, and {STREAMS_PER_UNIT} streams count as one; "
            "this one was not carried out"
        )
        wait_ms = math.ceil(wait_s * 1_000)
        answer = answers.error("rate_limited", text, request=id_of(command), retry_after_ms=wait_ms)
        return Reply(answer.encode())
