"""The gate at which requests to one provider wait their turn: in order within a class, live before backfill, never without bound."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from infra.runtime.clock import monotonic_s, rfc3339, wall_us
from producers.budget.allowance import WHOLE, Allowances, Scope
from producers.budget.limits import VendorLimits
from producers.budget.pauses import Signal
from producers.budget.shares import WHOLE_SHARE, Share
from producers.budget.windows import Purpose
from schemas.errors import BudgetExhausted, ProviderBanned, ProviderThrottled
from schemas.intervals import MINUTE_US, SECOND_US

MAX_WAITING = 1_024  # requests of one provider; the next is refused at once
ASK_AGAIN_US = SECOND_US  # told to a request that waits for another to end, which nobody can foresee
# a window that begins with the first poll, and one more: the polls of an exchange are spread over a minute
LIVE_SHOWS_US = 2 * MINUTE_US
PER = {"per_second": "a second", "per_minute": "a minute", "per_day": "a day", "concurrency": "at once"}

_BEGUN_US = wall_us() - int(monotonic_s() * SECOND_US)


def steady_us() -> int:
    """Return microseconds since the epoch on a clock that never steps: wall time at start, monotonic since."""
    return _BEGUN_US + int(monotonic_s() * SECOND_US)


@dataclass(slots=True, eq=False)
class Admission:
    """Leave to send one request, which starts at `started_us` of the gate's clock."""

    endpoint: str
    purpose: Purpose
    started_us: int
    scopes: tuple[Scope, ...]
    testing: tuple[Scope, ...]
    returned: bool = False


@dataclass(slots=True, eq=False)
class _Waiter:
    endpoint: str
    purpose: Purpose
    ready: asyncio.Future[Admission]


