"""What is written instead of a batch that PostgreSQL refuses."""

from __future__ import annotations

from collections.abc import Sequence

from infra.runtime.postgres.errors import asks_for_less, operator_needed, refuses_data
from sinks.batch.batch import Batch
from sinks.batch.cutting import halves, without_record


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
    return [without_record(batch, error)]
