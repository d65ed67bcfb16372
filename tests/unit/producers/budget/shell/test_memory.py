"""What is remembered of a vendor's patience: written behind, reserved ahead, read at start; careful without a store."""

# ruff: noqa: ARG002 - stand-ins take what the real ones take

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from infra.runtime.metrics import REGISTRY
from producers.budget.limits import VendorLimits
from producers.budget.pauses import Signal
from producers.budget.shell.gate import Gate
from producers.budget.shell.memory import RESERVED, WRITE_EVERY_S, Budgets
from producers.budget.shell.store import Addition, Remembered
from producers.budget.windows import SLOT_US
from schemas.errors import ProviderThrottled, StoreUnavailable
from schemas.intervals import MINUTE_US, SECOND_US
from schemas.providers.facts import Limits
from tests.support.virtual_time import in_virtual_time, now_us, run

DAILY = VendorLimits(whole=Limits(per_day=2_000))
MINUTELY = VendorLimits(whole=Limits(per_minute=10))
BANNED = Signal(kind="banned", wait_us=None, reason="status 999, a ban", whole=True)
REFUSED = Signal(kind="throttled", wait_us=90 * SECOND_US, reason="status 429")


class MemoryStore:
    """Rows like the table's; `down` makes it answer like a database that is away."""

    def __init__(self) -> None:
        self.slots: Counter[int] = Counter()
        self.paused: dict[str, int] = {}
        self.bans: Counter[str] = Counter()
        self.updated_at = self.writes = 0
        self.counted: set[str] = set()
        self.down = False

    async def read(self, now: int) -> list[Remembered]:
        """Return a row an endpoint; what was used is the provider's."""
        if self.down:
            raise StoreUnavailable("away")
        if not self.updated_at:
            return []
        return [
            Remembered(
                provider="test", endpoint=endpoint, slots=[] if endpoint else list(self.slots.items()),
                paused_until=self.paused.get(endpoint, 0), bans=self.bans[endpoint], reason="stored",
                updated_at=self.updated_at,
            )
            for endpoint in {"", *self.paused}
        ]  # fmt: skip

    async def add(self, additions: Sequence[Addition], now: int) -> None:
        """Add to the row."""
        if self.down:
            raise StoreUnavailable("away")
        self.writes += 1
        self.updated_at = now
        for addition in additions:
            self.slots.update(addition.slots)
            self.counted |= {addition.endpoint} if addition.slots else set()
            self.paused[addition.endpoint] = max(self.paused.get(addition.endpoint, 0), addition.paused_until)
            self.bans[addition.endpoint] += addition.bans

    @property
    def used(self) -> int:
        """Requests stored."""
        return self.slots.total()


@asynccontextmanager
async def process(store: MemoryStore, limits: VendorLimits, *, killed: bool = False) -> AsyncIterator[tuple[Budgets, Gate]]:  # fmt: skip
    """Run budgets as a process does; a killed one writes nothing at its end."""
    budgets = Budgets(store, now_us=now_us)
    await budgets.recall(within_s=0.0)
    keeper = asyncio.ensure_future(budgets.keep())
    try:
        yield budgets, budgets.gate("test", limits)
    finally:
        store.down = store.down or killed
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        store.down = False


async def ask(gate: Gate, times: int = 1, *, within_s: float = 5.0) -> None:
    for _ in range(times):
        async with gate.admitted("quote", "live", within_s=within_s) as admission:
            await asyncio.sleep(0.001)
            gate.answered(admission)


@in_virtual_time
async def test_a_stopped_process_leaves_the_exact_count() -> None:
    """The reserve that was not used is given back at the end."""
    store = MemoryStore()
    async with process(store, DAILY) as (_, gate):
        await ask(gate, 123)

    assert store.used == 123


@pytest.mark.parametrize("requests", [0, 1, 49, 50, 51, 777])
def test_a_killed_process_is_counted_too_high_and_never_too_low(requests: int) -> None:
    """What it may have sent without writing was reserved before."""

    async def killed() -> None:
        store = MemoryStore()
        async with process(store, DAILY, killed=True) as (_, gate):
            await ask(gate, requests)
        assert requests <= store.used <= requests + 5 * RESERVED

    run(killed())


