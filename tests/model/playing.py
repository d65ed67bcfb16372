"""Kinds of schedules, how one is played and judged, and whether a rule that is broken on purpose is noticed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest

from schemas.streams import STREAMS
from schemas.topics import RAW_BARS, RAW_QUOTES, RAW_TRADES
from sinks.batch import batch as batches
from sinks.progress import watermark
from stream_processors import memory, saving, versions
from tests.model.columns import ColumnMemory
from tests.model.market import Weather
from tests.model.schedule import Faults, replayed, scheduled
from tests.model.tables import at_once
from tests.model.verdict import judge

SEEDS_TO_CATCH = 1_000  # a broken rule must show within so many; most do within ten
TRACE_SHOWN = 120
ROUND_EVENTS, OPENED_EVENTS, STEP_BYTES = 24, 12, 200  # states are saved often, and in many small steps
ROOM_BYTES = 13_000  # the contents of one series of minutes

ROOM_OF_ENTRIES_BYTES = 600  # the contents of one series of entries, of which there are few here
OF_ENTRIES = tuple(stream.raw_topic for stream in STREAMS if stream.for_good)
MOSTLY_BARS = (RAW_BARS, RAW_BARS, RAW_QUOTES, RAW_TRADES)  # they have the most rules

CRASHES = Faults(name="crashes", topics=MOSTLY_BARS, crash=0.06, hand_over=0.02)
ZOMBIES = Faults(name="crashes and zombies", topics=MOSTLY_BARS, crash=0.03, freeze=0.05)
NEIGHBOURS = Faults(name="neighbours", partitions=3, blocks=9, crash=0.05, freeze=0.02, hand_over=0.05)
TIES = Faults(
    name="ties and flips",
    topics=MOSTLY_BARS,
    crash=0.03,
    freeze=0.03,
    weather=Weather(ties=0.7, steps_back=0.3, flips=0.7),
)
SHORT_MEMORY = Faults(
    name="short memory",
    topics=MOSTLY_BARS,
    crash=0.04,
    freeze=0.03,
    compact=0.02,
    rewind=0.04,
    weather=Weather(flips=0.7),
    remembers_all=False,
)
TRUNCATION = Faults(
    name="truncation", topics=MOSTLY_BARS, blocks=10, crash=0.04, freeze=0.02, truncate=0.03, compact=0.02
)
LIMITS = Faults(name="limits", topics=MOSTLY_BARS, blocks=9, crash=0.03, halving=0.2, overrun=0.1)
BACKFILLS = Faults(
    name="backfills",
    topics=(RAW_BARS,),
    blocks=9,
    crash=0.03,
    halving=0.1,
    weather=Weather(flips=0.1, late=0.3, backfills=0.4, downtimes=0.3),
)
ENTRIES = replace(
    ZOMBIES,
    name="entries",
    topics=OF_ENTRIES,
    blocks=10,
    compact=0.02,
    rewind=0.03,
    halving=0.1,
    weather=Weather(ties=0.4, flips=0.7),
)
ENTRIES_FORGOTTEN = replace(ENTRIES, name="entries forgotten", remembers_all=False)
READ_IN_PAGES = replace(ENTRIES, name="entries read in pages", topics=OF_ENTRIES[1:], ask=0.4)
ENTRIES_CUT = replace(TRUNCATION, name="entries cut", topics=OF_ENTRIES, weather=Weather(flips=0.7))
ALL = (CRASHES, ZOMBIES, NEIGHBOURS, TIES, SHORT_MEMORY, TRUNCATION, LIMITS, BACKFILLS, ENTRIES, ENTRIES_FORGOTTEN, ENTRIES_CUT)  # fmt: skip

REREAD = replace(
    SHORT_MEMORY,
    topics=(RAW_QUOTES,),
    blocks=14,
    rewind=0.06,
    weather=Weather(flips=0.5, late=0.4, downtimes=0.0),
)
FORGOTTEN = replace(
    TRUNCATION, topics=(RAW_QUOTES,), blocks=14, weather=Weather(flips=0.8, venues=("never closed",))
)
FILLING = replace(
    BACKFILLS, blocks=12, weather=Weather(flips=0.1, late=0.6, downtimes=0.4, backfills=0.05, garbage=0.0)
)


@pytest.fixture
def cheap_batches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave out what decides nothing and costs most: the bytes for COPY, and threads."""
    monkeypatch.setattr(batches, "encode_rows", lambda *_: b"")
    monkeypatch.setattr(asyncio, "to_thread", at_once)
    monkeypatch.setattr(memory, "CHUNK_SERIES", 2)
    logging.disable(logging.ERROR)  # a log that was cut is told as one
    yield
    logging.disable(logging.NOTSET)


def play(faults: Faults, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Play a schedule and judge it; an error names the seed and what happened."""
    monkeypatch.setattr(batches, "read_columns", ColumnMemory().read)
    # What was saved must be as new as what was deleted, or nobody knows what exactly was lost.
    monkeypatch.setattr(saving, "ROUND_EVENTS", 0 if faults.truncate else ROUND_EVENTS)
    monkeypatch.setattr(saving, "OPENED_EVENTS", OPENED_EVENTS)
    monkeypatch.setattr(saving, "STEP_BYTES", 1 << 30 if faults.truncate else STEP_BYTES)
    schedule = scheduled(faults, seed)
    try:
        clean = None if faults.truncate else replayed(schedule)
        schedule.play()
        judge(schedule, clean)
    except Exception as error:
        error.add_note(f"{faults.name}, seed {seed}: " + "; ".join(schedule.trace[-TRACE_SHOWN:]))
        raise


def forget_early(monkeypatch: pytest.MonkeyPatch, faults: Faults) -> None:
    """Let processor and sink remember next to nothing."""
    is_of_entries = set(faults.topics) <= set(OF_ENTRIES)
    monkeypatch.setattr(memory, "MAX_CONTENT_BYTES", ROOM_OF_ENTRIES_BYTES if is_of_entries else ROOM_BYTES)
    monkeypatch.setattr(versions, "ENTRIES", versions.PLACES)
    monkeypatch.setattr(watermark, "MAX_PENDING", 3)


def caught(faults: Faults, monkeypatch: pytest.MonkeyPatch, symptom: str) -> bool:
    """Return whether any schedule notices, by this symptom, the rule that was just broken."""
    if not faults.remembers_all:
        forget_early(monkeypatch, faults)
    for seed in range(SEEDS_TO_CATCH):
        try:
            play(faults, seed, monkeypatch)
        except AssertionError as error:
            if symptom in str(error):
                return True
    return False
