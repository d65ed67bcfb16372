"""All limits of a provider, or of one of its endpoints, at once, and what its refusals teach about them.

Times are integer microseconds of one clock that never steps; nothing here reads it.
"""

from __future__ import annotations

from producers.budget.shares import WHOLE_SHARE, Share, Shares
from producers.budget.windows import DayCount, Purpose, SlidingWindow, Window
from schemas.intervals import MINUTE_US, SECOND_US
from schemas.providers.facts import Limits

DECREASE = 0.7  # of the limit, after a 429 that came although our windows had room
FLOOR_SHARE = 0.2  # a learned limit is never lower than this part of the known one
INCREASE = 0.05  # of the limit, for every INCREASE_EVERY_US without such a 429
INCREASE_EVERY_US = MINUTE_US
BACKFILL_SHARE = 0.05  # of a minute's limit, had even where live takes all of it
MOST_AT_ONCE = 64  # connections to a vendor that sets no limit of its own, as many as may be configured


class Budget:
    """All limits of one provider, or of one of its endpoints, at once."""

    def __init__(self, limits: Limits, share: Share = WHOLE_SHARE) -> None:
        """Begin with nothing used; `share` is the part of all limits that is ours."""
        self.limits = limits
        self._shares = Shares(share)
        self.day = DayCount()
        self.in_flight = 0
        self._second = SlidingWindow("second", SECOND_US)
        self._minute = SlidingWindow("minute", MINUTE_US)
        self._share = 1.0
        self._lowered_at = 0
        # to backfill after its last start: when, and how many
        self._was_owed: tuple[int, float] | None = None

    def earliest(
        self, now_us: int, purpose: Purpose, *, day_share: float = 1.0, part: float = 1.0
    ) -> int | None:
        """Return when a request may start, `now_us` for at once; None: when another has ended.

        `day_share` is the part of a day's limit that may be used, `part` that of a second's and a minute's. For a time
        in the future ask again then.
        """
        if self.in_flight >= self._at_once:
            return None
        if self.limits.unlimited:  # most endpoints: they have no limits of their own, only their vendor has
            return now_us
        moments = [
            window.earliest(now_us, limit, self._right(window, now_us, purpose, part=part))
            for window, limit in self._windows(now_us, day_share=day_share, part=part)
        ]
        return max(moments, default=now_us)

    def is_owed(self, now_us: int, *, part: float = 1.0) -> bool:
        """Whether backfill has had less than its share of a minute's limit; where there is none nothing is kept from it.

        What it is owed grows evenly with time, to a minute's at most, so that it is a part of the limit however small.
        """
        return self.limits.unlimited or self._owed(now_us, part=part) >= 1.0

    def binding(
        self, now_us: int, purpose: Purpose, *, day_share: float = 1.0, part: float = 1.0
    ) -> tuple[str, int] | None:
        """Return the limit that keeps a request waiting longest, as (name in `Limits`, what it allows now); None: none."""
        if self.in_flight >= (at_once := self._at_once):
            return "concurrency", at_once
        waits = [
            (
                window.earliest(now_us, limit, self._right(window, now_us, purpose, part=part)),
                f"per_{window.name}",
                limit,
            )
            for window, limit in self._windows(now_us, day_share=day_share, part=part)
        ]
        at, name, limit = max(waits, default=(now_us, "", 0))
        return (name, limit) if at > now_us else None

    def start(self, now_us: int, purpose: Purpose) -> None:
        """Note a request that starts; only when `earliest` said now."""
        self.in_flight += 1
        windows: list[Window] = [self.day, self._second, self._minute]
        for window in windows:
            window.add(now_us, purpose)
        if purpose == "backfill":
            self._was_owed = now_us, max(0.0, self._owed(now_us) - 1.0)

    def finish(self, now_us: int, purpose: Purpose) -> None:
        """Note that a request has ended, however."""
        self.in_flight -= 1
        logs = self._logs()
        for window in (self._second, self._minute):
            if window in logs:
                window.end(now_us, purpose)
            else:
                window.take_back(purpose)

    def take_back(self, started_us: int, purpose: Purpose) -> None:
        """Forget a request that was not sent after all."""
        self.in_flight -= 1
        self.day.take_back(started_us, purpose)
        for window in (self._second, self._minute):
            window.take_back(purpose)

    def own(self, share: Share, now_us: int) -> None:
        """Use another part of all limits from now on: less at once, more when a window has passed; what is used stays."""
        self._shares.change(share, now_us)

    def lower(self, now_us: int) -> None:
        """Learn that the vendor allows less than we thought."""
        self._share = max(FLOOR_SHARE, self.share(now_us) * DECREASE)
        self._lowered_at = now_us

    def share(self, now_us: int) -> float:
        """Return the part of the known limits that is used now: 1.0, or less after `lower`."""
        rises = max(0, now_us - self._lowered_at) // INCREASE_EVERY_US
        return min(1.0, self._share + rises * INCREASE)

    def fill(self, moment_us: int, count: int | None = None) -> None:
        """Take `count` requests (None: as many as allowed) for made by an earlier process, at `moment_us` at the latest."""
        for window, limit in ((self._second, self.limits.per_second), (self._minute, self.limits.per_minute)):
            if limit is not None:
                window.fill(limit if count is None else min(count, limit), moment_us)

    def used(self, now_us: int) -> dict[str, int]:
        """Return what counts now, by window that has a limit, with the day and what is under way."""
        used = {window.name: window.used(now_us) for window in self._logs()}
        return used | {"day": self.day.used(now_us), "in_flight": self.in_flight}

    def used_ratio(self, now_us: int) -> dict[str, float]:
        """Return how much of each limit in force is used."""
        return {
            window.name: window.used(now_us) / limit if limit else 1.0
            for window, limit in self._windows(now_us, day_share=1.0)
        }

    def _owed(self, now_us: int, *, part: float = 1.0) -> float:
        limit = 0
        if self.limits.per_minute is not None:
            least = self._shares.least(now_us, self._minute.length_us)
            limit = _allowed(self.limits.per_minute, least, min(self.share(now_us), part))
        at_most = max(1.0, limit * BACKFILL_SHARE) if limit else 0.0
        if self._was_owed is None:
            return at_most
        since_us, left = self._was_owed
        return min(at_most, left + (now_us - since_us) / MINUTE_US * limit * BACKFILL_SHARE)

    def _right(self, window: Window, now_us: int, purpose: Purpose, *, part: float) -> Purpose:
        """Return by whose right a request for `purpose` takes its place: backfill that is owed one by that of live.

        Not in a day: what it took there live would lack for hours.
        """
        if purpose == "live" or window is self.day or not self.is_owed(now_us, part=part):
            return purpose
        return "live"

    @property
    def _at_once(self) -> int:
        """Requests that may be under way; none at all where nothing is ours."""
        if not self._shares.now.owned:
            return 0
        limit = self.limits.concurrency
        return MOST_AT_ONCE if limit is None else self._shares.now.of_limit(limit)

    def _logs(self) -> list[SlidingWindow]:
        """Return the windows that remember what has ended: without a limit nothing would bound them."""
        pairs = ((self._second, self.limits.per_second), (self._minute, self.limits.per_minute))
        return [window for window, limit in pairs if limit is not None]

    def _windows(self, now_us: int, *, day_share: float, part: float = 1.0) -> list[tuple[Window, int]]:
        learned, limits, least = min(self.share(now_us), part), self.limits, self._shares.least
        limited: list[tuple[Window, int | None, Share, float]] = [
            (self._second, limits.per_second, least(now_us, self._second.length_us), learned),
            (self._minute, limits.per_minute, least(now_us, self._minute.length_us), learned),
            # A day is too long to wait for: what others used of it is known from the store, when a process starts.
            (self.day, limits.per_day, self._shares.now, day_share),
        ]
        return [
            (window, _allowed(limit, share, usable))
            for window, limit, share, usable in limited
            if limit is not None
        ]


def _allowed(limit: int, share: Share, usable: float) -> int:
    """Return how many of `limit` are allowed to the owner of `share`, who may use this part of it: at least one, if any."""
    return max(1, int(share.of_limit(limit) * usable)) if share.owned else 0
