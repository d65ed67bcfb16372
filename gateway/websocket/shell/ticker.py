"""The one writer of all clients: a pass over those for whom something waits, a frame of each within a deadline.

There is no task and no timer of a client's own. A pass begins at once where the last one is paid for, and waits a
little where it is not (`pace`), so that records of several transactions share a frame. One whose socket is full is left
alone until that moves, and sent away where it does not.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable
from math import ceil
from typing import Any, Protocol

from gateway.websocket.codes import CLOSE_INTERNAL
from gateway.websocket.delivery import ClientQueue
from gateway.websocket.frames import Frame, OpenSubscription, Round, SharedFrame
from gateway.websocket.messages import HEARTBEAT_EVERY_MS
from gateway.websocket.pace import Passes, beat_s
from gateway.websocket.shell.farewell import Goodbye, too_slow
from infra.runtime import metrics
from infra.runtime.clock import monotonic_s, wall_us

LOOK_S = 0.01  # between two looks at sockets that take no more
SEND_WITHIN_S = 10.0
HEARTBEAT_S = HEARTBEAT_EVERY_MS / 1_000
FRAMES_AT_ONCE = 8  # of one client in one pass, where it is behind
PASS_S = 0.005  # then the sockets get their turn
CLIENTS_A_LOOK = 16  # written to between two looks at the clock

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


Moved = Callable[[], Iterable[tuple[Any, int]]]
"""Returns, once, for which clients something may wait since the last time, and the subscription of each."""


def _nobody() -> Iterable[tuple[Any, int]]:
    return ()


class Ticker:
    """Sends what waits in the queues of all clients; `note` and `stir` say that something may."""

    def __init__(self, moved: Moved = _nobody) -> None:
        """Begin with no clients."""
        self._moved = moved
        self._clients: set[Client] = set()
        self._noted: dict[Client, None] = {}
        self._passes = Passes()
        self._waiting: deque[tuple[Client, int]] = deque()  # of the pass under way, with what is to be woken
        self._blocked: dict[Client, float] = {}  # since when its socket takes no more
        self._eager: dict[Client, None] = {}  # blocked in this turn of the loop
        self._beats: deque[tuple[float, Client]] = deque()
        self._timer: asyncio.Handle | None = None
        self._timer_s = 0.0  # when it goes off

    def join(self, client: Client) -> None:
        """Write to a client from now on, and send it heartbeats."""
        self._clients.add(client)
        self._beats.append((beat_s(monotonic_s(), HEARTBEAT_S), client))
        self.note(client)

    def leave(self, client: Client) -> None:
        """Write nothing more to a client."""
        self._clients.discard(client)
        self._noted.pop(client, None)
        self._blocked.pop(client, None)

    def note(self, client: Client) -> None:
        """Look at a client's queue in the next pass."""
        self._noted[client] = None
        self.stir()

    def stir(self) -> None:
        """Look in the next pass at whoever has something new."""
        if self._passes.note(monotonic_s()):
            self._arm(self._passes.due_s)

    def _arm(self, at_s: float | None) -> None:
        if at_s is None or (self._timer is not None and self._timer_s <= at_s):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_s, within_s = at_s, at_s - monotonic_s()
        loop = asyncio.get_running_loop()
        if within_s <= 0:
            self._timer = loop.call_soon(self._tick)
        else:
            # The loop counts whole milliseconds: what it lets go off too early would be set again at once.
            self._timer = loop.call_later(ceil(within_s * 1_000) / 1_000, self._tick)

    def _arm_next(self) -> None:
        self._arm(self._passes.due_s)
        if self._blocked:
            self._arm(monotonic_s() + LOOK_S)
        if self._beats:
            self._arm(self._beats[0][0])

    def _tick(self) -> None:
        self._timer = None
        if self._passes.under_way:
            return  # its end sets the timer
        now_s = monotonic_s()
        self._unblock(now_s)
        self._beat(now_s)
        if not self._passes.is_due(now_s):
            self._arm_next()
            return
        self._passes.begin()
        self._waiting.extend(self._take().items())
        self._turn()

    def _take(self) -> dict[Client, int]:
        """Return whom the next pass is for, each with the subscription that is to be woken when its turn comes, or 0."""
        taken: dict[Client, int] = {}
        for client, number in self._moved():
            if taken.setdefault(client, number) != number:
                client.outbox.wake(number)
        for client in self._noted:
            taken.setdefault(client, 0)
        self._noted.clear()
        return taken

    def _turn(self) -> None:
        """Write to as many of a pass as there is time for, and to the others once the sockets had their turn."""
        began_s = monotonic_s()
        self._write_to(self._waiting)
        self._passes.work(began_s, monotonic_s(), last=not self._waiting)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._turn)
        else:
            self._arm_next()

    def _write_now(self, clients: Iterable[Client]) -> None:
        """Write to some beside the passes; whoever finds no time any more comes with the next one."""
        waiting = deque((client, 0) for client in clients)
        self._write_to(waiting)
        for client, _ in waiting:
            self.note(client)

    def _go_on(self) -> None:
        """Write on to those whose sockets took a frame of their backlog at once: they need not wait for a pass."""
        eager, self._eager = self._eager, {}
        moved = [client for client in eager if client in self._blocked and _is_empty(client.transport)]
        for client in moved:
            del self._blocked[client]
        self._write_now(moved)

    def _write_to(self, waiting: deque[tuple[Client, int]]) -> None:
        """Write to clients, each taken out of `waiting`, until that has lasted as long as it may."""
        began_s, together, sent = monotonic_s(), Round(), _Sent()
        while waiting and monotonic_s() - began_s < PASS_S:
            for _ in range(min(len(waiting), CLIENTS_A_LOOK)):
                client, number = waiting.popleft()
                if client in self._clients:
                    self._serve(client, number, together, sent)
        sent.count()

    def _serve(self, client: Client, number: int, together: Round, sent: _Sent) -> None:
        transport = client.transport
        if transport is None or transport.is_closing():
            return  # its reader notices
        try:
            if client in self._blocked or transport.get_write_buffer_size():
                if number:
                    client.outbox.wake(number)
                if client not in self._blocked:
                    self._block(client)
            elif (made := client.outbox.shared(together, number)) is None:
                self._serve_alone(client, transport, together, sent)
            elif made.wire:
                transport.write(made.wire)
                sent.shared.append(made)
        except Exception:  # one client's fault must not make all others mute
            log.exception("ws_client_failed")
            client.end(Goodbye(CLOSE_INTERNAL, "this is our fault; reconnect and report it"))

    def _serve_alone(
        self, client: Client, transport: asyncio.Transport, together: Round, sent: _Sent
    ) -> None:
        """Send the frames of one that is the first at its place, or that nobody stands beside."""
        outbox = client.outbox
        for _ in range(FRAMES_AT_ONCE):
            if not _is_empty(transport):
                self._block(client)
                return
            made = outbox.shared(together) or outbox.share(together)
            if made is not None and made.wire:
                transport.write(made.wire)
                sent.shared.append(made)
            elif (frame := outbox.frame(together)) is not None:
                transport.write(together.wire(frame))
                sent.add(frame)
                for place in outbox.wants():
                    client.want(place)
            if not outbox.waiting:
                return
        self.note(client)

    def _block(self, client: Client) -> None:
        self._blocked[client] = monotonic_s()
        if not self._eager:
            # A loop may hand what is written to the kernel only once it has its turn.
            asyncio.get_running_loop().call_soon(self._go_on)
        self._eager[client] = None
        self._arm(monotonic_s() + LOOK_S)

    def _unblock(self, now_s: float) -> None:
        for client, since_s in list(self._blocked.items()):
            if _is_empty(client.transport):
                del self._blocked[client]
                self.note(client)
            elif now_s - since_s > SEND_WITHIN_S:
                self.leave(client)
                client.end(too_slow(f"nothing was read for {SEND_WITHIN_S:.0f} s"))

    def _beat(self, now_s: float) -> None:
        """Send the heartbeats that are due; the passes after them do not rest for it."""
        beating: list[Client] = []
        while self._beats and self._beats[0][0] <= now_s:
            _, client = self._beats.popleft()
            if client in self._clients:
                client.beat()
                beating.append(client)
        self._beats.extend((beat_s(now_s, HEARTBEAT_S), client) for client in beating)
        self._write_now(beating)


def _is_empty(transport: asyncio.WriteTransport | None) -> bool:
    return transport is None or not transport.get_write_buffer_size()


class _Sent:
    """Counts of what one pass handed over, made known at its end."""

    def __init__(self) -> None:
        self.records = self.conflated = self.fallen = 0
        self.resumed: Counter[str] = Counter()
        self.append_times: set[int] = set()
        self.shared: list[SharedFrame] = []  # one for each client it went to

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
        for made, clients in Counter(self.shared).items():
            self.records += made.records * clients
            self.conflated += made.conflated * clients
            if made.append_time is not None:
                self.append_times.add(made.append_time)
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
