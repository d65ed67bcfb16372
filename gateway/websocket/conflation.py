"""The choice among waiting records: the newest of a conflated stream, every one of any other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.live.ring import Entry
from schemas.clocks import CanonicalOffset


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Records to send now: `entries` stand for themselves and for `conflated` older records spanning `span_us`.

    `previous` is the offset a client must already have covered: the link of the oldest record they stand for.
    `more` says that records are left for the next frame.
    """

    entries: tuple[Entry, ...]
    previous: CanonicalOffset
    conflated: int = 0
    span_us: int = 0
    more: bool = False


def newest(waiting: Iterable[Entry], scope: str) -> Chosen | None:
    """Return the newest record, standing for all that wait; None where none does."""
    oldest = latest = None
    count = 0
    for entry in waiting:
        oldest = oldest or entry
        latest, count = entry, count + 1
    if oldest is None or latest is None:
        return None
    return Chosen(
        entries=(latest,),
        previous=oldest.previous_in(scope),
        conflated=count - 1,
        span_us=latest.append_time - oldest.append_time,
    )


def every(waiting: Iterable[Entry], scope: str, limit_bytes: int) -> Chosen | None:
    """Return the oldest records that fit `limit_bytes`, at least one; None where none waits."""
    entries: list[Entry] = []
    size = 0
    more = False
    for entry in waiting:
        size += len(entry.body) + 1
        if entries and size > limit_bytes:
            more = True
            break
        entries.append(entry)
    if not entries:
        return None
    return Chosen(entries=tuple(entries), previous=entries[0].previous_in(scope), more=more)
