"""The one writer of all clients: a pass over those for whom something waits, a frame of each within a deadline.

There is no task and no timer of a client's own. One that is caught up costs a look at a pass; one whose socket is full
is left alone until that moves, and sent away where it does not.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from typing import Protocol

from gateway.websocket.codes import CLOSE_INTERNAL
from gateway.websocket.delivery import ClientQueue
from gateway.websocket.frames import Frame, OpenSubscription, Round, SharedFrame
from gateway.websocket.messages import HEARTBEAT_EVERY_MS
from gateway.websocket.shell.farewell import Goodbye, too_slow
from infra.runtime import metrics
from infra.runtime.clock import monotonic_s, wall_us

TICK_S = 0.01  # what comes within one tick goes out as one frame
WRITE_S = 15e-6  # the tick is longer by this for each client of the last pass: more goes into a frame then
MOST_TICK_S = 0.03
SEND_WITHIN_S = 10.0
HEARTBEAT_S = HEARTBEAT_EVERY_MS / 1_000
FRAMES_AT_ONCE = 8  # of one client in one pass, where it is behind
PASS_S = 0.005  # then the sockets get their turn

log = logging.getLogger(__name__)


class Client(Protocol):
    """Somebody who is written to."""

    outbox: ClientQueue
    transport: asyncio.Transport | None

    def want(self, place: OpenSubscription) -> None:
        """Have the past of a stream read."""

    def beat(self) -> None:
        """Queue what is due every heartbeat."""

    def end(self, goodbye: Goodbye) -> None:
        """Send it away."""


class Ticker:
    """Sends what waits in the queues of all clients; `note` says that something may."""

    def __init__(self) -> None:
        """Begin with no clients."""
        self._clients: set[Client] = set()
        self._noted: dict[Client, None] = {}
        self._blocked: dict[Client, float] = {}  # since when its socket takes no more
        self._eager: dict[Client, None] = {}  # blocked in this turn of the loop
        self._beats: deque[tuple[float, Client]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0  # when the timer goes off
        self._tick_s, self._written = TICK_S, 0
        self._running = False  # a pass goes on after the sockets had their turn

    def join(self, client: Client) -> None:
        """Write to a client from now on, and send it heartbeats."""
        self._clients.add(client)
        self._beats.append((monotonic_s() + HEARTBEAT_S, client))
        self.note(client)

    def leave(self, client: Client) -> None:
        """Write nothing more to a client."""
        self._clients.discard(client)
        self._noted.pop(client, None)
        self._blocked.pop(client, None)

    def note(self, client: Client) -> None:
        """Look at a client's queue within a tick."""
        if client not in self._noted:
            self._noted[client] = None
            self._arm(self._tick_s)

    def _arm(self, within_s: float) -> None:
        if self._running:
            return
        due_s = monotonic_s() + within_s
        if self._timer is not None:
            if self._due_s <= due_s:
                return
            self._timer.cancel()
        self._due_s = due_s
        self._timer = asyncio.get_running_loop().call_later(within_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now_s = monotonic_s()
        self._unblock(now_s)
        self._heartbeats(now_s)
        self._pass()

    def _pass(self) -> None:
        self._running = False
        waiting, self._noted = self._noted, {}
        self._write_to(waiting)
        if waiting:
            self._noted = waiting | self._noted
            self._running = True
            asyncio.get_running_loop().call_soon(self._pass)
            return
        self._tick_s, self._written = min(MOST_TICK_S, TICK_S + WRITE_S * self._written), 0
        if self._noted or self._blocked:
            self._arm(self._tick_s)
        elif self._beats:
            self._arm(max(0.0, self._beats[0][0] - monotonic_s()))

    def _go_on(self) -> None:
        """Write on to those whose sockets took a frame of their backlog at once: they need not wait for a tick."""
        eager, self._eager = self._eager, {}
        moved = {client: None for client in eager if client in self._blocked and _is_empty(client.transport)}
        for client in moved:
            del self._blocked[client]
        self._write_to(moved)
        self._noted.update(moved)
        if self._noted or self._blocked:
            self._arm(self._tick_s)

    def _write_to(self, waiting: dict[Client, None]) -> None:
        """Write to clients, each taken out of `waiting`, until the pass has lasted as long as it may."""
        began_s, together, sent = monotonic_s(), Round(), _Sent()
        while waiting and monotonic_s() - began_s < PASS_S:
            client = next(iter(waiting))
            del waiting[client]
            if client in self._clients and client not in self._blocked:
                self._serve(client, together, sent)
                self._written += 1
        sent.count()

    def _serve(self, client: Client, together: Round, sent: _Sent) -> None:
        transport = client.transport
        if transport is None or transport.is_closing():
            return  # its reader notices
        try:
            for _ in range(FRAMES_AT_ONCE):
                if not _is_empty(transport):
                    self._block(client)
                    return
                outbox = client.outbox
                made = outbox.shared(together) or outbox.share(together)
                if made is not None:
                    transport.write(made.wire)
                    sent.add_shared(made)
                elif (frame := outbox.frame(together)) is not None:
                    transport.write(together.wire(frame))
                    sent.add(frame)
                    for place in outbox.wants():
                        client.want(place)
                if not outbox.waiting:
                    return
            self._noted[client] = None
        except Exception:  # one client's fault must not make all others mute
            log.exception("ws_client_failed")
            client.end(Goodbye(CLOSE_INTERNAL, "this is our fault; reconnect and report it"))

    def _block(self, client: Client) -> None:
        self._blocked[client] = monotonic_s()
        if not self._eager:
            # A loop may hand what is written to the kernel only once it has its turn.
            asyncio.get_running_loop().call_soon(self._go_on)
        self._eager[client] = None
        self._arm(TICK_S)

    def _unblock(self, now_s: float) -> None:
        for client, since_s in list(self._blocked.items()):
            if _is_empty(client.transport):
                del self._blocked[client]
                self._noted[client] = None
            elif now_s - since_s > SEND_WITHIN_S:
                self.leave(client)
                client.end(too_slow(f"nothing was read for {SEND_WITHIN_S:.0f} s"))

    def _heartbeats(self, now_s: float) -> None:
        while self._beats and self._beats[0][0] <= now_s:
            _, client = self._beats.popleft()
            if client in self._clients:
                client.beat()
                self._noted[client] = None
                self._beats.append((now_s + HEARTBEAT_S, client))


def _is_empty(transport: asyncio.WriteTransport | None) -> bool:
    return transport is None or not transport.get_write_buffer_size()


class _Sent:
    """Counts of what one pass handed over, made known at its end."""

    def __init__(self) -> None:
        self.records = self.conflated = self.fallen = 0
        self.resumed: Counter[str] = Counter()
        self.append_times: set[int] = set()

    def add_shared(self, made: SharedFrame) -> None:
        """Note one frame that others got as well."""
        self.records += made.records
        self.conflated += made.conflated
        if made.append_time is not None:
            self.append_times.add(made.append_time)

    def add(self, frame: Frame) -> None:
        """Note one frame."""
        self.records += frame.records
        self.conflated += frame.conflated
        self.fallen += frame.fallen
        self.append_times.update(frame.append_times)
        if frame.resumed:
            self.resumed.update(frame.resumed)

    def count(self) -> None:
        """Move the metrics; a moment of the log counts once, for the last client it went to."""
        metrics.WS_SENT_MESSAGES.inc(self.records)
        if self.conflated:
            metrics.WS_CONFLATED_MESSAGES.inc(self.conflated)
        if self.fallen:
            metrics.WS_CATCH_UPS.inc(self.fallen)
        for result, count in self.resumed.items():
            metrics.WS_RESUMES.labels(result).inc(count)
        now = wall_us()
        for append_time in self.append_times:
            metrics.WS_PUBLISH_LATENCY_MS.observe((now - append_time) / 1_000)
