"""Thousands of schedules of crash, freeze, rebalance, tie and flip: processor and sink against a naive oracle.

The model around the real rules is in `pipeline_model`. Each rule is also broken once on purpose: what the model would
not notice, it would not prove.
"""

from __future__ import annotations

import gc
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from schemas.records import Gap, Progress
from schemas.topics import PROGRESS, RAW_BARS, RAW_QUOTES, RAW_TRADES
from sinks.batch import batch as batches
from sinks.batch.frontier import above_frontier
from sinks.batch.groups import StreamGroups
from sinks.columns.avro import Flags, Integers
from sinks.ledger import memory as book
from sinks.ledger.gaps import Revision, joined, revise
from sinks.progress import watermark
from sinks.progress.watermark import Claim, Claims, claim_of
from stream_processors import memory as streams
from stream_processors import versions as versioning
from stream_processors.memory import PartitionState
from tests.model import processor, sink
from tests.model.broker import Broker
from tests.model.columns import ColumnMemory
from tests.model.database import Database
from tests.model.market import Weather
from tests.model.oracle import Place
from tests.model.processor import Tails
from tests.model.schedule import Faults, replayed, scheduled
from tests.model.verdict import judge

SEEDS = 600  # of each kind of fault: 3,000 schedules in all
SEEDS_TO_CATCH = 1_000  # a broken rule must show within so many; most do within ten
TRACE_SHOWN = 120

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
SHORT_TAILS = Faults(
    name="short tails",
    topics=MOSTLY_BARS,
    crash=0.04,
    freeze=0.03,
    compact=0.02,
    rewind=0.04,
    # What a producer could not see is judged by what went before, so no downtimes where that is forgotten.
    weather=Weather(flips=0.7, downtimes=0.0),
    tails=Tails(canonical=3, gaps=2),
    remembers_all=False,
)

FILLING = replace(CRASHES, topics=(RAW_BARS,), blocks=12, weather=Weather(flips=0.1, late=0.6))
REREAD = replace(
    SHORT_TAILS,
    topics=(RAW_QUOTES,),
    blocks=14,
    rewind=0.06,
    weather=Weather(flips=0.5, late=0.4, downtimes=0.0),
)


@pytest.fixture(autouse=True)
def _cheap_batches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave out what decides nothing and costs most: the bytes for COPY, and looking for garbage in what others made."""
    monkeypatch.setattr(batches, "encode_rows", lambda *_: b"")
    gc.freeze()
    yield
    gc.unfreeze()


def play(faults: Faults, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Play a schedule and judge it; an error names the seed and what happened."""
    monkeypatch.setattr(batches, "read_columns", ColumnMemory().read)
    schedule = scheduled(faults, seed)
    try:
        clean = replayed(schedule)
        schedule.play()
        judge(schedule, clean)
    except Exception as error:
        error.add_note(f"{faults.name}, seed {seed}: " + "; ".join(schedule.trace[-TRACE_SHOWN:]))
        raise


def forget_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processor and sink remember next to nothing."""
    monkeypatch.setattr(versioning, "SLOTS", 4)
    monkeypatch.setattr(streams, "MAX_SERIES", 2)
    monkeypatch.setattr(watermark, "MAX_PENDING", 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "faults", [CRASHES, ZOMBIES, NEIGHBOURS, TIES, SHORT_TAILS], ids=lambda faults: faults.name
)
def test_whatever_happens_log_database_and_gaps_are_the_oracles(
    faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every schedule ends with each version once, in order, known when it was, and no answer ever changed."""
    if not faults.remembers_all:
        forget_early(monkeypatch)
    for seed in range(SEEDS):
        play(faults, seed, monkeypatch)


def caught(faults: Faults, monkeypatch: pytest.MonkeyPatch, symptom: str) -> bool:
    """Return whether any schedule notices, by this symptom, the rule that was just broken."""
    if not faults.remembers_all:
        forget_early(monkeypatch)
    for seed in range(SEEDS_TO_CATCH):
        try:
            play(faults, seed, monkeypatch)
        except AssertionError as error:
            if symptom in str(error):
                return True
    return False


def test_the_model_catches_a_processor_that_is_not_fenced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen processor that may still write when it wakes writes twice."""
    monkeypatch.setattr(Broker, "check", lambda *_: None)
    assert caught(ZOMBIES, monkeypatch, "progress went back")


def test_the_model_catches_a_sink_that_is_not_fenced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen sink that may still commit when it wakes undoes what its successor did."""
    monkeypatch.setattr(Database, "check", lambda *_: None)
    assert caught(ZOMBIES, monkeypatch, "stored twice")


