"""Gaps and coverage in a real database: derived from evidence and bars, whatever is read first and however it is cut."""

# ruff: noqa: S608 - names of this file only

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime
from io import BytesIO
from typing import Any

import pytest

from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime
from schemas.identity import gap_id
from schemas.intervals import DAY_US, MINUTE_US, micros
from schemas.ledger.gaps import gaps_of
from schemas.records import Evidence, Gap
from schemas.streams import Bar, StreamId
from schemas.topics import BARS, DEFAULT_PARTITIONS, EVIDENCE, GAPS
from schemas.wire.codec import decode, encode
from schemas.wire.framing import StreamedRecord, write_record
from sinks.replay import replay
from sinks.store.shell.writer import Store
from tests.support.builders import a_bar, a_quote, an_evidence
from tests.support.expected_starts import expected_starts
from tests.support.ledger_rows import all_views, at, bits, ledger, told
from tests.support.received import home
from tests.support.sink_records import count, query
from tests.support.sink_writers import WITHIN_S, a_batch, a_minute, a_writer, logs, store

SPY = StreamId("bars", "1m", "yahoo", "SPY")


async def test_a_late_bar_is_a_version_of_its_own_time(database: str) -> None:
    """It is stored, and the cursor stays where it was."""
    await store(database, [a_minute(0), a_minute(5)], [a_minute(3, raw_offset=9)])

    (cursor,) = await query(database, "SELECT start_time, last_seen FROM v_streams")
    assert (cursor["last_seen"] - cursor["start_time"]).seconds == 300
    assert await count(database, "v_bars_all") == 3


async def test_a_blind_stretch_is_split_and_closed_by_the_bars_that_arrive(database: str) -> None:
    """It is trimmed, split, and at last filled; each change is published, and nothing is left open."""
    async with a_writer(database) as writer:
        await writer.write(a_batch(writer, a_minute(0), a_minute(7), told(1, 7)))
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
    assert {gap.confidence for gap in published} == {"proven"}


