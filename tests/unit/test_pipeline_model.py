"""Schedules of crash, freeze, rebalance, tie, flip, backfill and loss: processor and sink against a naive oracle.

Hundreds of them, in `make soak` thousands. The model around the real rules is in `tests.model`. Each rule is also broken once on
purpose, here and in `test_pipeline_model_ledger`: what the model would not notice, it would not prove.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from schemas.clocks import CanonicalOffset, KnowledgeTime
from schemas.records import Progress
from schemas.topics import PROGRESS
from sinks.batch import batch as batches
from sinks.batch.frontier import above_frontier
from sinks.batch.groups import StreamGroups
from sinks.columns.avro import Flags, Integers
from sinks.ledger import memory as book
from sinks.progress.watermark import Claim, Claims, claim_of
from stream_processors.saving import Saved
from stream_processors.shell.rebuild import Standing
from tests.model import processor
from tests.model.broker import Broker
from tests.model.database import Database
from tests.model.oracle import Place
from tests.model.playing import (
    ALL,
    CRASHES,
    FORGOTTEN,
    NEIGHBOURS,
    REREAD,
    TIES,
    ZOMBIES,
    caught,
    cheap_batches,
    forget_early,
    play,
)
from tests.model.schedule import Faults

SEEDS, MORE_SEEDS = range(100), range(100, 1_000)  # of each kind of fault

__all__ = ["cheap_batches"]
pytestmark = pytest.mark.usefixtures("cheap_batches")


@pytest.mark.slow
@pytest.mark.parametrize(
    "seeds", [pytest.param(SEEDS, id="some"), pytest.param(MORE_SEEDS, id="more", marks=pytest.mark.soak)]
)
@pytest.mark.parametrize("faults", ALL, ids=lambda faults: faults.name)
def test_whatever_happens_log_database_and_ledger_are_the_oracles(
    faults: Faults, seeds: Sequence[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every schedule ends with each version once, in order, known when it was, and no answer ever changed."""
    if not faults.remembers_all:
        forget_early(monkeypatch, faults)
    for seed in seeds:
        play(faults, seed, monkeypatch)


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
    rebuilt = processor.rebuilt

    def anew(*whose: Any) -> Standing:
        standing = rebuilt(*whose)
        standing.state.known_from = KnowledgeTime(0)
        return standing

    monkeypatch.setattr(processor, "rebuilt", anew)
    assert caught(TIES, monkeypatch, "is not")


def test_the_model_catches_a_saved_state_that_is_not_taken_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that forgets what went before repeats values and misses gaps."""
    monkeypatch.setattr(Saved, "catch_up", lambda *_: None)
    assert caught(CRASHES, monkeypatch, "evidence")


def test_the_model_catches_an_end_offset_that_claims_its_own_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """A progress record speaks of what lies before its block; an end one record short claims too much."""
    attempt = Progress.__init__

    def short(record: Progress, **fields: Any) -> None:
        attempt(record, **{**fields, "canonical_end_offset": max(0, fields["canonical_end_offset"] - 1)})

    monkeypatch.setattr(Progress, "__init__", short)
    assert caught(CRASHES, monkeypatch, "what is not there yet")


def test_the_model_catches_a_watermark_that_includes_its_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block is not yet stored when the claim in its own transaction is read."""

    def inclusive(progress: Progress, offset: CanonicalOffset) -> Claim:
        return replace(claim_of(progress, offset), complete_before=KnowledgeTime(progress.known_from + 1))

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
    assert caught(FORGOTTEN, monkeypatch, "rows")
