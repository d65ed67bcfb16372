"""Trades: socket → raw topic. Everything received is published, in order; what could not be received is said.

One task reads, one publishes. The reader stops while too much is unconfirmed, so that the vendor, through TCP,
waits for Kafka; a batch is what arrived while the one before it was being confirmed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress

from infra.runtime.backoff import Backoff
from infra.runtime.clock import Market, monotonic_s, wall_us
from infra.runtime.metrics import SYMBOLS_REFUSED
from producers.collecting.refused import DoubtedSymbols
from producers.collecting.shell.frames import FrameReader
from producers.plan.tasks import TradesTask
from producers.raw.blocks import MAX_STREAM_EVENTS, StreamBatches, blank_block
from producers.raw.missed import since_break, since_stop, while_refused
from producers.raw.shell.topics import RawTopics
from producers.raw.watched import Received
from producers.routing.shell.status import SHOWN_SYMBOLS, ProviderStatus
from producers.vendors.shell.provider import Frames, TradeSocket
from schemas.clocks import EventTime, MarketTime, WallTime
from schemas.errors import BrokerUnavailable, ProviderRefused, ProviderThrottled, TransientError
from schemas.providers.facts import ProviderFacts
from schemas.records import Discontinuity, RawBlock
from schemas.streams import TRADE_STREAM, StreamId
from schemas.topics import RAW_TRADES

MAX_UNCONFIRMED_BATCHES = 32  # read and not yet handed to Kafka, and as many again in flight
# From one publishing to the next: trades that arrive meanwhile share their blocks, a lone one goes out at once. The delay
# of a trade is made of what the broker, the processor and its transactions have to do: see DECISIONS 23 and 42.
PACE_S = 0.025
YIELD_FRAMES = 8  # a vendor that sends as fast as we read must not keep the loop from others
BACKOFF = Backoff(first_s=1.0, longest_s=30.0)
REFUSED_WAIT_S = 60.0
SILENCE_S = 1.0
DRAIN_S = 2.0  # with the flush after it, within what a stop may take

log = logging.getLogger(__name__)


class TradeStream:
    """Trades of some symbols, for ever: reconnects, and tells what each break has cost."""

    def __init__(
        self,
        task: TradesTask,
        socket: TradeSocket,
        frames: FrameReader,
        raw: RawTopics,
        *,
        facts: ProviderFacts,
        market: Market,
        status: ProviderStatus,
        cursors: Mapping[StreamId, EventTime],
    ) -> None:
        """Stream what `task` asks for; `cursors` say how far each stream had come before we started.

        `facts` are the vendor's, `frames` reads what its socket sends. Raises UnknownSymbol for a symbol it has no name for.
        """
        self._task = task
        self._socket = socket
        self._raw = raw
        self._market = market
        self._status = status
        self._cursors = dict(cursors)
        self._frames = frames
        self._spelt = facts.vendor_symbol
        self._refused = DoubtedSymbols(facts.words)
        self._shown: frozenset[str] = frozenset()  # of them, in status and metrics
        self._complaint = ""
        self._connection_id = ""
        self._wanted = self._named(task)
        # over this connection, also what is wanted no more: some is on its way
        self._asked: dict[str, str] = {}
        self._subscribed: set[str] = set()
        self._told: set[str] = set()  # symbols whose missed time was told by this process
        self._received = Received()
        self._accounted: dict[str, EventTime] = {}  # symbols, told as missed until then, not confirmed yet
        self._batches = StreamBatches(max_events=MAX_UNCONFIRMED_BATCHES * MAX_STREAM_EVENTS)
        self._exchanged = asyncio.Event()
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    @property
    def symbols(self) -> Sequence[str]:
        """Symbols that are streamed."""
        return self._task.symbols

    def exchange(self, task: TradesTask, cursors: Mapping[StreamId, EventTime]) -> None:
        """Stream other symbols over the same connection; `cursors` say how far the new ones had come.

        Raises UnknownSymbol for a symbol the vendor has no name for.
        """
        wanted = self._named(task)
        self._task, self._wanted = task, wanted
        self._cursors.update(cursors)
        self._told &= set(task.symbols)  # one that comes again later was missed meanwhile
        self._exchanged.set()

    async def run(self) -> None:
        """Read and publish until cancelled; then publish what was read, for at most 2 s."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._publish(), name="trades-publish")
                tasks.create_task(self._read(), name="trades-read")
        except asyncio.CancelledError:
            await self._drain()
            raise

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(DRAIN_S):
                while self._batches:
                    await self._publish_batches()
        except TimeoutError:
            # The next start tells the hole these leave: the cursor stands before them.
            log.warning("trades_not_published", extra={"events": self._batches.events})

    async def _read(self) -> None:
        failures = 0
        while True:
            begun_s = monotonic_s()
            try:
                self._exchanged.clear()
                self._asked, self._subscribed = dict(self._wanted), set(self._wanted)
                async with self._socket.connected(list(self._asked)) as connection:
                    gone = self._refused.disconnected()
                    self._received.begin(self._begin(connection, self._asked.values(), refused=gone))
                    begun_s = monotonic_s()
                    await self._serve(connection)
            except BrokerUnavailable:
                raise  # the publisher is dead: a fresh process tells what it missed
            except TransientError as error:
                self._failed(error)
                # A vendor that takes us in and throws us out at once is refusing as well.
                failures = 1 if monotonic_s() - begun_s >= BACKOFF.longest_s else failures + 1
                told_s = (error.retry_after_s or 0.0) if isinstance(error, ProviderThrottled) else 0.0
                await asyncio.sleep(told_s + BACKOFF.anywhere_s(failures))
            except ProviderRefused as error:
                self._failed(error)
                await asyncio.sleep(REFUSED_WAIT_S)

    def _failed(self, error: Exception) -> None:
        self._status.failed(self._task.provider, error)
        log.warning("trade_socket_lost", extra={"provider": self._task.provider, "error": str(error)})

    def _begin(
        self, connection: Frames, symbols: Collection[str], *, refused: Mapping[str, EventTime]
    ) -> MarketTime:
        """Say what was missed until now of what is received from now on: while we were not there, or the socket broken.

        Those `refused` before the break (since when) were so until now; who is wanted no more was until the break.
        """
        now = self._market.now_us()
        self._connection_id = connection.connection_id
        begun = self._streams(symbol for symbol in symbols if symbol not in self._told)
        broken = self._streams(symbol for symbol in symbols if symbol in self._told and symbol not in refused)
        watched = self._raw.watched.since(begun, self._cursors)
        self._tell([*since_stop(begun, watched, now), *since_break(broken, self._received.until, now)])
        gone = refused.keys() - symbols
        self._tell_unsent({symbol: refused[symbol] for symbol in gone}, MarketTime(self._received.until or 0))
        self._tell_unsent({symbol: refused[symbol] for symbol in refused.keys() - gone}, now)
        self._told.update(stream.symbol for stream in begun)
        self._accounted |= dict.fromkeys(symbols, EventTime(now))
        self._refused.subscribed(symbols, now)
        self._status.succeeded(self._task.provider)
        shown = {"provider": self._task.provider, "symbols": len(begun) + len(broken)}
        log.info("trade_socket_connected", extra=shown)
        return now

    def _tell(self, holes: Sequence[Discontinuity]) -> None:
        self._batches.add_discontinuities(self._blank(wall_us()), holes, monotonic_s())
        self._news.set()

    def _tell_unsent(self, since: Mapping[str, EventTime], until: MarketTime) -> None:
        """Say of symbols that were refused what was not sent of them."""
        if since:
            self._tell(while_refused(dict(zip(self._streams(since), since.values(), strict=True)), until))

    def _complained(self, words: str) -> None:
        """Take what the vendor complains of: symbols it refuses are not watched, and told as missed from now and then."""
        provider = self._task.provider
        fresh = self._refused.complained(words, self._asked, monotonic_s())
        if fresh or words != self._complaint:  # a vendor may say the same of each of its symbols
            log.warning("trade_socket_complaint", extra={"provider": provider, "words": words})
        self._complaint = words
        if fresh:
            shown = {"count": len(fresh), "symbols": ",".join(sorted(fresh)[:SHOWN_SYMBOLS])}
            log.warning("trade_symbols_refused", extra={"provider": provider, **shown})

    def _tell_refused(self) -> None:
        """Show who is refused, and say once in a while what is not sent of those that stay so."""
        now = self._market.now_us()
        self._tell_unsent(self._refused.due(now, monotonic_s()), now)
        if self._refused.symbols != self._shown:
            self._shown = frozenset(self._refused.symbols)
            self._status.refuses(self._task.provider, self._shown)
            SYMBOLS_REFUSED.labels(self._task.provider).set(len(self._shown))

    async def _serve(self, connection: Frames) -> None:
        """Receive until the connection is over, and subscribe what is exchanged meanwhile."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._receive(connection), name="trades-receive")
                tasks.create_task(self._follow(connection), name="trades-subscribe")
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None  # the other one was only cancelled because of it

    async def _follow(self, connection: Frames) -> None:
        while True:
            await self._exchanged.wait()
            self._exchanged.clear()
            wanted = self._wanted
            come, gone = wanted.keys() - self._subscribed, self._subscribed - wanted.keys()
            self._subscribed = set(wanted)
            self._asked |= wanted
            await connection.subscribe(sorted(come))
            self._begin(connection, [wanted[name] for name in sorted(come)], refused={})
            over = self._refused.unsubscribed(self._asked[name] for name in gone)
            self._tell_unsent(over, self._market.now_us())
            await connection.unsubscribe(sorted(gone))

    async def _receive(self, connection: Frames) -> None:
        sequence = 0
        while True:
            payload = await connection.receive()
            sequence += 1
            heard = self._market.now_us()
            stamps = await self._take_in(payload, sequence)
            self._received.heard(heard, stamps)  # not before what it brought is in line to be published
            if sequence % YIELD_FRAMES == 0:
                await asyncio.sleep(0)

    async def _take_in(self, payload: bytes, sequence: int) -> Sequence[EventTime]:
        """Queue what a frame brings, and return the stamps of its trades."""
        read = await self._frames.read(payload, sequence=sequence, asked=self._asked)
        if read is None:
            return ()
        frame, received_time = read
        self._status.succeeded(self._task.provider)
        if frame.kind == "error":
            self._complained(frame.words)
        if not frame.answer.events:
            return ()
        over = self._refused.traded({event["symbol"] for event in frame.answer.events})
        self._tell_unsent(over, self._market.now_us())
        while self._batches.is_full:
            self._room.clear()
            await self._room.wait()
        self._batches.add(self._blank(received_time), frame.answer.events, monotonic_s())
        self._news.set()
        return [event["event_time"] for event in frame.answer.events]

    async def _publish(self) -> None:
        begun_s = monotonic_s() - PACE_S
        while True:
            await self._news_or_silence()
            if self._batches.events < MAX_STREAM_EVENTS:
                await asyncio.sleep(max(0.0, begun_s + PACE_S - monotonic_s()))
            begun_s = monotonic_s()
            self._news.clear()
            self._tell_refused()
            await self._publish_batches()
            if self._batches:
                self._news.set()

    async def _publish_batches(self) -> None:
        """Publish the oldest batches; confirmed before any other begins, so that order holds by construction."""
        received, accounted = self._received.until, self._accounted
        placed = self._batches.take(MAX_UNCONFIRMED_BATCHES, self._raw.partitions)
        all_of_it = not self._batches
        self._accounted = {} if all_of_it else accounted
        self._room.set()
        await self._raw.publish(RAW_TRADES, placed)
        if all_of_it and received is not None:
            for symbol in accounted.keys() & self._told:
                self._raw.watched.note(self._streams([symbol]), accounted[symbol])
            watched = self._told.intersection(self._task.symbols).difference(self._refused.symbols)
            self._raw.watched.note(self._streams(watched), received)

    async def _news_or_silence(self) -> None:
        """Return with the next news, or after a second: a socket that only says that it lives is watched, too."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SILENCE_S):
                await self._news.wait()

    def _blank(self, received_time: WallTime) -> RawBlock:
        provider, endpoint = self._task.provider, self._socket.endpoint
        return blank_block(provider, endpoint, received_time, connection_id=self._connection_id)

    def _streams(self, symbols: Iterable[str]) -> list[StreamId]:
        return [StreamId(TRADE_STREAM.name, "", self._task.provider, symbol) for symbol in symbols]

    def _named(self, task: TradesTask) -> dict[str, str]:
        return {self._spelt(symbol): symbol for symbol in task.symbols}
