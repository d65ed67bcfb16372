"""Gaps that open are queued in the transaction that writes them: which, in which tier, and as many as fit."""

from __future__ import annotations

from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import asyncpg
import pytest

from infra.runtime import metrics
from schemas.errors import Fenced
from schemas.topics import BARS, DEFAULT_PARTITIONS, EVIDENCE
from schemas.universe import Member
from schemas.wire.codec import encode
from schemas.wire.framing import StreamedRecord, write_record
from sinks.replay import replay
from sinks.store.shell import healing as rules
from sinks.store.shell.writer import Store
from tests.support.ledger_rows import ledger, told
from tests.support.queued_gaps import end_all, healing, queued
from tests.support.received import home
from tests.support.sink_records import count, query
from tests.support.sink_writers import NOW, WITHIN_S, a_batch, a_minute, a_writer, logs
from tests.support.universes import adding, store_of

SPY = "bars.1m:yahoo:SPY"


def blind(
    low: int, high: int, number: int = 9, symbol: str = "SPY", kind: str = "bars.1m", **changes: Any
) -> Any:
    """Return a blind stretch of a series of Yahoo's."""
    interval = kind.partition(".")[2]
    named = {"stream": f"{kind}:yahoo:{symbol}", "symbol": symbol, "interval": interval}
    return told(low, high, number=number, **(named | changes))


def sampled(name: str, tier: str) -> float:
    """Return the value of a counter of a tier."""
    return metrics.REGISTRY.get_sample_value(name, {"tier": tier}) or 0.0


async def test_each_gap_that_opens_is_queued_by_its_tier(database: str) -> None:
    """Of whatever kind of series; what names no series, and what is not open, is not."""
    async with a_writer(database, await healing()) as writer:
        stored = [
            a_minute(0), blind(1, 4), blind(3, 9, 10, "QQQ", "quotes"), blind(5, 7, 11, "BRK.B", "trades"), blind(2, 9, 12, "QQQ", "bars.1wk"),
            told(20, 22, number=13, stream=f"{BARS}/{home('SPY')}", symbol="", interval="", provider="", cause="log_truncated"),
            a_minute(30), blind(30, 31, 14),
        ]  # fmt: skip
        before = sampled("backfill_jobs_enqueued_total", "T1")
        await writer.write(a_batch(writer, *stored))
    assert await count(database, "gaps") == 6

    assert await queued(database) == [
        (SPY, 1, 4, "T0", "gap"),
        ("bars.1wk:yahoo:QQQ", 2, 9, "T1", "gap"),
        ("quotes:yahoo:QQQ", 3, 9, "T1", "gap"),
        ("trades:yahoo:BRK.B", 5, 7, "T2", "gap"),
    ]
    assert sampled("backfill_jobs_enqueued_total", "T1") == before + 2


async def test_a_gap_is_asked_for_once_and_again_when_it_opens_again(database: str) -> None:
    """What closes leaves its job; a second blindness is another order; the rest of a job that runs is asked for by it."""
    async with a_writer(database, await healing()) as writer:
        await writer.write(a_batch(writer, a_minute(0), a_minute(9), blind(1, 9)))
        await writer.write(a_batch(writer, a_minute(3, raw_offset=20)))  # cuts it: the job fetches both parts
        assert await queued(database) == [(SPY, 1, 9, "T0", "gap")]
        await writer.write(a_batch(writer, blind(1, 9, 21, kind="bars.1m"), told(1, 9, "empty", 22)))
        assert {state for _, _, state in await ledger(database)} == {"filled", "empty"}
        assert await queued(database) == [(SPY, 1, 9, "T0", "gap")]

        await end_all(database)
        await writer.write(a_batch(writer, told(5, 8, number=5_000_000)))
        assert await queued(database) == [(SPY, 5, 8, "T0", "gap")]