class Gate:
    """The budgets of one provider. Made and used inside one event loop."""

    def __init__(
        self,
        provider: str,
        limits: VendorLimits | None = None,
        *,
        share: Share = WHOLE_SHARE,
        now_us: Callable[[], int] = steady_us,
    ) -> None:
        """Admit within `share` of `limits`; `now_us` never steps."""
        self.provider = provider
        self._allowances = Allowances(share)
        self._now_us = now_us
        self._shared_us = now_us()
        self._waiting: dict[Purpose, deque[_Waiter]] = {"live": deque(), "backfill": deque()}
        self._timer: asyncio.TimerHandle | None = None
        self._last: tuple[int, Signal] | None = None
        self.limit(limits or VendorLimits())

    def limit(self, limits: VendorLimits) -> None:
        """Put other limits in force; what was used and learned stays."""
        self._allowances.limit(limits)
        self.pump()

    def own(self, share: Share) -> None:
        """Use another part of all limits; what was used and learned stays."""
        if share != self._allowances.share:
            self._shared_us = self._now_us()
        self._allowances.own(share, self._now_us())
        self.pump()

    @asynccontextmanager
    async def admitted(self, endpoint: str, purpose: Purpose, *, within_s: float) -> AsyncIterator[Admission]:
        """Wait for leave to send one request, at most `within_s`, and hold its place while it is under way.

        Raises ProviderThrottled with the wait, at once where it is known to be longer; BudgetExhausted where it is
        our own limits that leave no room.
        """
        admission = await self._admit(endpoint, purpose, within_s)
        try:
            yield admission
        finally:
            self._leave(admission)

    def give_back(self, admission: Admission) -> None:
        """Forget an admitted request that was not sent."""
        admission.returned = True

    def refused(self, admission: Admission, signal: Signal) -> ProviderThrottled:
        """Take what a vendor's answer says about our rate; return it as the error it is, with the wait from now.

        It is ProviderBanned where the vendor says so, or refuses again right after a pause it had set itself.
        """
        now_us, before = self._now_us(), self.bans
        self._allowances.refused(admission.endpoint, signal, started_us=admission.started_us, now_us=now_us)
        self._last = (now_us, signal)
        self.pump()
        until_us = max(scope.pause.until_us for scope in self._allowances.of(admission.endpoint))
        kind = ProviderBanned if signal.kind == "banned" or self.bans > before else ProviderThrottled
        return kind(self.provider, max(0.0, (until_us - now_us) / SECOND_US))

    def told(self, endpoint: str, signal: Signal) -> None:
        """Take what the vendor said of our rate in an answer that looked like any other."""
        now_us = self._now_us()
        self._allowances.refused(endpoint, signal, started_us=now_us, now_us=now_us)
        self._last = (now_us, signal)
        self.pump()

    def answered(self, admission: Admission) -> None:
        """Take an answer that was no refusal."""
        for scope in admission.scopes:
            scope.pause.answered(started_us=admission.started_us)

    @property
    def scopes(self) -> Mapping[str, Scope]:
        """Budgets and pauses by endpoint, the provider's own under `WHOLE`."""
        return self._allowances.scopes

    def scope(self, endpoint: str) -> Scope:
        """Return the budget and pause of an endpoint, whether it was asked already or not."""
        return self._allowances.scope(endpoint)

    def has_room(self, endpoint: str, purpose: Purpose) -> bool:
        """Whether a request for `purpose` would start within a second, as far as anybody knows.

        What live needs of a limit shows in a minute; until then, and when another part of the limits becomes ours,
        there is none for backfill.
        """
        now_us = self._now_us()
        limited = any(not scope.budget.limits.unlimited for scope in self._allowances.of(endpoint))
        if purpose == "backfill" and limited and now_us < self._shared_us + LIVE_SHOWS_US:
            return False
        at = self._allowances.earliest(endpoint, now_us, purpose)
        return at is not None and at <= now_us + ASK_AGAIN_US and not self._waiting[purpose]

    @property
    def paused_s(self) -> float:
        """Seconds the provider, or the one of its endpoints that is so longest, is still left alone."""
        latest = max(scope.pause.until_us for scope in self.scopes.values())
        return max(0.0, (latest - self._now_us()) / SECOND_US)

    @property
    def bans(self) -> int:
        """Hard bans seen, by earlier processes of these two days too."""
        return sum(scope.pause.bans for scope in self.scopes.values())

    def document(self) -> dict[str, Any]:
        """Return limits, use, pauses and the last signal as JSON types."""
        now_us, last, share = self._now_us(), self._last, self._allowances.share
        shown = {
            name: _shown(scope, now_us)
            for name, scope in self.scopes.items()
            if name in (WHOLE, *self._allowances.limits.endpoints)
            or scope.pause.until_us > now_us
            or scope.budget.share(now_us) < 1.0
        }
        return shown.pop(WHOLE) | {
            "partitions": {"owned": share.owned, "of": share.of},
            "bans": self.bans,
            "last_signal": None if last is None else {"at": rfc3339(last[0]), "kind": last[1].kind, "reason": last[1].reason},
            "waiting": {purpose: len(queue) for purpose, queue in self._waiting.items()},
            "endpoints": shown,
        }  # fmt: skip

    async def _admit(self, endpoint: str, purpose: Purpose, within_s: float) -> Admission:
        now_us = self._now_us()
        at = self._allowances.earliest(endpoint, now_us, purpose)
        if at == now_us and not self._waits_before(endpoint, purpose, now_us):
            return self._start(now_us, endpoint, purpose)
        full = sum(map(len, self._waiting.values())) >= MAX_WAITING
        if full or (at is not None and at - now_us > within_s * SECOND_US):
            raise self._no_room(endpoint, purpose)
        waiter = _Waiter(endpoint, purpose, asyncio.get_running_loop().create_future())
        self._waiting[purpose].append(waiter)
        self.pump()
        try:
            async with asyncio.timeout(within_s):
                return await waiter.ready
        except BaseException as error:
            if waiter.ready.done() and not waiter.ready.cancelled():
                self.give_back(waiter.ready.result())
                self._leave(waiter.ready.result())
            else:
                self._waiting[purpose].remove(waiter)
                self.pump()
            if isinstance(error, TimeoutError):
                raise self._no_room(endpoint, purpose) from None
            raise

    def _no_room(self, endpoint: str, purpose: Purpose) -> ProviderThrottled:
        now_us = self._now_us()
        at = self._allowances.earliest(endpoint, now_us, purpose)
        wait_s = (ASK_AGAIN_US if at is None or at <= now_us else at - now_us) / SECOND_US
        if any(scope.left_alone(now_us) for scope in self._allowances.of(endpoint)):
            return ProviderThrottled(self.provider, wait_s)
        limit, setting = self._used_up(now_us, endpoint, purpose)
        return BudgetExhausted(self.provider, wait_s, limit=limit, setting=setting)

    def _used_up(self, now_us: int, endpoint: str, purpose: Purpose) -> tuple[str, str]:
        """Return in words which of our limits leaves no room, and the setting that would."""
        limits = f"providers.{self.provider}.limits"
        part = self._allowances.scope(endpoint).budget.share(now_us)
        for scope in self._allowances.of(endpoint):
            if (bound := scope.binding(now_us, purpose, part=part)) is not None:
                name, allowed = bound
                at = limits if scope is self.scopes[WHOLE] else f"{limits}.endpoints.{endpoint}"
                return f"{allowed} requests {PER[name]}", f"{at}.{name}"
        waiting = sum(map(len, self._waiting.values()))
        return f"{waiting} requests wait before this one", f"{limits}.per_minute"

    def _start(self, now_us: int, endpoint: str, purpose: Purpose) -> Admission:
        scopes = self._allowances.of(endpoint)
        testing = tuple(scope for scope in scopes if scope.pause.testing)
        for scope in scopes:
            scope.budget.start(now_us, purpose)
        for scope in testing:
            scope.tests += 1
        return Admission(endpoint, purpose, now_us, scopes, testing)

    def _leave(self, admission: Admission) -> None:
        for scope in admission.scopes:
            if admission.returned:
                scope.budget.take_back(admission.started_us, admission.purpose)
            else:
                scope.budget.finish(self._now_us(), admission.purpose)
        for scope in admission.testing:
            scope.tests -= 1
        self.pump()

    def pump(self) -> None:
        """Admit all who may start now, and come back when the next may."""
        now_us, next_at, closed = self._now_us(), None, False
        behind: set[str] = set()  # endpoints whose first waiter cannot start: those after it wait too
        for waiter in self._in_turn(now_us):
            purpose, apart = waiter.purpose, waiter.endpoint in self._allowances.limits.separate
            if waiter.ready.done() or waiter.endpoint in behind or (closed and not apart):
                continue
            at = self._allowances.earliest(waiter.endpoint, now_us, purpose)
            if at == now_us:
                self._waiting[purpose].remove(waiter)
                waiter.ready.set_result(self._start(now_us, waiter.endpoint, purpose))
                continue
            behind.add(waiter.endpoint)
            closed = closed or (not apart and self.scopes[WHOLE].earliest(now_us, purpose) != now_us)
            if at is not None:
                next_at = at if next_at is None else min(next_at, at)
        self._come_back(now_us, next_at)

    def _in_turn(self, now_us: int) -> list[_Waiter]:
        """Return all who wait: live first, but for a backfill that has had less than its share."""
        past = list(self._waiting["backfill"])
        first = past[:1] if past and self._allowances.is_owed(past[0].endpoint, now_us) else []
        return [*first, *self._waiting["live"], *past[len(first) :]]

    def _waits_before(self, endpoint: str, purpose: Purpose, now_us: int) -> bool:
        """Whether somebody waits whose turn is before that of a request which comes now."""
        if self._waiting["backfill"] and purpose == "backfill":
            return True
        return bool(self._waiting["live"]) and (
            purpose == "live" or not self._allowances.is_owed(endpoint, now_us)
        )

    def _come_back(self, now_us: int, next_at: int | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if next_at is not None:
            delay_s = (next_at - now_us + 1) / SECOND_US
            self._timer = asyncio.get_running_loop().call_later(delay_s, self.pump)


def _shown(scope: Scope, now_us: int) -> dict[str, Any]:
    limits, budget = scope.budget.limits, scope.budget
    return {
        "limits": {
            "per_second": limits.per_second,
            "per_minute": limits.per_minute,
            "per_day": limits.per_day,
            "concurrency": limits.concurrency,
        },
        "share_in_force": round(budget.share(now_us), 3),
        "used": budget.used(now_us),
        "paused_until": rfc3339(scope.pause.until_us) if scope.pause.until_us > now_us else None,
        "remembered": scope.known,
    }
