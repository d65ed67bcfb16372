"""What one batch stores in the real database, how it is fenced, and what it refuses."""

# ruff: noqa: S608 - table names of this file only

from __future__ import annotations

import itertools
import random
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.runtime.postgres.session import copy
from schemas.clocks import date_of
from schemas.identity import stream_id_of
from schemas.intervals import DAY_US
from schemas.records import DeadLetter, Progress
from schemas.streams import OPTION_STREAM
from schemas.topics import BARS, DEFAULT_PARTITIONS, PROGRESS, QUOTES, RAW_BARS, TRADES, dead
from schemas.wire.codec import decode, encode
from sinks.batch.batch import PartitionRecords, assemble
from sinks.batch.groups import group_streams
from sinks.columns.avro import read_columns
from sinks.columns.copy import encode_rows
from sinks.columns.tables import TABLES, with_stored
from sinks.store.shell.rows import WritePath
from sinks.store.shell.session import open_connection
from sinks.store.shell.writer import Store
from tests.model.guard import new_versions
from tests.support.builders import NINE_THIRTY, a_bar, a_leg, a_quote, a_slice, a_trade, an_evidence
from tests.support.databases import of_partitions
from tests.support.received import home
from tests.support.sink_records import count, query
from tests.support.sink_writers import WITHIN_S, a_batch, a_minute, a_writer, store
from tests.support.stored_rows import stored_row

OPTIONS = OPTION_STREAM.topic


@pytest.mark.parametrize(
    ("topic", "records"),
    [
        (BARS, [a_bar(), a_bar(symbol="BRK.B", vwap=1.5, trade_count=7, final=False, index=1)]),
        (QUOTES, [a_quote(), a_quote(symbol="^GSPC", bid=None, delay_s=900, index=1)]),
        (
            OPTIONS,
            [
                a_slice(),
                a_slice(
                    symbol="^SPX",
                    root="SPXW",
                    index=1,
                    legs=[a_leg(quote_time=None), a_leg(strike=1e5, vendor_delta=-0.5)],
                ),
            ],
        ),
        (TRADES, [a_trade(), a_trade(symbol="naïve€", trade_id="t1é", venue="Q", index=1, event_time=-5)]),
    ],
)
async def test_our_copy_input_stores_what_asyncpgs_own_does(
    database: str, topic: str, records: list[Any]
) -> None:
    """Rows encoded here and rows encoded by asyncpg are equal in the database."""
    table = TABLES[topic]
    columns, _ = read_columns(topic, [encode(topic, record) for record in records])
    groups = group_streams(columns, table.stream)
    ids = np.array([stream_id_of(name) for name in groups.names])[groups.index]
    columns = with_stored(table, columns, ids)
    types = [column.type for column in table.columns]
    rows = [stored_row(table.stream, asdict(record)).values() for record in records]
    tuples = [tuple(map(_as_asyncpg_takes_it, types, row)) for row in rows]
    async with open_connection(database) as connection:
        moments = [record.event_time for record in records]
        await connection.execute("SELECT make_partitions($1, $2::timestamptz[])", table.name, moments)
        data = encode_rows(table.columns, columns, np.arange(2))
        await copy(connection, table.name, table.column_names, data)
        await connection.execute(f"CREATE TABLE theirs (LIKE {table.name})")
        await connection.copy_records_to_table("theirs", records=tuples, columns=list(table.column_names))

        assert await connection.fetchval(f"SELECT count(*) FROM {table.name}") == 2
        assert not await connection.fetch(
            f"(TABLE {table.name} EXCEPT TABLE theirs) UNION ALL (TABLE theirs EXCEPT TABLE {table.name})"
        )


def _as_asyncpg_takes_it(kind: str, value: Any) -> Any:
    """Return a value of a column: days as dates, letters as bytes."""
    if kind.endswith("[]"):
        return [_as_asyncpg_takes_it(kind.removesuffix("[]"), each) for each in value]
    if value is None or kind not in ("date", "char"):
        return value
    return date_of(value) if kind == "date" else value.encode()


@pytest.mark.parametrize("cuts", [(4,), (1, 1, 1, 1), (2, 2)], ids=["one batch", "one by one", "two by two"])
async def test_a_flip_back_is_stored_and_a_repeat_is_not(database: str, cuts: tuple[int, ...]) -> None:
    """A(10) A(11) B(12) A(13) of one bar are the versions 10, 12, 13, and the current one is the third."""
    bars = [
        a_bar(raw_offset=n, close=c, known_from=NINE_THIRTY + n)
        for n, c in ((10, 167.3), (11, 167.3), (12, 167.4), (13, 167.3))
    ]
    batches = [bars[sum(cuts[:n]) : sum(cuts[: n + 1])] for n in range(len(cuts))]

    await store(database, *batches)

    assert [r[0] for r in await query(database, "SELECT raw_offset FROM v_bars_all ORDER BY 1")] == [
        10,
        12,
        13,
    ]
    (current,) = await query(database, "SELECT raw_offset, revision, close FROM v_bars")
    assert tuple(current) == (13, 2, 167.3)


