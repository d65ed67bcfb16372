"""What evidence in force at one moment of event time says together."""

from __future__ import annotations

import itertools

import pytest

from schemas.clocks import EventTime
from schemas.ledger.shortfall import Shortfall, Stretch, shortfalls
from schemas.records import Evidence, EvidenceKind
from tests.support.builders import an_evidence


def stretch(low: int, high: int, kind: EvidenceKind, number: int) -> Stretch:
    """Return evidence number `number` over [low, high)."""
    return Stretch(EventTime(low), EventTime(high), told(kind, number))


def told(kind: EvidenceKind, number: int, **changes: object) -> Evidence:
    """Return evidence number `number`."""
    return an_evidence(kind=kind, raw_offset=number, **({"cause": ""} | changes))


def test_edges_cut_and_any_order_says_the_same() -> None:
    """Ten stretches of all kinds, in many orders."""
    stretches = [
        stretch(0, 50, "collected", 0), stretch(10, 30, "blind", 1), stretch(20, 40, "empty", 2),
        stretch(25, 28, "blind", 3), stretch(35, 60, "absent", 4), stretch(26, 27, "unrecoverable", 5),
    ]  # fmt: skip
    blind, again = told("blind", 1), told("blind", 3)
    expected = [
        (0, 10, Shortfall("absent", told("collected", 0), "open")),
        (10, 20, Shortfall("blind", blind, "open")),
        (20, 25, Shortfall("blind", blind, "empty")),
        (25, 26, Shortfall("blind", again, "open", 1)),
        (26, 27, Shortfall("blind", again, "unrecoverable", 1)),
        (27, 28, Shortfall("blind", again, "open", 1)),
        (28, 30, Shortfall("blind", blind, "empty")),
        (30, 40, Shortfall("absent", told("collected", 0), "empty")),
        (40, 50, Shortfall("absent", told("collected", 0), "open")),
    ]
    for order in itertools.permutations(stretches):
        assert list(shortfalls(order)) == expected


def test_what_was_served_elsewhere_is_no_part_of_from_here_on() -> None:
    """In any order; what was backfilled there is collected, and what nobody watched stays blind."""
    open_ended = Stretch(EventTime(0), EventTime(50), told("collected", 0, to_time=None))
    elsewhere = Stretch(EventTime(10), EventTime(40), told("collected", 1, cause="served_elsewhere"))
    backfilled, blind = stretch(30, 35, "collected", 2), stretch(15, 20, "blind", 3)
    expected = [
        (0, 10, Shortfall("absent", open_ended.evidence, "open")),
        (15, 20, Shortfall("blind", blind.evidence, "open")),
        (30, 35, Shortfall("absent", backfilled.evidence, "open")),
        (40, 50, Shortfall("absent", open_ended.evidence, "open")),
    ]
    for order in itertools.permutations([open_ended, elsewhere, backfilled, blind]):
        assert list(shortfalls(order)) == expected


@pytest.mark.parametrize("verdict", ["empty", "unrecoverable"])
def test_a_long_silence_is_no_news_to_who_had_asked(verdict: EvidenceKind) -> None:
    """Whichever of the two was told first; that nobody watched is news, and opens the stretch again."""
    for first, second in itertools.permutations(range(2)):
        silence = Stretch(EventTime(0), EventTime(9), told("blind", first, cause="long_silence"))
        asked = Stretch(EventTime(0), EventTime(9), told(verdict, second))
        down = Stretch(EventTime(0), EventTime(9), told("blind", 2, cause="producer_down"))
        assert list(shortfalls([silence, asked])) == [(0, 9, Shortfall("blind", silence.evidence, verdict))]
        assert list(shortfalls([silence, asked, down])) == [
            (0, 9, Shortfall("blind", down.evidence, "open", 1))
        ]


def test_nothing_told_says_nothing() -> None:
    """And neither does a stretch without length."""
    assert list(shortfalls([])) == []
    assert list(shortfalls([stretch(5, 5, "blind", 1)])) == []


def test_evidence_told_twice_is_told_once() -> None:
    """A record read again changes nothing, no generation either."""
    once = [stretch(0, 9, "blind", 1), stretch(0, 9, "empty", 2)]
    assert list(shortfalls([*once, *once])) == list(shortfalls(once))


def test_absences_join_whoever_collects_them_and_blindness_only_with_itself() -> None:
    """Two outages side by side are two gaps; what two words say is collected is one run of missing bars."""
    signals = (
        Shortfall("absent", told("collected", 1), "open"),
        Shortfall("absent", told("collected", 2), "open"),
    )
    outages = Shortfall("blind", told("blind", 1), "open"), Shortfall("blind", told("blind", 2), "open")
    assert signals[0].joins(signals[1])
    assert not outages[0].joins(outages[1])
    assert not signals[0].joins(Shortfall("absent", told("collected", 1), "empty"))
