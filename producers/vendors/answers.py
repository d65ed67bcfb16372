"""Requests to a vendor, and what its responses turned out to hold, before they are put into raw blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from producers.budget.windows import Purpose
from schemas.calendar.sessions import Calendar
from schemas.clocks import Day, EventTime, MarketTime, WallTime
from schemas.records import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedValue:
    """One value of a response that breaks a rule; it is dead-lettered alone, the rest is kept."""

    symbol: str
    reason: str
    message: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The events of one response in the order they are published, and what could not be used.

    `missing` names symbols that were asked for and that the vendor says nothing about; `delay_s` is how late the feed of
    its bars declares to be, at most (quotes say it one by one). `too_old`: it keeps nothing of so long ago.
    """

    events: Sequence[Event] = ()
    rejected: Sequence[RejectedValue] = ()
    missing: Sequence[str] = ()
    delay_s: int = 0
    too_old: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer with where it came from and when our poller saw it."""

    endpoint: str
    received_time: WallTime
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class PollWindow:
    """Half-open [start, end) of the starts of bars."""

    start: EventTime
    end: EventTime


@dataclass(frozen=True, slots=True, kw_only=True)
class BarsRequest:
    """Bars of `symbol` that start in `window`; one that was not over by `now` is not final.

    `purpose` is what the budget is asked for: backfill leaves room for what is live.
    """

    symbol: str
    interval: str
    window: PollWindow
    now: MarketTime
    calendar: Calendar
    purpose: Purpose = "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionsRequest:
    """Corporate actions of `symbols` whose ex-date, by the venue's calendar, is of [first, last]; both may lie ahead."""

    symbols: Sequence[str]
    first: Day
    last: Day
    purpose: Purpose = "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainRequest:
    """Slices of the option chain of `symbol` whose expiry, as the contracts' names say it, is of [first, last].

    `strikes`, lowest and highest in dollars, leaves the others out where the vendor can filter; slices are partial then.
    """

    symbol: str
    first: Day
    last: Day
    strikes: tuple[float, float] | None = None
    purpose: Purpose = "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class MacroRequest:
    """Observations of the macro series called `series`, such as FRED:GDPC1, and all that was said of them.

    `since` leaves out what the source has said no more before that day; None asks for everything it ever said. `scheduled`
    takes standard times of releases for those at which a source does not tell that it published.
    """

    series: str
    since: Day | None = None
    scheduled: bool = False
    purpose: Purpose = "live"


NOTHING = Answer()
FrameKind = Literal["trade", "ping", "error", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame of the socket; `words` is what an error frame says."""

    kind: FrameKind
    answer: Answer = NOTHING
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorListing:
    """One instrument in the vendor's words; empty where it does not say."""

    symbol: str  # the vendor's own spelling
    name: str = ""
    kind: str = ""
    venue: str = ""
    currency: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingPage:
    """One page of a list; `following` leads to the next one, empty on the last."""

    listings: tuple[VendorListing, ...]
    following: str = ""