@in_virtual_time
async def test_writes_are_at_most_one_a_second() -> None:
    """However many requests there are."""
    store, begun = MemoryStore(), now_us()
    async with process(store, VendorLimits()) as (_, gate):
        await ask(gate, 20_000)
        seconds = (now_us() - begun) / SECOND_US

    assert store.used == 20_000
    assert store.writes <= seconds / WRITE_EVERY_S + 2


@in_virtual_time
async def test_a_day_that_is_used_up_stays_so_over_a_restart() -> None:
    """The successor refuses at once, and says how long."""
    store = MemoryStore()
    limits = VendorLimits(whole=Limits(per_day=100))
    async with process(store, limits) as (_, gate):
        await ask(gate, 100)
    async with process(store, limits) as (_, gate):
        with pytest.raises(ProviderThrottled) as caught:
            await ask(gate)

    assert caught.value.retry_after_s is not None
    assert caught.value.retry_after_s > 23 * 3_600


@in_virtual_time
async def test_a_pause_and_its_bans_outlive_a_kill() -> None:
    """Within a second of the refusal it is stored; the successor leaves the vendor alone as long as was said."""
    store = MemoryStore()
    async with process(store, MINUTELY, killed=True) as (_, gate):
        async with gate.admitted("quote", "live", within_s=1.0) as admission:
            gate.refused(admission, BANNED)
        until = gate.scopes[""].pause.until_us
        await asyncio.sleep(1.5)
    async with process(store, MINUTELY) as (budgets, gate):
        with pytest.raises(ProviderThrottled):
            await ask(gate)
        document = budgets.document()["test"]

    assert gate.scopes[""].pause.until_us == until
    assert document["bans"] == 1
    assert document["paused_until"] is not None


@in_virtual_time
async def test_an_endpoints_pause_outlives_a_kill_and_stops_that_endpoint_alone() -> None:
    """The successor knows of it before it has asked for anything, and counts its requests as the provider's only."""
    store = MemoryStore()
    async with process(store, VendorLimits(), killed=True) as (_, gate):
        async with gate.admitted("crumb", "live", within_s=1.0) as admission:
            gate.refused(admission, REFUSED)
        await asyncio.sleep(1.5)
    async with process(store, VendorLimits()) as (budgets, gate):
        await ask(gate)
        with pytest.raises(ProviderThrottled):
            async with gate.admitted("crumb", "live", within_s=1.0):
                raise AssertionError("it was to be left alone")
        document = budgets.document()["test"]

    assert document["endpoints"]["crumb"]["paused_until"] is not None
    assert store.counted == {""}


@in_virtual_time
async def test_a_minute_is_not_begun_anew_by_a_restart() -> None:
    """Ten in the minute before and a restart: the next starts when the first ten are a minute old."""
    store = MemoryStore()
    async with process(store, MINUTELY, killed=True) as (_, gate):
        await ask(gate, 10)
        last = now_us()
        await asyncio.sleep(2.0)
    async with process(store, MINUTELY) as (_, gate):
        await ask(gate, within_s=120.0)

    assert now_us() - last >= MINUTE_US


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize(("before_s", "takes_s"), [(0.0, 30.0), (97.0, 110.0)])
def test_what_was_under_way_at_a_kill_counts_from_then(
    before_s: float, takes_s: float, *, ended: bool
) -> None:
    """Sixty-four that travel for long, answered or not when the process dies; a stored slot may end meanwhile."""

    async def killed() -> None:
        await asyncio.sleep(before_s)
        assert before_s == 0.0 or now_us() // SLOT_US < (now_us() + 4 * SECOND_US) // SLOT_US
        store, limits = MemoryStore(), VendorLimits(whole=Limits(per_minute=64))
        async with process(store, limits, killed=True) as (_, gate):
            travelling = [asyncio.ensure_future(travel(gate)) for _ in range(64)]
            await asyncio.sleep(takes_s + (1.5 if ended else -0.5))
            died = now_us()
        for task in travelling:
            task.cancel()
        async with process(store, limits) as (_, gate):
            await ask(gate, within_s=120.0)
        assert now_us() - died >= MINUTE_US - 2 * SECOND_US

    async def travel(gate: Gate) -> None:
        async with gate.admitted("quote", "live", within_s=5.0):
            await asyncio.sleep(takes_s)

    run(killed())


