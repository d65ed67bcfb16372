"""Entries out of a real database: found by index, in order, at a cost that grows with what there is."""

from __future__ import annotations

import pytest

from gateway.entries.shell.reading import all_versions, newest_versions
from schemas.identity import stream_id_of
from schemas.streams import ACTION_STREAM, MACRO_STREAM, Stream, StreamId
from sinks.store.shell.session import open_connection
from tests.support.plans import scanned_whole

SERIES, ENTRIES, VERSIONS = 60, 800, 3
FILL = {
    ACTION_STREAM: """
        INSERT INTO actions SELECT s, {0}, n * 65536, 1, 1, NULL, NULL, NULL, {0}, {0} + n * interval '1 hour',
        DATE '2000-01-01' + n, NULL, NULL, NULL, 0, 'action-' || n % {1}, '', '', ''
        FROM unnest($1::bigint[]) s, generate_series(0, {1} * {2} - 1) n""",
    MACRO_STREAM: """
        INSERT INTO macro SELECT s, {0}, n * 65536, n, {0}, {0}, {0} + n * interval '1 hour', DATE '2000-01-01' + n % {1},
        DATE '2015-01-01', DATE '2000-01-02' + n % {1}, NULL, 0, '', ''
        FROM unnest($1::bigint[]) s, generate_series(0, {1} * {2} - 1) n""",
}


@pytest.mark.parametrize("stream", FILL, ids=lambda stream: stream.name)
async def test_entries_of_one_series_are_read_without_those_of_others(database: str, stream: Stream) -> None:
    """144,000 rows of sixty series: no table is read from end to end, and each entry comes once, in its newest version."""
    names = [StreamId(stream.name, "", "yahoo", f"S{number}") for number in range(SERIES)]
    start = "to_timestamp(1381152600)"
    async with open_connection(database) as connection:
        ids = [stream_id_of(name) for name in names]
        rows = [
            (number, stream.name, "", name.provider, name.symbol, 0)
            for number, name in zip(ids, names, strict=True)
        ]
        await connection.executemany("INSERT INTO streams VALUES ($1, $2, $3, $4, $5, $6)", rows)
        await connection.execute(FILL[stream].format(start, ENTRIES, VERSIONS), ids)
        await connection.execute(f"ANALYZE {stream.name}")
        await connection.execute("ANALYZE streams")
        ever = (1_381_152_600_000_000 + 10_000 * 3_600_000_000, None, -100_000, 80_000, 100_000)
        for statement, count in (
            (newest_versions(stream), ENTRIES),
            (all_versions(stream), ENTRIES * VERSIONS),
        ):
            assert await scanned_whole(connection, statement, "S7", *ever) - {"streams"} == set()
            found = await connection.fetch(statement, "S7", *ever)
            assert len(found) == count
        early = 1_381_152_600_000_000 + 10 * 3_600_000_000
        assert len(await connection.fetch(newest_versions(stream), "S7", early, *ever[1:])) == 11
        assert await connection.fetch(newest_versions(stream), "S7", ever[0], "polygon", *ever[2:]) == []
