"""Slices of option chains in the database: which tellings are versions, what SQL users see, how one is found as of a moment."""

from __future__ import annotations

from dataclasses import asdict, replace
from random import Random
from typing import Any

from gateway.database.shell.snapshot import Snapshot
from gateway.options.places import SlicePlace
from gateway.options.shell.reading import first_known, newest_slices, read_slices
from infra.runtime.postgres.pool import connection, pool
from schemas.chain_slices import ChainSlice
from schemas.clocks import EventTime, KnowledgeTime
from schemas.identity import stream_id_of
from schemas.intervals import DAY_US, MINUTE_US
from schemas.streams import StreamId
from tests.support.builders import NINE_THIRTY, a_leg, a_slice
from tests.support.option_slices import slice_of_record
from tests.support.received import home
from tests.support.sink_records import query
from tests.support.sink_writers import store

EVER = EventTime(0), EventTime(NINE_THIRTY * 2)


def told(offset: int, **changes: Any) -> ChainSlice:
    """Return a slice that was told with raw record `offset`, a minute after the one before."""
    moment = NINE_THIRTY + offset * MINUTE_US
    return a_slice(**({"raw_offset": offset, "event_time": moment, "known_from": moment + 5} | changes))


async def asked(dsn: str, symbol: str, as_of: int, provider: str | None = None) -> list[SlicePlace]:
    """Return what counts as of a moment."""
    async with pool(dsn, size=1, service="test") as lent, connection(lent, within_s=60) as borrowed:
        return await newest_slices(Snapshot(borrowed), symbol, provider, EVER, KnowledgeTime(as_of))


async def test_a_slice_is_a_version_where_a_leg_or_the_underlying_differs(database: str) -> None:
    """A stamp alone makes none; what returns to what it was is one, whatever the batches."""
    other = [a_leg(bid=1.19), a_leg(right="P", bid=None, ask=0.05, vendor_iv=0.21)]
    log = [
        told(1),
        told(2),
        told(3, legs=other),
        told(4),
        told(5, underlying_bid=167.3),
        told(6, underlying_bid=167.3),
    ]

    await store(database, log[:2], log[2:3], log[3:])

    rows = await query(database, "SELECT raw_offset FROM v_options ORDER BY position")
    assert [row[0] for row in rows] == [1, 3, 4, 5]


async def test_whoever_asks_in_sql_sees_a_row_a_leg(database: str) -> None:
    """With nothing in place of what was not said."""
    await store(database, [told(1)])

    rows = await query(
        database,
        "SELECT strike, option_right, bid, ask, quote_time IS NULL, oi_date::text, vendor_iv, underlying_bid FROM v_option_quotes",
    )

    assert [tuple(row) for row in rows] == [
        (170.0, "C", 1.2, 1.25, False, "2013-10-06", None, 167.4),
        (170.0, "P", None, 0.05, False, "2013-10-06", 0.21, 167.4),
    ]


async def test_the_newest_known_by_a_moment_counts_whatever_its_stamp(database: str) -> None:
    """Of each root and expiry; a shadow poll only for whoever names its provider."""
    log = [
        told(1),
        told(2, root="SPYW", expiry=16_030),
        told(3, event_time=NINE_THIRTY - DAY_US, underlying_bid=1.0),
        told(4, expiry=16_027, provider="polygon"),
        told(5, provider="alpaca", route="shadow"),
    ]
    await store(database, log)
    end = log[-1].known_from

    now = await asked(database, "SPY", end)
    before = await asked(database, "SPY", log[2].known_from - 1)

    def said(places: list[SlicePlace]) -> list[tuple[Any, ...]]:
        return [(each.provider, each.root, each.expiry.isoformat(), each.position >> 16) for each in places]

    assert said(now) == [
        ("polygon", "SPY", "2013-11-18", 4), ("yahoo", "SPY", "2013-11-17", 3), ("yahoo", "SPYW", "2013-11-21", 2),
    ]  # fmt: skip
    assert said(before) == [("yahoo", "SPY", "2013-11-17", 1), ("yahoo", "SPYW", "2013-11-21", 2)]
    assert said(await asked(database, "SPY", end, "alpaca")) == [("alpaca", "SPY", "2013-11-17", 5)]
    assert await asked(database, "SPY", log[0].known_from - 1) == []
    async with pool(database, size=1, service="test") as lent, connection(lent, within_s=60) as borrowed:
        assert await first_known(Snapshot(borrowed), "SPY", None, EVER) == log[0].known_from
        assert await first_known(Snapshot(borrowed), "QQQ", None, EVER) is None


async def test_a_slice_read_is_the_record_that_was_stored(database: str) -> None:
    """Every array of every leg, of any number of legs, beside others of other lengths; 200 drawn at random."""
    random = Random(7)

    def some(*values: Any) -> Any:
        return random.choice([None, *values])

    log = []
    for offset in range(1, 61):
        legs = [
            a_leg(
                strike=float(10 + number // 2), right="CP"[number % 2], bid=some(0.05, 1e-9), ask=some(1.5),
                quote_time=some(NINE_THIRTY, 1), last_time=some(NINE_THIRTY + 1), oi_date=some(0, 20_000),
                vendor_rho=some(-1.0), multiplier=random.choice([10.0, 100.0]), volume=some(0.0),
            )
            for number in range(random.choice([1, 2, 3, 40, 41]))
        ]  # fmt: skip
        log.append(
            told(offset, legs=legs, underlying_time=some(NINE_THIRTY), is_partial=random.random() < 0.5)
        )
    await store(database, log[:7], log[7:50], log[50:])

    series = stream_id_of(StreamId("options", "", "yahoo", "SPY"))
    expiry = (await asked(database, "SPY", log[-1].known_from))[0].expiry
    places = [
        SlicePlace(
            provider="yahoo", stream_id=series, root="SPY", expiry=expiry, event_time=each.event_time,
            position=each.raw_offset << 16, known_from=each.known_from,
        )
        for each in log
    ]  # fmt: skip
    async with pool(database, size=1, service="test") as lent, connection(lent, within_s=60) as borrowed:
        found = await read_slices(Snapshot(borrowed), "SPY", home("SPY"), places)

    assert found == [slice_of_record(asdict(replace(each)), home("SPY")) for each in log]
