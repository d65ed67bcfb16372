"""Bits of absent bars in a real database: set by evidence, cleared by bars, after any take-over."""

from __future__ import annotations

import pytest

from schemas.calendar.sessions import calendar_of
from schemas.intervals import DAY_US, MINUTE_US
from sinks.store.shell.writer import Store
from tests.support.builders import a_bar, an_evidence
from tests.support.expected_starts import expected_starts
from tests.support.growth import CountingConnection
from tests.support.ledger_rows import at, bits, ledger, told
from tests.support.sink_records import query
from tests.support.sink_writers import NOW, a_batch, a_minute, logs, store


async def test_a_jump_alone_is_no_gap(database: str) -> None:
    """Whether bars are missing is said by evidence; an absence sets bits and makes no row of the work queue."""
    await store(database, [told(0, None, "collected"), a_minute(0), a_minute(7), told(1, 7, "absent")])

    assert await ledger(database) == []
    assert await bits(database) == [([1, 2, 3, 4, 5, 6], [])]
    (row,) = await query(database, "SELECT expected, absent, empty FROM v_coverage")
    assert tuple(row) == (390, 6, 0)
    assert [row["kind"] for row in await query(database, "SELECT kind FROM v_gap_evidence")] == ["collected"]


async def test_late_bars_and_verdicts_change_the_bits(database: str) -> None:
    """Also after a take-over, where nothing is remembered; a session without bits has no row."""
    await store(database, [a_minute(0), a_minute(7), told(1, 7, "absent")])
    await store(database, [a_minute(3, raw_offset=20)])
    assert await bits(database) == [([1, 2, 4, 5, 6], [])]
    await store(database, [told(4, 6, "empty", 21)])
    assert await bits(database) == [([1, 2, 6], [4, 5])]
    await store(database, [a_minute(n, raw_offset=22, index=n) for n in (1, 2, 4, 5, 6)])
    assert await bits(database) == []


@pytest.mark.parametrize("bars_first", [True, False])
async def test_bits_of_days_lie_in_their_year(database: str, bars_first: bool) -> None:
    """Wherever in its day the vendor stamps a bar; a stretch over New Year is two rows."""
    midnight = at(0) - at(0) % DAY_US
    day = {"interval": "1d", "known_from": at(10**6)}
    absent = an_evidence(
        kind="absent", stream="bars.1d:yahoo:SPY", from_time=midnight, to_time=midnight + 100 * DAY_US, **day
    )
    bars = [
        a_bar(event_time=midnight + n * DAY_US + n * MINUTE_US, raw_offset=n, **day) for n in (0, 2, 3, 99)
    ]
    await store(database, *([[*bars], [absent]] if bars_first else [[absent], [*bars]]))

    days = expected_starts(calendar_of("SPY"), "1d", midnight, midnight + 100 * DAY_US)
    rows = await query(database, "SELECT start_time, expected, absent FROM v_coverage ORDER BY start_time")
    assert [(row["start_time"].year, row["expected"]) for row in rows] == [(2013, 252), (2014, 252)]
    assert sum(row["absent"] for row in rows) == len(days) - 4
    assert await ledger(database) == []


async def test_bars_that_follow_what_is_missing_ask_for_nothing(database: str) -> None:
    """The live path: an absence of this morning costs a comparison a series, not a question a batch."""
    await store(database, [a_minute(0), a_minute(7), told(1, 7, "absent")])
    statements = []
    async with Store(database, write_within_s=60.0, connection_class=CountingConnection).take_over(
        logs(), now_us=NOW
    ) as writer:
        for minute in (8, 9, 10, 3, 11):
            CountingConnection.forget()
            await writer.write(a_batch(writer, a_minute(minute, raw_offset=100 + minute)))
            statements.append(CountingConnection.statements)

    assert statements[1] == statements[2] == statements[4] < statements[3]
    assert await bits(database) == [([1, 2, 4, 5, 6], [])]