async def test_a_version_keeps_the_day_its_prices_are_adjusted_through_and_is_none_by_it(
    database: str,
) -> None:
    """Told again with a later day it is the bar that is stored; rebased it is a version in the shares of that day."""
    said = {"adjustment_state": "split", "known_from": NINE_THIRTY + DAY_US}
    first = a_bar(raw_offset=10, adjusted_through=16_227, **said)
    again = a_bar(raw_offset=11, adjusted_through=16_228, **said)
    rebased = a_bar(raw_offset=12, adjusted_through=16_230, open=1.0, high=1.0, low=1.0, close=1.0, **said)
    raw = a_minute(1, raw_offset=13)
    forming = a_minute(2, raw_offset=14, final=False, adjusted_through=16_230, **said)

    await store(database, [first], [again], [rebased, raw, forming])

    every = "SELECT raw_offset, revision, (adjusted_through - DATE '1970-01-01') FROM {} ORDER BY position"
    assert [tuple(row) for row in await query(database, every.format("v_bars_all"))] == [
        (10, 0, 16_227), (12, 1, 16_230), (13, 0, None),
    ]  # fmt: skip
    assert [tuple(row)[2] for row in await query(database, every.format("v_bars"))] == [16_230, None]
    assert [tuple(row)[2] for row in await query(database, every.format("v_bars_forming"))] == [16_230]


CONTENTS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([1.0, 2.0, -0.0, 0.0])), min_size=1, max_size=12
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=CONTENTS, quotes=st.booleans(), cuts=st.sets(st.integers(1, 11), max_size=3))
async def test_sql_and_the_pure_rule_store_the_same_versions(
    database: str, log: list[tuple[int, float]], quotes: bool, cuts: set[int]
) -> None:
    """For any log and any cutting, lag() and the lookup agree with the guard, and the newest tables with the history."""
    view = "v_quotes" if quotes else "v_bars_all"
    await query(
        database, "TRUNCATE quotes, quotes_latest, bars, bars_superseded, streams, sink_offsets, gaps"
    )
    records = [
        a_quote(event_time=NINE_THIRTY + key, last=value, raw_offset=n, known_from=NINE_THIRTY + DAY_US + n)
        if quotes
        else a_minute(key, close=value, raw_offset=n, known_from=NINE_THIRTY + DAY_US + n)
        for n, (key, value) in enumerate(log)
    ]
    edges = [0, *sorted(cut for cut in cuts if cut < len(log)), len(log)]

    await store(database, *(records[low:high] for low, high in itertools.pairwise(edges)))

    expected = {
        place[0]
        for key in {key for key, _ in log}
        for place in new_versions({}, [((n, 0), value) for n, (k, value) in enumerate(log) if k == key])
    }
    assert {r[0] for r in await query(database, f"SELECT raw_offset FROM {view}")} == expected
    if quotes:
        best = "SELECT DISTINCT ON (symbol, provider) * FROM v_quotes ORDER BY symbol, provider, event_time DESC, raw_offset DESC"
        assert await query(database, "TABLE v_quotes_latest") == await query(database, best)
    else:
        best = """SELECT DISTINCT ON (event_time) v.*, (count(*) OVER (PARTITION BY event_time) - 1)::int AS ordinal
            FROM v_bars_all v ORDER BY event_time, raw_offset DESC"""
        current = "SELECT *, revision AS ordinal FROM v_bars ORDER BY event_time"
        assert await query(database, current) == await query(database, best)


async def test_of_forming_bars_the_newest_is_kept_and_none_is_history(database: str) -> None:
    """It shows until the final bar of its minute is there, whichever batch brings that."""
    forming = [a_minute(n, final=False, raw_offset=10 + n, close=float(n)) for n in (0, 1, 1)]
    (first,) = await store(database, [*forming[:2], a_minute(1, final=False, raw_offset=13, close=7.0)])
    (shown,) = await query(database, "SELECT event_time, close, final, raw_offset FROM v_bars_forming")

    assert (shown["close"], shown["final"], shown["raw_offset"]) == (7.0, False, 13)
    assert (await count(database, "v_bars_all"), first.tables[0].forming) == (0, 3)
    await store(database, [a_minute(0, raw_offset=14)])
    assert await count(database, "v_bars_forming") == 1
    (last,) = await store(database, [a_minute(1, raw_offset=15)])
    assert (await count(database, "v_bars_forming"), await count(database, "v_bars")) == (0, 2)
    assert (last.tables[0].fast, last.tables[0].compared) == (1, 0)


