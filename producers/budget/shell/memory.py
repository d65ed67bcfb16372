"""The budgets of all providers, and their memory over restarts: read at start, written behind, reserved ahead.

Where PostgreSQL is away requests go on, more carefully: an unknown past counts as a full minute and half a day.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Protocol

from infra.runtime.clock import monotonic_s
from infra.runtime.metrics import (
    PROVIDER_BANS,
    PROVIDER_BUDGET_USED_RATIO,
    PROVIDER_PAUSED_SECONDS,
    compute_at_scrape,
)
from infra.runtime.postgres.pool import pool
from producers.budget.allowance import WHOLE, Scope
from producers.budget.limits import VendorLimits
from producers.budget.shares import WHOLE_SHARE, Share
from producers.budget.shell.gate import Gate, steady_us
from producers.budget.shell.store import Addition, BudgetStore, Remembered
from schemas.errors import StoreUnavailable
from schemas.intervals import MINUTE_US, SECOND_US

WRITE_EVERY_S = 1.0  # at most
LAST_WRITE_WITHIN_S = 3.0
RECALL_AGAIN_S = 0.5
RESERVED = 50  # requests the store holds ahead of those made: what a killed process may have made uncounted
# of a day's limit at most this part: a killed process leaves its block counted as used
RESERVED_DAY_PARTS = 20
LASTS_WRITES = 4  # writes a block should last for
# the last write of a killed process is at most so much older than the end of its last request
WRITE_LAG_US = 3 * SECOND_US

log = logging.getLogger(__name__)


class BudgetStorage(Protocol):
    """The memory of budgets over restarts."""

    async def read(self, now_us: int) -> list[Remembered]:
        """Return what still counts; raise StoreUnavailable."""

    async def add(self, additions: Sequence[Addition], now_us: int) -> None:
        """Add all or nothing; raise StoreUnavailable."""


class Budgets:
    """A gate per provider; made by `open_budgets` in the process, and without a store where nothing is remembered."""

    def __init__(self, store: BudgetStorage | None = None, *, now_us: Callable[[], int] = steady_us) -> None:
        """Remember in `store`; `now_us` never steps."""
        self._store = store
        self._now_us = now_us
        self._gates: dict[str, Gate] = {}
        self._past: list[Remembered] | None = None if store is not None else []
        self._bans_stored: dict[tuple[str, str], int] = {}
        self._pauses_stored: dict[tuple[str, str], int] = {}
        self._blocks: dict[tuple[str, str], int] = {}
        self._saving = False
        self._share = WHOLE_SHARE

    def share(self, owned: int, of: int) -> None:
        """Use `owned` of `of` parts of every limit, now and of gates to come; with 0 nothing may start.

        Replicas own partitions exclusively. A part that is lost is given up at once, one that is gained is used when
        a second, or a minute, has passed since; what was used stays counted. Raises ValueError for no share at all.
        """
        self._share = Share(owned=owned, of=of)
        for gate in self._gates.values():
            gate.own(self._share)

    def gate(self, provider: str, limits: VendorLimits) -> Gate:
        """Return the gate of `provider` with `limits` in force; what was used before stays counted."""
        gate = self._gates.get(provider)
        if gate is None:
            gate = self._gates[provider] = Gate(provider, limits, share=self._share, now_us=self._now_us)
        else:
            gate.limit(limits)
        self._settle(gate)
        self._show(gate)
        return gate

    def document(self) -> dict[str, Any]:
        """Return per provider limits, use, paused_until, bans and the last signal, as JSON types."""
        return {provider: gate.document() for provider, gate in self._gates.items()}

    async def recall(self, *, within_s: float) -> None:
        """Read what earlier processes used; where the database does not tell in time say so and go on."""
        deadline_s = monotonic_s() + within_s
        while not await self._recalled():
            if monotonic_s() >= deadline_s:
                log.warning(
                    "budgets_unremembered",
                    extra={
                        "consequence": "requests begin as if a minute's and half a day's budget were used"
                    },
                )
                return
            await asyncio.sleep(RECALL_AGAIN_S)

    async def keep(self) -> None:
        """Write behind, for ever; what is left is written when it is cancelled."""
        try:
            while True:
                if await self._recalled():
                    await self._save(reserve=True)
                await asyncio.sleep(WRITE_EVERY_S)
        finally:
            try:
                async with asyncio.timeout(LAST_WRITE_WITHIN_S):
                    await self._save(reserve=False)
            except TimeoutError:
                log.warning("budgets_not_written", extra={"consequence": "the last second counts as used"})

    async def _recalled(self) -> bool:
        """Return whether the past is known, asking once where it is not."""
        if self._past is not None or self._store is None:
            return True
        try:
            self._past = await self._store.read(self._now_us())
        except StoreUnavailable:
            return False
        self._saved(saving=True)  # it answers: from now on a block is stored before it is used
        for gate in self._gates.values():
            self._settle(gate)
        return True

    def _settle(self, gate: Gate) -> None:
        """Give every scope of a gate its past, once; an unknown one counts as a full minute that has just been."""
        for row in self._past or ():
            if row.provider == gate.provider:
                gate.scope(row.endpoint)  # one that was paused may not have been asked yet
        for endpoint, scope in gate.scopes.items():
            if (gate.provider, endpoint) not in self._blocks:
                self._blocks[gate.provider, endpoint] = 0
                scope.known, scope.saving = False, self._saving
                if self._past is None:
                    scope.budget.fill(self._now_us())
            if self._past is not None and not scope.known:
                self._remember(gate, endpoint, scope, self._past)
        gate.pump()

    def _remember(self, gate: Gate, endpoint: str, scope: Scope, past: Sequence[Remembered]) -> None:
        now_us = self._now_us()
        for row in past:
            if (row.provider, row.endpoint) != (gate.provider, endpoint):
                continue
            scope.budget.day.remember(row.slots)
            scope.pause.remember(until_us=row.paused_until, bans=row.bans, reason=row.reason, now_us=now_us)
            last = min(now_us, row.updated_at + WRITE_LAG_US)
            if now_us - last <= MINUTE_US:
                scope.budget.fill(last, scope.budget.day.recent(last))
        scope.known = True
        self._bans_stored[gate.provider, endpoint] = scope.pause.bans
        self._pauses_stored[gate.provider, endpoint] = scope.pause.until_us

    async def _save(self, *, reserve: bool) -> None:
        """Write what is new; raise nothing: what cannot be written now is written later, or counted as used."""
        if self._store is None or self._past is None:
            return
        changes = [
            (scope, addition)
            for gate in self._gates.values()
            for endpoint, scope in gate.scopes.items()
            if (addition := self._addition(gate, endpoint, scope, reserve=reserve)) is not None
        ]
        try:
            if changes:
                await self._store.add([addition for _, addition in changes], self._now_us())
        except StoreUnavailable as error:
            if self._saving:
                log.warning(
                    "budgets_not_written",
                    extra={"error": str(error), "consequence": "a restart may forget some"},
                )
            self._saved(saving=False)
            return
        for scope, addition in changes:
            key = (addition.provider, addition.endpoint)
            scope.budget.day.stored(dict(addition.slots))
            self._bans_stored[key] = self._bans_stored.get(key, 0) + addition.bans
            self._pauses_stored[key] = max(self._pauses_stored.get(key, 0), addition.paused_until)
        self._saved(saving=reserve)

    def _addition(self, gate: Gate, endpoint: str, scope: Scope, *, reserve: bool) -> Addition | None:
        """Return what the store lacks; None where it holds all, with enough in reserve."""
        key, now_us = (gate.provider, endpoint), self._now_us()
        day, pause = scope.budget.day, scope.pause
        bans = pause.bans - self._bans_stored.get(key, 0)
        news = bans > 0 or pause.until_us > max(now_us, self._pauses_stored.get(key, 0))
        # What nothing limits nobody need count: an endpoint has its pauses remembered then, and no more.
        counted = endpoint == WHOLE or not scope.budget.limits.unlimited
        block = self._blocks[key] = self._block(key, scope) if reserve and counted else 0
        slots = day.unstored(now_us, block=block) if counted else {}
        # The successor of a killed process counts from the last write what may have arrived until then.
        if not slots and not news and not (counted and scope.budget.in_flight):
            return None
        reason = pause.last.reason if news and pause.last is not None else ""
        return Addition(
            provider=gate.provider,
            endpoint=endpoint,
            slots=slots,
            paused_until=pause.until_us if pause.until_us > now_us else 0,
            bans=bans,
            reason=reason,
        )

    def _block(self, key: tuple[str, str], scope: Scope) -> int:
        """Return how many requests to reserve: a fast provider must not wait long for writes, nor a crash cost much."""
        spent = max(0, self._blocks.get(key, 0) - scope.budget.day.granted)
        block = max(RESERVED, LASTS_WRITES * spent)
        per_day = scope.budget.limits.per_day
        return block if per_day is None else min(block, max(1, per_day // RESERVED_DAY_PARTS))

    def _saved(self, *, saving: bool) -> None:
        self._saving = saving
        for gate in self._gates.values():
            for scope in gate.scopes.values():
                scope.saving = saving
            gate.pump()

    def _show(self, gate: Gate) -> None:
        """Show a gate as it is when scraped, and of the windows those that have a limit."""
        provider, budget, now_us = gate.provider, gate.scopes[WHOLE].budget, self._now_us

        def used(window: str) -> float:
            return budget.used_ratio(now_us()).get(window, 0.0)

        compute_at_scrape(PROVIDER_PAUSED_SECONDS.labels(provider), lambda: gate.paused_s)
        compute_at_scrape(PROVIDER_BANS.labels(provider), lambda: gate.bans)
        PROVIDER_BUDGET_USED_RATIO.remove_by_labels({"provider": provider})
        for window in budget.used_ratio(now_us()):
            compute_at_scrape(PROVIDER_BUDGET_USED_RATIO.labels(provider, window), partial(used, window))


@asynccontextmanager
async def open_budgets(dsn: str) -> AsyncIterator[Budgets]:
    """Yield budgets that remember in the database at `dsn`, which may be down; they are written to the end."""
    async with pool(dsn, service="producers", size=1) as opened:
        budgets = Budgets(BudgetStore(opened))
        async with asyncio.TaskGroup() as tasks:
            keeper = tasks.create_task(budgets.keep(), name="budgets")
            try:
                yield budgets
            finally:
                keeper.cancel()
