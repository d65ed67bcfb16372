"""Taking partitions over on a real database: who had them before can write no more."""

from __future__ import annotations

import pytest

from schemas.errors import Fenced, StoreUnavailable
from schemas.topics import BARS, EVIDENCE, PROGRESS
from sinks.progress.positions import EpochStart, Log, StoredPosition
from sinks.store.shell import writer as writing
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


async def test_a_log_cut_and_grown_again_is_a_gap_and_is_read_from_the_cut(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Position and epoch move back with the evidence or not at all; a batch of unknown epoch does not unlearn it."""
    place, stores = (BARS, home("SPY")), Store(database, write_within_s=WITHIN_S)
    async with stores.take_over(logs(leader_epoch=3), now_us=NOW) as writer:
        await writer.write(a_batch(writer, *(a_minute(n) for n in range(5))))
    stored = StoredPosition(topic_id="one", next_offset=5, leader_epoch=3)
    assert await stores.stored([place]) == {place: stored}
    grown = logs(leader_epoch=4)
    grown[place] = Log(topic_id="one", start=0, end=9, leader_epoch=4, newer=EpochStart(offset=2, epoch=4))

    with monkeypatch.context() as patch:
        patch.setattr(writing, "write_evidence", killed)
        with pytest.raises(KeyboardInterrupt):
            async with stores.take_over(grown, now_us=NOW):
                pass
    assert await stores.stored([place]) == {place: stored}

    for newer in (grown[place].newer, None):
        grown[place] = Log(topic_id="one", start=0, end=9, leader_epoch=4, newer=newer)
        async with stores.take_over(grown, now_us=NOW) as writer:
            assert writer.positions[place] == 2
    assert (await stores.stored([place]))[place].leader_epoch == 4
    async with stores.take_over(logs(leader_epoch=4), now_us=NOW) as writer:
        await writer.write(a_batch(writer, a_minute(7)))
        assert writer.positions[place] == 3

    assert [r[0] for r in await query(database, "SELECT raw_offset FROM v_bars_all ORDER BY 1")] == [
        0,
        1,
        2,
        3,
        4,
        7,
    ]
    told = await query(database, "SELECT stream, cause FROM gap_evidence ORDER BY stream")
    assert [tuple(each) for each in told] == [
        (stream, "log_truncated") for stream in ("bars.1m:yahoo:SPY", f"bars.v1/{home('SPY')}")
    ]


async def killed(*_: object) -> None:
    """End as a killed process does."""
    raise KeyboardInterrupt


@pytest.mark.parametrize("topic", [EVIDENCE, PROGRESS, "cadence.v1"])
async def test_a_truncated_log_without_rows_is_read_on_from_its_start(database: str, topic: str) -> None:
    """Also where no other log is truncated: read on from what is gone, it would be looked at again for ever."""
    number = home("SPY")
    cut = {(topic, number): Log(topic_id="one", start=50, end=100)}
    stores = Store(database, write_within_s=WITHIN_S)
    async with stores.take_over({place: Log(topic_id="one", start=0, end=9) for place in cut}, now_us=NOW):
        pass
    for _ in range(2):
        async with stores.take_over(cut, now_us=NOW) as writer:
            assert writer.positions == {(topic, number): 50}

    assert (await stores.stored(list(cut)))[topic, number].next_offset == 50


async def test_another_topic_is_refused_and_the_others_go_on(database: str) -> None:
    """Only the partition that does not fit is left out."""
    await store(database, [a_minute(0)])
    wrong = (BARS, home("SPY"))
    other = logs() | {wrong: Log(topic_id="another", start=0, end=100)}

    async with Store(database, write_within_s=WITHIN_S).take_over(other, now_us=NOW) as writer:
        assert set(writer.refused) == {wrong}
        assert set(writer.positions) == set(ALL) - {wrong}
