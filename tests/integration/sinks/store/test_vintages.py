"""Vintages told again and again: which tellings become versions, whatever the batches they come in."""

from __future__ import annotations

from collections import defaultdict
from random import Random
from typing import Any

import pytest

from infra.runtime.postgres.errors import Connection
from schemas.streams import MACRO_STREAM
from sinks.columns.tables import TABLES
from sinks.store.shell.session import open_connection
from sinks.store.versions import STORE_STAGED
from tests.support.vintage_versions import Telling, kept_versions

TABLE = TABLES[MACRO_STREAM.topic]
PRECISION = next(each for each in TABLE.packed if each.name == "published_precision")
DAY, MOMENT = "DATE '1970-01-01' + {}::integer", "to_timestamp({}::float8)"
# $1 series, $2 position, $3 value, $4 published, $5 period, $6 vintage, $7 end, $8 flags
STAGE = f"""
    INSERT INTO staged_macro (stream_id, event_time, position, value, published_at, received_time, known_from, period_start,
        vintage_start, period_end, vintage_end, flags, units, seasonal)
    VALUES ($1, {MOMENT.format("$2")}, $2, $3, {MOMENT.format("$4")}, {MOMENT.format("$2")}, {MOMENT.format("$2")},
        {DAY.format("$5")}, {DAY.format("$6")}, {DAY.format("$5")} + 30, {DAY.format("$7")}, $8, 'Percent', '')
"""  # noqa: S608 - texts of this file only
STORED = """
    SELECT position, value, (flags & $1) >> $2 AS precision, extract(epoch FROM published_at)::bigint AS published,
        vintage_end - DATE '1970-01-01' AS end, stream_id, period_start - DATE '1970-01-01' AS period,
        vintage_start - DATE '1970-01-01' AS vintage
    FROM macro ORDER BY position
"""
Entry = tuple[int, int, int | None]


async def stage(connection: Connection, entry: Entry, telling: Telling) -> None:
    """Stage a telling of an entry (series, period, vintage)."""
    series, period, vintage = entry
    flags = telling.precision << PRECISION.shift
    await connection.execute(
        STAGE, series, telling.position, telling.value, telling.published, period, vintage, telling.end, flags
    )


async def stored(connection: Connection) -> dict[Entry, list[Telling]]:
    """Return the versions of each entry, in the order of the log."""
    found: dict[Entry, list[Telling]] = defaultdict(list)
    for row in await connection.fetch(STORED, PRECISION.mask, PRECISION.shift):
        said = {name: row[name] for name in ("position", "value", "precision", "published", "end")}
        found[row["stream_id"], row["period"], row["vintage"]].append(Telling(**said))
    return dict(found)


async def store(connection: Connection, batch: list[tuple[Entry, Telling]]) -> int:
    """Store a batch as the sink does; return how many versions it brought."""
    async with connection.transaction():
        for entry, telling in batch:
            await stage(connection, entry, telling)
        return int(await connection.fetchval(STORE_STAGED[MACRO_STREAM.topic]))


def a_telling(position: int, **changes: Any) -> Telling:
    """Return a value that was told live: its second of publication is known, its end is not."""
    given: dict[str, Any] = {
        "position": position,
        "value": 4.9,
        "precision": 3,
        "published": 1_000,
        "end": None,
    }
    return Telling(**(given | changes))


async def test_a_history_asked_for_again_replaces_no_exact_time_by_a_day(database: str) -> None:
    """Nor what was first seen live by the day a table of history gives it; a value that is another one is a version."""
    live, entry, yields = a_telling(1), (1, 17_000, 17_040), (2, 17_000, None)
    seen = a_telling(2, precision=0, published=None)
    async with open_connection(database) as connection:
        assert await store(connection, [(entry, live), (yields, seen)]) == 2
        again = [
            (entry, a_telling(3, precision=1, published=2_000, end=17_070)),
            (yields, a_telling(4, precision=1, published=2_000)),
        ]
        assert await store(connection, again) == 0
        assert (
            await store(
                connection, [(entry, a_telling(5)), (yields, a_telling(6, precision=0, published=None))]
            )
            == 0
        )
        assert await stored(connection) == {entry: [live], yields: [seen]}

        revised = a_telling(7, precision=1, published=2_000, value=4.8)
        assert await store(connection, [(entry, revised)]) == 1
        finer = a_telling(8, precision=3, published=1_500, value=4.8)
        assert await store(connection, [(entry, finer)]) == 1
        assert (await stored(connection))[entry] == [live, revised, finer]


@pytest.mark.parametrize("seed", range(4))
async def test_versions_are_the_same_however_the_log_is_cut_into_batches(database: str, seed: int) -> None:
    """Those of the rule applied one telling after the other; a batch that is stored twice brings nothing."""
    random = Random(seed)
    log: list[tuple[Entry, Telling]] = []
    for position in range(600):
        entry = (random.choice([1, 2]), 17_000 + random.randrange(2), random.choice([None, 17_040]))
        published = random.choice([1_000, 1_000, 2_000])
        precision = random.choice([0, 1, 2, 3])
        telling = a_telling(
            position,
            value=random.choice([4.9, 4.9, 4.9, 4.9, 4.8, None]),
            precision=precision,
            published=published if precision else None,
            end=random.choice([None, None, 17_070]),
        )
        log.append((entry, telling))
    async with open_connection(database) as connection:
        place = 0
        while place < len(log):
            size = random.choice([1, 2, 7, 60])
            await store(connection, log[place : place + size])
            if random.random() < 0.2:
                assert await store(connection, log[place : place + size]) == 0
            place += size
        found = await stored(connection)
    told: dict[Entry, list[Telling]] = defaultdict(list)
    for entry, telling in log:
        told[entry].append(telling)
    assert found == {entry: kept_versions(each) for entry, each in told.items()}
    assert 0 < sum(map(len, found.values())) < len(log) * 3 // 4
