"""Pauses: the patience a vendor's answer speaks of, and the time we leave it alone therefore.

Headers are read where they are understood and never required. Durations are microseconds.
"""

from __future__ import annotations

import email.utils
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from schemas.clocks import WallTime
from schemas.intervals import DAY_US, MINUTE_US, SECOND_US
from schemas.providers.facts import ANY_VENDOR, RefusalWords

THROTTLED_STATUS = 429
FORBIDDEN_STATUS = 403
FIRST_PAUSE_US = 2 * SECOND_US  # after a 429 that does not say how long; doubled while it goes on
LONGEST_PAUSE_US = 5 * MINUTE_US
# the longest window vendors count requests in; a 429 after that is no mistake of ours
HONEST_PAUSE_US = MINUTE_US
FIRST_BAN_US = 30 * SECOND_US
LONGEST_BAN_US = 60 * MINUTE_US
LONGEST_TOLD_US = DAY_US  # nobody makes us wait longer
MAX_TEXT_BYTES = 1_024  # a refusal is short; data that happens to hold such words is not

Kind = Literal["throttled", "banned", "exhausted", "no_key"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A vendor's word on our rate: `wait_us` None where it does not say how long; `reason` is for people and holds no body.

    `whole` where it speaks of our address or key, and not of what was asked for.
    """

    kind: Kind
    wait_us: int | None
    reason: str
    whole: bool = False


def read_signal(
    status: int, headers: Mapping[str, str], body: bytes, now: WallTime, words: RefusalWords = ANY_VENDOR
) -> Signal | None:
    """Return what the answer says about our rate, None for nothing; `headers` ignore case.

    Moments in it are of the vendor's clock, which its `Date` shows; `now` is wall time, for answers without one.
    """
    now = _vendors_now(headers, now)
    wait_us = _told(headers, now)
    text = body[:MAX_TEXT_BYTES].lower() if len(body) <= MAX_TEXT_BYTES or status >= 400 else b""
    throttled = any(known.encode() in text for known in words.throttled)
    if status in words.banned_statuses or (status == FORBIDDEN_STATUS and throttled):
        whole = status in words.banned_statuses
        return Signal(kind="banned", wait_us=wait_us, reason=f"status {status}, a ban", whole=whole)
    no_key = any(known.encode() in text for known in words.no_key)
    if no_key and status in (THROTTLED_STATUS, FORBIDDEN_STATUS, 401):
        return Signal(kind="no_key", wait_us=None, reason=f"status {status}, no key")
    if status == THROTTLED_STATUS or throttled:
        return Signal(kind="throttled", wait_us=wait_us, reason=f"status {status}, too many requests")
    if _remaining(headers) == 0 and (reset_us := _reset(headers, now)):
        reason = "the vendor counts no request left"  # by key or address: the header knows of no endpoint
        return Signal(kind="exhausted", wait_us=reset_us, reason=reason, whole=True)
    return None


def parse_retry_after(value: str | None, now: WallTime) -> int | None:
    """Return how long a Retry-After header asks for (seconds or an HTTP date), at most a day, in µs; None where unreadable."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:12]) * SECOND_US, LONGEST_TOLD_US)
    moment = _http_date(text)
    return None if moment is None else min(max(moment - now, 0), LONGEST_TOLD_US)


def _vendors_now(headers: Mapping[str, str], now: WallTime) -> WallTime:
    """Return what time it is where the answer comes from, `now` where it does not say; either clock may be hours off."""
    theirs = _http_date(headers.get("Date", ""))
    return now if theirs is None else theirs


def _http_date(text: str) -> WallTime | None:
    try:
        return WallTime(int(email.utils.parsedate_to_datetime(text).timestamp() * SECOND_US))
    except (ValueError, OverflowError):
        return None


def _told(headers: Mapping[str, str], now: WallTime) -> int | None:
    told = parse_retry_after(headers.get("Retry-After"), now)
    return _reset(headers, now) if told is None else told


def _reset(headers: Mapping[str, str], now: WallTime) -> int | None:
    """Return how long until X-Ratelimit-Reset (seconds of the epoch); None where it is absent, past or no such time."""
    text = headers.get("X-Ratelimit-Reset", "").strip()
    if not (text.isascii() and text.isdigit()):
        return None
    left_us = int(text[:12]) * SECOND_US - now
    return left_us if 0 < left_us <= LONGEST_TOLD_US else None


def _remaining(headers: Mapping[str, str]) -> int | None:
    text = headers.get("X-Ratelimit-Remaining", "").strip()
    return int(text[:12]) if text.isascii() and text.isdigit() else None


class Pause:
    """The time a provider, or one of its endpoints, is left alone; grows while it goes on refusing."""

    def __init__(self) -> None:
        """Begin with no pause."""
        self.until_us = 0
        self.bans = 0
        self.last: Signal | None = None
        self.testing = False  # after a pause: one request finds out whether it is over
        self.began_us = 0  # of the refusals in a row
        self.well_us = 0  # start of the last request that was answered
        self._set_at = 0
        self._refusals = 0  # in a row, one an episode
        self._bans_in_a_row = 0
        self._honest = False

    def refused(self, signal: Signal, *, started_us: int, now_us: int) -> bool:
        """Take a refusal of a request that started at `started_us`; return whether it tells us something new.

        Requests under way when the pause began say the same thing again: they may prolong it, they do not double it.
        """
        if signal.kind == "exhausted":
            self.until_us = max(self.until_us, now_us + (signal.wait_us or 0))
            self.last = signal
            return False
        if self._refusals and started_us < self._set_at:
            self.until_us = max(self.until_us, now_us + (signal.wait_us or 0))
            return False
        if not self._refusals:
            self.began_us = now_us
        wait_us = self._escalate(signal)
        self.until_us, self._set_at, self.last, self.testing = (
            max(self.until_us, now_us + wait_us),
            now_us,
            signal,
            True,
        )
        return True

    def _escalate(self, signal: Signal) -> int:
        """Return how long to pause; a refusal right after a pause that the vendor itself set is a ban."""
        banned = signal.kind == "banned" or (self._refusals > 0 and self._honest)
        guess_us = min(FIRST_PAUSE_US << min(self._refusals, 20), LONGEST_PAUSE_US)
        self._refusals += 1
        wait_us = guess_us if signal.wait_us is None else signal.wait_us
        if banned:
            self.bans += 1
            wait_us = max(wait_us, min(FIRST_BAN_US << min(self._bans_in_a_row, 20), LONGEST_BAN_US))
            self._bans_in_a_row += 1
        self._honest = signal.wait_us is not None or wait_us >= HONEST_PAUSE_US
        return wait_us

    def follow(self, other: Pause, *, reason: str, now_us: int) -> None:
        """Last as long as another pause that has just begun; whether it was told or guessed, and a ban, is that one's."""
        self.until_us, self._set_at, self.testing = max(self.until_us, other.until_us), now_us, True
        self.last = Signal(kind="throttled", wait_us=other.until_us - now_us, reason=reason)
        self._refusals += 1
        self._honest = False

    def is_refusing(self, now_us: int) -> bool:
        """Whether it refused last, and that not long ago."""
        return self._refusals > 0 and now_us < self.until_us + HONEST_PAUSE_US

    def answered(self, *, started_us: int) -> None:
        """Take an answer that is no refusal; one from before the pause proves nothing."""
        if started_us >= self._set_at:
            self.well_us = max(self.well_us, started_us)
            self._refusals = self._bans_in_a_row = 0
            self.testing = False

    def remember(self, *, until_us: int, bans: int, reason: str, now_us: int) -> None:
        """Go on with what an earlier process had learned; a pause still running was the vendor's word."""
        self.bans += bans
        if until_us > now_us:
            self.until_us = max(self.until_us, until_us)
            self.last = self.last or Signal(kind="throttled", wait_us=until_us - now_us, reason=reason)
            self._refusals, self._honest, self.testing, self._set_at = 1, True, True, now_us
            self.began_us = now_us
            self._bans_in_a_row = min(bans, 20)
