"""Rules of evidence, gaps and coverage, each broken once: what the model would not notice, it would not prove."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from schemas.clocks import EventTime, KnowledgeTime, RawOffset
from schemas.identity import stream_of
from schemas.intervals import HOUR_US
from schemas.ledger import coverage as bits
from schemas.ledger import gaps as derived
from schemas.ledger import shortfall
from schemas.ledger.gaps import gaps_of
from schemas.records import Evidence, Gap, Progress
from schemas.streams import StreamId
from schemas.topics import BARS, RAW_BARS
from sinks.batch import batch as batches
from sinks.ledger import gaps as ledger
from sinks.ledger.reach import Reach
from sinks.store.shell import coverage, gaps
from stream_processors import block
from tests.model import asking
from tests.model.columns import ColumnMemory
from tests.model.completeness import Label
from tests.model.database import Database
from tests.model.ledger_verdict import labels_of
from tests.model.market import Market, Raw, Weather
from tests.model.playing import BACKFILLS, CRASHES, FILLING, LIMITS, TRUNCATION, caught, cheap_batches
from tests.model.schedule import Faults, Schedule

ORDERS = 200  # seeds of each weather

__all__ = ["cheap_batches"]
pytestmark = pytest.mark.usefixtures("cheap_batches")


def _ledger(raw: Sequence[Raw], market: Market) -> dict[str, dict[int, Label]]:
    """Return what is missing in the end, bar by bar, where these blocks are read in this order, long after."""
    log = [
        Raw(
            record=replace(
                each.record, offset=RawOffset(number), append_time=KnowledgeTime(market.high + number * 1_000)
            ),
            block=each.block,
        )
        for number, each in enumerate(raw, 1)
    ]
    schedule = Schedule(Faults(name="replay"), Random(0), {RAW_BARS: log})
    schedule.replay()
    found = asking.answers(schedule.database, BARS, 1 << 62)
    named = ((stream, stream_of(stream), gaps) for stream, gaps in found.items())
    return {
        stream: labels_of((of.provider, of.symbol, of.interval), gaps, market.low, market.high)
        for stream, of, gaps in named
    }


@pytest.mark.parametrize(
    "weather",
    [
        # What nobody watched opens anew what an answer closed before, so either the one or the other.
        pytest.param(
            Weather(backfills=0.4, future=0.0, answers=0.0, given_up=0.0, downtimes=0.3), id="blindness"
        ),
        pytest.param(Weather(backfills=0.4, future=0.0, answers=0.8, downtimes=0.0), id="answers"),
    ],
)
def test_whether_live_or_backfilled_blocks_come_first_the_ledger_is_the_same(
    weather: Weather, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of what is collected live is told by a bar that no backfill brought."""
    for seed in range(ORDERS):
        monkeypatch.setattr(batches, "read_columns", ColumnMemory().read)
        market = Market(Random(seed), RAW_BARS, weather)
        raw = market.raw(8)
        raw += market.closing()
        backfilled = [each for each in raw if each.block is not None and each.block.route == "backfill"]
        live = [each for each in raw if each not in backfilled]
        one, other = _ledger([*live, *backfilled], market), _ledger([*backfilled, *live], market)
        assert one == other, f"seed {seed}: {one}, not {other}"


