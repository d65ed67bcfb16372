"""Flapping providers in virtual time: the router, real breakers and polls on a loop whose clock jumps."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from producers.http.shell.breaker import Breaker
from producers.routing.evidence import AnswerEvidence
from schemas.configuration.model import Routing
from schemas.errors import ProviderUnavailable
from schemas.intervals import HOUR_US, MINUTE_US, SECOND_US
from schemas.journals import ProviderHealth
from tests.support.builders import NINE_THIRTY
from tests.support.producer_fakes import FixedClock, a_router
from tests.support.virtual_time import run

OPENED = NINE_THIRTY + HOUR_US
ROUTING = Routing(dwell_s=2.0, proof_s=4.0, probe_every_s=0.5, half_life_s=2.0)
PATIENT = ROUTING.model_copy(update={"dwell_s": 30.0})  # the dwell alone holds back what flaps
POLL_S = 1.0  # between two polls of the choice
NOTICED_S = POLL_S + ROUTING.probe_every_s  # a fault that lasts so long meets a poll or a probe
ANSWER_S = 0.05
LASTS_S = 300.0
SEEDS = range(40)


@dataclass
class Vendor:
    """A provider that is down and up by turns, for as long as the two ranges say (s); None: always up."""

    name: str
    down_s: tuple[float, float] | None = None
    up_s: tuple[float, float] = (0.0, 0.0)
    up: bool = True
    dice: random.Random = field(default_factory=random.Random)

    async def flap(self) -> None:
        """Go down and up, for ever."""
        while self.down_s is not None:
            self.up = False
            await asyncio.sleep(self.dice.uniform(*self.down_s))
            self.up = True
            await asyncio.sleep(self.dice.uniform(*self.up_s))

    async def answer(self) -> None:
        """Answer after a moment; raise ProviderUnavailable where it is down by then."""
        await asyncio.sleep(ANSWER_S)
        if not self.up:
            raise ProviderUnavailable(f"{self.name} quote: status 503")


@dataclass(frozen=True)
class Switch:
    """A change of who serves, in virtual seconds."""

    at_s: float
    provider: str
    changed: str
    reason: str


@dataclass
class Story:
    """What came of it: who was switched to when, and when whose quotes were published."""

    switches: list[Switch] = field(default_factory=list)
    published: list[tuple[float, str]] = field(default_factory=list)

    def longest_silence_s(self) -> float:
        """Return the longest time without a quote."""
        times = [0.0, *(moment for moment, _ in self.published), LASTS_S]
        return max(later - earlier for earlier, later in pairwise(times))


async def told(*vendors: Vendor, dice: random.Random, routing: Routing = ROUTING) -> Story:
    """Let the vendors flap, the first one preferred, and return the story."""
    loop, story, market = asyncio.get_running_loop(), Story(), FixedClock(OPENED)
    breakers = {v.name: Breaker(v.name, failures=3, open_s=2.0, now_s=loop.time) for v in vendors}
    router = a_router(
        *breakers,
        clock=market,
        now_s=loop.time,
        breakers={name: (lambda breaker=breaker: breaker.state) for name, breaker in breakers.items()},
        routing=routing,
    )

    async def poll(vendor: Vendor) -> None:
        await asyncio.sleep(dice.uniform(0.0, POLL_S))
        while True:
            turn, began_s = router.turn("quotes", vendor.name, ("SPY",)), loop.time()
            if turn.serve or turn.probe:
                try:
                    await breakers[vendor.name].call(vendor.answer)
                except ProviderUnavailable as error:
                    router.failed("quotes", vendor.name, error, ("SPY",))
                else:
                    market.now = OPENED + int(loop.time() * SECOND_US)
                    router.answered("quotes", vendor.name, evidence(market.now, loop.time() - began_s))
                    if turn.serve:
                        story.published.append((loop.time(), vendor.name))
            await asyncio.sleep(POLL_S if turn.serve else routing.probe_every_s / 2)

    async def publish(records: Sequence[ProviderHealth]) -> None:
        story.switches += [
            Switch(loop.time(), record.provider, record.changed, record.reason)
            for record in records
            if record.capability == "quotes" and record.changed in ("failover", "failback")
        ]

    work = [router.run(publish), *map(poll, vendors), *(vendor.flap() for vendor in vendors)]
    running = [asyncio.ensure_future(each) for each in work]
    await asyncio.sleep(LASTS_S)
    for task in running:
        task.cancel()
    ended = await asyncio.gather(*running, return_exceptions=True)
    assert [error for error in ended if isinstance(error, Exception)] == []
    return story


def evidence(now_us: int, latency_s: float) -> AnswerEvidence:
    """Return what a sound answer says: a new price, of this moment."""
    prices = {"SPY": 100.0 + now_us % MINUTE_US / MINUTE_US}
    return AnswerEvidence(
        latency_s=latency_s, asked=("SPY",), newest={"SPY": now_us}, tolerance_us=MINUTE_US, prices=prices
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_a_provider_that_never_proves_itself_is_left_once_and_for_good(seed: int) -> None:
    """Each fault is long enough to be met and each respite shorter than the proof: one failover, and quotes go on."""
    dice = random.Random(seed)
    down_s, up_s = (NOTICED_S, 8.0), (0.1, ROUTING.proof_s - NOTICED_S)
    yahoo = Vendor("yahoo", down_s=down_s, up_s=up_s, dice=dice)

    story = run(told(yahoo, Vendor("finnhub"), dice=dice))

    assert [(switch.provider, switch.changed) for switch in story.switches] == [("finnhub", "failover")]
    assert story.longest_silence_s() <= 4 * POLL_S
    assert {name for moment, name in story.published if moment > story.switches[0].at_s + POLL_S} == {
        "finnhub"
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_switches_cost_at_most_one_a_dwell_however_providers_flap(seed: int) -> None:
    """Both flap in any rhythm: in every stretch there are at most two switches more than dwells.

    Whoever comes back had proven himself.
    """
    dice = random.Random(seed)
    vendors = [
        Vendor(name, down_s=(0.1, dice.uniform(0.2, 10.0)), up_s=(0.1, dice.uniform(0.2, 20.0)), dice=dice)
        for name in ("yahoo", "finnhub")
    ]

    story = run(told(*vendors, dice=dice, routing=PATIENT))
    times = [switch.at_s for switch in story.switches]

    for first, began_s in enumerate(times):
        for last in range(first, len(times)):
            assert last - first + 1 <= 2 + (times[last] - began_s) / PATIENT.dwell_s + 1e-6
    for switch in story.switches:
        if "was well for" in switch.reason:
            assert float(switch.reason.split()[-2]) >= PATIENT.proof_s
