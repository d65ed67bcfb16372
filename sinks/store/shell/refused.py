"""Batches that PostgreSQL refuses, or does not finish in time however small they are: what is written instead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from infra.runtime.postgres.errors import (
    ANSWERS,
    Connection,
    asks_for_less,
    operator_needed,
    refuses_data,
)
from infra.runtime.postgres.session import deadline
from schemas.errors import InvalidRecord
from sinks.batch.batch import Batch, Rows
from sinks.batch.cutting import ATTEMPTS_ALONE, Suspect, another_record, halves, without_record
from sinks.store.shell.partitions import TimePartitions
from sinks.store.shell.rows import WritePath, store_rows


def smaller(batch: Batch, error: Exception) -> Sequence[Batch]:
    """Return what to write instead of a batch that PostgreSQL refuses; raise what is neither of its data nor its size."""
    less = asks_for_less(error)
    if not (less or refuses_data(error)):
        raise error
    if batch.records > 1:
        return halves(batch)
    if less:
        raise operator_needed(error, "raise the limit it names, in PostgreSQL's configuration") from error
    if batch.records == 0 or batch.refusals:
        raise error
    reason = InvalidRecord(f"PostgreSQL refuses the record: {error}; correct it at its source")
    return [without_record(batch, reason)]


async def tried(
    connection: Connection,
    batch: Batch,
    others: Sequence[Batch],
    suspect: Suspect,
    *,
    made: TimePartitions,
    within_s: float,
) -> Batch:
    """Return the batch of one record that took too long alone; its dead letter once it is proven that others do not.

    A proof is a row of another series of `others` stored in time, and taken back; where there is none, that we could
    take over. Raises StoreOverrun or StoreUnavailable where the database does not store that row either.
    """
    suspect.turns += 1
    other = another_record(batch, others, turn=suspect.turns)
    if other is not None:
        await made.make(connection, other.rows, within_s=within_s)
        await try_rows(connection, other.rows, within_s=within_s)
    suspect.proofs += 1
    if suspect.proofs < ATTEMPTS_ALONE:
        return batch
    return without_record(batch, took_too_long_alone(ATTEMPTS_ALONE, within_s))


def took_too_long_alone(attempts: int, within_s: float) -> InvalidRecord:
    """Return why a record is given up that the database does not store while it stores others."""
    return InvalidRecord(
        f"PostgreSQL did not store the record within {within_s:g} s, {attempts} times alone, and stored others in that time; "
        "find what is slow about it (a trigger, a lock, a gap of years), then publish it again"
    )


async def try_rows(connection: Connection, batch: Iterable[Rows], *, within_s: float) -> None:
    """Store rows and take them back; raises StoreOverrun or StoreUnavailable where the database does not do that either.

    That it refuses them is an answer, too.
    """
    async with deadline(connection, within_s=within_s):
        transaction = connection.transaction()
        await transaction.start()
        try:
            for rows in batch:
                await store_rows(connection, rows, rows.final(), WritePath.STAGED)
        except ANSWERS as error:
            if not (asks_for_less(error) or refuses_data(error)):
                raise
        finally:
            if not connection.is_closed():
                await transaction.rollback()
