"""The one writer of a client: a frame at a time, each within a deadline, and a heartbeat when it is due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import WSMsgType, web

from gateway.websocket.delivery import ClientQueue, Frame, OpenSubscription
from gateway.websocket.messages import HEARTBEAT_EVERY_MS
from gateway.websocket.shell.farewell import too_slow
from infra.runtime import metrics
from infra.runtime.clock import monotonic_s, wall_us

TICK_S = 0.01  # what comes within one tick goes out as one frame
SEND_WITHIN_S = 10.0
HEARTBEAT_S = HEARTBEAT_EVERY_MS / 1_000


class Writer:
    """Sends what waits in an outbox; `note` says that something may."""

    def __init__(self, ws: web.WebSocketResponse, outbox: ClientQueue) -> None:
        """Write to `ws`."""
        self._ws, self._outbox = ws, outbox
        self._something = asyncio.Event()

    def note(self) -> None:
        """Look at the outbox soon."""
        self._something.set()

    async def run(self, catch_up: Callable[[OpenSubscription], None]) -> None:
        """Write for ever; `catch_up` is told who fell behind. Raises Goodbye where the client does not read."""
        heartbeat_at_s = monotonic_s() + HEARTBEAT_S
        while True:
            now_s = monotonic_s()
            if now_s >= heartbeat_at_s:
                self._outbox.heartbeat(wall_us())
                heartbeat_at_s = now_s + HEARTBEAT_S
            frame = self._outbox.frame()
            for place in self._outbox.fallen():
                catch_up(place)
            if frame is not None:
                await self._send(frame)
                # A backlog goes out at full speed, yet every other client has its turn in between.
                await asyncio.sleep(0 if self._outbox.waiting else max(0.0, now_s + TICK_S - monotonic_s()))
            else:
                await self._rest(heartbeat_at_s - now_s)

    async def _rest(self, at_most_s: float) -> None:
        if not self._outbox.waiting:
            self._something.clear()
        try:
            async with asyncio.timeout(at_most_s):
                await self._something.wait()
        except TimeoutError:
            pass  # time for a heartbeat

    async def _send(self, frame: Frame) -> None:
        try:
            async with asyncio.timeout(SEND_WITHIN_S):
                await self._ws.send_frame(frame.encode(), WSMsgType.TEXT)
        except TimeoutError:
            raise too_slow(f"nothing was read for {SEND_WITHIN_S:.0f} s") from None
        metrics.WS_SENT_MESSAGES.inc(frame.records)
        if frame.conflated:
            metrics.WS_CONFLATED_MESSAGES.inc(frame.conflated)
        now = wall_us()
        for append_time in frame.append_times:
            metrics.WS_PUBLISH_LATENCY_MS.observe((now - append_time) / 1_000)
