"""Who may ask a vendor when: in order, live first, within the limits, and never waiting without bound."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest

from producers.budget.limits import VendorLimits, limits_of
from producers.budget.pauses import Signal
from producers.budget.shares import Share
from producers.budget.shell.gate import MAX_WAITING, Gate
from producers.budget.windows import Purpose
from schemas.configuration.model import ProviderLimits
from schemas.errors import BudgetExhausted, ProviderBanned, ProviderThrottled
from schemas.intervals import HOUR_US, MINUTE_US, SECOND_US
from schemas.providers.built_in import BUILT_IN
from schemas.providers.facts import Limits
from tests.support.virtual_time import in_virtual_time, now_us, run

HOUR_S = 3_600.0
THROTTLED = Signal(kind="throttled", wait_us=None, reason="status 429, too many requests")


def a_gate(**limits: int) -> Gate:
    return Gate("test", VendorLimits(whole=Limits(**limits)), now_us=now_us)


async def ask(
    gate: Gate,
    log: list[Any] | None = None,
    *,
    name: Any = None,
    endpoint: str = "quote",
    purpose: Purpose = "live",
    within_s: float = HOUR_S,
    takes_s: float = 0.0,
) -> int:
    """Make one request that takes so long; return when it was started."""
    async with gate.admitted(endpoint, purpose, within_s=within_s) as admission:
        if log is not None:
            log.append(name)
        await asyncio.sleep(takes_s)
        return admission.started_us


@in_virtual_time
async def test_a_class_is_served_in_order_and_live_before_backfill() -> None:
    """Those who came first start first; a backfill that waits longer still lets every live request go before."""
    gate, log = a_gate(per_minute=2), []
    async with asyncio.TaskGroup() as tasks:
        for number in range(4):
            tasks.create_task(ask(gate, log, name=f"backfill {number}", purpose="backfill"))
        for number in range(4):
            tasks.create_task(ask(gate, log, name=f"live {number}"))

    live = [name for name in log if name.startswith("live")]
    assert live == [f"live {number}" for number in range(4)]
    assert [name for name in log if name not in live] == [f"backfill {number}" for number in range(4)]
    assert log.index("live 3") < log.index("backfill 2")


@pytest.mark.parametrize("limit", [1, 5, 33, 200])
def test_where_live_takes_a_limit_whole_backfill_has_a_twentieth_of_it(limit: int) -> None:
    """About that, though live requests always wait, and at whatever limit; live has the rest."""

    async def story() -> Counter[str]:
        gate, made = a_gate(per_minute=limit), Counter[str]()

        async def for_ever(purpose: Purpose) -> None:
            while True:
                try:
                    async with gate.admitted("quote", purpose, within_s=5.0):
                        made[purpose] += 1
                        await asyncio.sleep(0.1)
                except ProviderThrottled as error:
                    await asyncio.sleep(error.retry_after_s or 0.1)

        with suppress(TimeoutError):
            async with asyncio.timeout(HOUR_S), asyncio.TaskGroup() as tasks:
                for _ in range(4):
                    tasks.create_task(for_ever("live"))
                tasks.create_task(for_ever("backfill"))
        return made

    made = run(story())
    share = 0.05 * 60 * limit
    assert 0.7 * share - 1 <= made["backfill"] <= 1.1 * share + 1
    assert made["live"] >= 0.9 * 60 * limit


@in_virtual_time
async def test_a_backfill_that_must_wait_for_another_day_holds_nobody_up() -> None:
    """It is owed a minute's place and has none of the day's: live requests go before it."""
    gate, log = a_gate(per_minute=60, per_day=1_000), []
    for _ in range(500):
        await ask(gate, purpose="backfill")
        await asyncio.sleep(1.1)
    waiting = asyncio.ensure_future(ask(gate, purpose="backfill", within_s=50 * HOUR_S))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    begin = asyncio.get_running_loop().time()
    for number in range(100):
        await ask(gate, log, name=f"live {number}")
    assert log == [f"live {number}" for number in range(100)]
    assert asyncio.get_running_loop().time() - begin < 130.0
    await waiting
    assert asyncio.get_running_loop().time() > 20 * HOUR_S


@in_virtual_time
async def test_there_is_room_where_a_request_would_start_within_a_second() -> None:
    """Not in a pause, beyond a limit, or behind others; for backfill not before live has shown what it needs."""
    gate, free = a_gate(per_minute=10), a_gate()
    assert (gate.has_room("quote", "live"), gate.has_room("quote", "backfill")) == (True, False)
    assert free.has_room("quote", "backfill")
    for _ in range(3):
        for _ in range(8):
            await ask(gate)
        await asyncio.sleep(62.0)
    assert gate.has_room("quote", "backfill")
    await ask(gate, purpose="backfill")
    assert not gate.has_room("quote", "backfill")  # the rest is what live needs
    assert gate.has_room("quote", "live")

    async with free.admitted("quote", "live", within_s=1.0) as admission:
        free.refused(admission, THROTTLED)
    assert not free.has_room("quote", "backfill")
    await asyncio.sleep(HOUR_S)
    assert free.has_room("quote", "backfill")

    narrow = a_gate(per_second=2)
    await asyncio.sleep(121.0)
    for _ in range(2):
        await ask(narrow)
    await asyncio.sleep(0.5)
    assert narrow.has_room("quote", "backfill")  # in half a second
    waiting = asyncio.ensure_future(ask(narrow, purpose="backfill"))
    await asyncio.sleep(0)
    assert not narrow.has_room("quote", "backfill")  # somebody waits for that
    await waiting

    gate.own(Share(owned=1, of=2))
    await asyncio.sleep(110.0)
    assert not gate.has_room("quote", "backfill")
    gate.own(Share(owned=1, of=2))
    await asyncio.sleep(20.0)
    assert gate.has_room("quote", "backfill")


@in_virtual_time
async def test_who_cannot_start_in_time_is_told_at_once_how_long() -> None:
    """No waiting for what is known to come too late."""
    gate = a_gate(per_minute=1)
    await ask(gate)
    begun = now_us()
    with pytest.raises(BudgetExhausted) as caught:
        await ask(gate, within_s=10.0)

    assert now_us() == begun
    assert caught.value.retry_after_s == pytest.approx(60.06)
    assert str(caught.value) == (
        "our own budget for test is used up: 1 requests a minute, room in 60.1 s; "
        "raise providers.test.limits.per_minute or poll less often"
    )


@in_virtual_time
async def test_an_endpoints_own_limit_is_named_with_its_setting() -> None:
    """What an operator is told to raise is the limit that holds the request up, not the provider's."""
    limits = VendorLimits(whole=Limits(per_minute=9), endpoints={"crumb": Limits(per_minute=1)})
    gate = Gate("test", limits, now_us=now_us)
    await ask(gate, endpoint="crumb")
    with pytest.raises(BudgetExhausted, match=r"raise providers\.test\.limits\.endpoints\.crumb\.per_minute"):
        await ask(gate, endpoint="crumb", within_s=1.0)


