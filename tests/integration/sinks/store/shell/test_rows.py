"""The ways rows are stored in the real database: copied as new, or compared with what is there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from infra.runtime.postgres.errors import DuplicateKey
from schemas.identity import stream_id_of
from sinks.batch.batch import Rows, assemble
from sinks.store.shell.partitions import TimePartitions
from sinks.store.shell.rows import StoredRows, WritePath, store_rows
from sinks.store.shell.session import open_connection
from tests.support.builders import NINE_THIRTY, a_quote, a_trade
from tests.support.received import a_part
from tests.support.sink_records import count, query
from tests.support.sink_writers import a_minute

NAMED = """
    INSERT INTO streams (stream_id, kind, interval, provider, symbol, partition)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING"""


def rows_of(*records: Any) -> Rows:
    """Return the rows of records of one kind."""
    (rows,) = assemble([a_part(records)])[0].rows
    return rows


async def stored(database: str, rows: Rows, path: WritePath, *, new: list[bool] | None = None) -> StoredRows:
    """Store rows in a transaction of their own; `new` are the keys nobody has stored, by default all of them."""
    size = rows.columns.size
    async with open_connection(database) as connection:
        await TimePartitions().make(connection, [rows], within_s=60.0)
        for name in rows.streams.names:
            await connection.execute(NAMED, stream_id_of(name), *name, 0)
        async with connection.transaction():
            return await store_rows(connection, rows, np.array([True] * size if new is None else new), path)


async def test_new_keys_are_copied_and_are_the_newest_of_their_slots(database: str) -> None:
    """Without a comparison, and with revision 0."""
    found = await stored(database, rows_of(a_minute(0), a_minute(1)), WritePath.FAST)

    assert (found.fast, found.compared, found.versions) == (2, 0, 0)
    assert await count(database, "v_bars_all") == 2
    assert [row["revision"] for row in await query(database, "SELECT revision FROM v_bars")] == [0, 0]


async def test_a_key_that_was_not_new_after_all_fails_the_fast_path(database: str) -> None:
    """Nothing is stored then: the next attempt compares."""
    await stored(database, rows_of(a_minute(0)), WritePath.FAST)
    with pytest.raises(DuplicateKey):
        await stored(database, rows_of(a_minute(0), a_minute(1)), WritePath.FAST)

    assert (await count(database, "v_bars_all"), await count(database, "v_bars")) == (1, 1)


async def test_only_what_is_said_to_be_new_is_copied(database: str) -> None:
    """The rest of the batch is compared in the same transaction."""
    await stored(database, rows_of(a_minute(0)), WritePath.FAST)
    rows = rows_of(a_minute(0), a_minute(1), a_minute(0, close=9.5, raw_offset=7))
    found = await stored(database, rows, WritePath.FAST, new=[False, True, False])

    assert (found.fast, found.compared, found.versions) == (1, 2, 1)
    assert await count(database, "v_bars_all") == 3


async def test_a_version_known_already_is_kept_and_not_stored_again(database: str) -> None:
    """Whichever way it comes; a changed value is another version and the newest of its slot."""
    for _ in range(2):
        found = await stored(database, rows_of(a_minute(0), a_minute(1)), WritePath.STAGED)
    changed = await stored(database, rows_of(a_minute(0, close=9.5, raw_offset=7)), WritePath.STAGED)

    assert (found.fast, found.compared, found.versions) == (0, 2, 0)
    assert changed.versions == 1
    assert await count(database, "v_bars_all") == 3
    current = await query(database, "SELECT close, revision FROM v_bars ORDER BY event_time")
    assert tuple(current[0]) == (9.5, 1)


async def test_the_last_quote_of_a_series_is_its_newest(database: str) -> None:
    """One row a symbol and provider; an older one that comes later does not replace it."""
    late = a_quote(event_time=NINE_THIRTY + 9, raw_offset=1)
    await stored(database, rows_of(a_quote(event_time=NINE_THIRTY), late), WritePath.FAST)
    await stored(database, rows_of(a_quote(event_time=NINE_THIRTY + 5, raw_offset=2)), WritePath.FAST)

    assert await count(database, "v_quotes") == 3
    (newest,) = await query(database, "SELECT raw_offset FROM v_quotes_latest")
    assert newest["raw_offset"] == 1


async def test_of_trades_each_counts_and_none_is_the_newest(database: str) -> None:
    """Two that are equal but for their place are two."""
    found = await stored(database, rows_of(a_trade(), a_trade(index=1)), WritePath.FAST)

    assert (found.fast, await count(database, "v_trades")) == (2, 2)
