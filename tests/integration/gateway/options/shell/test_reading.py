"""Option chains out of a snapshot: the newest slices as of a moment, the slices themselves, and what is known beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict
from datetime import date
from random import Random
from typing import Any

import pytest

from gateway.database.shell.snapshot import Snapshot, Snapshots
from gateway.options.inputs import Beside
from gateway.options.places import SlicePlace
from gateway.options.shell.reading import beside, first_known, newest_slices, read_slices
from infra.runtime.postgres import pool as postgres
from schemas.chain_slices import ChainSlice
from schemas.clocks import EventTime, KnowledgeTime, day_of
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US
from tests.support.builders import a_quote
from tests.support.option_slices import slice_of_record
from tests.support.received import home
from tests.support.sink_writers import store
from tests.support.told_chains import (
    EXPIRIES,
    a_chain,
    a_chain_slice,
    a_dividend,
    a_yield,
    hour,
    known,
    yields,
)

ALL = EventTime(0), EventTime(4_102_444_800_000_000)
PARTITION = home("ACME")
DAY = date(2015, 12, 11)
Opening = Callable[[], AbstractAsyncContextManager[Snapshot]]


@pytest.fixture
async def opened(database: str) -> AsyncIterator[Opening]:
    """Opens snapshots of the database."""
    async with postgres.pool(database, service="test", size=4) as pool:
        store_ = Snapshots(pool, concurrent=2)

        @asynccontextmanager
        async def snapshot() -> AsyncIterator[Snapshot]:
            async with store_.snapshot() as taken:
                yield taken

        yield snapshot


async def newest(opened: Opening, as_of: int, provider: str | None = None) -> list[SlicePlace]:
    """Return the newest slices of ACME as of a moment."""
    async with opened() as snapshot:
        return await newest_slices(snapshot, "ACME", provider, ALL, KnowledgeTime(as_of))


def the_newest(records: Sequence[ChainSlice], as_of: int, provider: str | None) -> set[tuple[Any, ...]]:
    """Return of each provider, root and expiry the place of what became known last, by looking at all of it."""
    best: dict[tuple[Any, ...], tuple[int, int]] = {}
    for each in records:
        counts = each.route != "shadow" if provider is None else each.provider == provider
        if each.known_from <= as_of and counts:
            key = each.provider, each.root, each.expiry
            best[key] = max(best.get(key, (0, 0)), (each.known_from, each.raw_offset))
    return {(*key, *place) for key, place in best.items()}


async def test_the_newest_slices_are_those_that_looking_at_all_of_them_finds(
    database: str, opened: Opening
) -> None:
    """Of any two hundred, told in any order of their stamps, over months, by providers, roots and routes; at every moment."""
    random = Random(7)
    records = []
    for place in range(200):
        stamp = hour(0) + random.randint(-60, 2) * DAY_US
        records.append(
            a_chain_slice(
                1 + place // 4, place, random.choice(EXPIRIES), dearer=place / 1000, event_time=stamp,
                provider=random.choice(["yahoo", "polygon"]), root=random.choice(["ACME", "ACME1"]),
                route=random.choice(["primary", "primary", "shadow"]),
            )
        )  # fmt: skip
    await store(database, records[:120], records[120:])
    for number in (0, 1, 5, 17, 33, 60):
        for provider in (None, "yahoo", "alpaca"):
            found = await newest(opened, hour(number), provider)
            wanted = the_newest(records, hour(number), provider)
            said = {
                (each.provider, each.root, day_of(each.expiry), each.known_from, each.position >> 16)
                for each in found
            }
            assert said == wanted, (number, provider)
            assert found == sorted(found, key=lambda each: (each.provider, each.expiry, each.root))


async def test_stamps_outside_of_the_span_are_not_looked_at(database: str, opened: Opening) -> None:
    """Its end is exclusive."""
    await store(database, [a_chain_slice(1, 1), a_chain_slice(2, 2, dearer=0.1)])
    last = EventTime(hour(2) - MINUTE_US)
    async with opened() as snapshot:
        for end, place in ((last, 1), (EventTime(last + 1), 2)):
            (found,) = await newest_slices(snapshot, "ACME", None, (EventTime(0), end), hour(9))
            assert found.position >> 16 == place


async def test_a_slice_is_read_as_it_was_told(database: str, opened: Opening) -> None:
    """Its flags, its stamps and every number of its legs, in the order of the places."""
    told = [*a_chain(1, 10), a_chain_slice(1, 13, root="ACME1", is_adjusted=True, delay_s=900)]
    told.append(a_chain_slice(1, 14, EXPIRIES[1], root="ACME2", is_partial=True, simulated=True))
    await store(database, told)
    places = await newest(opened, hour(1))
    async with opened() as snapshot:
        found = await read_slices(snapshot, "ACME", PARTITION, places[::-1])
        assert await read_slices(snapshot, "ACME", PARTITION, []) == []
    by_place = {(each.root, each.expiry): each for each in told}
    wanted = [
        slice_of_record(asdict(by_place[place.root, day_of(place.expiry)]), PARTITION)
        for place in places[::-1]
    ]
    assert found == wanted


async def test_since_when_anything_is_known_is_the_first_of_all_expiries(
    database: str, opened: Opening
) -> None:
    """Of one provider where it is named; None where there is nothing."""
    await store(
        database, [*a_chain(3, 30), a_chain_slice(2, 20, EXPIRIES[1]), a_chain_slice(5, 50, provider="yahoo")]
    )
    async with opened() as snapshot:
        assert await first_known(snapshot, "ACME", None, ALL) == hour(2)
        assert await first_known(snapshot, "ACME", "yahoo", ALL) == hour(5)
        assert await first_known(snapshot, "ACME", "alpaca", ALL) is None
        assert await first_known(snapshot, "NOPE", None, ALL) is None


async def looked_beside(opened: Opening, number: float, **said: Any) -> Any:
    """Return what was known besides a slice of the second hour, as of an hour."""
    told = a_chain_slice(2, 20, **{"underlying_bid": None, "underlying_ask": None, **said})
    slices = [slice_of_record(asdict(told), PARTITION)]
    async with opened() as snapshot:
        return await beside(snapshot, "ACME", slices, as_of=hour(number), believed=["polygon", "yahoo"])


async def test_curves_are_told_tenor_by_tenor_as_they_became_known(database: str, opened: Opening) -> None:
    """A correction is another curve with a later moment; what was not known by then is not there, nor what is too old.

    Tenors that became known at one moment make one curve: which of several would count, nobody could say.
    """
    old = a_yield(0.1, 1, "3M", 1.0, date(2015, 11, 20))
    await store(database, [old, *yields(0.5, 10, 2.0, DAY), a_yield(1, 13, "10Y", 2.2, DAY)])
    await store(database, [a_yield(4, 40, "1Y", 2.5, DAY), a_yield(4, 41, "1M", 1.5, DAY)])
    before, after = await looked_beside(opened, 2), await looked_beside(opened, 4)
    level = {"1M": 2.0, "3M": 2.0, "1Y": 2.0}
    assert [(each.observed, each.told_at, dict(each.percents)) for each in before.par_yields] == [
        (DAY, hour(0.5), level),
        (DAY, hour(1), level | {"10Y": 2.2}),
    ]
    assert after.par_yields[:2] == before.par_yields
    (corrected,) = after.par_yields[2:]
    assert corrected.told_at == hour(4)
    assert dict(corrected.percents) == {"1M": 1.5, "3M": 2.0, "1Y": 2.5, "10Y": 2.2}


async def test_every_version_of_cash_dividends_is_found_in_the_order_they_were_told(
    database: str, opened: Opening
) -> None:
    """Which of them counts for a slice depends on when it was known; one that is cancelled is of no amount, and so is one without any."""
    told = [
        a_dividend(1, 10, 0.5),
        a_dividend(1, 11, 0.6, date(2016, 4, 4), action_id="d-2", type="special_dividend"),
        a_dividend(1, 12, 0.7, date(2015, 12, 1), action_id="over"),
        a_dividend(1, 13, 0.8, date(2016, 5, 4), action_id="cancelled", state="cancelled"),
        a_dividend(1, 14, 9.0, action_id="more", provider="unheard"),
    ]
    await store(database, told)
    await store(database, [a_dividend(1.5, 15, 0.55), a_dividend(2.5, 25, 0.0, provider="polygon")])
    found = await looked_beside(opened, 2)
    assert found.believed == ["polygon", "yahoo"]
    assert [(each.source, each.ex_date, each.amount) for each in found.dividends] == [
        ("yahoo", date(2016, 1, 4), 0.5), ("yahoo", date(2016, 4, 4), 0.6), ("yahoo", date(2015, 12, 1), 0.7),
        ("yahoo", date(2016, 5, 4), 0.0), ("unheard", date(2016, 1, 4), 9.0), ("yahoo", date(2016, 1, 4), 0.55),
    ]  # fmt: skip
    assert len({(each.source, each.entry) for each in found.dividends}) == 5
    assert [each.told_at for each in found.dividends] == [hour(1)] * 5 + [hour(1.5)]
    later = (await looked_beside(opened, 3)).dividends
    assert (later[:6], later[6].source, later[6].told_at) == (found.dividends, "polygon", hour(2.5))


async def test_quotes_are_looked_for_only_where_a_slice_has_no_underlying(
    database: str, opened: Opening
) -> None:
    """Of a minute before and after its stamp, known when the slice was; no shadows."""
    near = a_quote(symbol="ACME", bid=99.0, ask=101.0, **known(2, 5, event_time=hour(2) - 2 * MINUTE_US))
    far = a_quote(symbol="ACME", bid=1.0, **known(2, 6, event_time=hour(2) - 2 * MINUTE_US - 1))
    late = a_quote(symbol="ACME", bid=2.0, **known(2, 7, known_from=hour(2) + 1))
    shadow = a_quote(symbol="ACME", bid=3.0, **known(2, 8, route="shadow"))
    other = a_quote(symbol="OTHER", bid=4.0, **known(2, 9))
    await store(database, [near, far, late, shadow, other])
    found = await looked_beside(opened, 9)
    assert [(each.bid, each.ask, each.event_time) for each in found.quotes] == [
        (99.0, 101.0, near.event_time)
    ]
    assert not (await looked_beside(opened, 9, underlying_price=100.0)).quotes


async def test_without_slices_nothing_is_looked_for(opened: Opening) -> None:
    """What is known without any is the rate that counts then."""
    async with opened() as snapshot:
        found = await beside(snapshot, "ACME", [], as_of=KnowledgeTime(HOUR_US), believed=[])
    assert found == Beside()
