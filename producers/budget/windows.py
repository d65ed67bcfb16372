"""Exact sliding windows: requests that may reach a vendor within a length of time, and what each class of use may take.

A vendor counts a request when it arrives: at any moment between its start and the end of its answer. So no window, wherever
it is laid, ever meets more requests than its limit. Times are integer microseconds of one clock
that never steps (see producers.budget.shell.gate); nothing here reads it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from operator import itemgetter
from typing import Literal, Protocol

from schemas.intervals import DAY_US, MINUTE_US

Purpose = Literal["live", "backfill"]

GUARD_SHARE = 1_000  # a window is 1/1000 longer than the vendor's: clocks do not run equally fast
LIVE_RESERVE_SHARE = 0.05  # of each second and minute, kept from backfill beyond what live has lately needed
LIVE_RESERVE_DAY_SHARE = 0.5  # of a day: what backfill took in the morning is gone until the next
SLOT_US = 15 * MINUTE_US  # a request counts to the end of its slot and a day longer
SLOTS_PER_DAY = DAY_US // SLOT_US
LONGEST_UNDER_WAY_US = 2 * MINUTE_US  # no request is given a longer deadline


class Window(Protocol):
    """Requests within one length of time; `limit` is what holds now, at most what the vendor allows."""

    name: str

    def earliest(self, now_us: int, limit: int, purpose: Purpose) -> int:
        """Return the moment (µs) from which a start keeps to `limit`; a lower bound for backfill."""

    def add(self, now_us: int, purpose: Purpose) -> None:
        """Note a start."""

    def used(self, now_us: int) -> int:
        """Return the requests that count now."""


class SlidingWindow:
    """Every request that is under way, or ended within the last `length_us`."""

    def __init__(self, name: str, length_us: int) -> None:
        """Count requests of `length_us` and the guard."""
        self.name = name
        self.length_us = length_us + length_us // GUARD_SHARE
        self._under_way = 0
        self._ends: deque[tuple[int, Purpose]] = deque()
        self._live = 0  # of both
        self._peaks = (0, 0)  # most live requests in a window: of the period before, and of this one
        self._period = 0

    def earliest(self, now_us: int, limit: int, purpose: Purpose) -> int:
        """Return when there is room; backfill leaves what live has lately needed and not yet taken again."""
        self._forget(now_us)
        if purpose == "backfill":
            limit -= max(0, self._needed_by_live(now_us, limit) - self._live)
        count = self._under_way + len(self._ends)
        if count < limit:
            return now_us
        # With a limit just lowered several must go first; below one, whatever goes first may change the answer.
        index = count - limit if limit > 0 else 0
        # What is under way ends now at the earliest.
        return (self._ends[index][0] if index < len(self._ends) else now_us) + self.length_us

    def add(self, now_us: int, purpose: Purpose) -> None:
        """Note a start."""
        self._under_way += 1
        if purpose == "live":
            self._live += 1
            self._turn_period(now_us)
            self._peaks = (self._peaks[0], max(self._peaks[1], self._live))

    def end(self, now_us: int, purpose: Purpose) -> None:
        """Note that a request has ended, however: it counts for a window from now."""
        self._under_way -= 1
        self._ends.append((now_us, purpose))

    def take_back(self, purpose: Purpose) -> None:
        """Forget a request that is under way."""
        self._under_way -= 1
        self._live -= purpose == "live"

    def fill(self, count: int, moment_us: int) -> None:
        """Count `count` requests of an earlier process, ended at `moment_us` at the latest."""
        ours: list[tuple[int, Purpose]] = [*self._ends, *[(moment_us, "backfill")] * count]  # type: ignore[list-item]
        self._ends = deque(sorted(ours, key=itemgetter(0)))

    def used(self, now_us: int) -> int:
        """Return the requests under way and those that ended in the last window."""
        self._forget(now_us)
        return self._under_way + len(self._ends)

    def _needed_by_live(self, now_us: int, limit: int) -> int:
        self._turn_period(now_us)
        # The reserve comes on top: a live request that had to wait is not seen in the peaks.
        return min(limit, max(self._peaks) + _reserve(limit, LIVE_RESERVE_SHARE))

    def _turn_period(self, now_us: int) -> None:
        period = now_us // self.length_us
        if period != self._period:
            self._peaks = (self._peaks[1] if period == self._period + 1 else 0, self._live)
            self._period = period

    def _forget(self, now_us: int) -> None:
        while self._ends and self._ends[0][0] + self.length_us <= now_us:
            self._live -= self._ends.popleft()[1] == "live"


class DayCount:
    """Starts of the last day by slots of a quarter of an hour: bounded whatever the limit, and small enough to be stored."""

    name = "day"

    def __init__(self) -> None:
        """Begin with nothing used."""
        self._slots: dict[int, int] = {}  # ours and those of earlier processes
        self._live: dict[int, int] = {}
        self._stored: dict[int, int] = {}  # what the store already holds of ours
        self._ours: dict[int, int] = {}

    def earliest(self, now_us: int, limit: int, purpose: Purpose) -> int:
        """Return when there is room: now, or when the oldest slot no longer counts."""
        self._forget(now_us)
        if purpose == "backfill":
            limit -= max(0, _reserve(limit, LIVE_RESERVE_DAY_SHARE) - sum(self._live.values()))
        used = sum(self._slots.values())
        if used < limit:
            return now_us
        for slot in sorted(self._slots):
            used -= self._slots[slot]
            if used < limit:
                return _expiry(slot)
        # backfill with nothing left to it: asked again when live may have taken its part
        return now_us + SLOT_US

    def add(self, now_us: int, purpose: Purpose) -> None:
        """Note a start."""
        slot = now_us // SLOT_US
        self._slots[slot] = self._slots.get(slot, 0) + 1
        self._ours[slot] = self._ours.get(slot, 0) + 1
        if purpose == "live":
            self._live[slot] = self._live.get(slot, 0) + 1

    def take_back(self, started_us: int, purpose: Purpose) -> None:
        """Forget a start; one that no longer counts is forgotten already."""
        slot = started_us // SLOT_US
        for counts in (
            (self._slots, self._ours, self._live) if purpose == "live" else (self._slots, self._ours)
        ):
            if counts.get(slot, 0) > 0:
                counts[slot] -= 1

    def used(self, now_us: int) -> int:
        """Return the starts that count now."""
        self._forget(now_us)
        return sum(self._slots.values())

    def remember(self, slots: Iterable[tuple[int, int]]) -> None:
        """Add what earlier processes used, as (slot, count)."""
        for slot, count in slots:
            self._slots[slot] = self._slots.get(slot, 0) + count

    def recent(self, now_us: int) -> int:
        """Return how many requests may have ended in the minute before `now_us`, as far as slots of starts tell."""
        slots = {now_us // SLOT_US, (now_us - MINUTE_US - LONGEST_UNDER_WAY_US) // SLOT_US}
        return sum(self._slots.get(slot, 0) for slot in slots)

    def unstored(self, now_us: int, *, block: int) -> dict[int, int]:
        """Return what to add to the store, by slot, so that it holds all of ours and `block` that may follow."""
        target = dict(self._ours)
        if block:
            target[now_us // SLOT_US] = target.get(now_us // SLOT_US, 0) + block
        changes = {slot: target.get(slot, 0) - self._stored.get(slot, 0) for slot in {*target, *self._stored}}
        return {slot: change for slot, change in changes.items() if change}

    def stored(self, changes: dict[int, int]) -> None:
        """Note that the store took `changes`."""
        for slot, change in changes.items():
            self._stored[slot] = self._stored.get(slot, 0) + change
        self._stored = {slot: count for slot, count in self._stored.items() if count}

    @property
    def granted(self) -> int:
        """Starts that may still be made before the store holds fewer than were made."""
        return sum(self._stored.values()) - sum(self._ours.values())

    def _forget(self, now_us: int) -> None:
        old = [slot for slot in self._slots if _expiry(slot) <= now_us]
        for slot in old:
            for counts in (self._slots, self._live, self._ours, self._stored):
                counts.pop(slot, None)


def _reserve(limit: int, share: float) -> int:
    """Return how many of `limit` are kept for live; at least one where that leaves one for backfill."""
    return max(int(limit * share), 1) if limit > 1 else 0


def _expiry(slot: int) -> int:
    return (slot + 1) * SLOT_US + DAY_US + MINUTE_US