@in_virtual_time
async def test_a_pause_the_vendor_asked_for_is_not_our_budget() -> None:
    """After its 429 the vendor throttles us, whatever our own limits have left."""
    gate = a_gate(per_minute=1)
    async with gate.admitted("quote", "live", within_s=1.0) as admission:
        gate.refused(admission, THROTTLED)
    with pytest.raises(ProviderThrottled) as caught:
        await ask(gate, within_s=0.1)

    assert not isinstance(caught.value, BudgetExhausted)


@in_virtual_time
async def test_a_refusal_is_the_error_it_means() -> None:
    """A 429 is a throttle; what calls itself a ban is one, and so is a refusal right after the pause that was told."""
    gate = a_gate(per_minute=100)

    async def refusal(signal: Signal) -> ProviderThrottled:
        async with gate.admitted("quote", "live", within_s=100.0) as admission:
            return gate.refused(admission, signal)

    first = await refusal(Signal(kind="throttled", wait_us=7 * SECOND_US, reason="told"))
    second = await refusal(Signal(kind="throttled", wait_us=7 * SECOND_US, reason="told"))
    third = await refusal(Signal(kind="banned", wait_us=None, reason="a ban"))

    assert [type(error) for error in (first, second, third)] == [
        ProviderThrottled,
        ProviderBanned,
        ProviderBanned,
    ]
    assert first.retry_after_s == pytest.approx(7.0)


@in_virtual_time
async def test_a_place_under_way_that_does_not_come_free_ends_in_throttled() -> None:
    """Nobody can foresee the end of another request: the deadline does."""
    gate = a_gate(concurrency=1)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ask(gate, takes_s=60.0))
        await asyncio.sleep(1.0)
        begun = now_us()
        with pytest.raises(BudgetExhausted, match="1 requests at once"):
            await ask(gate, within_s=5.0)
        assert now_us() - begun == pytest.approx(5 * SECOND_US, abs=10)