async def test_what_was_just_fetched_is_not_asked_for_while_its_rows_are_on_their_way(database: str) -> None:
    """The first of its bars is stored and cuts the gap: the others come."""
    async with a_writer(database, await healing()) as writer:
        await writer.write(a_batch(writer, a_minute(0), a_minute(9), blind(1, 9)))
        await end_all(database, seconds_ago=5)
        await writer.write(a_batch(writer, a_minute(3, raw_offset=20)))
        assert await queued(database) == []
        await end_all(database)
        await query(database, "UPDATE backfill_jobs SET finished_time = now() - interval '10 min'")
        await writer.write(a_batch(writer, a_minute(6, raw_offset=21)))
    assert await queued(database) == [(SPY, 4, 6, "T0", "gap"), (SPY, 7, 9, "T0", "gap")]


async def test_a_job_of_lesser_rank_covers_nothing_unless_it_runs(database: str) -> None:
    """A gap of the most wanted symbols does not wait for a year that somebody wants in bulk."""
    await query(
        database,
        "INSERT INTO backfill_jobs (job_id, partition, stream, provider, symbol, from_time, to_time, tier, origin, rank, source, state,"
        " enqueued_time) VALUES ('bulk', 0, $1, 'yahoo', 'SPY', '2013-01-01', '2014-01-01', 'T2', 'bulk', 11, 'test', 'queued', now())",
        SPY,
    )
    async with a_writer(database, await healing()) as writer:
        await writer.write(a_batch(writer, a_minute(0), a_minute(50), blind(1, 9)))
        assert (SPY, 1, 9, "T0", "gap") in await queued(database)
        await query(
            database,
            "UPDATE backfill_jobs SET state = 'running', leased_until = now() + interval '1 h' WHERE job_id = 'bulk'",
        )
        await writer.write(a_batch(writer, blind(20, 22, 10)))
    assert [each[1] for each in await queued(database)] == [1]


async def test_nothing_is_queued_where_it_is_off_unknown_or_a_replay(
    database: str, second_database: str
) -> None:
    """The gaps are written all the same."""
    off = "symbols: [SPY]\nbackfill: {enabled: false}"
    for number, rules_of in enumerate((await healing(off), rules.Healing(partitions=4), None)):
        async with a_writer(database, rules_of) as writer:
            low = 1 + 20 * number
            await writer.write(a_batch(writer, a_minute(low - 1), blind(low, low + 3, number)))
    assert await count(database, "gaps") == 3

    stream, records = BytesIO(), [(BARS, a_minute(0)), (EVIDENCE, blind(1, 4))]
    for offset, (topic, record) in enumerate(records):
        write_record(
            stream,
            StreamedRecord(
                topic=topic,
                partition=home("SPY"),
                offset=offset,
                append_time=NOW,
                key=b"SPY",
                value=encode(topic, record),
            ),
        )
    stream.seek(0)
    await replay(
        Store(second_database, write_within_s=WITHIN_S, healing=await healing()), stream, DEFAULT_PARTITIONS
    )
    assert await count(second_database, "gaps") == 1
    for dsn in (database, second_database):
        assert await count(dsn, "backfill_jobs") == 0


async def test_gap_and_job_are_written_together_or_not_at_all(database: str) -> None:
    """A newer owner takes the partition over between the two and the commit."""
    async with a_writer(database, await healing()) as writer:
        batch = a_batch(writer, a_minute(0), blind(1, 4))
        await query(database, "UPDATE sink_offsets SET owner_epoch = owner_epoch + 1")
        with pytest.raises(Fenced):
            await writer.write(batch)
    assert await count(database, "gaps") == await count(database, "backfill_jobs") == 0
    async with a_writer(database, await healing()) as writer:
        await writer.write(a_batch(writer, a_minute(0), blind(1, 4)))
    assert await count(database, "gaps") == await count(database, "backfill_jobs") == 1


class _Listening(asyncpg.Connection):  # type: ignore[type-arg]
    """Remembers what is asked."""

    asked: list[str] = []  # noqa: RUF012 - of the one connection of a test

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        """Run a query."""
        self.asked.append(query)
        return await super().fetch(query, *args, **options)


