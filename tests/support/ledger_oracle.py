"""Gaps of a series found bar by bar: what the derivation must equal, written as plainly as it can be said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from itertools import groupby

from schemas.calendar.expected_bars import slot_of
from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, EPOCH, SLOT_US
from schemas.ledger.shortfall import in_order_of_knowledge
from schemas.records import Evidence
from tests.support.expected_starts import expected_starts

Row = tuple[int, int, str, str, int, int]
"""From, to, confidence, state, generation, bars."""


def ended_by(calendar: Calendar, interval: str, start: int, moment: int) -> bool:
    """Whether the expected bar that starts at `start` is over."""
    (session,) = (each for each in calendar.sessions(start, start + 1) if each.open <= start < each.close)
    if interval == "1d":
        return session.close <= moment
    (part,) = (part for part in session.parts if part[0] <= start < part[1])
    return min(start + SLOT_US[interval], part[1]) <= moment


def gaps_bar_by_bar(
    calendar: Calendar,
    interval: str,
    evidence: Sequence[Evidence],
    stored: Iterable[int],
    horizon: int | None,
    stretch: tuple[int, int],
) -> list[Row]:
    """Return the gaps within `stretch`, found by asking of each expected bar what all evidence says."""
    step, there = SLOT_US[interval], {slot_of(interval, EventTime(each)) for each in stored}
    told = sorted(evidence, key=in_order_of_knowledge)
    labels: list[tuple[int, tuple[object, ...] | None]] = []
    for start in expected_starts(calendar, interval, *stretch):
        slot = slot_of(interval, start)
        covering = [each for each in told if _covers(calendar, interval, each, slot, start, horizon)]
        label = _label(covering, slot in there)
        if label is not None and label[3] is None:
            label = (*label, _session(calendar, interval, start))
        labels.append((slot, label))
    rows: list[Row] = []
    for label, group in groupby(labels, key=lambda each: each[1]):
        slots = [slot for slot, _ in group]
        if label is not None:
            confidence, state, generation = label[:3]
            rows.append(
                (slots[0], slots[-1] + step, str(confidence), str(state), int(str(generation)), len(slots))
            )
    return rows


def _session(calendar: Calendar, interval: str, start: int) -> int:
    """Return what names the session of a bar, of a day its year: absences of two are two."""
    if interval == "1d":
        return (EPOCH + timedelta(microseconds=start)).year
    return next(each.open for each in calendar.sessions(start, start + 1) if each.open <= start < each.close)


def _covers(
    calendar: Calendar, interval: str, told: Evidence, slot: int, start: int, horizon: int | None
) -> bool:
    floor: Callable[[int], int] = lambda moment: moment - moment % DAY_US if interval == "1d" else moment  # noqa: E731
    if told.to_time is None:
        return horizon is not None and floor(told.from_time) <= slot < floor(horizon)
    ended = (
        told.kind == "blind"
        or told.cause == "served_elsewhere"
        or ended_by(calendar, interval, start, told.known_from)
    )
    return ended and floor(told.from_time) <= slot < floor(told.to_time)


def _label(covering: Sequence[Evidence], stored: bool) -> tuple[object, ...] | None:
    state, generation, opener, asked = "", 0, None, ""
    for told in covering:
        if told.kind in ("empty", "unrecoverable") and asked != "empty":
            asked = told.kind
        if told.kind == "blind" and told.cause == "long_silence":
            if opener is None:
                state, opener = asked or "open", told
        elif told.kind == "blind" and state in ("", "empty", "unrecoverable"):
            generation += state != ""
            state, opener = "open", told
        elif told.kind in ("empty", "unrecoverable") and state not in ("", "empty"):
            state = told.kind
    if opener is not None:
        sure = "inferred" if opener.cause == "long_silence" else "proven"
        return sure, "filled" if stored else state, generation, opener
    elsewhere = any(told.kind == "collected" and told.cause == "served_elsewhere" for told in covering)
    kinds = {told.kind for told in covering if told.kind != "collected"}
    if any(t.kind == "collected" and not t.cause and (t.to_time or not elsewhere) for t in covering):
        kinds.add("collected")
    if stored or "collected" not in kinds:
        return None
    return (
        "inferred",
        "empty" if "empty" in kinds else "unrecoverable" if "unrecoverable" in kinds else "open",
        0,
        None,
    )
