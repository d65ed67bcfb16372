"""Sizes the outside decides, on the real database: within the time a transaction has, in a number of steps that is fixed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import asyncpg
import pytest

from infra.runtime.clock import monotonic_s
from schemas.intervals import DAY_US, MINUTE_US
from schemas.records import Evidence
from schemas.streams import Bar
from schemas.topics import BARS, DEFAULT_PARTITIONS, EVIDENCE
from schemas.wire.codec import encode
from schemas.wire.framing import StreamedRecord, write_record
from sinks.replay import replay
from sinks.settings import SinkSettings
from sinks.store.shell.coverage import LOAD_COVERAGE, LOAD_COVERED, LOAD_REACH
from sinks.store.shell.gaps import LOAD_EVIDENCE, LOAD_GAPS
from sinks.store.shell.outcome import Written
from sinks.store.shell.writer import Store, Writer
from tests.support.builders import NINE_THIRTY, a_bar, a_trade, an_evidence
from tests.support.databases import execute
from tests.support.growth import MIDNIGHT, SPARSE, CountingConnection, sized, sparse_bars
from tests.support.plans import plan_of
from tests.support.received import home
from tests.support.sink_records import count, query
from tests.support.sink_writers import NOW, a_batch, logs

WITHIN_S = SinkSettings.model_fields["write_timeout_s"].default


def target(database: str, *, within_s: float = WITHIN_S) -> Store:
    """Return a store that counts its steps, with the time a transaction has by default."""
    CountingConnection.forget()
    return Store(database, write_within_s=within_s, connection_class=CountingConnection)


async def written(database: str, records: Sequence[Any]) -> Written:
    """Store records as one batch."""
    async with target(database).take_over(logs(), now_us=NOW) as writer:
        return await writer.write(a_batch(writer, *records))


def a_blind(low: int, high: int, symbol: str = SPARSE, **changes: Any) -> Evidence:
    """Return that nobody watched minutes [low, high) after midnight."""
    fields: dict[str, Any] = {
        "symbol": symbol, "stream": f"bars.1m:yahoo:{symbol}", "from_time": MIDNIGHT + low * MINUTE_US,
        "to_time": MIDNIGHT + high * MINUTE_US, "known_from": MIDNIGHT + 10**14,
    }  # fmt: skip
    return an_evidence(**(fields | changes))


@pytest.mark.timeout(0)
async def test_sparse_bars_of_one_series_are_one_transaction(database: str) -> None:
    """Ten thousand of them in a stretch nobody watched never committed: 20 s, and again at every retry."""
    number = sized(1_500, 10_000)

    outcome = await written(database, [*sparse_bars(number), a_blind(0, 2 * number)])

    assert outcome.transactions == 1
    assert await count(database, "v_bars") == number
    assert await count(database, "gaps") == 2 * number


async def test_the_loop_answers_while_a_ledger_is_decided(database: str) -> None:
    """Health and outbox share it: 4,000 sparse bars used to hold it for three seconds."""
    longest_s, last_s, done = 0.0, monotonic_s(), asyncio.Event()

    async def beat() -> None:
        nonlocal longest_s, last_s
        while not done.is_set():
            await asyncio.sleep(0.005)
            longest_s, last_s = max(longest_s, monotonic_s() - last_s), monotonic_s()

    async with target(database).take_over(logs(), now_us=NOW) as writer:
        batch = a_batch(
            writer, *sparse_bars(4_000), a_blind(0, 8_000), a_blind(0, 8_000, kind="absent", index=1)
        )
        last_s = monotonic_s()
        beating = asyncio.create_task(beat())
        await writer.write(batch)
        done.set()
        await beating

    assert longest_s < 1.0


async def test_the_steps_of_a_batch_do_not_grow_with_it(database: str) -> None:
    """As many statements for 100 sparse bars as for 400."""
    statements = []
    for times in (1, 2, 4):
        async with target(database).take_over(logs(), now_us=NOW) as writer:
            CountingConnection.forget()
            bars = [
                a_bar(symbol=f"SIM{times}", event_time=MIDNIGHT + 2 * n * MINUTE_US, raw_offset=n, index=n)
                for n in range(100 * times)
            ]
            told = [a_blind(3 * n, 3 * n + 2, f"SIM{times}", raw_offset=n) for n in range(10 * times)]
            absent = a_blind(0, 500, f"SIM{times}", kind="absent", index=1)
            await writer.write(a_batch(writer, *bars, *told, absent))
            statements.append(CountingConnection.statements)

    assert len(set(statements)) == 1, statements


@pytest.mark.timeout(0)
async def test_poison_does_not_leave_the_fast_path(database: str) -> None:
    """One row of twenty: the others are copied, in one transaction, and every refused one is a letter."""
    number = sized(2_000, 20_000)
    records = [
        a_trade(raw_offset=n, trade_id=str(n), venue="a\0" if n % 20 == 7 else "Q") for n in range(number)
    ]

    outcome = await written(database, records)

    assert (outcome.transactions, outcome.tables[0].fast) == (1, number - number // 20)
    assert await count(database, "outbox") == number // 20


async def unresolved(database: str, number: int) -> None:
    """Make so many unresolved gaps of 50 series, each a minute of every twenty."""
    await query(
        database,
        """
        INSERT INTO gaps (gap_id, stream, symbol, provider, interval, from_time, to_time, cause, confidence, state,
            generation, expected, detector, known_from, raw_offset, idx, partition)
        SELECT n::text, 'bars.1m:yahoo:SIM' || n % 50, 'SIM' || n % 50, 'yahoo', '1m', f, f + interval '1 minute',
            'missing_bars', 'inferred', 'open', 0, 1, 'processor', f, n, 0, 0
        FROM (
            SELECT n, timestamptz '2013-10-07 UTC' - n / 50 * interval '20 minutes' AS f FROM generate_series(0, $1 - 1) n
        ) numbered
        """,
        number,
    )
    await query(
        database,
        """
        INSERT INTO gap_evidence SELECT stream, from_time, to_time, known_from, raw_offset, idx, expected, partition, 'blind',
            symbol, provider, interval, cause, detector, '' FROM gaps
        """,
    )
    await query(
        database,
        """
        INSERT INTO coverage SELECT stream_id_of('bars', '1m', 'yahoo', 'SIM' || s), timestamptz '2013-10-06Z' - n * interval '1 day',
            1440, '\\x0f', '' FROM generate_series(0, 49) s, generate_series(0, $1::bigint / 200) n
        """,
        number,
    )
    await execute(database, "ANALYZE gaps, gap_evidence, coverage")


@pytest.mark.timeout(0)
async def test_taking_over_does_not_read_the_unresolved_gaps(database: str) -> None:
    """A million of them froze the sink for seconds, six million for 22 s: they are asked for by index, as bars arrive."""
    await written(database, [a_bar(symbol="SIM0")])  # so that the partitions of its month are there
    rows, took_s = [], []
    sizes = [sized(1_000, 250_000) * times for times in (1, 2, 4)]
    for size in sizes:
        await execute(database, "TRUNCATE gaps, gap_evidence, coverage, streams, bars, sink_offsets")
        await unresolved(database, size)
        began_s = monotonic_s()
        async with target(database).take_over(logs(), now_us=NOW) as writer:
            bars = [a_bar(symbol=f"SIM{n}", raw_offset=n) for n in range(50)]
            await writer.write(a_batch(writer, *bars))
            took_s.append(monotonic_s() - began_s)
            rows.append(CountingConnection.rows)

    assert len(set(rows)) == 1, rows
    assert max(took_s) < 10


async def test_a_bar_that_arrives_late_finds_its_gap_without_the_others_being_known(database: str) -> None:
    """After a take-over nothing is remembered: the reach of the series is asked for, once, and then its rows."""
    await unresolved(database, 500)
    async with target(database).take_over(logs(), now_us=NOW) as writer:
        late = a_bar(symbol="SIM7", event_time=MIDNIGHT - 3 * 20 * MINUTE_US)
        await writer.write(a_batch(writer, late))
        first = CountingConnection.statements
        await writer.write(a_batch(writer, a_bar(symbol="SIM7", event_time=MIDNIGHT + DAY_US, raw_offset=1)))
        second = CountingConnection.statements - first

    states = await query(
        database, "SELECT state, count(*) FROM gaps WHERE stream LIKE '%SIM7' GROUP BY state"
    )
    filled = await query(database, "SELECT from_time FROM gaps WHERE state = 'filled'")
    assert {row["state"]: row["count"] for row in states}["filled"] == 1
    assert len(filled) == 1
    assert second < first


STRETCH = "ARRAY['2013-10-07Z'::timestamptz], ARRAY['2013-10-08Z'::timestamptz]"
OF_SERIES = "ARRAY[stream_id_of('bars', '1m', 'yahoo', 'SIM3')]"


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        (LOAD_REACH, "ARRAY['bars.1m:yahoo:SIM3']"),
        (LOAD_COVERED, OF_SERIES),
        (LOAD_COVERAGE, f"{OF_SERIES}, {STRETCH}"),
        (LOAD_EVIDENCE, f"ARRAY['bars.1m:yahoo:SIM3'], ARRAY['SIM3'], {STRETCH}"),
        (LOAD_GAPS, f"ARRAY['bars.1m:yahoo:SIM3'], {STRETCH}"),
    ],
    ids=["reach", "covered", "coverage", "evidence", "gaps"],
)
async def test_the_ledger_is_asked_by_index(database: str, statement: str, values: str) -> None:
    """However many gaps there are, none is looked at that is not of the series and near the stretch."""
    await unresolved(database, sized(20_000, 1_000_000))
    connection = await asyncpg.connect(database)
    try:
        plan = await plan_of(connection, statement, values)
    finally:
        await connection.close()

    assert plan.is_bounded
    assert plan.rows_read <= 200


def a_stream_of(records: Sequence[Bar], evidence: Sequence[Any] = ()) -> BytesIO:
    """Return a record stream as the processors' replay writes it."""
    out = BytesIO()
    for topic, each in ((BARS, records), (EVIDENCE, evidence)):
        for offset, record in enumerate(each):
            write_record(
                out,
                StreamedRecord(
                    topic=topic, partition=home(record.symbol), offset=offset, append_time=5_000, key=b"k",
                    value=encode(topic, record),
                ),
            )  # fmt: skip
    out.seek(0)
    return out