@in_virtual_time
async def test_a_cancelled_waiter_takes_nothing_with_it() -> None:
    """Those behind it move up, and its start is not counted."""
    gate, log = a_gate(per_minute=1), []
    await ask(gate)
    waiting = [asyncio.ensure_future(ask(gate, log, name=number)) for number in range(3)]
    await asyncio.sleep(1.0)
    waiting[0].cancel()
    first = await waiting[1]

    assert log == [1]
    assert first == pytest.approx(now_us(), abs=10)
    assert gate.document()["waiting"] == {"live": 1, "backfill": 0}
    await waiting[2]


@in_virtual_time
async def test_one_cancelled_in_the_moment_it_is_admitted_gives_its_start_back() -> None:
    """Admitted and cancelled before it could run: nothing was sent, nothing counts."""
    gate = a_gate(concurrency=1)
    holder = asyncio.ensure_future(ask(gate, takes_s=10.0))
    await asyncio.sleep(1.0)
    waiter = asyncio.ensure_future(ask(gate))
    await asyncio.sleep(1.0)
    holder.cancel()
    await asyncio.sleep(0)  # the holder leaves, the waiter is admitted
    waiter.cancel()
    await asyncio.gather(holder, waiter, return_exceptions=True)

    used = gate.document()["used"]
    assert used == {"day": 1, "in_flight": 0}


@in_virtual_time
async def test_the_queue_is_bounded() -> None:
    """Beyond its bound a request is refused at once instead of queued."""
    gate = a_gate(concurrency=1)
    holders = [asyncio.ensure_future(ask(gate, takes_s=60.0)) for _ in range(MAX_WAITING + 1)]
    await asyncio.sleep(1.0)
    with pytest.raises(ProviderThrottled):
        await ask(gate)
    for holder in holders:
        holder.cancel()
    await asyncio.gather(*holders, return_exceptions=True)

    assert gate.document()["waiting"] == {"live": 0, "backfill": 0}


@in_virtual_time
async def test_after_a_pause_one_request_finds_out() -> None:
    """Eight wait out the pause; one is sent, and only when it was answered the others follow."""
    gate = a_gate()
    async with gate.admitted("quote", "live", within_s=1.0) as admission:
        gate.refused(admission, THROTTLED)
    starts: list[int] = []

    async def request() -> None:
        async with gate.admitted("quote", "live", within_s=60.0) as one:
            starts.append(one.started_us)
            await asyncio.sleep(0.5)
            gate.answered(one)

    begun = now_us()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(8):
            tasks.create_task(request())

    assert starts[0] - begun == pytest.approx(2 * SECOND_US, abs=10)
    assert [start - starts[0] for start in starts[1:]] == [pytest.approx(SECOND_US / 2, abs=10)] * 7


@in_virtual_time
async def test_an_endpoint_the_vendor_counts_apart_is_paused_alone() -> None:
    """Its refusal leaves the others be, and theirs leaves it."""
    limits = VendorLimits(endpoints={"tick": Limits(per_minute=10)}, separate=frozenset({"tick"}))
    gate = Gate("test", limits, now_us=now_us)
    async with gate.admitted("tick", "live", within_s=1.0) as admission:
        gate.refused(admission, THROTTLED)

    assert await ask(gate, within_s=0.1) == now_us()
    with pytest.raises(ProviderThrottled):
        await ask(gate, endpoint="tick", within_s=0.1)
    assert gate.document()["endpoints"]["tick"]["paused_until"] is not None
    assert gate.document()["paused_until"] is None


@in_virtual_time
async def test_an_endpoints_own_limit_holds_nobody_else_up() -> None:
    """Who waits for a crumb does not keep quotes waiting, though both use the provider's budget."""
    gate = Gate("test", VendorLimits(whole=Limits(per_minute=50), endpoints={"crumb": Limits(per_minute=1)}), now_us=now_us)  # fmt: skip
    begun = now_us()
    async with asyncio.TaskGroup() as tasks:
        crumbs = [tasks.create_task(ask(gate, endpoint="crumb")) for _ in range(3)]
        quotes = [tasks.create_task(ask(gate)) for _ in range(10)]

    assert [quote.result() for quote in quotes] == [begun] * 10
    assert crumbs[2].result() - begun > 2 * MINUTE_US


