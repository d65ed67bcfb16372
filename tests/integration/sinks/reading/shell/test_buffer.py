"""Batches of any size, as the reading thread cuts them, leave the same database."""

from __future__ import annotations

import pytest

from schemas.topics import DEFAULT_PARTITIONS
from sinks.reading.shell.buffer import Buffer
from tests.support.backfilled_log import BLOCK_BARS, BackfilledLog, symbols_by_partition
from tests.support.sink_records import query
from tests.support.sink_writers import a_writer

VIEWS = ("v_bars", "v_bars_all", "v_bars_forming", "v_streams", "v_gaps")
POSITIONS = "SELECT topic, partition, next_offset, leader_epoch FROM sink_offsets ORDER BY 1, 2"
EMPTY = "TRUNCATE streams, bars, bars_superseded, bars_forming, gaps, watermarks, outbox, sink_offsets"


@pytest.fixture(scope="module")
def log() -> BackfilledLog:
    """Three blocks of 5,000 bars in two partitions, the second block told over the first."""
    symbols = symbols_by_partition()
    return BackfilledLog({number: symbols[number] for number in (0, 1)}, blocks=3)


async def test_batches_of_any_allowed_size_leave_the_same_database(database: str, log: BackfilledLog) -> None:
    """Rows, versions, streams, holes and positions."""
    left, sizes = {}, (20_000, 1, 7, BLOCK_BARS - 1, BLOCK_BARS + 1, 200_000)
    for size in sizes:
        await query(database, EMPTY)
        async with a_writer(database) as writer:
            for batch in log.read(Buffer(size, DEFAULT_PARTITIONS)):
                await writer.write(batch)
        rows = {view: sorted(map(repr, await query(database, f"TABLE {view}"))) for view in VIEWS}
        left[size] = rows | {"positions": list(map(repr, await query(database, POSITIONS)))}

    assert len(left[20_000]["v_bars"]) == log.partitions * BLOCK_BARS * 2
    assert len(left[20_000]["v_bars_all"]) == log.records
    assert [size for size in sizes if left[size] != left[20_000]] == []
