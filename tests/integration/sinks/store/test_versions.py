"""Statements that store staged rows find what is stored by index, partition by partition, however much that is."""

# ruff: noqa: S608 - table names of this file only

from __future__ import annotations

from typing import Any

import pytest

from infra.runtime.postgres.errors import Connection
from schemas.streams import ACTION_STREAM, MACRO_STREAM
from schemas.topics import BARS, QUOTES
from sinks.columns.tables import TABLES
from sinks.store.shell.gaps import STORED_SLOTS
from sinks.store.shell.session import open_connection
from sinks.store.versions import STORE_STAGED, STORED_KEYS
from tests.support.plans import scanned_whole

ACTIONS, MACRO = ACTION_STREAM.topic, MACRO_STREAM.topic
SERIES, MOMENTS = 200, 1_000  # of each, half a day apart: 17 months of bars, 500 days of quotes
STAGED = 2_000
START = "to_timestamp(1381152600)"
FILL = {
    BARS: """
        INSERT INTO {0} SELECT s, {1} + n * interval '12 hours', n * 65536, 1, 1, 1, 1, 1, NULL, NULL, {1}, {1}, 0, 3, 'USD'
        FROM generate_series(1, {2}) s, generate_series(0, {3} - 1) n""",
    QUOTES: """
        INSERT INTO {0} SELECT s, {1} + n * interval '12 hours', n * 65536, 1, 1, 1, 1, 1, 1, 1, 1, {1}, {1}, 0, 0, 'USD', ''
        FROM generate_series(1, {2}) s, generate_series(0, {3} - 1) n""",
    ACTIONS: """
        INSERT INTO {0} SELECT s, {1}, n * 65536, 1, 1, NULL, NULL, NULL, {1}, {1}, DATE '2014-06-09', NULL, NULL, NULL,
        0, 'action-' || n, '', '', '' FROM generate_series(1, {2}) s, generate_series(0, {3} - 1) n""",
    MACRO: """
        INSERT INTO {0} SELECT s, {1}, n * 65536, n, {1}, {1}, {1}, DATE '2014-06-01' + n / 4, NULLIF(DATE '2015-01-01' + n % 4, '2015-01-01'),
        DATE '2014-06-01' + n / 4 + 1, NULL, 0, '', '' FROM generate_series(1, {2}) s, generate_series(0, {3} - 1) n""",
}
AGAIN = {
    BARS: "INSERT INTO staged_bars ({names}) SELECT stream_id, event_time, position + 1, open + 1, {rest} FROM bars LIMIT $1",
    QUOTES: "INSERT INTO staged_quotes ({names}) SELECT stream_id, event_time, position + 1, bid + 1, {rest} FROM quotes LIMIT $1",
    ACTIONS: "INSERT INTO staged_actions ({names}) SELECT stream_id, event_time, position + 1, ratio_to + 1, {rest} FROM actions LIMIT $1",
    MACRO: "INSERT INTO staged_macro ({names}) SELECT stream_id, event_time, position + 1, value + 1, {rest} FROM macro LIMIT $1",
}


async def filled(connection: Connection, topic: str) -> None:
    """Fill the table of a stream with 200,000 rows, and stage another version of some."""
    table = TABLES[topic]
    moments = f"SELECT array_agg({START} + n * interval '12 hours') FROM generate_series(0, {MOMENTS - 1}) n"
    for name in table.names.timed:
        await connection.execute(f"SELECT make_partitions('{name}', ({moments}))")
    await connection.execute(FILL[topic].format(table.name, START, SERIES, MOMENTS))
    await connection.execute(f"ANALYZE {table.name}")


@pytest.mark.parametrize("topic", [BARS, QUOTES, ACTIONS, MACRO])
async def test_comparing_reads_no_table_from_end_to_end(database: str, topic: str) -> None:
    """Staged rows say nothing of how many there are; the plan must not depend on it."""
    table = TABLES[topic]
    async with open_connection(database) as connection:
        await filled(connection, topic)
        async with connection.transaction():
            names = table.column_names
            again = AGAIN[topic].format(names=", ".join(names), rest=", ".join(names[4:]))
            await connection.execute(again, STAGED)

            assert await scanned_whole(connection, STORE_STAGED[topic]) == set()
            assert await connection.fetchval(STORE_STAGED[topic]) == STAGED


@pytest.mark.parametrize("topic", [BARS, QUOTES])
async def test_keys_are_looked_up_by_index_and_in_their_partitions_alone(database: str, topic: str) -> None:
    """A range of each series, with both ends."""
    table = TABLES[topic]
    async with open_connection(database) as connection:
        await filled(connection, topic)
        low = 1_381_152_600_000_000
        asked: list[Any] = [[0, 1], [7, 8], [low, low], [low + 86_400_000_000, low], [10, 10]]

        assert await scanned_whole(connection, STORED_KEYS[topic], *asked) == set()
        found = [tuple(row) for row in await connection.fetch(STORED_KEYS[topic], *asked)]
        assert len(found) == 4
        assert table.has_versions


async def test_bars_that_may_lie_in_a_gap_are_looked_up_in_its_stretch_alone(database: str) -> None:
    """Question by question, however many there are."""
    async with open_connection(database) as connection:
        await filled(connection, BARS)
        low, day = 1_381_152_600_000_000, 86_400_000_000
        for count in (1, 150):
            ids = [number + 1 for number in range(count)]
            asked: list[Any] = [list(range(count)), ids, [low] * count, [low + day] * count]

            assert await scanned_whole(connection, STORED_SLOTS["bars"], *asked) == set()
            assert len(await connection.fetch(STORED_SLOTS["bars"], *asked)) == 2 * count