@in_virtual_time
async def test_without_a_database_requests_go_on_more_carefully() -> None:
    """An unknown past counts as a full minute and half of the day; nothing waits for what cannot be written."""
    store = MemoryStore()
    store.down = True
    limits = VendorLimits(whole=Limits(per_minute=60, per_day=40))
    begun = now_us()
    async with process(store, limits) as (budgets, gate):
        await ask(gate, within_s=120.0)
        assert now_us() - begun >= MINUTE_US
        await ask(gate, 19)
        with pytest.raises(ProviderThrottled):
            await ask(gate)
        assert budgets.document()["test"]["remembered"] is False

        store.down = False
        await asyncio.sleep(1.5)
        await ask(gate, 20)
        assert budgets.document()["test"]["remembered"] is True

    assert store.used == 40


@in_virtual_time
async def test_a_database_that_goes_away_stops_nobody() -> None:
    """The block runs out, the write fails: requests go on and are counted once it is back."""
    store = MemoryStore()
    async with process(store, DAILY) as (_, gate):
        await ask(gate, 10)
        store.down = True
        await ask(gate, 300)
        store.down = False

    assert store.used == 310


@in_virtual_time
async def test_a_reload_keeps_what_was_used() -> None:
    """The same provider asked for again is the same gate."""
    budgets = Budgets(now_us=now_us)
    gate = budgets.gate("test", MINUTELY)
    await ask(gate, 10)

    assert budgets.gate("test", VendorLimits(whole=Limits(per_minute=11))) is gate
    await ask(gate, within_s=0.1)
    with pytest.raises(ProviderThrottled):
        await ask(gate, within_s=0.1)


def shown(name: str, **labels: str) -> float | None:
    """Return a gauge of the provider `gauged`."""
    return REGISTRY.get_sample_value(name, {"provider": "gauged", **labels})


@in_virtual_time
async def test_pause_bans_and_use_are_those_of_the_scrape() -> None:
    """A pause runs down and a minute's requests leave it while nobody writes anything: no gauge waits for a write."""
    budgets = Budgets(now_us=now_us)
    gate = budgets.gate("gauged", MINUTELY)
    await ask(gate, 5)
    async with gate.admitted("quote", "live", within_s=1.0) as admission:
        gate.refused(admission, Signal(kind="banned", wait_us=90 * SECOND_US, reason="a ban", whole=True))
    used, paused = (
        shown("mds_provider_budget_used_ratio", window="minute"),
        shown("mds_provider_paused_seconds"),
    )
    await asyncio.sleep(61.5)

    assert (used, paused) == (pytest.approx(6 / 7), pytest.approx(90.0))  # a refusal lowers the limit
    assert shown("mds_provider_paused_seconds") == pytest.approx(28.5, abs=0.1)
    assert shown("mds_provider_budget_used_ratio", window="minute") == 0.0
    assert shown("mds_provider_bans") == 1.0


@in_virtual_time
async def test_a_limit_that_is_none_any_more_is_shown_no_more() -> None:
    """Its label goes with it."""
    budgets = Budgets(now_us=now_us)
    budgets.gate("gauged", VendorLimits(whole=Limits(per_minute=10, per_day=20)))
    before = shown("mds_provider_budget_used_ratio", window="day")
    budgets.gate("gauged", MINUTELY)

    assert before == 0.0
    assert shown("mds_provider_budget_used_ratio", window="day") is None
    assert shown("mds_provider_budget_used_ratio", window="minute") == 0.0
