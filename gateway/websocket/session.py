"""The WebSocket protocol without I/O: command bytes in, what to do about them out.

A session never raises on what a client sends. A command is answered, refused with a typed error, or ends the
connection with a published close code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.live.streams import LiveStream
from gateway.websocket import answers
from gateway.websocket.codes import CLOSE_RATE
from gateway.websocket.commands import Close, Event, Reply, bad, interpret

MAX_COMMAND_BYTES = 65_536
MAX_STREAMS = 1_000  # subscriptions of one connection
COMMANDS_PER_S = 10.0
COMMANDS_BURST = 50
MAX_REFUSALS = 200  # rate-limited commands before the connection is closed
AUTH_WITHIN_S = 5.0


class Session:
    """One client's side of the protocol: who it is, what it is subscribed to, how fast it may ask."""

    def __init__(self, *, authorised: bool, now_s: float, max_streams: int = MAX_STREAMS) -> None:
        """Begin; `now_s` is any clock that never steps."""
        self.authorised = authorised
        self.streams: dict[int, LiveStream] = {}
        self._max_streams = max_streams
        self._next_number = 1
        self._tokens = float(COMMANDS_BURST)
        self._refilled_s = now_s
        self._refusals = 0

    def receive(self, data: bytes, now_s: float) -> Event:
        """Return what one command asks for."""
        if not self._admit(now_s):
            self._refusals += 1
            if self._refusals > MAX_REFUSALS:
                return Close(CLOSE_RATE, f"more than {COMMANDS_PER_S:.0f} commands a second; slow down")
            wait_ms = int(1_000 / COMMANDS_PER_S)
            text = f"at most {COMMANDS_PER_S:.0f} commands a second; this one was not carried out"
            return Reply(answers.error("rate_limited", text, retry_after_ms=wait_ms).encode())
        try:
            command = orjson.loads(data)
        except orjson.JSONDecodeError as problem:
            return bad(None, f"not JSON: {problem}; send one JSON object a frame")
        return interpret(command, self.streams, authorised=self.authorised)

    def open(self, stream: LiveStream) -> int:
        """Return the number of a new subscription."""
        number, self._next_number = self._next_number, self._next_number + 1
        self.streams[number] = stream
        return number

    def problem(self, stream: LiveStream) -> Mapping[str, Any] | None:
        """Return the refusal of one more subscription to `stream`, or None where it is welcome."""
        for number, held in self.streams.items():
            if held == stream:
                text = f"already subscribed as {number}; use update, or unsubscribe first"
                return answers.refused(str(stream), "already_subscribed", text, sub=number)
        if len(self.streams) >= self._max_streams:
            text = f"at most {self._max_streams} streams a connection; open another connection"
            return answers.refused(str(stream), "symbol_limit", text)
        return None

    def _admit(self, now_s: float) -> bool:
        self._tokens = min(COMMANDS_BURST, self._tokens + (now_s - self._refilled_s) * COMMANDS_PER_S)
        self._refilled_s = now_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
