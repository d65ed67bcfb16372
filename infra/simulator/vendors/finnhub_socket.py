"""Finnhub's WebSocket under /finnhub/ws: subscriptions in, trade frames and pings out.

One reader and one writer per connection. The writer never gets ahead of the client: a send waits
while the transport's buffer is full, and trades are made only when they are about to be sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from functools import partial
from socket import SO_SNDBUF, SOL_SOCKET
from typing import Any

import orjson
from aiohttp import ClientConnectionError, WSMsgType, web

from infra.runtime.clock import monotonic_s
from infra.simulator.faults.exchange import SIMULATION, Simulation, as_response, receive
from infra.simulator.faults.habits import CutFrames, GatherFrames, OneSocket, RefusedSymbols, TooManySymbols
from infra.simulator.faults.refusals import MANNERS
from infra.simulator.faults.scenario import DropSocket, DuplicateFrames, Fault, MuteSocket
from infra.simulator.faults.seen import behind_us, seen
from infra.simulator.market.model import MarketModel
from infra.simulator.market.tape import Frame, Tape
from schemas.intervals import SECOND_US

ROUTE = ("finnhub", "socket")
PING_INTERVAL_S = 10.0
PING = b'{"type":"ping"}'
MAX_COMMAND_BYTES = 64 * 1024
MAX_SUBSCRIPTIONS = 20_000  # of one connection
MAX_PENDING_ERRORS = 100  # further ones are dropped until the client reads
SETTLE_S = 0.1  # without a clock, wait so long for further subscriptions, so that all begin together
MIN_NAP_S = 0.002  # trades due within it share a frame
MAX_NAP_S = 0.05  # how late a step of the clock or a new scenario may be noticed
SEND_BUFFER_BYTES = 256 * 1024  # the kernel would take 4 MiB, and an unpaced clock would run that far ahead
YIELD_CHUNKS = 16  # a minute of one synthetic symbol takes 0.3 ms to make
YIELD_FRAMES = 8  # a client that reads as fast as we write must not keep the loop from others


def add_socket(app: web.Application) -> None:
    """Add the trade stream to `app`."""
    app.router.add_get("/finnhub/ws", _connect)


async def _connect(request: web.Request) -> web.StreamResponse:
    simulation = request.app[SIMULATION]
    received = await receive(request, *ROUTE, ())
    if (reply := received.refusal) is not None:
        simulation.statistics.responses[f"{'.'.join(ROUTE)} {reply.status}"] += 1
        return as_response(replace(reply, headers={**received.headers, **reply.headers}))
    socket = web.WebSocketResponse(max_msg_size=MAX_COMMAND_BYTES, compress=False)
    socket.headers.update(received.headers)
    await socket.prepare(request)
    if (transport := request.transport) is not None:
        transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_BYTES)
    statistics = simulation.statistics
    statistics.sockets_opened += 1
    if not await _is_the_one(simulation, socket, request):
        await socket.close()
        return socket
    statistics.sockets_open += 1
    try:
        await SimulatedConnection(simulation, socket, request).run()
    except* (ConnectionError, ClientConnectionError):
        pass  # the client is gone; there is nobody to tell
    finally:
        statistics.sockets_open -= 1
        for keys in [keys for keys, open_one in simulation.sockets.items() if open_one is socket]:
            del simulation.sockets[keys]
    return socket


async def _is_the_one(simulation: Simulation, socket: web.WebSocketResponse, request: web.Request) -> bool:
    """Whether a connection may stay where its key may have one; the one before it may have to go."""
    keys = request.app[MANNERS][ROUTE[0]].keys(request)
    habits = simulation.plan.socket_habits(*ROUTE, simulation.view.clock.now())
    habit = next((habit for habit in habits if isinstance(habit, OneSocket)), None)
    before = simulation.sockets.get(keys)
    one_too_many = habit is not None and before is not None and not before.closed
    if habit is not None and one_too_many:
        simulation.statistics.faults[habit.type] += 1
        if habit.ends == "second":
            return False
    # Before the other's end, which takes as long as its client: the next one may come meanwhile, and has to find this one.
    simulation.sockets[keys] = socket
    if before is not None and one_too_many:
        await before.close()
    return not socket.closed


class SimulatedConnection:
    """One client of the trade stream."""

    def __init__(self, simulation: Simulation, socket: web.WebSocketResponse, request: web.Request) -> None:
        """Serve `socket`; `request` gives access to the transport for cutting it."""
        self._simulation = simulation
        self._socket = socket
        self._request = request
        self._tape = Tape()
        self._changed = asyncio.Event()
        self._errors: deque[bytes] = deque(maxlen=MAX_PENDING_ERRORS)
        self._held: list[Frame] = []  # by reorder_frames
        self._shown_by: tuple[Fault, ...] = ()
        self._shown = simulation.view.market
        self._plan = simulation.plan
        self._faults = simulation.plan.connection_faults(*ROUTE)
        self._frames = 0
        self._last_ping_s = monotonic_s()
        self._last_subscribe_s = 0.0

    async def run(self) -> None:
        """Serve until the client leaves or the scenario cuts the connection."""
        async with asyncio.TaskGroup() as tasks:
            writer = tasks.create_task(self._write(), name="finnhub-socket-write")
            await self._read()
            writer.cancel()

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                break
            self._obey(message.data)

    def _obey(self, text: str) -> None:
        """Carry out one client message; a wrong one is answered, never fatal."""
        try:
            command: Any = orjson.loads(text)
        except orjson.JSONDecodeError:
            command = None
        kind = command.get("type") if isinstance(command, dict) else None
        symbol = command.get("symbol") if isinstance(command, dict) else None
        if kind not in ("subscribe", "unsubscribe") or not isinstance(symbol, str):
            self._complain('send {"type":"subscribe","symbol":"AAPL"} or unsubscribe')
        elif kind == "unsubscribe":
            self._tape.remove(symbol)
        elif self._market().listing(symbol) is None:
            self._complain(f"Invalid symbol {symbol}")
        elif any(isinstance(habit, RefusedSymbols) and symbol in habit.symbols for habit in self._habits()):
            self._complain("You don't have access to this resource.")
        elif len(self._tape) >= self._most():
            self._complain("Subscribing to too many symbols")
        else:
            clock = self._simulation.view.clock
            self._last_subscribe_s = monotonic_s()
            seen_from = clock.start if clock.unpaced else clock.now()
            self._tape.add(symbol, seen_from - behind_us(symbol, self._shown_by))
        self._changed.set()

    def _complain(self, words: str) -> None:
        self._errors.append(orjson.dumps({"type": "error", "msg": words}))

    async def _write(self) -> None:
        while True:
            await self._write_side_messages()
            await self._read_tape()
            clock = self._simulation.view.clock
            if clock.unpaced and (self._is_settling() or clock.paused or self._is_muted()):
                await self._nap(MAX_NAP_S)
                continue
            frame = self._take()
            if frame is not None:
                await self._send_trades(frame)
            elif self._held:
                await self._release()
            else:
                due = self._tape.next_time()
                delay_s = clock.delay_until_s(due) if due is not None else None
                await self._nap(MAX_NAP_S if delay_s is None else delay_s)

    def _take(self) -> Frame | None:
        """Return the next frame that is due, cut and gathered as the vendor does."""
        clock = self._simulation.view.clock
        self._market()  # symbols may be behind from now on, or no longer
        habits, now = self._shown_by, None if clock.unpaced else clock.now()
        most = next((habit.trades for habit in habits if isinstance(habit, CutFrames)), None)
        gather = next((habit for habit in habits if isinstance(habit, GatherFrames)), None)
        first = self._tape.next_time()
        if gather is not None and first is not None:
            full = first + int(gather.s * SECOND_US)
            if now is not None and now < full:
                return None
            now = full - 1
        return self._tape.take(now, most=most)

    def _habits(self) -> tuple[Fault, ...]:
        """Return the habits in force; without a rule they cost nothing."""
        simulation = self._simulation
        if not simulation.plan.scenario.rules:
            return ()
        return simulation.plan.socket_habits(*ROUTE, simulation.view.clock.now())

    def _most(self) -> int:
        """Return how many symbols this connection may have."""
        limits = (habit.most for habit in self._habits() if isinstance(habit, TooManySymbols))
        return min(limits, default=MAX_SUBSCRIPTIONS)

    def _market(self) -> MarketModel:
        """Return the market by the habits in force; made anew only where they change, since their lists may be long."""
        habits = self._habits()
        if habits != self._shown_by:
            self._shown_by, self._shown = habits, seen(self._simulation.view, habits).market
            self._tape.delay(partial(behind_us, faults=habits))
        return self._shown

    async def _read_tape(self) -> None:
        """Fetch what the tape needs; a removed symbol simply wastes its chunk."""
        chunks = 0
        while (wanted := self._tape.wanted()) is not None:
            symbol, from_time = wanted
            self._tape.feed(symbol, await self._market().trade_chunk(symbol, from_time))
            chunks += 1
            if chunks % YIELD_CHUNKS == 0:
                await asyncio.sleep(0)

    async def _send_trades(self, frame: Frame) -> None:
        """Send one frame as the scenario leaves it and let it move an unpaced clock."""
        if self._is_muted():
            return  # what a silent vendor did not send never comes
        plan, repeats = self._simulation.plan, 1
        if plan.has_frame_faults:
            symbols = [symbol for symbol, _ in frame.trades]
            for fault in plan.frame_faults(*ROUTE, symbols, frame.last_time):
                self._simulation.statistics.faults[fault.type] += 1
                if isinstance(fault, DuplicateFrames):
                    repeats = max(repeats, fault.times)
                else:
                    self._held.append(frame)
                    if len(self._held) >= fault.window:
                        await self._release()
                    return
        await self._send_frame(frame, repeats)

    async def _release(self) -> None:
        """Send the held frames in an order that depends on the seed and their content alone."""
        draw = self._simulation.plan.draw
        held = sorted(self._held, key=lambda frame: draw("reorder", frame.last_time, len(frame.payload)))
        self._held.clear()
        for frame in held:
            await self._send_frame(frame, 1)

    async def _send_frame(self, frame: Frame, repeats: int) -> None:
        statistics = self._simulation.statistics
        for _ in range(repeats):
            self._cut_if_due()
            await self._socket.send_frame(frame.payload, WSMsgType.TEXT)
            self._frames += 1
        statistics.frames_sent += 1
        statistics.frames_repeated += repeats - 1
        for symbol, count in frame.trades:
            statistics.count_trades(symbol, count)
        self._simulation.view.clock.observe(frame.last_time)
        if self._frames % YIELD_FRAMES == 0:
            await asyncio.sleep(0)

    async def _write_side_messages(self) -> None:
        """Send errors and the ping that is due, and follow a scenario that was swapped meanwhile."""
        if self._plan is not self._simulation.plan:
            self._plan, self._frames = self._simulation.plan, 0
            self._faults = self._plan.connection_faults(*ROUTE)
        self._cut_if_due()
        now_s = monotonic_s()
        if self._is_muted():
            return
        while self._errors:
            await self._socket.send_frame(self._errors.popleft(), WSMsgType.TEXT)
        if now_s - self._last_ping_s >= PING_INTERVAL_S:
            self._last_ping_s = now_s
            await self._socket.send_frame(PING, WSMsgType.TEXT)

    async def _nap(self, delay_s: float) -> None:
        """Wait, but not through a subscription."""
        self._changed.clear()
        try:
            async with asyncio.timeout(min(max(delay_s, MIN_NAP_S), MAX_NAP_S)):
                await self._changed.wait()
        except TimeoutError:
            pass

    def _is_settling(self) -> bool:
        return monotonic_s() - self._last_subscribe_s < SETTLE_S

    def _is_muted(self) -> bool:
        now = self._simulation.view.clock.now()
        return any(
            isinstance(fault, MuteSocket) and self._plan.is_active(when, now) for fault, when in self._faults
        )

    def _cut_if_due(self) -> None:
        """Cut the connection without a close frame when the scenario says so."""
        for fault, when in self._faults:
            if not isinstance(fault, DropSocket) or self._frames < fault.after_frames:
                continue
            if self._plan.is_active(when, self._simulation.view.clock.now()):
                self._simulation.statistics.faults[fault.type] += 1
                if self._request.transport is not None:
                    self._request.transport.abort()
                raise ConnectionResetError("cut by the scenario")
