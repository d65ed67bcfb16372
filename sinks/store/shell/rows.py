"""Storing the rows of one stream: straight by COPY where they open new keys, staged and compared where they may not.

Rows that are not final are versions of nothing: the newest of each series is kept, the others were seen live.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from infra.runtime.postgres.errors import Connection
from infra.runtime.postgres.session import copy
from sinks.batch.batch import Rows
from sinks.columns.avro import Flags, Integers
from sinks.columns.copy import encode_rows
from sinks.ledger.memory import newest_rows
from sinks.store.versions import KEEP_NEWEST, STORE_STAGED, STORED_KEYS


class WritePath(Enum):
    """The way a batch is written; where the first finds a key taken, the second is tried."""

    FAST = "fast"  # new keys by COPY, the rest compared
    STAGED = "staged"  # all rows compared: some key was not new after all


@dataclass(slots=True, kw_only=True)
class StoredRows:
    """Outcome of the rows of one table."""

    rows: Rows
    fast: int = 0
    forming: int = 0  # not final: at most one of a series is kept
    compared: int = 0
    versions: int = 0  # of the compared ones, how many were new


async def store_rows(connection: Connection, rows: Rows, new_keys: Flags, path: WritePath) -> StoredRows:
    """Store the rows inside the caller's transaction; raises what PostgreSQL raises."""
    stored, final = StoredRows(rows=rows), rows.final()
    fast = np.zeros(rows.columns.size, np.bool_)
    if path is WritePath.FAST:
        fast = new_keys & final
        fast |= await _unstored(connection, rows, final, np.flatnonzero(final & ~fast))
    if fast.any():
        await _copy_new(connection, rows, fast, whole=bool(fast[final].all()))
        stored.fast = int(fast.sum())
    rest = np.flatnonzero(final & ~fast)
    if len(rest):
        stored.versions = await _compare(connection, rows, rest)
        stored.compared = len(rest)
    if not final.all():
        await _keep_last(connection, rows, ~final)
        stored.forming = int((~final).sum())
    return stored


async def _unstored(connection: Connection, rows: Rows, final: Flags, behind: Integers) -> Flags:
    """Return which of the rows `behind` their frontier open a key nobody has written, such as backfilled ones.

    A range of each series is read, at most a row more than are asked about: where there are more, none is taken for new.
    """
    found = np.zeros(rows.columns.size, np.bool_)
    if not len(behind) or not rows.table.has_versions or rows.table.has_entries:
        return found
    event_time, series = rows.columns.integers("event_time"), rows.streams.index
    order = behind[np.lexsort((event_time[behind], series[behind]))]
    numbers, firsts, counts = np.unique(series[order], return_index=True, return_counts=True)
    lasts = firsts + counts - 1
    ids = rows.columns.integers("stream_id")[order[firsts]]
    asked = (numbers, ids, event_time[order[firsts]], event_time[order[lasts]], counts + 1)
    stored: dict[int, set[int]] = {}
    for number, moment in await connection.fetch(
        STORED_KEYS[rows.table.topic], *(each.tolist() for each in asked)
    ):
        stored.setdefault(number, set()).add(moment)
    uncertain = {
        n
        for n, count in zip(numbers.tolist(), counts.tolist(), strict=True)
        if len(stored.get(n, ())) > count
    }
    new = [
        n not in uncertain and moment not in stored.get(n, ())
        for n, moment in zip(series[order].tolist(), event_time[order].tolist(), strict=True)
    ]
    found[order] = new
    return found & _alone(rows, final)


def _alone(rows: Rows, final: Flags) -> Flags:
    """Return the final rows whose key no other final row of the batch has."""
    alone = np.zeros(rows.columns.size, np.bool_)
    chosen = np.flatnonzero(final)
    event_time, series = rows.columns.integers("event_time")[chosen], rows.streams.index[chosen]
    order = np.lexsort((event_time, series))
    same = (event_time[order][1:] == event_time[order][:-1]) & (series[order][1:] == series[order][:-1])
    alone[chosen[order]] = ~(np.append(same, False) | np.append(False, same))
    return alone


async def _copy_new(connection: Connection, rows: Rows, fast: Flags, *, whole: bool) -> None:
    table, order = rows.table, rows.streams.order
    data = rows.encoded if whole else encode_rows(table.columns, rows.columns, order[fast[order]])
    await copy(connection, table.name, table.column_names, data)
    if table.stream.versions == "latest":
        await _keep_last(connection, rows, fast)


async def _keep_last(connection: Connection, rows: Rows, chosen: Flags) -> None:
    """Keep the newest chosen row of each series where it is newer than the one kept; a stamp of the future is never."""
    table, newest = rows.table, newest_rows(rows, chosen & ~rows.suspect())
    if not len(newest):
        return
    data = encode_rows(table.columns, rows.columns, newest)
    await copy(connection, f"newest_{table.name}", table.column_names, data)
    await connection.execute(KEEP_NEWEST[table.topic])


async def _compare(connection: Connection, rows: Rows, chosen: Integers) -> int:
    table = rows.table
    data = encode_rows(table.columns, rows.columns, chosen)
    await copy(connection, f"staged_{table.name}", table.column_names, data)
    return int(await connection.fetchval(STORE_STAGED[table.topic]))