def test_the_model_catches_a_backfill_that_moves_the_frontier(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody watched live is not judged because a backfill brought what came after."""
    monkeypatch.setattr(block, "BACKFILL", "none")
    assert caught(BACKFILLS, monkeypatch, "evidence")


def test_the_model_catches_a_vendor_that_gives_up_what_another_answer_settled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That nothing exists outranks giving up."""
    monkeypatch.setitem(shortfall.VERDICTS, "empty", shortfall.VERDICTS["unrecoverable"])
    assert caught(BACKFILLS, monkeypatch, "differs")


def test_the_model_catches_a_claim_that_says_nothing_of_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below a watermark all evidence must be stored, too: it lies in a topic of its own."""
    attempt = Progress.__init__

    def silent(record: Progress, **fields: Any) -> None:
        attempt(record, **{**fields, "evidence_end_offset": -1})

    monkeypatch.setattr(Progress, "__init__", silent)
    assert caught(CRASHES, monkeypatch, "evidence")


def test_the_model_catches_answers_for_bars_that_are_not_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can say yet that they do not exist."""

    def all_of_it(_: object, told: Evidence) -> EventTime:
        return told.to_time or EventTime(told.known_from)

    for where in (derived, bits, coverage):
        monkeypatch.setattr(where, "said_until", all_of_it)
    assert caught(BACKFILLS, monkeypatch, "differs")


def test_the_model_catches_bars_that_run_when_the_producer_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar that is not over when a blind stretch ends is not missing."""
    monkeypatch.setattr("stream_processors.gaps.first_unended", lambda _calendar, _interval, moment: moment)
    assert caught(BACKFILLS, monkeypatch, "evidence")


def test_the_model_catches_bars_that_are_absent_though_another_provider_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A series is watched only while it is collected."""
    monkeypatch.setattr(shortfall, "SERVED_ELSEWHERE", "none")
    assert caught(BACKFILLS, monkeypatch, "ledger differs")


def test_the_model_catches_absences_proved_by_a_long_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar long after the one before says of the time between only that nobody knows of it."""
    monkeypatch.setattr("stream_processors.gaps.SILENCE_US", 1 << 60)
    assert caught(CRASHES, monkeypatch, "evidence")


@pytest.mark.slow
def test_the_model_catches_a_silence_that_overrules_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """That nothing came for long is no news to who had asked the vendor before."""
    monkeypatch.setattr(shortfall, "LONG_SILENCE", "none")
    assert caught(BACKFILLS, monkeypatch, "ledger differs")


def test_the_model_catches_a_hull_of_what_is_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between an old backfill and what is collected live nothing is missing: nobody asked for it."""

    def hull(
        series: StreamId, told: Sequence[Evidence], stored: Sequence[EventTime], **asked: Any
    ) -> list[Gap]:
        collected = [each for each in told if each.kind == "collected"]
        first = min((each.from_time for each in collected), default=None)
        widened = [
            replace(each, from_time=first) if each in collected and first is not None else each
            for each in told
        ]
        return gaps_of(series, widened, stored, **asked)

    monkeypatch.setattr(asking, "gaps_of", hull)
    assert caught(BACKFILLS, monkeypatch, "ledger differs")


async def _none_stored(*_: object) -> dict[StreamId, list[EventTime]]:
    return {}


def test_the_model_catches_bits_that_are_set_after_their_bars_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """Topics are read in any order: a bar that is stored before it is told absent leaves no bit."""
    monkeypatch.setattr(coverage, "stored_slots", _none_stored)
    assert caught(LIMITS, monkeypatch, "coverage")


def test_the_model_catches_bits_that_bars_do_not_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar that comes after it was told absent clears its bit."""
    monkeypatch.setattr(Reach, "of_bits", lambda *_: False)
    assert caught(CRASHES, monkeypatch, "coverage")


def test_the_model_catches_gaps_that_are_found_after_their_bars_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """Topics are read in any order: what is stored before a blind stretch is told fills it."""
    monkeypatch.setattr(gaps, "stored_slots", _none_stored)
    assert caught(LIMITS, monkeypatch, "ledger differs")


def test_the_model_catches_gaps_that_bars_do_not_fill(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar that comes into a gap fills it there."""
    monkeypatch.setattr(Reach, "of_gaps", lambda *_: False)
    assert caught(BACKFILLS, monkeypatch, "ledger differs")


def test_the_model_catches_a_stamp_of_the_future_that_moves_the_frontier(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What comes until then would pass for late, and what does not would be no hole."""
    monkeypatch.setattr(block, "AHEAD_US", 1 << 50)
    assert caught(CRASHES, monkeypatch, "evidence")


def test_the_model_catches_a_verdict_that_closes_what_came_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """That there was nothing was not said of a time nobody had missed yet."""
    in_order = shortfall.in_order_of_knowledge

    def verdicts_last(told: Evidence) -> tuple[object, ...]:
        return told.kind != "blind", *in_order(told)

    monkeypatch.setattr(shortfall, "in_order_of_knowledge", verdicts_last)
    assert caught(BACKFILLS, monkeypatch, "ledger differs")


def test_the_model_catches_truncation_that_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records that were deleted unprocessed are a hole of their partition and of each of its series."""
    monkeypatch.setattr("stream_processors.block._Run.tell_truncation", lambda _: None)
    assert caught(TRUNCATION, monkeypatch, "evidence")


def test_the_model_catches_a_last_word_that_settles_more_than_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a gap that lies in another now subscribers must hear no more than that part."""

    def of_its_old_extent(after: Sequence[Gap], gone: Iterable[Gap]) -> Iterable[Gap]:
        for gap in gone:
            there = [row for row in after if row.from_time <= gap.from_time < row.to_time]
            yield replace(gap, state=there[0].state if there else "empty")

    monkeypatch.setattr(ledger, "_last_words", of_its_old_extent)
    assert caught(FILLING, monkeypatch, "says more than")


def test_the_model_catches_an_answer_that_knows_what_came_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger as of a moment holds nothing that became known after it."""
    at = asking.gaps_at

    def later(database: Database, series: StreamId, stream: str, moment: int) -> list[Gap]:
        return at(database, series, stream, moment + HOUR_US)

    monkeypatch.setattr(asking, "gaps_at", later)
    assert caught(CRASHES, monkeypatch, "the ledger as of")