@asynccontextmanager
async def _listening(dsn: str, text: str) -> Any:
    store = Store(dsn, write_within_s=WITHIN_S, connection_class=_Listening, healing=await healing(text))
    async with store.take_over(logs(), now_us=NOW) as writer:
        _Listening.asked.clear()
        yield writer


async def test_a_batch_in_which_no_gap_opens_asks_nothing_of_the_queue(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bars, and those that fill a gap: no statement more, however long nobody looked how deep it is."""
    monkeypatch.setattr(rules, "LOOK_EVERY_S", -1.0)
    async with _listening(database, "symbols: [SPY]") as writer:
        await writer.write(a_batch(writer, a_minute(0), a_minute(5), blind(1, 4)))
        assert [each for each in _Listening.asked if "backfill_jobs" in each]
        _Listening.asked.clear()
        await writer.write(a_batch(writer, a_minute(6), a_minute(7)))
        await writer.write(
            a_batch(writer, *(a_minute(each, raw_offset=30, index=each) for each in (1, 2, 3)))
        )
        assert await ledger(database) == [(1, 4, "filled")]
        assert [each for each in _Listening.asked if "backfill_jobs" in each or "universe" in each] == []


async def test_a_universe_in_the_database_is_asked_for_the_symbols_at_hand(database: str) -> None:
    """As it is when the gap opens; a symbol that is in none counts as the least wanted."""
    members = [Member(symbol=f"S{number}", tier="T1") for number in range(50)]
    async with store_of(database) as universe:
        await universe.change(adding(*members, Member(symbol="SPY", tier="T1")), by="test")
        await universe.change(adding(Member(symbol="SPY", tier="T0")), by="test")
    async with a_writer(database, await healing("universe: database")) as writer:
        await writer.write(
            a_batch(writer, a_minute(0), blind(1, 4), blind(1, 4, symbol="S7"), blind(1, 4, symbol="NEW"))
        )
    assert {(each[0], each[3]) for each in await queued(database)} == {
        (SPY, "T0"), ("bars.1m:yahoo:S7", "T1"), ("bars.1m:yahoo:NEW", "T2"),
    }  # fmt: skip


async def test_beyond_its_cap_a_tier_takes_no_more_and_it_is_counted(database: str) -> None:
    """The first ones are in; others' tiers have room."""
    text = "symbols: [{symbol: SPY, tier: T0}]\nbackfill: {queued_jobs: {T0: 3}}"
    before = sampled("mds_backfill_gaps_deferred_total", "T0")
    async with a_writer(database, await healing(text)) as writer:
        await writer.write(a_batch(writer, a_minute(0), *(blind(n, n + 2, n) for n in (1, 5))))
        await writer.write(
            a_batch(writer, *(blind(n, n + 2, n) for n in (9, 13, 17)), blind(1, 2, 8, "QQQ", "quotes"))
        )
    assert [each[:2] for each in await queued(database)] == [
        (SPY, 1), ("quotes:yahoo:QQQ", 1), (SPY, 5), (SPY, 9),
    ]  # fmt: skip
    assert sampled("mds_backfill_gaps_deferred_total", "T0") == before + 2


async def test_it_is_known_when_no_tier_has_room(database: str) -> None:
    """So that nobody goes over the ledger in vain."""
    going_by = await healing(
        "symbols: [{symbol: SPY, tier: T0}, QQQ]\nbackfill: {queued_jobs: {T0: 1, T1: 1, T2: 1}}"
    )
    async with a_writer(database, going_by) as writer:
        for number, symbol in enumerate(("SPY", "QQQ", "GOOG")):
            assert not going_by.is_full
            await writer.write(a_batch(writer, a_minute(0, symbol=symbol), blind(1, 2, number, symbol)))
    assert going_by.is_full
    assert not rules.Healing(partitions=4).is_full
