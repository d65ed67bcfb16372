"""Taking partitions over on a real database: who had them before can write no more."""

from __future__ import annotations

import pytest

from schemas.errors import Fenced, StoreUnavailable
from schemas.topics import (
    BARS,
)
from sinks.progress.positions import Log
from sinks.store.shell.writer import Store
from tests.support.received import home
from tests.support.sink_records import count, query
from tests.support.sink_writers import ALL, NOW, WITHIN_S, a_batch, a_minute, a_writer, logs, store


async def test_a_predecessor_is_cut_off(database: str) -> None:
    """Its connection is terminated when somebody takes over, and nothing it still writes is kept."""
    async with a_writer(database) as first:
        await first.write(a_batch(first, a_minute(0)))
        async with a_writer(database) as second:
            with pytest.raises(StoreUnavailable):
                await first.write(a_batch(first, a_minute(1)))
            await second.write(a_batch(second, a_minute(1, raw_offset=77)))

    assert [r[0] for r in await query(database, "SELECT raw_offset FROM v_bars_all ORDER BY 1")] == [0, 77]


async def test_an_older_epoch_is_fenced(database: str) -> None:
    """Where the connection outlives the taking over, the position refuses it and its rows are rolled back."""
    async with a_writer(database) as writer:
        await writer.write(a_batch(writer, a_minute(0)))
        await query(database, "UPDATE sink_offsets SET owner_epoch = owner_epoch + 1")

        with pytest.raises(Fenced):
            await writer.write(a_batch(writer, a_minute(1)))

    assert await count(database, "v_bars_all") == 1


async def test_a_position_that_moved_meanwhile_is_fenced(database: str) -> None:
    """The position must be where this writer left it."""
    async with a_writer(database) as writer:
        await query(database, "UPDATE sink_offsets SET next_offset = 5 WHERE topic = 'bars.v1'")

        with pytest.raises(Fenced):
            await writer.write(a_batch(writer, a_minute(0)))

    assert await count(database, "v_bars_all") == 0


async def test_a_truncated_log_is_a_gap_and_the_sink_goes_on_at_its_start(database: str) -> None:
    """What is lost is named of the partition and of each of its series, once, and published."""
    await store(database, [a_minute(n) for n in range(3)])
    number = home("SPY")
    cut = logs() | {(BARS, number): Log(topic_id="one", start=50, end=100)}
    for _ in range(2):
        async with Store(database, write_within_s=WITHIN_S).take_over(cut, now_us=NOW) as writer:
            assert writer.positions[BARS, number] == 50

    gaps = await query(
        database, "SELECT stream, cause, confidence, state, partition FROM gaps ORDER BY stream"
    )
    assert [tuple(gap) for gap in gaps] == [
        (stream, "log_truncated", "proven", "open", number)
        for stream in ("bars.1m:yahoo:SPY", f"bars.v1/{number}")
    ]
    assert await count(database, "outbox") == await count(database, "gap_evidence") == 2


async def test_another_topic_is_refused_and_the_others_go_on(database: str) -> None:
    """Only the partition that does not fit is left out."""
    await store(database, [a_minute(0)])
    wrong = (BARS, home("SPY"))
    other = logs() | {wrong: Log(topic_id="another", start=0, end=100)}

    async with Store(database, write_within_s=WITHIN_S).take_over(other, now_us=NOW) as writer:
        assert set(writer.refused) == {wrong}
        assert set(writer.positions) == set(ALL) - {wrong}