@in_virtual_time
async def test_a_429_with_room_in_our_windows_lowers_the_limit_for_a_while() -> None:
    """The vendor counts otherwise than we thought: less for some minutes, then as before; others are asked as ever."""
    gate = a_gate(per_minute=100)
    async with gate.admitted("quote", "live", within_s=1.0) as admission:
        gate.refused(admission, THROTTLED)
    lowered = gate.document()["endpoints"]["quote"]["share_in_force"]
    await asyncio.sleep(3.0)
    async with gate.admitted("quote", "live", within_s=1.0) as admission:
        gate.answered(admission)
    for _ in range(68):
        await ask(gate)
    with pytest.raises(BudgetExhausted, match="70 requests a minute"):
        await ask(gate, within_s=1.0)
    for _ in range(30):
        await ask(gate, endpoint="chart", within_s=0.0)
    await asyncio.sleep(10 * 60)

    assert lowered == 0.7
    assert gate.document()["endpoints"] == {}


@in_virtual_time
async def test_a_refused_endpoint_is_left_alone_and_the_others_are_not() -> None:
    """Whatever it says of its own rate; a second one that refuses means the provider, its helper does not."""
    gate = Gate("test", VendorLimits(helpers={"crumb": "quote"}), now_us=now_us)
    for endpoint in ("quote", "crumb"):
        async with gate.admitted(endpoint, "live", within_s=1.0) as admission:
            gate.refused(admission, Signal(kind="banned", wait_us=600 * SECOND_US, reason="status 403"))
    await ask(gate, endpoint="chart", within_s=0.0)
    for endpoint in ("quote", "crumb"):
        with pytest.raises(ProviderThrottled):
            await ask(gate, endpoint=endpoint, within_s=5.0)

    async with gate.admitted("chart", "live", within_s=1.0) as admission:
        gate.refused(admission, THROTTLED)
    with pytest.raises(ProviderThrottled):
        await ask(gate, endpoint="list", within_s=1.0)
    assert gate.bans == 2


@in_virtual_time
async def test_an_endpoint_that_is_well_is_not_paused_for_two_that_refuse_for_an_hour() -> None:
    """All begin at once, so that it may take some pauses until it has its turn; once it was answered it is those two, and not our key."""
    gate, served = Gate("test", VendorLimits(helpers={"crumb": "quote"}), now_us=now_us), 0

    async def refused(endpoint: str) -> None:
        while True:
            with suppress(ProviderThrottled):
                async with gate.admitted(endpoint, "live", within_s=5.0) as admission:
                    gate.refused(admission, THROTTLED)
            await asyncio.sleep(1.3)

    refusing = [asyncio.ensure_future(refused(endpoint)) for endpoint in ("quote", "crumb", "list")]
    for _ in range(3_600):
        with suppress(ProviderThrottled):
            async with gate.admitted("chart", "live", within_s=0.5) as admission:
                gate.answered(admission)
                served += 1
        await asyncio.sleep(1.0)
    for task in refusing:
        task.cancel()

    assert served > 3_000


@in_virtual_time
async def test_an_answer_from_before_says_nothing_of_now() -> None:
    """A third that was well, and is not asked while the two refuse, may be refused as well."""
    gate = a_gate()
    async with gate.admitted("chart", "live", within_s=1.0) as admission:
        gate.answered(admission)
    for endpoint in ("quote", "list"):
        await asyncio.sleep(0.1)
        async with gate.admitted(endpoint, "live", within_s=1.0) as admission:
            gate.refused(admission, THROTTLED)

    with pytest.raises(ProviderThrottled):
        await ask(gate, endpoint="chart", within_s=1.0)


@in_virtual_time
async def test_pauses_we_guessed_at_two_endpoints_are_no_ban() -> None:
    """No answer says how long: the pause of the provider is as much our guess as theirs, however often they refuse by turns."""
    gate, waits = a_gate(), []
    for turn in range(6):
        async with gate.admitted(("quote", "chart")[turn % 2], "live", within_s=HOUR_S) as admission:
            error = gate.refused(admission, THROTTLED)
        assert not isinstance(error, ProviderBanned)
        waits.append(error.retry_after_s)

    assert waits == [2.0, 2.0, 4.0, 4.0, 8.0, 8.0]
    assert gate.bans == 0


