"""What befalls one series, at random, and the gaps that follow from all of it: to compare every way of finding them."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from schemas.clocks import EventTime
from schemas.intervals import AHEAD_US, MINUTE_US
from schemas.ledger.gaps import gaps_of
from schemas.records import Evidence, Gap
from schemas.streams import Bar, StreamId
from tests.support.builders import NINE_THIRTY, a_bar, an_evidence

STREAM, MINUTES = "bars.1m:yahoo:SPY", StreamId("bars", "1m", "yahoo", "SPY")


def at(minute: int) -> EventTime:
    """Return the start of a minute of the day."""
    return EventTime(NINE_THIRTY + minute * MINUTE_US)


def minute(number: int, known: int, **changes: Any) -> Bar:
    """Return a final bar that became known `known` minutes after the open."""
    return a_bar(**({"event_time": at(number), "known_from": at(known), "raw_offset": known} | changes))


def told(kind: str, first: int, end: int | None, known: int, **changes: Any) -> Evidence:
    """Return evidence of [first, end) that became known `known` minutes after the open."""
    times = {"from_time": at(first), "to_time": None if end is None else at(end), "known_from": at(known)}
    return an_evidence(**({"kind": kind, **times, "raw_offset": known, "index": 50} | changes))


SLOTS = 90


class Story:
    """What a vendor, a producer and an operator do to one series, at random, in the order of the log."""

    def __init__(self, seed: int, *, suspect: bool = True) -> None:
        """Begin with the first bar; `suspect`: stamps of the future occur."""
        self.suspect = suspect
        self.rng = random.Random(seed)
        self.now = 1
        self.offset = 1_000
        self.bars: list[Bar] = [minute(0, 1)]
        self.evidence: list[Evidence] = [told("collected", 0, None, 1)]

    def go_on(self) -> list[Bar | Evidence]:
        """Return what becomes known next, one raw block."""
        rng = self.rng
        self.now += rng.randint(0, 2)
        first = rng.randrange(-5, SLOTS)
        end = first + rng.randint(1, 12)
        self.offset += 1
        offset = self.offset
        made: list[Bar | Evidence] = []
        kinds = ["live", "live", "live", "correction", "backfill", "blind", "verdict"]
        match rng.choice([*kinds, "ahead"] if self.suspect else kinds):
            case "live":
                bar = self._bar(self.now - 1 - rng.choice([0, 0, 1, 3]), offset)
                made = [bar, *self._jump(bar)]
            case "correction":
                made = [
                    replace(
                        rng.choice(self.bars),
                        volume=float(offset),
                        known_from=at(self.now),
                        raw_offset=offset,
                    )
                ]
            case "backfill":
                kept = [slot for slot in range(first, min(end, self.now)) if rng.random() < 0.7]
                made += [self._bar(slot, offset, route="backfill", index=slot + 5) for slot in kept]
                made.append(self._told("collected", first, end, offset))
                if rng.random() < 0.5:
                    made.append(self._told("empty", first, end, offset))
            case "blind":
                made = [self._told("blind", first, end, offset, cause="producer_down")]
            case "verdict":
                made = [self._told(rng.choice(["empty", "unrecoverable"]), first, end, offset)]
            case _:
                made = [self._bar(self.now + 30, offset)]
        self.bars += [each for each in made if isinstance(each, Bar)]
        self.evidence += [each for each in made if isinstance(each, Evidence)]
        return made

    def answered(self, first: int, end: int) -> list[Bar | Evidence]:
        """Return what a vendor answers that is asked for a stretch that is over: some bars, and what is to be said of the rest."""
        self.offset += 1
        offset = self.offset
        kept = [slot for slot in range(first, end) if self.rng.random() < 0.5]
        made: list[Bar | Evidence] = [
            self._bar(slot, offset, route="backfill", index=slot + 5) for slot in kept
        ]
        verdict = self.rng.choice(["empty", "empty", "unrecoverable"])
        made += [self._told("collected", first, end, offset), self._told(verdict, first, end, offset)]
        self.bars += [each for each in made if isinstance(each, Bar)]
        self.evidence += [each for each in made if isinstance(each, Evidence)]
        return made

    def _bar(self, slot: int, offset: int, **changes: Any) -> Bar:
        # An equal bar would be no new version.
        return minute(slot, self.now, raw_offset=offset, volume=float(offset), **changes)

    def _told(self, kind: str, first: int, end: int, offset: int, **changes: Any) -> Evidence:
        index = {"collected": 200, "empty": 201}.get(kind, 202)
        return told(kind, first, end, self.now, raw_offset=offset, index=index, **changes)

    def _jump(self, bar: Bar) -> list[Evidence]:
        before = max(each.event_time for each in self.bars if _is_live(each))
        if bar.event_time <= before + MINUTE_US:
            return []
        times = {"from_time": before + MINUTE_US, "to_time": bar.event_time, "known_from": bar.known_from}
        signal = an_evidence(
            kind="absent", cause="missing_bars", raw_offset=bar.raw_offset, index=203, **times
        )
        return [signal]

    def derived(self, as_of: int) -> list[Gap]:
        """Return the gaps as of a moment, by all that was told up to then."""
        bars = [bar for bar in self.bars if bar.known_from <= as_of]
        live = [bar.event_time for bar in bars if _is_live(bar)]
        return gaps_of(
            MINUTES,
            [each for each in self.evidence if each.known_from <= as_of],
            sorted({bar.event_time for bar in bars}),
            horizon=max(live, default=None),
            start=at(0),
            end=at(390),
        )


def _is_live(bar: Bar) -> bool:
    return bar.route != "backfill" and bar.event_time <= bar.known_from + AHEAD_US
