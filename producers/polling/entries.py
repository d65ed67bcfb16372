"""Polls of entries, which sources may say at any hour: which days are asked for, what of an answer is news, when next; pure.

An entry is told again whole whenever it is asked for, so that a poll that failed costs time and nothing else. Until when
each was asked for is watched time (`producers.raw.watched`), which outlives the process: whatever was never asked for
is asked for from the beginning, anything else from when it was asked for last, less an overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from hashlib import blake2b
from operator import itemgetter
from typing import NamedTuple

from schemas.clocks import Day, MarketTime, day_of
from schemas.deriving import content, items
from schemas.records import Event
from schemas.streams import Stream

EARLIEST = day_of(date(1900, 1, 1))  # no vendor tells of anything before
DIGEST_BYTES = 16
MACRO_OVERLAP_DAYS = 7  # sources show a vintage days after the one it bears, and put right what they showed


class ActionDays(NamedTuple):
    """Days of a question, both inclusive, by the venue's calendar."""

    first: Day
    last: Day


def days_of_actions(today: Day, asked: Day | None, *, back_days: int, ahead_days: int) -> ActionDays:
    """Return the ex-dates to ask for: from `back_days` before the day of the last answer, all where there was none (None)."""
    first = EARLIEST if asked is None else Day(min(asked, today) - back_days)
    return ActionDays(first, Day(today + ahead_days))


def vintages_since(asked: Day | None) -> Day | None:
    """Return from which day on to ask for what was said of a series; None, everything, where it was never answered."""
    return None if asked is None else Day(asked - MACRO_OVERLAP_DAYS)


def vintages_again(since: Day, day: Day) -> Day | None:
    """Return the same where what was said since a `day` is asked for again; None, everything, for the first day of 1970."""
    return None if day <= 0 else Day(min(since, day))


def next_slot(now: MarketTime, *, every_us: int, phase_us: int) -> MarketTime:
    """Return when, after `now`, the next poll is due: whatever the sessions of a market, sources speak outside of them."""
    return MarketTime((now - phase_us) // every_us * every_us + every_us + phase_us)


class ToldEntries:
    """Memory of the last answer about one symbol: digests of entries and of what was said of them.

    What is told again is no news, however many times it is asked for; what was told in between is forgotten, so that
    an entry that returns to what it was is news.
    """

    def __init__(self, stream: Stream) -> None:
        """Nothing was told yet."""
        self._said: Callable[[Event], object] = itemgetter(*items(stream), *content(stream))
        self._told = frozenset[bytes]()
        self._answer: set[bytes] = set()

    def news(self, events: Sequence[Event]) -> list[Event]:
        """Return those events of a part of an answer that say something else than the last answer did."""
        found = []
        for event in events:
            # Of what is written: Python's own hash is the same of -1 and of -2, and a series may go from one to the other.
            digest = blake2b(repr(self._said(event)).encode(), digest_size=DIGEST_BYTES).digest()
            if digest not in self._told and digest not in self._answer:
                found.append(event)
            self._answer.add(digest)
        return found

    def confirmed(self) -> None:
        """Note that all of an answer is in Kafka; call it only then."""
        self._told, self._answer = frozenset(self._answer), set()

    def begin(self) -> None:
        """Forget what of an answer was looked at and never confirmed."""
        self._answer = set()
