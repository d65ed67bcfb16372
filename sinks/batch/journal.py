"""Records of a journal that can be stored: every one that PostgreSQL will take, and no other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from schemas.errors import InvalidRecord
from schemas.journals import Journal

MAX_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """A record of a journal as the row of its table: a value a field, in their order, times in µs.

    `origin` is the record as Kafka gave it, from `partition`.
    """

    journal: Journal
    row: tuple[Any, ...]
    partition: int
    origin: Any


def check(journal: Journal, record: object) -> None:
    """Raise InvalidRecord naming the first field that cannot be stored, and what to send instead."""
    for name, kind in journal.fields.items():
        value = getattr(record, name)
        if not kind.is_sound(value):
            raise InvalidRecord(f"{name} is {_shown(value)}; {kind.remedy}")
    if journal.histogram is not None:
        buckets, counts = journal.histogram
        if len(getattr(record, buckets)) != len(getattr(record, counts)):
            raise InvalidRecord(f"{buckets} and {counts} differ in length; send one count a bucket")


def entry_of(journal: Journal, record: object, *, partition: int, origin: Any) -> JournalEntry:
    """Return the entry a record becomes; raise InvalidRecord like `check`."""
    check(journal, record)
    row = tuple(getattr(record, name) for name in journal.fields)
    return JournalEntry(journal=journal, row=row, partition=partition, origin=origin)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[:MAX_SHOWN_CHARACTERS] + "…"
