"""A batch is cut into halves that together are what it was, between blocks where that is possible."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InvalidRecord
from schemas.intervals import MINUTE_US
from schemas.records import Progress
from schemas.streams import Bar
from schemas.topics import BARS, DEFAULT_PARTITIONS, PROGRESS, QUOTES, RAW_BARS, TRADES
from sinks.batch.batch import Batch, PartitionRecords, assemble
from sinks.batch.cutting import GROW_AFTER, NO_LIMIT, BatchLimit, another_record, halves, without_record
from tests.support.builders import NINE_THIRTY, a_bar, a_quote, a_trade, an_evidence
from tests.support.received import Message, a_part, home


def a_block_of(size: int, block: int) -> list[Bar]:
    """Return the bars of a raw block."""
    start = NINE_THIRTY + block * 100 * MINUTE_US
    return [a_bar(raw_offset=block, index=n, event_time=start + n * MINUTE_US) for n in range(size)]


def a_claim() -> Progress:
    """Return the progress of a block of bars."""
    return Progress(
        raw_topic=RAW_BARS, partition=home("SPY"), raw_offset=0, known_from=9, canonical_topic=BARS,
        canonical_end_offset=1, processing_version=1,
    )  # fmt: skip


def batch_of(*parts: PartitionRecords) -> Batch:
    """Return the batch of these parts, all at their end."""
    return assemble(parts)[0]


def places(batch: Batch) -> list[tuple[str, int]]:
    """Return topic and offset of every record, topic by topic."""
    return [(part.topic, int(record.offset())) for part in batch.parts for record in part.records]


def pieces(batch: Batch) -> list[Batch]:
    """Return the batches of one record that cutting ends with."""
    if batch.records < 2:
        return [batch]
    return [piece for half in halves(batch) for piece in pieces(half)]


@given(bars=st.lists(st.integers(1, 4), max_size=4), trades=st.integers(0, 5), others=st.integers(0, 3))
def test_the_halves_are_the_whole(bars: list[int], trades: int, others: int) -> None:
    """Every record is in one of them, in order; the positions of the second are those of the whole."""
    parts = [
        a_part(records, partition=number)
        for number, records in (
            (home("SPY"), [bar for block, size in enumerate(bars) for bar in a_block_of(size, block)]),
            (home("SPY"), [a_trade(index=n) for n in range(trades)]),
            (home("SPY"), [a_claim()] * others),
        )
        if records
    ]
    whole = batch_of(*parts)
    if whole.records < 2:
        return

    first, second = halves(whole)

    assert min(first.records, second.records) > 0
    assert first.records + second.records == whole.records
    assert sorted(places(first) + places(second)) == sorted(places(whole))
    assert {**first.ends, **second.ends} == whole.ends
    assert all(part.end == part.records[-1].offset() + 1 for part in first.parts)
    assert sorted(places(each)[0] for each in pieces(whole)) == sorted(places(whole))


def test_the_cut_lies_between_two_blocks() -> None:
    """So holes are judged as if nothing had been cut; a lone block is cut where it must be."""
    first, second = halves(batch_of(a_part([*a_block_of(3, 1), *a_block_of(5, 2), *a_block_of(1, 3)])))
    lone, rest = halves(batch_of(a_part(a_block_of(4, 2))))

    assert [each.rows[0].columns.integers("raw_offset").tolist() for each in (first, second)] == [
        [1, 1, 1],
        [2] * 5 + [3],
    ]
    assert (lone.records, rest.records) == (2, 2)


def test_a_block_beside_another_topic_goes_to_one_side_whole() -> None:
    """The halves need not be equal."""
    first, second = halves(batch_of(a_part(a_block_of(6, 1)), a_part([a_trade(index=n) for n in range(4)])))

    assert [(each.parts[0].topic, each.records) for each in (first, second)] == [(BARS, 6), (TRADES, 4)]


def test_progress_is_in_the_last_part() -> None:
    """What it speaks of is stored before it, also where positions are not kept."""
    first, second = halves(
        batch_of(a_part([a_claim()], partition=home("SPY")), a_part([a_quote(), a_quote(index=1)]))
    )

    assert (first.claims, len(second.claims)) == ([], 1)
    assert [part.topic for part in second.parts][-1] == PROGRESS


def test_the_end_of_a_log_without_records_goes_with_the_second_half() -> None:
    """A position moves once, and not before the records of its batch."""
    empty = PartitionRecords(topic=BARS, partition=3, partitions=DEFAULT_PARTITIONS, end=7, at_end=True)

    first, second = halves(batch_of(empty, a_part([a_trade(), a_trade(index=1)])))

    assert (BARS, 3) not in first.ends
    assert second.ends[BARS, 3] == (7, -1)


@pytest.mark.parametrize("record", [a_trade(), an_evidence()])
def test_a_record_that_is_refused_alone_is_its_dead_letter(record: Any) -> None:
    """It keeps its bytes, its place and the words of who refused it; the position moves on."""
    batch = batch_of(a_part([record]))

    left = without_record(batch, InvalidRecord("no such value"))

    (refusal,) = left.refusals
    assert (refusal.letter.stage, refusal.letter.reason, refusal.letter.offset) == ("sink", "invalid", 0)
    assert "no such value" in refusal.letter.message
    assert refusal.letter.payload == batch.parts[0].records[0].value()
    assert (left.rows, left.evidence, left.ends, left.records) == ([], [], batch.ends, 1)


def trades_of(number: int, *, start: int = 0, symbol: str = "SPY") -> Batch:
    """Return the batch of so many trades of a symbol, from an offset of its partition on."""
    part = a_part([a_trade(symbol=symbol, index=n) for n in range(number)])
    part.records = [Message(record.value(), start + n) for n, record in enumerate(part.records)]
    part.end = start + number
    return batch_of(part)


def test_the_limit_halves_at_once_and_grows_back_slowly() -> None:
    """Down to one record and back to none at all; small batches that pass say nothing of large ones."""
    limit = BatchLimit()
    limit.exceeded(trades_of(1_000))
    assert limit.records == 500
    for _ in range(3 * GROW_AFTER):
        limit.kept(trades_of(100, start=5_000))
    assert limit.records == 500
    for _ in range(GROW_AFTER):
        limit.kept(trades_of(300, start=5_000))
    assert limit.records == 1_000
    for _ in range(40):
        limit.exceeded(trades_of(1_000))
    assert limit.records == 1
    many = replace(trades_of(1, start=5_000), records=NO_LIMIT)
    for _ in range(GROW_AFTER * 40):
        limit.kept(many)
    assert limit.records == NO_LIMIT


def test_around_what_took_too_long_the_limit_only_shrinks() -> None:
    """Whatever passes of other partitions meanwhile: otherwise it would never come down to the one record."""
    limit, other = BatchLimit(), "QQQ"
    assert home(other) != home("SPY")
    sizes, size = [], 64
    for _ in range(6):
        limit.exceeded(trades_of(size))
        for n in range(20 * GROW_AFTER):
            limit.kept(replace(trades_of(1, start=n, symbol=other), records=64))
        size = next(n for n in range(size, 0, -1) if limit.allows(trades_of(n)))
        sizes.append(size)

    assert sizes == [32, 16, 8, 4, 2, 1]
    assert limit.allows(trades_of(64, start=64))  # behind it
    assert limit.allows(trades_of(64, symbol=other))
    limit.kept(trades_of(1))
    assert [limit.allows(trades_of(2, start=start)) for start in (0, 1, 2)] == [False, False, True]
    limit.kept(trades_of(1, start=1))
    assert limit.allows(trades_of(64))


def test_only_the_record_that_took_too_long_alone_is_suspect() -> None:
    """Not the one that comes after it, and not once it is stored."""
    limit = BatchLimit()
    limit.exceeded(trades_of(2))
    assert limit.suspect(trades_of(1)) is None
    limit.exceeded(trades_of(1))
    suspect = limit.suspect(trades_of(1))

    assert suspect is not None
    suspect.proofs = 2
    limit.exceeded(trades_of(1))
    assert limit.suspect(trades_of(1)) is suspect
    assert suspect.proofs == 2
    assert [
        limit.suspect(each) for each in (trades_of(1, start=1), trades_of(2), trades_of(1, symbol="QQQ"))
    ] == [None] * 3
    limit.kept(trades_of(1))
    assert limit.suspect(trades_of(1)) is None


def test_another_record_is_one_of_another_series_in_turn() -> None:
    """Of the same topic where there is one; what stores no rows proves nothing."""
    slow = trades_of(1)
    symbols = ["SPY", "IBM", "QQQ"]
    trades = [trades_of(3, symbol=symbol) for symbol in symbols]
    others = [*trades, batch_of(a_part([a_quote(symbol="GOOG")]), a_part([an_evidence()]))]

    def told(batch: Batch | None) -> tuple[str, list[str]] | None:
        return (
            None
            if batch is None
            else (batch.rows[0].table.topic, [name.symbol for name in batch.rows[0].streams.names])
        )

    assert [told(another_record(slow, others, turn=turn)) for turn in range(3)] == [
        (TRADES, ["IBM"]), (TRADES, ["QQQ"]), (TRADES, ["IBM"]),
    ]  # fmt: skip
    assert told(another_record(slow, [trades[0], *others[3:]], turn=7)) == (QUOTES, ["GOOG"])
    assert another_record(slow, [trades[0]], turn=0) is None
    found = another_record(slow, others, turn=0)
    assert found is not None
    assert found.records == 1
