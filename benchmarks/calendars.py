"""Cost of calendars: loading one, asking it, and numbering a year of minutes so that bits can stand for bars.

No broker and no database. The yardstick of numbering is one set look-up a minute: what a list of slots would cost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial

import psutil

from benchmarks.measure import RUNS, Row, middle, row
from schemas.calendar.expected_bars import expected_span, first_unended
from schemas.calendar.overlay import MarketOverlay
from schemas.calendar.session_slots import SessionSlots, session_slots
from schemas.calendar.sessions import load_calendar
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US

NAMES = ("XNYS", "XTKS", "FX")
YEAR = EventTime(1_704_067_200_000_000)  # 2024
DECADES = EventTime(YEAR - 20 * 365 * DAY_US)
MB = 2**20


def run() -> list[Row]:
    """Return the results."""
    rows = [row("memory of the library, once", _megabytes(lambda: load_calendar("XNYS")), "MB")]
    for name in NAMES:
        # An overlay of its own: nothing of it is cached yet, and the library is there.
        fresh = [MarketOverlay(closed=frozenset({f"19{n:02d}-01-01"})) for n in range(RUNS)]
        loads = [_seconds(partial(load_calendar, name, each)) for each in fresh]
        rows.append(
            row(
                f"loading {name} again, with another overlay",
                middle(loads) * 1_000,
                "ms",
                goal=500,
                lower_is_better=True,
            )
        )
        rows += _asking(name)
    return rows


def _asking(name: str) -> Iterable[Row]:
    calendar, minutes = load_calendar(name), range(YEAR, YEAR + 365 * DAY_US, MINUTE_US)
    chunks = [
        session_slots(calendar, "1m", moment) for moment in range(YEAR, YEAR + 365 * DAY_US, 6 * HOUR_US)
    ]
    sessions: list[SessionSlots] = list(dict.fromkeys(each for each in chunks if each is not None))
    slots = [each.slot_at(index) for each in sessions for index in range(each.count)]
    listed, moments = set(slots), [each.end for each in sessions]

    def number() -> None:
        for each in sessions:
            for slot in range(each.start, each.end, MINUTE_US):
                each.index_of(slot)

    asked = sum(len(range(each.start, each.end, MINUTE_US)) for each in sessions)
    looked = middle([_seconds(lambda: [slot in listed for slot in minutes]) for _ in range(RUNS)])
    yield row(
        f"{name}: minutes given their numbers", asked / middle([_seconds(number) for _ in range(RUNS)]), "minutes/s",
        yardstick=len(minutes) / looked,
    )  # fmt: skip
    yield row(
        f"{name}: bars that have ended, asked",
        len(moments) / _seconds(lambda: [first_unended(calendar, "1m", each) for each in moments]), "questions/s",
    )  # fmt: skip
    yield row(
        f"{name}: bars before a moment, counted in a session",
        len(moments) / _seconds(lambda: [each.count_before(each.end) for each in sessions]), "questions/s",
    )  # fmt: skip
    count = expected_span.__wrapped__
    spans = [_seconds(lambda: count(calendar, "1m", DECADES, YEAR)) for _ in range(RUNS)]
    yield row(
        f"{name}: minutes of twenty years, counted",
        middle(spans) * 1_000,
        "ms",
        goal=50,
        lower_is_better=True,
    )


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _megabytes(work: Callable[[], object]) -> float:
    process = psutil.Process()
    before: int = process.memory_info().rss
    work()
    return (process.memory_info().rss - before) / MB