async def test_a_place_behind_the_current_version_goes_beside_it(database: str) -> None:
    """A log read out of order loses nothing: what is older is a superseded version, counted, and read twice it is one."""
    older = a_minute(0, raw_offset=5, close=2.0)
    await store(database, [a_minute(0, raw_offset=9, close=3.0)])
    for _ in range(2):
        await store(database, [older, a_minute(0, raw_offset=9, close=3.0)])

    versions = "SELECT raw_offset, close FROM v_bars_all ORDER BY position"
    assert [tuple(row) for row in await query(database, versions)] == [(5, 2.0), (9, 3.0)]
    (current,) = await query(database, "SELECT raw_offset, revision FROM v_bars")
    assert tuple(current) == (9, 1)


@of_partitions
async def test_rows_of_any_day_find_their_partition(database: str) -> None:
    """Decades apart in one batch; each table that is cut by time has them: of days long gone by the year, of bars by the month."""
    days = [
        a_trade(event_time=moment, index=n)
        for n, moment in enumerate((-86_400_000_001, 0, 86_399_999_999, 86_400_000_000))
    ]
    await store(database, [*days, a_minute(0), a_minute(0, symbol="IBM", event_time=-60_000_000)])

    parts = "SELECT count(*) FROM pg_inherits WHERE inhparent = $1::regclass"
    assert [(await query(database, parts, name))[0][0] for name in ("trades", "bars", "bars_superseded")] == [
        2
    ] * 3
    assert await count(database, "v_trades") == 4


async def test_new_rows_go_straight_and_only_others_are_compared(database: str) -> None:
    """The quick path is taken where it may be."""
    first, second = await store(
        database,
        [a_minute(0), a_minute(1)],
        [a_minute(1, close=1.0, raw_offset=9), a_minute(2, raw_offset=9, index=1)],
    )

    assert (first.tables[0].fast, first.tables[0].compared) == (2, 0)
    assert (second.tables[0].fast, second.tables[0].compared, second.tables[0].versions) == (1, 1, 1)
    assert second.path is WritePath.FAST


async def test_rows_read_again_are_stored_once(database: str) -> None:
    """After positions are lost, reading the log again adds nothing: the keys are found and the batch is compared."""
    log = [*(a_minute(n) for n in range(5)), a_quote(), a_trade(), a_trade(index=1)]
    await store(database, log)
    before = [
        await query(database, f"TABLE {table}") for table in ("v_bars_all", "v_bars", "v_quotes", "v_trades")
    ]
    await query(database, "TRUNCATE sink_offsets, watermarks")
    await query(database, "UPDATE streams SET start_time = NULL, last_seen = NULL")

    (again,) = await store(database, log)

    assert again.path is WritePath.STAGED
    assert [
        await query(database, f"TABLE {t}") for t in ("v_bars_all", "v_bars", "v_quotes", "v_trades")
    ] == before


async def test_two_equal_trades_are_two(database: str) -> None:
    """Trades are occurrences."""
    await store(database, [a_trade(index=0), a_trade(index=1)])

    assert await count(database, "v_trades") == 2


@pytest.mark.parametrize(
    ("bad", "topic"),
    [
        pytest.param([a_trade(conditions="a\0b", index=3)], TRADES, id="NUL in a trade"),
        pytest.param([a_bar(currency="\0", raw_offset=400)], BARS, id="NUL in a bar"),
        pytest.param([a_quote(market_state="\0"), a_quote(currency="\0", index=2)], QUOTES, id="two quotes"),
        pytest.param([a_trade(provider="y\0", index=3)], TRADES, id="NUL in a key"),
    ],
)
async def test_a_row_postgresql_refuses_is_dead_lettered_alone(
    database: str, bad: list[Any], topic: str
) -> None:
    """All others of all tables are stored, and the letters are in the outbox."""
    good: list[Any] = [*(a_minute(n) for n in range(40)), *(a_trade(index=10 + n) for n in range(40))]
    good += [a_quote(event_time=NINE_THIRTY + 1 + n, raw_offset=8 + n) for n in range(40)]
    await store(database, [*good[:60], *bad, *good[60:]])

    assert [await count(database, table) for table in ("v_bars", "v_trades", "v_quotes")] == [40, 40, 40]
    letters = await query(database, "SELECT * FROM outbox ORDER BY id")
    assert [letter["topic"] for letter in letters] == [dead(topic)] * len(bad)
    for letter, record in zip(letters, bad, strict=True):
        found = decode(dead(topic), letter["value"], DeadLetter)
        assert (found.payload, found.stage, found.reason) == (encode(topic, record), "sink", "invalid")


