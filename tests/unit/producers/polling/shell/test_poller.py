"""What follows each outcome of a poll."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from typing import Any, cast

import pytest

from infra.runtime.clock import Market
from infra.runtime.lifecycle import Health
from producers.http.shell.body import MalformedResponse
from producers.polling.schedule import Due
from producers.polling.shell.attempts import Attempts
from producers.polling.shell.poller import BACKOFF, CUT_SHORT, FLOOR_S, REFUSED_S, UNKNOWN_SYMBOL_S, Poller
from producers.polling.shell.polls import Polled
from producers.polling.slots import Duty
from producers.routing.evidence import AnswerEvidence
from producers.routing.shell.router import Router
from schemas.errors import (
    BrokerUnavailable,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
    UnknownSymbol,
)
from schemas.partitions import partition_of
from tests.support.eventually import eventually
from tests.support.producer_fakes import (
    FixedClock,
    RecordingCadence,
    RecordingTopics,
    a_router,
    a_status,
)

SOUND = AnswerEvidence(latency_s=0.1, asked=(), newest={}, tolerance_us=1, prices={})
LATER_US = 9_000


class _Task:
    """A poll that ends as told, again and again."""

    provider = "yahoo"
    capability = routed_as = "bars:1m"
    tier = "T1"
    topic = "raw.bars.v1"
    symbols: Sequence[str] = ("SPY",)
    every_us = 1_000
    phase_us = 0
    is_behind = False
    task: Hashable = "as it was"

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.polls = self.probes = 0
        self.asked: list[Sequence[str]] = []
        self.probed: list[Sequence[str]] = []
        self.turn = asyncio.Lock()

    first_us = 0

    def first_due(self) -> int:
        return self.first_us

    async def poll(self, symbols: Sequence[str], *, probed: Sequence[str] = (), **_: object) -> Polled:
        self.polls += 1
        self.asked.append(symbols)
        self.probed.append(probed)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return Polled(due_us=outcome, evidence=SOUND)

    async def probe(self, symbols: Sequence[str]) -> Polled:  # noqa: ARG002
        self.probes += 1
        return Polled(due_us=self.next_due(), evidence=SOUND)

    def next_due(self) -> int:
        return LATER_US


def a_poller(
    *tasks: _Task,
    raw: RecordingTopics | None = None,
    clock: FixedClock | None = None,
    router: Router | None = None,
    duty: Duty | None = None,
    cadence: RecordingCadence | None = None,
    swept: list[Any] | None = None,
) -> Poller:
    attempts = Attempts(
        raw=cast(Any, raw or RecordingTopics()),
        status=a_status("yahoo"),
        router=router or a_router("yahoo"),
        duty=duty or Duty(4),
    )
    poller = Poller(
        "yahoo", market=Market(clock=clock or FixedClock(1_000)), attempts=attempts,
        swept=lambda *told: swept.append(told) if swept is not None else None,
        cadence=cast(Any, cadence or RecordingCadence()), health=Health(), workers=2,
    )  # fmt: skip
    poller.assign(dict(enumerate(tasks)))
    return poller


async def a_turn(poller: Poller, task: _Task, due_us: int = 0) -> tuple[int, float]:
    """Let the task have its turn, which was due at a market time (0: at once)."""
    return await poller.turn(Due(0, due_us), task)


@pytest.mark.parametrize(
    ("error", "least_s", "most_s"),
    [
        pytest.param(ProviderThrottled("yahoo", 42.0), 42.0, 43.0, id="throttled-waits-as-told"),
        pytest.param(ProviderUnavailable("down"), FLOOR_S, 1.0, id="outage-backs-off"),
        pytest.param(ProviderRefused("no"), REFUSED_S, REFUSED_S, id="refused-waits-long"),
        pytest.param(UnknownSymbol("who"), UNKNOWN_SYMBOL_S, UNKNOWN_SYMBOL_S, id="unknown-waits-longest"),
    ],
)
async def test_a_failure_is_followed_by_its_pause(error: Exception, least_s: float, most_s: float) -> None:
    """The same is asked for again, after a pause that fits what went wrong."""
    task = _Task(error)

    due_us, pause_s = await a_turn(a_poller(task), task)

    assert due_us == 0
    assert least_s <= pause_s <= most_s


async def test_a_success_is_followed_by_its_cadence_and_at_least_the_floor() -> None:
    """However fast market time runs, a task is not polled more than five times a second."""
    task = _Task(777)

    assert await a_turn(a_poller(task), task) == (777, FLOOR_S)


async def test_a_malformed_response_is_dead_lettered_and_asked_for_again() -> None:
    """Bytes and reason are kept, and the poller goes on."""
    raw = RecordingTopics()
    error = MalformedResponse("yahoo chart: cut", endpoint="chart", received_time=7, payload=b'{"cha')

    task = _Task(error)

    poller = a_poller(task, raw=raw)
    due_us, soon_s = await a_turn(poller, task)

    assert due_us == 0
    assert soon_s <= 1.0  # it may have been cut short
    later = [pause_s for _, pause_s in [await a_turn(poller, _Task(error)) for _ in range(4)]]
    assert max(later[: CUT_SHORT - 1]) <= BACKOFF.longest_s
    assert later[CUT_SHORT - 1 :] == [REFUSED_S] * (5 - CUT_SHORT)
    assert [(letter["topic"], letter["payload"], letter["reason"]) for letter in raw.dead] == [
        ("raw.bars.v1", b'{"cha', "malformed")
    ]


async def test_a_dead_publisher_ends_the_poller() -> None:
    """What Kafka will never take is not retried: a fresh process continues from the cursors."""
    task = _Task(BrokerUnavailable("dead"))

    with pytest.raises(BrokerUnavailable):
        await a_turn(a_poller(task), task)


async def test_one_failing_task_does_not_hold_up_the_others() -> None:
    """Every task is polled in its own time."""
    clock = FixedClock(1_000)
    failing, well = _Task(ProviderThrottled("yahoo", 900.0)), _Task(0)
    well.is_behind = True
    poller = asyncio.ensure_future(a_poller(failing, well, clock=clock).run())
    try:
        await eventually(lambda: well.polls >= 3, within_s=5.0)
    finally:
        poller.cancel()

    assert failing.polls == 1


async def test_a_task_waits_for_market_time() -> None:
    """A poll due later on the market clock is made when that clock gets there."""
    clock, task = FixedClock(1_000), _Task(5_000)
    poller = asyncio.ensure_future(a_poller(task, clock=clock).run())
    try:
        await eventually(lambda: task.polls == 1, within_s=2.0)
        await asyncio.sleep(2 * FLOOR_S)
        before = task.polls
        clock.now = 5_000
        await eventually(lambda: task.polls >= 2, within_s=2.0)
    finally:
        poller.cancel()

    assert before == 1


async def test_a_first_poll_waits_for_its_place() -> None:
    """So that thousands that are asked for rarely do not stand before those that are asked for often."""
    clock, rare, often = FixedClock(1_000), _Task(LATER_US), _Task(LATER_US)
    rare.first_us = 2_000
    often.symbols = ("IBM",)
    poller = asyncio.ensure_future(
        a_poller(rare, often, clock=clock, router=a_router("yahoo", symbols=("SPY", "IBM"))).run()
    )
    try:
        await eventually(lambda: often.polls == 1, within_s=2.0)
        before = rare.polls
        clock.now = 2_000
        await eventually(lambda: rare.polls == 1, within_s=2.0)
    finally:
        poller.cancel()

    assert before == 0


async def test_a_provider_that_does_not_serve_is_probed_rarely_and_otherwise_left_alone() -> None:
    """The first turn is a probe, the next ones ask nothing until a probe is due again."""
    moments = [0.0]
    task = _Task(0)
    poller = a_poller(task, router=a_router("finnhub", "yahoo", now_s=lambda: moments[0]))

    turns = [await a_turn(poller, task) for _ in range(3)]
    moments[0] = 30.0
    await a_turn(poller, task)

    assert turns == [(LATER_US, FLOOR_S)] * 3
    assert (task.polls, task.probes) == (0, 2)


async def test_a_symbol_the_choice_lacks_is_served_by_the_next_one_alone() -> None:
    """Of one request a part is served and the rest left to the choice; a probe rides along, and is not published."""
    moments, task = [0.0], _Task(0)
    task.symbols = ("SPY", "^GSPC")
    router = a_router("finnhub", "yahoo", now_s=lambda: moments[0], symbols=("SPY", "^GSPC"))
    router.failed("bars:1m", "finnhub", UnknownSymbol("who?"), ("^GSPC",))
    poller = a_poller(task, router=router)

    await a_turn(poller, task)
    await a_turn(poller, task)

    assert [list(each) for each in task.asked] == [["^GSPC"]]
    assert [list(each) for each in task.probed] == [["SPY"]]


async def test_what_moves_alone_is_polled_at_once() -> None:
    """Neither its cadence nor a slot that was done by an answer of no use keeps it waiting."""
    clock, task, duty = FixedClock(1_000), _Task(900_000), Duty(4)
    poller = a_poller(task, clock=clock, duty=duty)
    running = asyncio.ensure_future(poller.run())
    try:
        await eventually(lambda: task.polls == 1, within_s=5.0)
        poller.take_over("bars:1m", ["IBM"])
        poller.take_over("quotes", ["SPY"])
        poller.take_over("bars:1m", ["SPY"])  # its slot is done
        await asyncio.sleep(2 * FLOOR_S)
        assert task.polls == 1
        duty.reopen("bars:1m", "SPY")
        poller.take_over("bars:1m", ["SPY"])
        await eventually(lambda: task.polls == 2, within_s=5.0)
    finally:
        running.cancel()


async def test_a_slot_that_is_done_is_not_polled_again() -> None:
    """What a job, or another replica, has polled waits for the next slot; what lies behind it does not."""
    duty, task, behind = Duty(4), _Task(0), _Task(0)
    behind.is_behind = True
    duty.done("bars:1m", ["SPY"], 1_000)

    assert await a_turn(a_poller(task, duty=duty), task) == (LATER_US, FLOOR_S)
    await a_turn(a_poller(behind, duty=duty), behind)

    assert (task.polls, behind.polls) == (0, 1)


async def test_a_failed_poll_leaves_its_slot_open() -> None:
    """The retry belongs to the same slot and is made."""
    duty, task = Duty(4), _Task(ProviderUnavailable("down"), LATER_US)
    poller = a_poller(task, duty=duty)

    await a_turn(poller, task)
    assert duty.is_open("bars:1m", "SPY", 1_000)
    await a_turn(poller, task)

    assert task.polls == 2
    assert not duty.is_open("bars:1m", "SPY", 1_000)


async def test_partitions_that_are_not_ours_to_sweep_are_left_alone() -> None:
    """Their jobs come from the feed."""
    duty, task = Duty(4), _Task(0)
    duty.sweep(frozenset())

    await a_turn(a_poller(task, duty=duty), task)

    assert task.polls == 0


async def test_an_exchange_keeps_places_adds_at_once_and_ends_what_is_gone() -> None:
    """A task that stays waits for its time, a new one is polled now, one that was taken out never again."""
    clock = FixedClock(1_000)
    stays, goes, comes = _Task(50_000), _Task(2_000), _Task(50_000)
    goes.symbols, comes.symbols = ("IBM",), ("GOOG",)
    poller = a_poller(stays, goes, clock=clock)
    running = asyncio.ensure_future(poller.run())
    try:
        await eventually(lambda: stays.polls == goes.polls == 1, within_s=5.0)
        poller.assign({0: stays, 2: comes})
        clock.now = 9_000
        await eventually(lambda: comes.polls == 1, within_s=5.0)
        await asyncio.sleep(2 * FLOOR_S)
    finally:
        running.cancel()

    assert (stays.polls, goes.polls) == (1, 1)


async def test_a_task_with_another_cadence_is_due_by_it() -> None:
    """It does not wait for the moment the old cadence had chosen."""
    clock, task = FixedClock(1_000), _Task(900_000)
    poller = a_poller(task, clock=clock)
    running = asyncio.ensure_future(poller.run())
    try:
        await eventually(lambda: task.polls == 1, within_s=5.0)
        task.task = "another"
        poller.assign({0: task})
        clock.now = LATER_US
        await eventually(lambda: task.polls == 2, within_s=5.0)
    finally:
        running.cancel()


async def test_settled_waits_for_what_is_under_way_and_no_more_assigned() -> None:
    """A replica gives a partition up only when it polls nothing of it any more."""
    gate, task = asyncio.Event(), _Task(0)

    async def slow(symbols: Sequence[str], **_: object) -> Polled:
        task.polls += 1
        await gate.wait()
        return Polled(due_us=LATER_US, evidence=SOUND)

    task.poll = slow  # type: ignore[method-assign]
    poller = a_poller(task)
    running = asyncio.ensure_future(poller.run())
    try:
        await eventually(lambda: task.polls == 1, within_s=5.0)
        poller.assign({})
        settled = asyncio.ensure_future(poller.settled())
        await asyncio.sleep(2 * FLOOR_S)
        assert not settled.done()
        gate.set()
        await asyncio.wait_for(settled, 5.0)
    finally:
        running.cancel()

    assert task.polls == 1


async def test_the_cadence_is_told_of_every_poll() -> None:
    """Begun with the moment it was due, ended with what came of it and when it is due again, or left out."""
    cadence = RecordingCadence()
    task = _Task(ProviderUnavailable("down"), 777)
    poller = a_poller(task, cadence=cadence)
    await a_turn(poller, task, 500)
    await a_turn(poller, task)
    await a_turn(poller, task, 600)

    assert cadence.told == [
        ("begun", 500),
        ("ended", 0, False),
        ("begun", 0),
        ("ended", 777, True),
        ("skipped", LATER_US),
    ]


async def test_every_answered_poll_of_the_schedule_is_told_with_its_slot() -> None:
    """What failed is not told: its slot is still open."""
    told: list[Any] = []
    task = _Task(ProviderUnavailable("down"), LATER_US)
    poller = a_poller(task, swept=told)

    await a_turn(poller, task)
    await a_turn(poller, task)

    assert [(poll.capability, list(symbols), slot) for poll, symbols, slot, _ in told] == [
        ("bars:1m", ["SPY"], 1_000)
    ]


async def test_what_the_feed_left_open_is_polled_at_once() -> None:
    """The slot of the moment is not lost; one that was done is left alone."""
    clock, duty = FixedClock(1_000), Duty(4)
    duty.sweep(frozenset())
    left, done, other = _Task(50_000), _Task(50_000), _Task(50_000)
    done.symbols, other.symbols = ("IBM",), ("MSFT",)
    poller = a_poller(left, done, other, clock=clock, duty=duty)
    running = asyncio.ensure_future(poller.run())
    try:
        await asyncio.sleep(2 * FLOOR_S)
        duty.done("bars:1m", ["IBM"], 1_000)
        fresh = duty.sweep(frozenset(range(4)))
        assert fresh == frozenset(range(4))
        assert partition_of("SPY", 4) != partition_of("MSFT", 4)
        poller.resume(frozenset({partition_of("SPY", 4), partition_of("IBM", 4)}))
        await eventually(lambda: left.polls == 1, within_s=5.0)
        await asyncio.sleep(2 * FLOOR_S)
        polled = done.polls, other.polls
    finally:
        running.cancel()

    assert polled == (0, 0)
