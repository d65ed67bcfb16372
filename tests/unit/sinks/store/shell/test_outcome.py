"""What a committed transaction did, as the metrics say it."""

from __future__ import annotations

from infra.runtime.metrics import REGISTRY
from schemas.records import Gap
from schemas.streams import Bar, Trade
from schemas.topics import BARS
from sinks.batch.batch import Batch, assemble
from sinks.ledger.gaps import Revision
from sinks.store.shell.outcome import Written, count
from sinks.store.shell.rows import StoredRows, WritePath
from tests.support.builders import a_gap, a_trade
from tests.support.received import a_part


def shown(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def batch_of(records: list[Bar] | list[Trade]) -> Batch:
    return assemble([a_part(records)])[0]


def stored(batch: Batch, *, fast: int = 0, compared: int = 0, versions: int = 0) -> StoredRows:
    (rows,) = batch.rows
    return StoredRows(rows=rows, fast=fast, compared=compared, versions=versions)


def test_rows_are_counted_by_the_way_they_went() -> None:
    """Those compared and found again are no rows written."""
    names = ("mds_rows_written_total", "mds_rows_unchanged_total")
    before = [
        shown(names[0], table="trades", path="fast"),
        shown(names[0], table="trades", path="compared"),
        shown(names[1], table="trades"),
    ]
    batch = batch_of([a_trade(index=n) for n in range(6)])

    count(Written(path=WritePath.FAST, tables=[stored(batch, fast=1, compared=5, versions=2)]), took_s=0.1)

    after = [
        shown(names[0], table="trades", path="fast"),
        shown(names[0], table="trades", path="compared"),
        shown(names[1], table="trades"),
    ]
    assert [later - earlier for earlier, later in zip(before, after, strict=True)] == [1, 2, 3]


def test_a_gap_that_was_counted_where_it_was_found_is_not_counted_again() -> None:
    """The processor has published it, and said so."""
    before = shown("gaps_found_total", interval="1m")
    found: list[Gap] = [a_gap()]

    count(
        Written(revisions=[(0, Revision(written=found, deleted=[], found=found, announced=[]))]), took_s=0.1
    )

    assert shown("gaps_found_total", interval="1m") == before


def test_the_outcomes_of_a_batch_that_was_cut_add_up() -> None:
    """Several transactions are one outcome; one that compared is said."""
    batch, total = batch_of([a_trade()]), Written()

    for path in (WritePath.FAST, WritePath.STAGED, WritePath.FAST):
        total.add(
            Written(path=path, transactions=1, tables=[stored(batch)], watermarks={(BARS, 3): 7}, outgoing=2)
        )

    assert (total.path, total.transactions, len(total.tables)) == (WritePath.STAGED, 3, 3)
    assert (total.watermarks, total.outgoing) == ({(BARS, 3): 7}, 6)