async def test_a_key_too_long_for_its_index_is_dead_lettered(database: str) -> None:
    """Not every refusal is a data error by its code."""
    noise = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=9_000))

    await store(database, [a_trade(), a_trade(provider=noise, index=1)])

    assert (await count(database, "v_trades"), await count(database, "outbox")) == (1, 1)


async def test_the_watermark_waits_for_its_offset_and_never_goes_back(database: str) -> None:
    """It is claimed by progress; what is not reached yet is read again after a restart."""
    number = home("SPY")

    def claim(end: int, moment: int) -> Progress:
        return Progress(
            raw_topic=RAW_BARS, partition=number, raw_offset=0, known_from=moment, canonical_topic=BARS,
            canonical_end_offset=end, processing_version=1,
        )  # fmt: skip

    async def watermark() -> list[int]:
        rows = await query(
            database, "SELECT (extract(epoch FROM complete_before) * 1000000)::bigint FROM watermarks"
        )
        return [r[0] for r in rows]

    async with a_writer(database) as writer:
        await writer.write(a_batch(writer, claim(0, 500), claim(2, 700), a_minute(0)))
        assert await watermark() == [500]
        assert writer.positions[PROGRESS, number] == 1
    async with a_writer(database) as writer:
        await writer.write(a_batch(writer, claim(2, 700)))
        assert (await watermark(), writer.positions[PROGRESS, number]) == ([500], 1)
        await writer.write(a_batch(writer, a_minute(1)))
        assert await watermark() == [700]
        await writer.write(a_batch(writer, claim(1, 600)))
        assert await watermark() == [700]


async def test_the_watermark_waits_for_the_evidence_of_its_moment(database: str) -> None:
    """An answer as of a moment holds gaps, too: they must not come later. A take-over forgets nothing of it."""
    number = home("SPY")
    progress = Progress(
        raw_topic=RAW_BARS, partition=number, raw_offset=0, known_from=700, canonical_topic=BARS,
        canonical_end_offset=1, evidence_end_offset=2, processing_version=1,
    )  # fmt: skip
    async with a_writer(database) as writer:
        await writer.write(a_batch(writer, a_minute(0), progress, an_evidence(kind="absent", index=0)))
        assert await count(database, "watermarks") == 0
        assert writer.positions[PROGRESS, number] == 0
    async with a_writer(database) as writer:
        await writer.write(a_batch(writer, progress))
        assert await count(database, "watermarks") == 0
        await writer.write(a_batch(writer, an_evidence(index=1)))
        assert await count(database, "watermarks") == 1


async def test_the_end_of_the_log_counts_as_passed(database: str) -> None:
    """Control records end a log without a record of ours: the position after them is what a claim may name."""
    number = home("SPY")
    progress = Progress(
        raw_topic=RAW_BARS, partition=number, raw_offset=0, known_from=700, canonical_topic=BARS,
        canonical_end_offset=2, processing_version=1,
    )  # fmt: skip
    async with a_writer(database) as writer:
        await writer.write(a_batch(writer, a_minute(0), progress))
        assert await count(database, "watermarks") == 0

        await writer.write(
            assemble(
                [
                    PartitionRecords(
                        topic=BARS, partition=number, partitions=DEFAULT_PARTITIONS, end=2, at_end=True
                    )
                ]
            )[0]
        )

        assert await count(database, "watermarks") == 1


async def test_a_replay_writes_what_live_wrote(database: str, postgres_admin: str) -> None:
    """One by one, in one batch, or replayed without positions: equal tables, equal ledger, equal cursors."""
    tables = (
        "bars",
        "bars_superseded",
        "bars_forming",
        "quotes",
        "quotes_latest",
        "trades",
        "gaps",
        "gap_evidence",
        "coverage",
        "streams",
    )
    log: list[Any] = []
    for n in (0, 1, 4, 3, 4, 9, 2, 6, 6):
        log.append(
            a_minute(
                n, raw_offset=len(log), known_from=NINE_THIRTY + DAY_US + len(log), close=float(len(log) // 2)
            )
        )
        log.append(a_quote(event_time=NINE_THIRTY + n, raw_offset=len(log), last=float(n // 2)))
        log.append(a_trade(raw_offset=len(log)))
    await store(database, *([record] for record in log))
    live = {table: sorted(map(repr, await query(database, f"TABLE {table}"))) for table in tables}
    await query(database, f"TRUNCATE {', '.join(tables)}, sink_offsets, outbox, watermarks")

    async with Store(database, write_within_s=WITHIN_S).replaying() as writer:
        await writer.write(a_batch(writer, *log))

    assert {table: sorted(map(repr, await query(database, f"TABLE {table}"))) for table in tables} == live
    assert (await count(database, "outbox"), await count(database, "sink_offsets")) == (0, 0)
