"""What follows each outcome of a poll."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from infra.runtime.lifecycle import Health
from producers.adapters.market import Market
from producers.adapters.poller import FLOOR_S, REFUSED_S, UNKNOWN_SYMBOL_S, Poller
from producers.adapters.polls import Polled
from producers.adapters.registry import Registry
from producers.domain.answers import MalformedResponse
from producers.domain.evidence import Evidence
from schemas.errors import (
    BrokerUnavailable,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
    UnknownSymbol,
)
from tests.eventually import eventually
from tests.unit.producers.adapters.fakes import FixedClock, RecordingTopics, a_registry, a_status

SOUND = Evidence(latency_s=0.1, newest=None, tolerance_us=1, prices={})
LATER_US = 9_000


class _Task:
    """A poll that ends as told, again and again."""

    provider = "yahoo"
    capability = "bars:1m"
    topic = "raw.bars.v1"
    symbols = ("SPY",)

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.polls = self.probes = 0

    async def poll(self) -> Polled:
        self.polls += 1
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return Polled(due_us=outcome, evidence=SOUND)

    async def probe(self) -> Polled:
        self.probes += 1
        return Polled(due_us=self.next_due(), evidence=SOUND)

    def next_due(self) -> int:
        return LATER_US


def a_poller(
    *tasks: _Task,
    raw: RecordingTopics | None = None,
    clock: FixedClock | None = None,
    registry: Registry | None = None,
) -> Poller:
    return Poller(
        "yahoo", tasks, registry=registry or a_registry("yahoo"), market=Market(clock=clock or FixedClock(1_000)), raw=cast(Any, raw or RecordingTopics()),
        status=a_status("yahoo"), health=Health(), workers=2,
    )  # fmt: skip


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
    due_us, pause_s = await a_poller(_Task(error))._turn(0)

    assert due_us == 0
    assert least_s <= pause_s <= most_s


async def test_a_success_is_followed_by_its_cadence_and_at_least_the_floor() -> None:
    """However fast market time runs, a task is not polled more than five times a second."""
    assert await a_poller(_Task(777))._turn(0) == (777, FLOOR_S)


async def test_a_malformed_response_is_dead_lettered_and_asked_for_again() -> None:
    """Bytes and reason are kept, and the poller goes on."""
    raw = RecordingTopics()
    error = MalformedResponse("yahoo chart: cut", endpoint="chart", received_time=7, payload=b'{"cha')

    due_us, _ = await a_poller(_Task(error), raw=raw)._turn(0)

    assert due_us == 0
    assert [(letter["topic"], letter["payload"], letter["reason"]) for letter in raw.dead] == [
        ("raw.bars.v1", b'{"cha', "malformed")
    ]


async def test_a_dead_publisher_ends_the_poller() -> None:
    """What Kafka will never take is not retried: a fresh process continues from the cursors."""
    with pytest.raises(BrokerUnavailable):
        await a_poller(_Task(BrokerUnavailable("dead")))._turn(0)


async def test_one_failing_task_does_not_hold_up_the_others() -> None:
    """Every task is polled in its own time."""
    clock = FixedClock(1_000)
    failing, well = _Task(ProviderThrottled("yahoo", 900.0)), _Task(0)
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


async def test_a_provider_that_does_not_serve_is_probed_rarely_and_otherwise_left_alone() -> None:
    """The first turn is a probe, the next ones ask nothing until a probe is due again."""
    moments = [0.0]
    task = _Task(0)
    poller = a_poller(task, registry=a_registry("finnhub", "yahoo", now_s=lambda: moments[0]))

    turns = [await poller._turn(0) for _ in range(3)]
    moments[0] = 30.0
    await poller._turn(0)

    assert turns == [(LATER_US, FLOOR_S)] * 3
    assert (task.polls, task.probes) == (0, 2)
