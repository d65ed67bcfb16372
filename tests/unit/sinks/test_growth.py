"""What the outside decides the size of costs in proportion to it: nothing grows with the square."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from schemas.intervals import MINUTE_US
from schemas.records import Gap
from sinks.batch.batch import PartitionRecords, assemble
from sinks.batch.cutting import halves
from sinks.ledger.gaps import admit, revise, settle
from sinks.ledger.memory import Book
from tests.support.builders import a_bar, a_gap, a_trade
from tests.support.growth import MIDNIGHT, SPARSE, assert_linear, sized, sparse_bars
from tests.support.received import a_part, home


def again(part: PartitionRecords) -> PartitionRecords:
    """Return a part with records of its own: what takes a batch apart may change it."""
    return replace(part, records=list(part.records))


def test_sparse_bars_of_one_series_are_decided_in_linear_time() -> None:
    """Found as holes, admitted, settled and told apart (9,000 of them in one batch stopped a partition for ever)."""

    def prepare(number: int) -> Callable[[], object]:
        batch, _ = assemble([a_part(sparse_bars(number))])

        def decide() -> int:
            changes = Book().observe(batch.rows)
            (arrived,) = changes.arrivals.values()
            ledger = settle(admit([], [gap for _, gap in changes.holes]), arrived.starts())
            return len(revise([], ledger, ()).written)

        assert decide() == number - 1
        return decide

    assert_linear(prepare, sized(1_000, 10_000))


def test_evidence_that_overlaps_in_any_way_is_admitted_in_linear_time() -> None:
    """One long gap under many short ones, short ones under each other, and verdicts on all of them."""

    def gap(low: int, high: int, **changes: object) -> Gap:
        start, end = MIDNIGHT + low * MINUTE_US, MIDNIGHT + high * MINUTE_US
        return replace(
            a_gap(symbol=SPARSE, stream=f"bars.1m:yahoo:{SPARSE}", from_time=start, to_time=end),
            **changes,  # type: ignore[arg-type]
        )

    def prepare(number: int) -> Callable[[], object]:
        known = admit([], [gap(4 * n, 4 * n + 2, raw_offset=n) for n in range(number)])
        news = [gap(0, 4 * number, cause="producer_down")]
        news += [gap(4 * n + 1, 4 * n + 9, raw_offset=number + n) for n in range(number)]
        news += [gap(8 * n, 8 * n + 3, state="empty") for n in range(number // 2)]
        return lambda: revise(known, admit(known, news), ())

    assert_linear(prepare, sized(500, 10_000))


def test_a_ledger_of_many_open_gaps_is_settled_in_linear_time() -> None:
    """Every bar that was missing arrives; or every second one of each."""

    def prepare(number: int) -> Callable[[], object]:
        starts = [MIDNIGHT + 20 * n * MINUTE_US for n in range(number)]
        ledger = admit(
            [],
            [
                a_gap(
                    symbol=SPARSE, stream=f"bars.1m:yahoo:{SPARSE}", from_time=start, raw_offset=n,
                    to_time=start + 10 * MINUTE_US,
                )
                for n, start in enumerate(starts)
            ],
        )  # fmt: skip
        arrived = [start + n * MINUTE_US for start in starts for n in range(0, 10, 2)]
        return lambda: settle(ledger, arrived)

    assert_linear(prepare, sized(500, 10_000))


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
