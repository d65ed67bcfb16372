"""What a committed transaction did, as the metrics say it."""

from __future__ import annotations

import pytest

from infra.runtime.clock import wall_us
from infra.runtime.metrics import REGISTRY
from schemas.intervals import HOUR_US, MINUTE_US
from schemas.records import Gap
from schemas.streams import Bar, Trade
from schemas.topics import BARS
from sinks.batch.batch import Batch, assemble
from sinks.ledger.gaps import Revision
from sinks.store.shell.outcome import Written, count, forget
from sinks.store.shell.rows import StoredRows, WritePath
from tests.support.builders import NINE_THIRTY, a_bar, a_gap, a_trade
from tests.support.eventually import eventually
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


def test_the_lag_is_that_of_the_newest_row_of_each_interval() -> None:
    """An interval nobody declared is one label with all of its kind."""
    now = wall_us()
    bars = [
        a_bar(event_time=NINE_THIRTY + n * MINUTE_US, known_from=now - age, raw_offset=n, index=n)
        for n, age in enumerate((3 * HOUR_US, 2 * HOUR_US))
    ]

    count(Written(path=WritePath.FAST, tables=[stored(batch_of(bars))]), took_s=0.1)

    assert shown("ingestion_lag_seconds", interval="1m") == pytest.approx(2 * 3_600, abs=60)


def test_gaps_letters_and_watermarks_are_shown() -> None:
    """A gap of no interval has one all the same: labels must stay few."""
    gaps = "gaps_found_total"
    before = shown(gaps, interval="1m"), shown(gaps, interval="other")
    found: list[Gap] = [a_gap(), a_gap(gap_id="x", interval="")]
    written = Written(
        path=WritePath.FAST,
        revisions=[(0, Revision(written=found, deleted=[], found=found, announced=[]))],
        watermarks={(BARS, 3): wall_us() - HOUR_US},
    )

    count(written, took_s=0.1)

    assert shown(gaps, interval="1m") - before[0] == 1
    assert shown(gaps, interval="other") - before[1] == 1
    assert shown("mds_watermark_lag_seconds", topic=BARS, partition="3") == pytest.approx(3_600, abs=60)


async def test_what_stands_still_gets_older() -> None:
    """The ages are those of the scrape, not of the last batch; they end with the partitions they are of."""
    now = wall_us()
    batch = batch_of([a_bar(known_from=now - HOUR_US)])
    count(Written(tables=[stored(batch)], watermarks={(BARS, 2): now - HOUR_US}), took_s=0.1)
    lags = (
        ("ingestion_lag_seconds", {"interval": "1m"}),
        ("mds_watermark_lag_seconds", {"topic": BARS, "partition": "2"}),
    )
    first = [shown(name, **labels) for name, labels in lags]

    await eventually(
        lambda: all(shown(name, **labels) > seen for (name, labels), seen in zip(lags, first, strict=True)),
        within_s=10,
    )
    forget()

    assert [REGISTRY.get_sample_value(name, labels) for name, labels in lags] == [None, None]


def test_the_outcomes_of_a_batch_that_was_cut_add_up() -> None:
    """Several transactions are one outcome; one that compared is said."""
    batch, total = batch_of([a_trade()]), Written()

    for path in (WritePath.FAST, WritePath.STAGED, WritePath.FAST):
        total.add(
            Written(path=path, transactions=1, tables=[stored(batch)], watermarks={(BARS, 3): 7}, outgoing=2)
        )

    assert (total.path, total.transactions, len(total.tables)) == (WritePath.STAGED, 3, 3)
    assert (total.watermarks, total.outgoing) == ({(BARS, 3): 7}, 6)