@pytest.mark.parametrize("seed", range(3))
async def test_any_order_and_any_cut_leaves_the_same_ledger(database: str, seed: int) -> None:
    """Evidence of all kinds over two sessions and bars, live and late: read in four orders, by batches of any size."""
    random.seed(seed)
    evidence = [
        told(
            low := random.randrange(380, 395) + random.choice([0, 1_050]), low + random.randint(1, 30),
            random.choice(["blind", "blind", "absent", "empty", "unrecoverable"]), number,
            cause=random.choice(["producer_down", "refused"]), known_from=at(5_000) + random.randrange(4),
        )
        for number in range(12)
    ]  # fmt: skip
    starts = expected_starts(calendar_of("SPY"), "1m", at(370), at(1_500))
    bars = [
        a_bar(event_time=start, raw_offset=100 + number)
        for number, start in enumerate(random.sample(starts, len(starts) // 2))
    ]
    found = []
    for order in range(4):
        records: list[Any] = [*evidence, *bars] if order % 2 else [*bars, *evidence]
        if order > 1:
            random.shuffle(records)
        while records:
            size = random.randint(1, 40)
            await store(database, records[:size])
            records = records[size:]
        found.append(await all_views(database))
        assert await whole(database) == [
            (g.gap_id, g.from_time, g.to_time, g.state, g.generation, g.cause, g.expected, g.raw_offset)
            for g in gaps_of(
                SPY,
                evidence,
                sorted(bar.event_time for bar in bars),
                horizon=None,
                start=at(0),
                end=at(3_000),
            )
        ]
        for table in ("gaps", "gap_evidence", "coverage", "bars", "streams"):
            await query(database, f"TRUNCATE {table}")

    assert all(each[:3] == found[0][:3] for each in found)


async def whole(dsn: str) -> list[tuple[Any, ...]]:
    """Return the gaps as the domain names them."""
    rows = await query(dsn, "SELECT * FROM gaps ORDER BY from_time")
    return [
        (
            r["gap_id"], micros(r["from_time"]), micros(r["to_time"]), r["state"], r["generation"], r["cause"], r["expected"],
            r["raw_offset"],
        )
        for r in rows
    ]  # fmt: skip


async def test_a_replay_leaves_identical_rows(database: str) -> None:
    """Gaps, evidence and coverage, of a log in which topics lie one after the other."""
    bars = [a_minute(n) for n in (0, 1, 7, 3, 8)]
    evidence = [
        told(0, None, "collected"), told(2, 7, "absent", 3), told(20, 40, number=4), told(25, 30, "empty", 5),
        told(4, 6, "empty", 6),
    ]  # fmt: skip
    await store(database, [*bars[:3], *evidence[:2]], evidence[2:], bars[3:])

    stream = BytesIO()
    for topic, records in ((EVIDENCE, evidence), (BARS, bars)):
        for offset, record in enumerate(records):
            write_record(
                stream,
                StreamedRecord(
                    topic=topic, partition=home("SPY"), offset=offset, append_time=1, key=b"SPY", value=encode(topic, record)
                ),
            )  # fmt: skip
    stream.seek(0)
    live = await all_views(database)
    await query(
        database,
        "TRUNCATE gaps, gap_evidence, coverage, streams, sink_offsets, bars, bars_superseded, watermarks",
    )
    await replay(Store(database, write_within_s=WITHIN_S), stream, DEFAULT_PARTITIONS)

    assert await all_views(database) == live
    assert all(live)


async def test_a_long_stretch_settles_once_all_its_bars_are_stored(database: str) -> None:
    """Fifty days here; a limit of how many bars were compared once left three years open for ever."""
    low = EventTime(micros(datetime.fromisoformat("2021-06-08T13:30:00+00:00")))
    starts = expected_starts(calendar_of("SPY"), "1m", low, low + 50 * DAY_US)
    blind = an_evidence(from_time=low, to_time=starts[-1] + MINUTE_US, known_from=at(10**7))
    bars = [a_bar(event_time=start, raw_offset=n // 500, index=n % 500) for n, start in enumerate(starts)]
    await store(database, [blind], *[bars[n : n + 5_000] for n in range(0, len(bars), 5_000)])

    (row,) = await query(database, "SELECT state, expected FROM gaps")
    assert tuple(row) == ("filled", len(starts))


async def test_evidence_read_again_changes_nothing(database: str) -> None:
    """A record that comes twice is one, and nothing is published for it."""
    await store(database, [a_minute(0), told(1, 7)])
    before = await all_views(database)
    (again,) = await store(database, [told(1, 7)])

    assert await all_views(database) == before
    assert again.outgoing == 0


async def test_evidence_of_a_partition_is_a_gap_of_no_symbol(database: str) -> None:
    """Two losses that overlap are two gaps side by side."""
    lost = [
        told(low, high, number=low, stream="raw.bars.v1/3", symbol="", provider="", interval="") for low, high in ((0, 9), (5, 20))
    ]  # fmt: skip
    async with a_writer(database) as writer:
        for each in lost:
            batch = a_batch(writer)
            batch.evidence.append((3, each))
            await writer.write(batch)
    assert await ledger(database) == [(0, 9, "open"), (9, 20, "open")]
    (row, _) = await query(database, "SELECT gap_id, symbol FROM gaps ORDER BY from_time")
    assert tuple(row) == (gap_id("raw.bars.v1/3", at(0)), "")


async def test_quotes_close_by_a_verdict(database: str) -> None:
    """And by nothing that is stored: nobody knows how many there should be."""
    stream = {"stream": "quotes:yahoo:SPY", "interval": ""}
    await store(
        database, [a_quote(event_time=at(3)), told(0, 9, **stream)], [told(2, 5, "empty", 11, **stream)]
    )
    assert await ledger(database) == [(0, 2, "open"), (2, 5, "empty"), (5, 9, "open")]
    assert await bits(database) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"to_time": at(1)}, {"to_time": None}, {"symbol": "QQQ"}, {"stream": "bars.1m:yahoo"}, {"cause": "a\0"},
        {"index": -1}, {"from_time": -(10**17)}, {"provider": "x" * 501, "stream": f"bars.1m:{'x' * 501}:SPY"},
    ],
    ids=str,
)  # fmt: skip
async def test_evidence_that_cannot_be_kept_is_a_dead_letter(database: str, wrong: dict[str, Any]) -> None:
    """It takes nothing else with it."""
    bad: Evidence = told(1, 7, number=3, **({"from_time": at(1)} | wrong))
    async with a_writer(database) as writer:
        batch = a_batch(writer, told(20, 30), *(() if bad.symbol == "QQQ" else (bad,)))
        if bad.symbol == "QQQ":
            batch = a_batch(writer, told(20, 30), bad)
        await writer.write(batch)
    assert await ledger(database) == [(20, 30, "open")]
    assert await count(database, "outbox") == 2


async def test_stamps_of_the_future_are_stored_and_newest_of_nothing(database: str) -> None:
    """Neither cursor nor newest quote nor forming bar; bars that come in their time are new ones."""
    known = at(10)
    ahead: Sequence[Bar | Any] = [
        a_minute(700, known_from=known, raw_offset=11), a_quote(event_time=at(700), known_from=known, raw_offset=11),
        a_minute(701, known_from=known, raw_offset=12, final=False),
    ]  # fmt: skip
    sound = [
        a_minute(5, known_from=known, raw_offset=13), a_quote(event_time=at(5), known_from=known, raw_offset=13),
        a_minute(6, known_from=known, raw_offset=14, final=False),
    ]  # fmt: skip
    for first, second in ((ahead, sound), (sound, ahead)):
        await store(database, first, second, [a_minute(8, known_from=known, raw_offset=15)])
        rows = await query(database, "SELECT kind, last_seen FROM v_streams ORDER BY kind")
        assert [(row["kind"], micros(row["last_seen"])) for row in rows] == [
            ("bars", at(8)),
            ("quotes", at(5)),
        ]
        assert await count(database, "v_bars") == 3
        for view, stamp in (("v_quotes_latest", at(5)), ("bars_forming", at(6))):
            (row,) = await query(database, f"SELECT event_time FROM {view}")
            assert micros(row["event_time"]) == stamp
        for table in ("bars", "quotes", "quotes_latest", "bars_forming", "streams"):
            await query(database, f"TRUNCATE {table}")


async def test_a_value_of_the_future_that_comes_again_is_stored_once(database: str) -> None:
    """In one batch, in the next, by the next owner and once its time has come; another content is another version."""

    def both(number: int, known: int) -> list[Any]:
        return [
            a_minute(700, known_from=known, raw_offset=number),
            a_quote(event_time=at(700), known_from=known, raw_offset=number),
        ]

    await store(database, [*both(11, at(10)), *both(12, at(11))], both(13, at(12)))
    await store(
        database, both(14, at(13)), both(15, at(701)), [a_minute(5, known_from=at(702), raw_offset=16)]
    )
    assert (await count(database, "v_bars_all"), await count(database, "v_quotes")) == (2, 1)

    other = a_quote(event_time=at(700), known_from=at(704), raw_offset=18, last=167.9)
    await store(database, both(17, at(703)), [other])
    lasts = await query(database, "SELECT last FROM v_quotes ORDER BY known_from")
    assert [row["last"] for row in lasts] == [167.4, 167.9]


async def test_a_log_cut_off_before_it_was_stored_is_told_of_each_of_its_series(database: str) -> None:
    """So that somebody who asks for a symbol hears of it; bars by the calendar, quotes by the hours of trading."""
    known = at(100)
    bars = [a_minute(n, known_from=known, raw_offset=n) for n in (97, 98, 99)]
    await store(database, [*bars, a_quote(event_time=at(99), known_from=known)])
    await query(
        database,
        "INSERT INTO watermarks SELECT topic, partition, to_timestamp($1 / 1e6) FROM sink_offsets",
        float(known),
    )
    cut = {place: log for place, log in logs(start=50).items() if place[1] == home("SPY")}

    async with Store(database, write_within_s=WITHIN_S).take_over(cut, now_us=at(130) + 7):
        pass

    rows = await query(
        database, "SELECT stream, from_time, to_time, detector, confidence FROM v_gaps ORDER BY stream"
    )
    found = {row["stream"]: (micros(row["from_time"]), micros(row["to_time"])) for row in rows}
    assert found["bars.1m:yahoo:SPY"] == (at(100), at(130))
    assert found["quotes:yahoo:SPY"] == (at(99), at(130) + 7)
    assert found[f"bars.v1/{home('SPY')}"] == (at(100), at(130) + 7)
    assert {(row["detector"], row["confidence"]) for row in rows} == {("sink", "proven")}
    assert await count(database, "v_gap_evidence") == len(rows)
