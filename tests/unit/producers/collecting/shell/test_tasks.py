"""The tasks that collect: a poller a provider, a stream a socket, and what is awaited when either is taken away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from infra.runtime.clock import Market
from infra.runtime.lifecycle import Health
from producers.catalogue.shell.opening import Vendors
from producers.collecting.shell.tasks import Collectors
from producers.plan.plan import PollPlan
from producers.plan.tasks import TradesTask
from producers.polling.shell.assignment import Assignment
from producers.polling.shell.attempts import Attempts
from producers.polling.shell.polls import Polled
from producers.polling.slots import Duty
from producers.routing.evidence import AnswerEvidence
from producers.vendors.finnhub.trades import parse_frame
from schemas.providers.finnhub import FACTS
from tests.support.eventually import eventually
from tests.support.producer_fakes import (
    FixedClock,
    RecordingCadence,
    RecordingTopics,
    a_router,
    a_status,
)

SOUND = AnswerEvidence(latency_s=0.1, asked=(), newest={}, tolerance_us=1, prices={})
FAR_US = 2**60  # the next poll is never due
MARKET = Market(clock=FixedClock(1_000))
EVERYTHING = frozenset(range(4))
WITHIN_S = 5.0


class _Poll:
    """A poll that ends when its gate opens."""

    capability = routed_as = "bars:1m"
    tier = "T1"
    topic = "raw.bars.v1"
    every_us = 1_000
    phase_us = 0
    is_behind = False
    task: Hashable = "as it was"

    def __init__(self, provider: str, *symbols: str, is_open: bool = True) -> None:
        self.provider, self.symbols = provider, symbols or ("SPY",)
        self.begun = self.ended = 0
        self.turn = asyncio.Lock()
        self.gate = asyncio.Event()
        if is_open:
            self.gate.set()

    def first_due(self) -> int:
        return 0

    async def poll(self, symbols: Sequence[str], **_: object) -> Polled:  # noqa: ARG002
        self.begun += 1
        await self.gate.wait()
        self.ended += 1
        return Polled(due_us=FAR_US, evidence=SOUND)

    async def probe(self, symbols: Sequence[str]) -> Polled:  # noqa: ARG002
        return Polled(due_us=FAR_US, evidence=SOUND)

    def next_due(self) -> int:
        return FAR_US


class _Socket:
    """Tells in `log` when it is opened and closed; says nothing."""

    endpoint = "socket"
    parse = staticmethod(parse_frame)

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log
        self.said: list[tuple[str, str]] = []
        self.connection_id = name

    @asynccontextmanager
    async def connected(self, symbols: Sequence[str]) -> AsyncIterator[Any]:
        self.log.append(f"{self.name} open {' '.join(sorted(symbols))}")
        try:
            yield self
        finally:
            await asyncio.sleep(0)  # as a real one, it takes its time
            self.log.append(f"{self.name} closed")

    async def receive(self) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError("never")

    async def subscribe(self, symbols: Sequence[str]) -> None:
        self.said += [("subscribe", symbol) for symbol in symbols]

    async def unsubscribe(self, symbols: Sequence[str]) -> None:
        self.said += [("unsubscribe", symbol) for symbol in symbols]


def an_assignment(socket: _Socket | None, *symbols: str) -> Assignment:
    """Return an assignment of trades alone; without a socket, of nothing."""
    trades = () if socket is None else (TradesTask(provider="finnhub", symbols=symbols),)
    sockets = {} if socket is None else {"finnhub": cast(Any, socket)}
    return Assignment(
        plan=PollPlan(trades=trades),
        vendors=Vendors(https={}, apis={}, sockets=sockets, facts={"finnhub": FACTS}, places={}),
        market=MARKET,
        calendars={},
        cursors={},
        start=None,
        simulated=frozenset(),
    )


@asynccontextmanager
async def collecting() -> AsyncIterator[tuple[Collectors, Health]]:
    """Yield collectors whose tasks end with the block."""
    health = Health()
    attempts = Attempts(
        raw=cast(Any, RecordingTopics()),
        status=a_status("yahoo", "finnhub"),
        router=a_router("yahoo"),
        duty=Duty(4),
    )
    running: list[asyncio.Task[Any]] = []

    class _Group:
        """A task group whose tasks the block ends."""

        def create_task(self, work: Any, *, name: str) -> asyncio.Task[Any]:
            running.append(asyncio.create_task(work, name=name))
            return running[-1]

    collectors = Collectors(
        cast(Any, _Group()), attempts, market=MARKET, cadence=cast(Any, RecordingCadence()), health=health,
        workers=1, swept=lambda *_: None,
    )  # fmt: skip
    try:
        yield collectors, health
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def test_every_provider_with_polls_has_a_poller_of_its_own() -> None:
    """A provider without any has none, so that health expects nothing of it."""
    poll = _Poll("yahoo")
    async with collecting() as (collectors, health):
        collectors.poll({"yahoo": {"SPY": poll}, "finnhub": {}})
        await eventually(lambda: poll.ended, within_s=WITHIN_S)

        assert [part for part in health.parts if part.endswith("_polling")] == ["yahoo_polling"]


async def test_a_poll_that_stays_goes_on_when_others_come() -> None:
    """The poller is the same: what is under way is neither begun again nor thrown away."""
    under_way, other = _Poll("yahoo", is_open=False), _Poll("yahoo", "IBM")
    async with collecting() as (collectors, _):
        collectors.poll({"yahoo": {"SPY": under_way}})
        await eventually(lambda: under_way.begun, within_s=WITHIN_S)
        collectors.poll({"yahoo": {"SPY": under_way, "IBM": other}})
        under_way.gate.set()
        await eventually(lambda: other.ended, within_s=WITHIN_S)

    assert (under_way.begun, under_way.ended) == (1, 1)


async def test_what_is_taken_away_is_settled_only_when_its_poll_has_ended() -> None:
    """Another replica may poll the symbol only then; the poll itself is not cut short."""
    taken = _Poll("yahoo", is_open=False)
    async with collecting() as (collectors, health):
        collectors.poll({"yahoo": {"SPY": taken}})
        await eventually(lambda: taken.begun, within_s=WITHIN_S)
        collectors.poll({})
        settled = asyncio.ensure_future(collectors.settled())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not settled.done()
        taken.gate.set()
        await asyncio.wait_for(settled, WITHIN_S)
        await eventually(lambda: "yahoo_polling" not in health.parts, within_s=WITHIN_S)

    assert taken.ended == 1


async def test_resuming_polls_the_present_slot_again() -> None:
    """Whoever was to do it does it no more: it is not waited for the next one."""
    poll = _Poll("yahoo")
    async with collecting() as (collectors, _):
        collectors.poll({"yahoo": {"SPY": poll}})
        await eventually(lambda: poll.ended == 1, within_s=WITHIN_S)
        collectors.resume(EVERYTHING)
        await asyncio.sleep(0)
        assert poll.begun == 1  # the slot was polled: there is nothing open of it
        MARKET.clock.now += poll.every_us  # type: ignore[attr-defined]
        collectors.resume(EVERYTHING)
        await eventually(lambda: poll.ended == 2, within_s=WITHIN_S)


async def test_other_symbols_are_exchanged_over_the_same_connection() -> None:
    """A socket that leads to the same place stays open."""
    log: list[str] = []
    socket = _Socket("one", log)
    async with collecting() as (collectors, _):
        assert not collectors.streams("finnhub")
        await collectors.stream(an_assignment(socket, "SPY"))
        assert collectors.streams("finnhub")
        await eventually(lambda: log, within_s=WITHIN_S)
        await collectors.stream(an_assignment(socket, "IBM"))
        await eventually(lambda: len(socket.said) == 2, within_s=WITHIN_S)
        assert log == ["one open SPY"]

    assert socket.said == [("subscribe", "IBM"), ("unsubscribe", "SPY")]


async def test_a_socket_that_leads_elsewhere_is_closed_before_the_next_is_opened() -> None:
    """Vendors allow one connection a key."""
    log: list[str] = []
    async with collecting() as (collectors, _):
        await collectors.stream(an_assignment(_Socket("one", log), "SPY"))
        await eventually(lambda: log, within_s=WITHIN_S)
        await collectors.stream(an_assignment(_Socket("two", log), "SPY"))
        await eventually(lambda: len(log) == 3, within_s=WITHIN_S)

        assert log == ["one open SPY", "one closed", "two open SPY"]


async def test_without_trades_in_the_plan_the_socket_is_closed() -> None:
    """And it is closed when the exchange returns."""
    log: list[str] = []
    async with collecting() as (collectors, _):
        await collectors.stream(an_assignment(_Socket("one", log), "SPY"))
        await eventually(lambda: log, within_s=WITHIN_S)
        await collectors.stream(an_assignment(None))

        assert log == ["one open SPY", "one closed"]
        assert not collectors.streams("finnhub")
