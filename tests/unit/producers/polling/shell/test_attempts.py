"""One poll, and who is told of what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from typing import Any, cast

import pytest

from infra.runtime.metrics import REGISTRY
from producers.http.shell.body import MalformedResponse
from producers.polling.shell.attempts import Attempts
from producers.polling.shell.polls import Polled
from producers.polling.slots import Duty
from producers.routing.evidence import AnswerEvidence
from schemas.clocks import WallTime
from schemas.errors import BrokerUnavailable, MarketDataError, ProviderDeclined, ProviderUnavailable
from tests.support.producer_fakes import RecordingTopics, a_router, a_status

SLOT = 60
SOUND = AnswerEvidence(latency_s=0.1, asked=(), newest={}, tolerance_us=1, prices={})


class _Poll:
    """Quotes of two symbols that end as told."""

    provider, capability, topic, tier = "yahoo", "quotes", "raw.quotes.v1", "T1"
    routed_as = capability
    every_us, phase_us, is_behind = 60, 0, False
    task: Hashable = None
    symbols: Sequence[str] = ("SPY", "IBM")

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.turn = asyncio.Lock()
        self.polled: list[Sequence[str]] = []

    async def poll(self, symbols: Sequence[str], **_: object) -> Polled:
        self.polled.append(symbols)
        await asyncio.sleep(0)
        return self._polled()

    async def probe(self, symbols: Sequence[str]) -> Polled:  # noqa: ARG002
        return self._polled()

    def next_due(self) -> int:
        return 7

    def _polled(self) -> Polled:
        if self.error is not None:
            raise self.error
        return Polled(due_us=7, evidence=SOUND)


class _World:
    """Attempts, and all that they tell."""

    def __init__(self) -> None:
        self.raw, self.duty = RecordingTopics(), Duty(4)
        self.status, self.router = a_status("yahoo"), a_router("yahoo")
        self.attempts = Attempts(
            raw=cast(Any, self.raw), status=self.status, router=self.router, duty=self.duty
        )

    async def serve(self, poll: _Poll, *symbols: str) -> Any:
        return await self.attempts.serve(poll, lambda: symbols, SLOT)

    @property
    def success(self) -> float:
        return next(each for each in self.router.records() if each.capability == "quotes").success


async def test_what_was_polled_is_done_in_its_slot() -> None:
    """Its provider is well, and what was not asked for is still open."""
    world = _World()

    symbols, polled = await world.serve(_Poll(), "SPY")

    assert (symbols, polled.due_us) == (("SPY",), 7)
    assert not world.duty.is_open("quotes", "SPY", SLOT)
    assert world.duty.is_open("quotes", "IBM", SLOT)
    assert world.status.ready("yahoo")


async def test_a_failure_is_told_and_leaves_the_slot_open() -> None:
    """It is returned, not raised: whoever asked decides what follows."""
    world, error = _World(), ProviderUnavailable("down")

    assert await world.serve(_Poll(error), "SPY") == (("SPY",), error)
    assert world.duty.is_open("quotes", "SPY", SLOT)
    assert world.success < 1.0


async def test_bytes_nobody_understands_are_kept() -> None:
    """Once for each kind of fault, whoever meets it; a response of several symbols is no single symbol's."""
    world = _World()
    error = MalformedResponse("yahoo quote: cut", endpoint="quote", received_time=7, payload=b"{")

    await world.serve(_Poll(error), "SPY")
    await world.attempts.probe(_Poll(error), ("SPY",))
    other = MalformedResponse("yahoo quote: another fault", endpoint="quote", received_time=8, payload=b"[")
    await world.attempts.probe(_Poll(other), ("SPY",))

    assert [(letter["topic"], letter["symbol"], letter["payload"]) for letter in world.raw.dead] == [
        ("raw.quotes.v1", "", b"{"),
        ("raw.quotes.v1", "", b"["),
    ]
    spared = {"provider": "yahoo", "endpoint": "quote"}
    assert (REGISTRY.get_sample_value("mds_dead_letters_spared_total", spared) or 0.0) >= 1.0


async def test_who_waits_for_the_turn_asks_for_what_is_still_open_then() -> None:
    """A job and the schedule may come at once: the second finds nothing to do."""
    world, poll = _World(), _Poll()

    def asked() -> Sequence[str]:
        return world.duty.asked("quotes", poll.symbols, SLOT)

    first, second = await asyncio.gather(
        world.attempts.serve(poll, asked, SLOT), world.attempts.serve(poll, asked, SLOT)
    )

    assert [list(symbols) for symbols in poll.polled] == [["SPY", "IBM"]]
    assert list(first[0]) == ["SPY", "IBM"]
    assert (list(second[0]), second[1]) == ([], None)


async def test_a_probe_marks_nothing_as_done() -> None:
    """Nothing was published; the provider is judged all the same."""
    world = _World()

    await world.attempts.probe(_Poll(ProviderUnavailable("down")), ("SPY",))
    judged = world.success
    assert await world.attempts.probe(_Poll(), ("SPY",)) == Polled(due_us=7, evidence=SOUND)

    assert judged < 1.0
    assert world.duty.is_open("quotes", "SPY", SLOT)


async def test_a_dead_publisher_ends_the_process() -> None:
    """It is nobody's failure but ours."""
    world = _World()

    for ask in (
        world.serve(_Poll(BrokerUnavailable("dead")), "SPY"),
        world.attempts.probe(_Poll(BrokerUnavailable("dead")), ("SPY",)),
    ):
        with pytest.raises(BrokerUnavailable):
            await ask
    assert world.success == 1.0


@pytest.mark.parametrize(
    "error", [ProviderUnavailable("down"), ProviderDeclined("too long ago"), MalformedResponse("no JSON", endpoint="chart", received_time=WallTime(1), payload=b"<")]
)  # fmt: skip
async def test_a_backfill_that_fails_says_nothing_of_who_gives_the_present(error: MarketDataError) -> None:
    """Hundreds of refusals of old minutes must not move the route of live ones; bytes of no use are a dead letter."""

    class Past(_Poll):
        async def backfill(self, *_: int, **__: str) -> None:
            raise error

    world, before = _World(), None
    for _ in range(50):
        assert await world.attempts.backfill(cast(Any, Past()), 0, 60, "job") is error  # type: ignore[arg-type]
        record = next(each for each in world.router.records() if each.capability == "quotes")
        before = before or (record.score, record.success)
        assert (record.score, record.success) == before
    assert world.status.document("yahoo")["failing"] is False
    assert len(world.raw.dead) == isinstance(error, MalformedResponse)
