"""What the outside decides the size of costs in proportion to it: nothing grows with the square."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from schemas.calendar.sessions import calendar_of
from schemas.intervals import MINUTE_US
from schemas.ledger.coverage import cleared, marked
from schemas.records import Evidence
from schemas.streams import StreamId
from sinks.batch.batch import PartitionRecords, assemble
from sinks.batch.cutting import halves
from sinks.ledger.gaps import revision_of, touched_blind
from sinks.ledger.memory import Book
from tests.support.builders import a_bar, a_trade, an_evidence
from tests.support.growth import MIDNIGHT, SPARSE, assert_linear, sized, sparse_bars
from tests.support.received import a_part, home

pytestmark = pytest.mark.slow

SERIES = StreamId("bars", "1m", "yahoo", SPARSE)


def again(part: PartitionRecords) -> PartitionRecords:
    """Return a part with records of its own: what takes a batch apart may change it."""
    return replace(part, records=list(part.records))


def test_sparse_bars_of_one_series_are_decided_in_linear_time() -> None:
    """Each fills a part of a blind stretch (9,000 of them in one batch stopped a partition for ever)."""

    def prepare(number: int) -> Callable[[], object]:
        batch, _ = assemble([a_part(sparse_bars(number))])
        blind = a_blind(0, 2 * number)

        def decide() -> int:
            changes = Book().observe(batch.rows)
            (arrived,) = changes.arrivals.values()
            change = revision_of(SERIES, [blind], evidence=[blind], before=[], stored=arrived.starts())
            return len(change.written)

        assert decide() == 2 * number
        return decide

    assert_linear(prepare, sized(1_000, 10_000))


def a_blind(low: int, high: int, number: int = 0, **changes: object) -> Evidence:
    """Return a blind stretch of minutes [low, high) of the sparse series."""
    fields: dict[str, object] = {
        "symbol": SPARSE, "stream": f"bars.1m:yahoo:{SPARSE}", "from_time": MIDNIGHT + low * MINUTE_US,
        "to_time": MIDNIGHT + high * MINUTE_US, "raw_offset": number, "known_from": MIDNIGHT + 10**15,
    }  # fmt: skip
    return an_evidence(**(fields | changes))


def test_evidence_that_overlaps_in_any_way_is_told_apart_in_linear_time() -> None:
    """One long stretch under many short ones, short ones under each other, and verdicts on all of them."""

    def prepare(number: int) -> Callable[[], object]:
        told = [a_blind(4 * n, 4 * n + 2, n) for n in range(number)]
        before = revision_of(SERIES, told, evidence=told, before=[], stored=()).written
        told += [
            a_blind(0, 4 * number, -1),
            *(a_blind(4 * n + 1, 4 * n + 9, number + n) for n in range(number)),
        ]
        told += [a_blind(8 * n, 8 * n + 3, 2 * number + n, kind="empty") for n in range(number // 2)]
        changed = [(told[0].from_time, told[0].from_time + 4 * number * MINUTE_US)]
        blind = touched_blind(changed, told)  # type: ignore[arg-type]
        return lambda: revision_of(SERIES, blind, evidence=told, before=before, stored=())

    assert_linear(prepare, sized(500, 10_000))


def test_many_open_gaps_are_compared_with_their_bars_in_linear_time() -> None:
    """Every second bar of each arrives."""

    def prepare(number: int) -> Callable[[], object]:
        blind = [a_blind(20 * n, 20 * n + 10, n) for n in range(number)]
        before = revision_of(SERIES, blind, evidence=blind, before=[], stored=()).written
        arrived = [told.from_time + n * MINUTE_US for told in blind for n in range(0, 10, 2)]
        return lambda: revision_of(SERIES, blind, evidence=blind, before=before, stored=arrived)  # type: ignore[arg-type]

    assert_linear(prepare, sized(500, 10_000))


def test_bits_of_absent_bars_cost_their_number() -> None:
    """A signal for every second minute, and then all those bars."""

    def prepare(number: int) -> Callable[[], object]:
        calendar = calendar_of(SPARSE)
        told = [a_blind(2 * n, 2 * n + 1, n, kind="absent") for n in range(number)]
        starts = [each.from_time for each in told]
        return lambda: cleared(marked({}, calendar, told), calendar, "1m", starts)

    assert_linear(prepare, sized(1_000, 10_000))


def test_poison_is_refused_in_linear_time() -> None:
    """One row of twenty holds a NUL (a hundred in a batch of 20,000 stopped a partition for ever)."""

    def prepare(number: int) -> Callable[[], object]:
        part = a_part(
            [
                a_trade(venue="a\0" if n % 20 == 7 else "Q", raw_offset=n, trade_id=str(n))
                for n in range(number)
            ]
        )

        def refused() -> int:
            return len(assemble([again(part)])[0].refusals)

        assert refused() == number // 20
        return refused

    assert_linear(prepare, sized(2_000, 20_000))


def test_a_text_of_any_length_costs_its_bytes() -> None:
    """One very long text does not make the others as dear as itself."""

    def prepare(number: int) -> Callable[[], object]:
        part = a_part(
            [a_trade(conditions="c" * 200_000 if n == 5 else "@", raw_offset=n) for n in range(number)]
        )
        return lambda: assemble([again(part)])

    assert_linear(prepare, sized(1_000, 10_000))


def test_many_symbols_are_assembled_and_observed_in_linear_time() -> None:
    """A minute of every symbol in three intervals."""

    def prepare(number: int) -> Callable[[], object]:
        bars = [
            a_bar(symbol=f"S{n}", interval=interval, raw_offset=n)
            for n in range(number)
            for interval in ("1m", "5m", "1h")
        ]
        parts = [
            a_part([bar for bar in bars if home(bar.symbol) == partition], partition=partition)
            for partition in sorted({home(bar.symbol) for bar in bars})
        ]

        def observed() -> int:
            batch, _ = assemble([again(part) for part in parts])
            return len(Book().observe(batch.rows).cursors)

        assert observed() == len(bars)
        return observed

    assert_linear(prepare, sized(500, 10_000))


def test_cutting_down_to_one_record_costs_a_few_times_the_batch() -> None:
    """Each level of halves decodes the batch once: n log n."""

    def prepare(number: int) -> Callable[[], object]:
        part = a_part([a_trade(raw_offset=n) for n in range(number)])

        def cut() -> int:
            batch, levels = assemble([again(part)])[0], 0
            while batch.records > 1:
                batch, levels = halves(batch)[1], levels + 1
            return levels

        return cut

    assert_linear(prepare, sized(1_000, 20_000))