@pytest.mark.timeout(0)
async def test_a_replay_of_sparse_bars_ends(database: str) -> None:
    """Fourteen thousand rows died after a minute: the server ends a transaction in which we think for 30 s."""
    number = sized(1_500, 14_000)

    stream = a_stream_of(sparse_bars(number), [a_blind(0, 2 * number)])
    await replay(target(database, within_s=300.0), stream, DEFAULT_PARTITIONS)

    assert await count(database, "v_bars") == number
    assert await count(database, "gaps") == 2 * number


@pytest.mark.timeout(0)
async def test_a_minute_of_every_symbol_is_one_transaction(database: str) -> None:
    """Three intervals of each; and the next minute, when all of them are known."""
    symbols = sized(300, 10_000)

    def minute(number: int) -> list[Bar]:
        return [
            a_bar(
                symbol=f"S{n}", interval=interval, raw_offset=number * symbols + n,
                event_time=NINE_THIRTY + number * step,
            )
            for n in range(symbols)
            for interval, step in (("1m", MINUTE_US), ("5m", 5 * MINUTE_US), ("1h", 60 * MINUTE_US))
        ]  # fmt: skip

    async with target(database).take_over(logs(), now_us=NOW) as writer:
        outcomes = [await _stored(writer, minute(number)) for number in range(3)]

    assert [outcome.transactions for outcome, _ in outcomes] == [1, 1, 1]
    assert await count(database, "v_bars") == 9 * symbols
    assert await count(database, "gaps") == 0


async def _stored(writer: Writer, records: Sequence[Any]) -> tuple[Written, float]:
    began_s = monotonic_s()
    return await writer.write(a_batch(writer, *records)), monotonic_s() - began_s