def test_the_model_catches_progress_outside_the_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress that is there before its outputs loses them."""
    send = Broker.send

    def early(broker: Broker, writer: str, epoch: int, topic: str, records: Any) -> int:
        if topic != PROGRESS:
            return send(broker, writer, epoch, topic, records)
        broker.publish(topic, records)
        return len(broker.logs[topic])

    monkeypatch.setattr(Broker, "send", early)
    assert caught(CRASHES, monkeypatch, "what is not there yet")


def test_the_model_catches_a_past_hidden_by_a_neighbours_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress committed behind a record of an open transaction is not readable yet: who does not wait starts too early."""

    def at_once(*_: object) -> Iterator[str]:
        yield "did not wait"

    monkeypatch.setattr(processor, "_all_decided", at_once)
    assert caught(NEIGHBOURS, monkeypatch, "progress went back")


def test_the_model_catches_a_known_from_that_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Append times step back, so knowledge time must survive a take-over."""
    restore = processor.restore_progress

    def anew(broker: Broker, state: PartitionState) -> None:
        restore(broker, state)
        state.known_from = 0

    monkeypatch.setattr(processor, "restore_progress", anew)
    assert caught(TIES, monkeypatch, "is not")


def test_the_model_catches_a_canonical_tail_that_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that forgets its past repeats values and misses gaps."""
    monkeypatch.setattr(PartitionState, "restore_record", lambda *_: None)
    assert caught(CRASHES, monkeypatch, "without faults")


def test_the_model_catches_an_end_offset_that_claims_its_own_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """A progress record speaks of what lies before its block; an end one record short claims too much."""
    attempt = Progress.__init__

    def short(record: Progress, **fields: Any) -> None:
        attempt(record, **{**fields, "canonical_end_offset": max(0, fields["canonical_end_offset"] - 1)})

    monkeypatch.setattr(Progress, "__init__", short)
    assert caught(CRASHES, monkeypatch, "what is not there yet")


def test_the_model_catches_a_watermark_that_includes_its_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two blocks may share one append time: the second is not yet stored when the first is."""

    def inclusive(progress: Progress, offset: int) -> Claim:
        return replace(claim_of(progress, offset), complete_before=progress.known_from + 1)

    monkeypatch.setattr(batches, "claim_of", inclusive)
    assert caught(TIES, monkeypatch, "at watermark")


def test_the_model_catches_claims_that_a_restart_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The position in progress.v1 must stay below claims that do not hold yet."""
    monkeypatch.setattr(Claims, "first_offset", lambda *_: None)
    assert caught(CRASHES, monkeypatch, "stopped before the end")


def test_the_model_catches_a_comparison_with_the_wrong_position(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record read again must be compared with what was before it, not with what is newest."""

    def newest_of_all(
        stored: Mapping[Place, Hashable], arriving: Iterable[tuple[Place, Hashable]]
    ) -> dict[Place, Hashable]:
        versions = dict(stored)
        for place, content in arriving:
            if place not in versions and (not versions or versions[max(versions)] != content):
                versions[place] = content
        return {place: content for place, content in versions.items() if place not in stored}

    monkeypatch.setattr("tests.model.guard.new_versions", newest_of_all)
    assert caught(REREAD, monkeypatch, "rows")


def test_the_model_catches_rows_that_are_copied_without_opening_a_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A row at the frontier belongs to a key that is stored: it must be compared."""

    def at_or_above(of: StreamGroups, event_time: Integers, frontier: Integers, counted: Flags) -> Flags:
        return above_frontier(of, event_time, frontier - 1, counted)

    monkeypatch.setattr(book, "above_frontier", at_or_above)
    assert caught(REREAD, monkeypatch, "rows")


def test_the_model_catches_a_block_cut_by_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bars of one block come in any order, so half a block shows holes that are not there."""

    def all_of_it(raw_offsets: Integers, *_: object) -> int:
        return len(raw_offsets)

    monkeypatch.setattr(batches, "_whole_blocks", all_of_it)
    assert caught(CRASHES, monkeypatch, "ledger differs")


def test_the_model_catches_a_ledger_that_overlaps(monkeypatch: pytest.MonkeyPatch) -> None:
    """What processor and sink both find is one gap, not two."""

    def latest_word(ledger: Iterable[Gap], incoming: Iterable[Gap]) -> list[Gap]:
        rows = {gap.gap_id: gap for gap in (*ledger, *incoming)}
        return joined(rows.values())

    monkeypatch.setattr(sink, "admit", latest_word)
    assert caught(CRASHES, monkeypatch, "ledger")


def test_the_model_catches_an_announcement_that_fills_more_than_arrived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The sink hears its own words: the last word on a gap may speak only of what its bars filled."""

    def of_its_old_extent(before: Sequence[Gap], after: Sequence[Gap], heard: Collection[Gap]) -> Revision:
        revision = revise(before, after, heard)
        now = {
            gap: row
            for gap in revision.deleted
            for row in after
            if row.from_time <= gap.from_time < row.to_time
        }
        last_words = (replace(gap, state=row.state) for gap, row in now.items())
        return replace(revision, announced=(*revision.announced, *last_words))

    monkeypatch.setattr(sink, "revise", of_its_old_extent)
    assert caught(FILLING, monkeypatch, "ledger differs")