@in_virtual_time
async def test_a_ban_of_two_endpoints_is_counted_where_it_was_said() -> None:
    """The provider's pause that follows from both is none more."""
    gate = a_gate()
    patient = Signal(kind="throttled", wait_us=7 * SECOND_US, reason="status 429, too many requests")
    for endpoint in ("quote", "chart", "quote"):
        async with gate.admitted(endpoint, "live", within_s=HOUR_S) as admission:
            gate.refused(admission, patient)

    assert gate.bans == 1  # the quotes' second refusal came right after the pause that was told


@in_virtual_time
async def test_a_refusal_that_was_answered_since_counts_for_no_second_one() -> None:
    """One endpoint that refused a while ago and another that does now are two stories."""
    gate = a_gate()
    async with gate.admitted("quote", "live", within_s=1.0) as admission:
        gate.refused(admission, THROTTLED)
    await asyncio.sleep(5.0)
    async with gate.admitted("quote", "live", within_s=1.0) as admission:
        gate.answered(admission)
    async with gate.admitted("chart", "live", within_s=1.0) as admission:
        gate.refused(admission, THROTTLED)

    assert await ask(gate, within_s=0.0) == now_us()


@in_virtual_time
async def test_what_is_said_of_our_key_or_address_stops_all() -> None:
    """By any endpoint, once."""
    gate = a_gate()
    async with gate.admitted("quote", "live", within_s=1.0) as admission:
        gate.refused(admission, Signal(kind="banned", wait_us=None, reason="status 999", whole=True))

    with pytest.raises(ProviderThrottled):
        await ask(gate, endpoint="chart", within_s=1.0)


@in_virtual_time
async def test_other_limits_come_into_force_without_forgetting() -> None:
    """A reload raises the limit: those who wait go on, and what was used still counts."""
    gate = a_gate(per_minute=2)
    for _ in range(2):
        await ask(gate)
    waiter = asyncio.ensure_future(ask(gate))
    await asyncio.sleep(1.0)
    gate.limit(VendorLimits(whole=Limits(per_minute=3)))

    assert await waiter == pytest.approx(now_us(), abs=10)
    with pytest.raises(ProviderThrottled):
        await ask(gate, within_s=1.0)


class StrictVendor:
    """A vendor that counts every window its own way and never forgives: refusals are what a test counts."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.arrivals: list[int] = []

    def over_limit(self) -> int:
        """Return how many requests came while a window of any position was full."""
        windows = ((self.limits.per_second, SECOND_US), (self.limits.per_minute, MINUTE_US))
        return sum(
            at - bisect_left(self.arrivals, moment - length + 1) >= limit
            for limit, length in windows
            if limit is not None
            for at, moment in enumerate(self.arrivals)
        )


@pytest.mark.slow
@pytest.mark.parametrize("hours", [3, pytest.param(24, marks=pytest.mark.soak)])
@pytest.mark.parametrize("provider", ["finnhub", "yahoo", "polygon"])
def test_hours_at_the_vendors_limits_go_over_none_and_use_95_percent(provider: str, hours: int) -> None:
    """Workers that always want more, requests that take 20 to 600 ms: no window over, no ban, nearly all used."""
    limits = limits_of(BUILT_IN[provider], ProviderLimits(), simulated=False)
    vendor = StrictVendor(limits.whole)

    async def worker(gate: Gate, number: int) -> None:
        end, took = now_us() + hours * HOUR_US, 0
        while now_us() < end:
            purpose: Purpose = "backfill" if number % 4 == 3 else "live"
            try:
                async with gate.admitted("quote", purpose, within_s=300.0) as admission:
                    vendor.arrivals.append(now_us())
                    took = (took * 7 + number * 13 + 20) % 580 + 20
                    await asyncio.sleep(took / 1_000)
                    gate.answered(admission)
            except ProviderThrottled as error:
                await asyncio.sleep(error.retry_after_s or 1.0)

    async def greedy() -> Gate:
        gate = Gate(provider, limits, now_us=now_us)
        async with asyncio.TaskGroup() as tasks:
            for number in range(8):
                tasks.create_task(worker(gate, number))
        return gate

    gate = run(greedy())

    assert limits.whole.per_minute is not None
    assert vendor.over_limit() == 0
    assert gate.bans == 0
    assert len(vendor.arrivals) >= 0.95 * limits.whole.per_minute * hours * 60
