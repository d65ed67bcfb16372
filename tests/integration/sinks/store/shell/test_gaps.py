"""The ledger of gaps in a real database: found, split, closed, and one for both detectors."""

from __future__ import annotations

import pytest

from schemas.intervals import MINUTE_US
from schemas.records import Gap
from schemas.topics import (
    GAPS,
)
from schemas.wire.codec import decode
from tests.support.builders import NINE_THIRTY, a_gap
from tests.support.sink_records import count, query
from tests.support.sink_writers import a_batch, a_minute, a_writer, store


async def ledger(dsn: str) -> list[tuple[int, int, str]]:
    """Return (first minute, end minute, state) of the gaps."""
    rows = await query(
        dsn,
        "SELECT extract(epoch FROM from_time)::bigint f, extract(epoch FROM to_time)::bigint t, state FROM gaps ORDER BY 1",
    )
    return [
        ((r["f"] - NINE_THIRTY // 10**6) // 60, (r["t"] - NINE_THIRTY // 10**6) // 60, r["state"])
        for r in rows
    ]


async def test_a_late_bar_is_a_version_of_its_own_time(database: str) -> None:
    """It is stored, and the cursor stays where it was."""
    await store(database, [a_minute(0), a_minute(5)], [a_minute(3, raw_offset=9)])

    (cursor,) = await query(database, "SELECT start_time, last_seen FROM v_streams")
    assert (cursor["last_seen"] - cursor["start_time"]).seconds == 300
    assert await count(database, "v_bars_all") == 3


async def test_a_hole_is_found_split_and_closed(database: str) -> None:
    """The cursor moves over bars: a gap. Bars arrive: it is trimmed, split, and at last filled; each change is published."""
    async with a_writer(database) as writer:
        await writer.write(a_batch(writer, a_minute(0), a_minute(7)))
        assert await ledger(database) == [(1, 7, "open")]
        await writer.write(a_batch(writer, a_minute(3, raw_offset=20)))
        assert await ledger(database) == [(1, 3, "open"), (3, 4, "filled"), (4, 7, "open")]
        await writer.write(a_batch(writer, a_minute(1, raw_offset=21), a_minute(2, raw_offset=21, index=1)))
        assert await ledger(database) == [(1, 4, "filled"), (4, 7, "open")]
        await writer.write(a_batch(writer, *(a_minute(n, raw_offset=22, index=n) for n in (4, 5, 6))))
        assert await ledger(database) == [(1, 7, "filled")]

    published = [
        decode(GAPS, r["value"], Gap) for r in await query(database, "SELECT * FROM outbox ORDER BY id")
    ]
    last = {gap.gap_id: gap.state for gap in published}
    assert len(last) > 1 and set(last.values()) == {"filled"}


@pytest.mark.parametrize("gap_first", [True, False])
async def test_the_processors_gap_and_the_sinks_hole_are_one(database: str, gap_first: bool) -> None:
    """Whichever is read first, one row remains, with the processor's evidence; reading it back changes nothing."""
    signal = a_gap(
        gap_id="x",
        from_time=NINE_THIRTY + MINUTE_US,
        to_time=NINE_THIRTY + 3 * MINUTE_US,
        expected=2,
        raw_offset=3,
    )
    bars = [a_minute(0), a_minute(3)]
    log = [[signal], bars] if gap_first else [bars, [signal]]

    await store(database, *log)
    await store(database, [signal])

    (row,) = await query(database, "SELECT detector, raw_offset, expected, state FROM gaps")
    assert tuple(row) == ("processor", 3, 2, "open")


async def test_what_the_sink_published_changes_nothing_when_read_back(database: str) -> None:
    """Its own gap records come back through the topic and are no news."""
    await store(database, [a_minute(0), a_minute(7)], [a_minute(3, raw_offset=20)])
    published = [
        decode(GAPS, r["value"], Gap) for r in await query(database, "SELECT value FROM outbox ORDER BY id")
    ]
    before = await query(database, "SELECT * FROM gaps ORDER BY gap_id")

    (again,) = await store(database, published)

    assert await query(database, "SELECT * FROM gaps ORDER BY gap_id") == before
    assert again.outgoing == 0
