"""Shortfalls: the stretches of a series in which values are missing by all evidence, and what became of each.

The answer depends on what was known when, never on the order in which it was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import pairwise
from typing import Literal, NamedTuple

from schemas.clocks import EventTime
from schemas.records import LONG_SILENCE, SERVED_ELSEWHERE, Evidence, GapState


class Stretch(NamedTuple):
    """The part [low, high) (µs) of what a piece of evidence speaks of."""

    low: EventTime
    high: EventTime
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Reason why values are missing in a stretch (`missing`), the evidence that says so, and what became of it.

    Of absences that is the first word that values are collected there: no absence is a fact of its own.
    """

    missing: Literal["blind", "absent"]
    evidence: Evidence
    state: GapState
    generation: int = 0

    def joins(self, other: Shortfall) -> bool:
        """Whether nothing tells the two apart; an absence is one, whoever said that values are collected there."""
        alike = (self.missing, self.state, self.generation) == (other.missing, other.state, other.generation)
        return alike and (self.missing == "absent" or self.evidence == other.evidence)


def is_elsewhere(told: Evidence) -> bool:
    """Whether evidence says that another provider of the symbol was asked, so that nothing is missing of this one."""
    return told.kind == "collected" and told.cause == SERVED_ELSEWHERE


def in_order_of_knowledge(evidence: Evidence) -> tuple[object, ...]:
    """Return the key that sorts evidence by when it became known; what it says decides between equal moments."""
    place = (evidence.known_from, evidence.raw_offset, evidence.index, evidence.detector)
    said = (evidence.kind, evidence.from_time, evidence.to_time or 0, evidence.cause, evidence.job_id)
    return (*place, *said)


def shortfalls(stretches: Iterable[Stretch]) -> Iterator[tuple[EventTime, EventTime, Shortfall]]:
    """Yield, in order of time, each stretch between two edges in which values are missing, unless bars are stored there.

    What is told of absences says nothing here: they follow from what is collected and stored.
    """
    known = sorted(
        (each for each in stretches if each.low < each.high and each.evidence.kind != "absent"),
        key=lambda each: (in_order_of_knowledge(each.evidence), each.low),
    )
    sweep = _Sweep(known)
    begins = sorted(range(len(known)), key=lambda number: known[number].low, reverse=True)
    ends = sorted(range(len(known)), key=lambda number: known[number].high, reverse=True)
    edges = sorted({edge for each in known for edge in (each.low, each.high)})
    for low, high in pairwise(edges):
        while known[ends[-1]].high == low:
            sweep.leave(ends.pop())
        while begins and known[begins[-1]].low == low:
            sweep.enter(begins.pop())
        shortfall = sweep.shortfall()
        if shortfall is not None:
            yield low, high, shortfall


class _Sweep:
    """Evidence in force at one moment of event time, numbered in the order of knowledge."""

    def __init__(self, known: Sequence[Stretch]) -> None:
        self._known = known
        self._fold = _Fold(len(known))
        self._active = [False] * len(known)
        # Told with an end, and "from here on": what was served elsewhere is no part of the latter alone.
        self._collected: tuple[list[int], list[int]] = [], []
        self._elsewhere = 0

    def enter(self, number: int) -> None:
        told = self._known[number].evidence
        self._active[number] = True
        if is_elsewhere(told):
            self._elsewhere += 1
        elif told.kind == "collected":
            heappush(self._collected[told.to_time is None], number)
        else:
            self._fold.put(number, _step(told, number))

    def leave(self, number: int) -> None:
        told = self._known[number].evidence
        self._active[number] = False
        if is_elsewhere(told):
            self._elsewhere -= 1
        elif told.kind != "collected":
            self._fold.put(number, UNCHANGED)

    def shortfall(self) -> Shortfall | None:
        state, generation, opener = self._fold.whole[NOTHING]
        if opener is not None:
            return Shortfall("blind", self._known[opener].evidence, STATES[state], generation)
        for collected in self._collected:
            while collected and not self._active[collected[0]]:
                heappop(collected)
        bounded, from_here_on = self._collected
        first = [*bounded[:1], *(() if self._elsewhere else from_here_on[:1])]
        if not first:
            return None
        return Shortfall("absent", self._known[min(first)].evidence, STATES[state])


# What a piece of evidence makes of each state that was before. Blindness opens, and opens anew under the next generation
# what a verdict had closed; a verdict closes what is open; that nothing exists outranks giving up. A long silence is no
# news to who had asked: a verdict known before it, of which nobody was blind, closes it as one known after does.
NOTHING, OPEN, EMPTY, UNRECOVERABLE, SAID_EMPTY, SAID_UNRECOVERABLE = range(6)
STATES: Sequence[GapState] = ("open", "open", "empty", "unrecoverable", "empty", "unrecoverable")
Step = tuple[tuple[int, int, int | None], ...]
"""By state before: the state after, how many times a gap was opened anew, and the number of what opened it last."""
UNCHANGED: Step = tuple((state, 0, None) for state in range(len(STATES)))


def _step(told: Evidence, number: int) -> Step:
    opened, reopened = (OPEN, 0, number), (OPEN, 1, number)
    if told.kind == "blind" and told.cause == LONG_SILENCE:
        return (opened, *UNCHANGED[OPEN:SAID_EMPTY], (EMPTY, 0, number), (UNRECOVERABLE, 0, number))
    if told.kind == "blind":
        return opened, UNCHANGED[OPEN], reopened, reopened, opened, opened
    return VERDICTS[told.kind]


VERDICTS: dict[str, Step] = {
    "empty": tuple((state, 0, None) for state in (SAID_EMPTY, EMPTY, EMPTY, EMPTY, SAID_EMPTY, SAID_EMPTY)),
    "unrecoverable": tuple(
        (state, 0, None)
        for state in (SAID_UNRECOVERABLE, UNRECOVERABLE, EMPTY, UNRECOVERABLE, SAID_EMPTY, SAID_UNRECOVERABLE)
    ),
}


def _then(first: Step, second: Step) -> Step:
    if first is UNCHANGED:
        return second
    if second is UNCHANGED:
        return first
    steps = []
    for state, opened, opener in first:
        after, again, newest = second[state]
        steps.append((after, opened + again, opener if newest is None else newest))
    return tuple(steps)


class _Fold:
    """All steps, one after the other, as one; changed in a time that grows with the logarithm of their number."""

    def __init__(self, size: int) -> None:
        self._leaves = 1 << max(size - 1, 0).bit_length()
        self._nodes = [UNCHANGED] * (2 * self._leaves)

    @property
    def whole(self) -> Step:
        return self._nodes[1]

    def put(self, number: int, step: Step) -> None:
        place = self._leaves + number
        self._nodes[place] = step
        while place > 1:
            place >>= 1
            self._nodes[place] = _then(self._nodes[2 * place], self._nodes[2 * place + 1])
