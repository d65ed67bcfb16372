"""The choice among waiting records: the newest of a conflated stream, of each of its items, every one of any other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.live.ring import Entry
from gateway.live.streams import Item
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


def newest(waiting: Iterable[Entry], scope: str, limit_bytes: int) -> Chosen | None:
    """Return the newest record of each item, standing for all that wait up to the last of them; None where none does.

    They come in the order of the log, as many as fit `limit_bytes` and at least one. Whatever is older than a record that
    is left for the next frame, and of its item, gives way to that one.
    """
    oldest: Entry | None = None
    latest: dict[Item, tuple[int, Entry]] = {}
    for number, entry in enumerate(waiting, 1):
        oldest = oldest or entry
        latest[entry.item] = number, entry
    if oldest is None:
        return None
    standing = sorted(latest.values())
    most = fitting([entry.body for _, entry in standing], limit_bytes)
    count, last = standing[most - 1]
    return Chosen(
        entries=tuple(entry for _, entry in standing[:most]),
        previous=oldest.previous_in(scope),
        conflated=count - most,
        span_us=last.append_time - oldest.append_time,
        more=most < len(standing),
    )


def fitting(bodies: Sequence[bytes], limit_bytes: int) -> int:
    """Return how many of the first fit, with a comma each: at least one, where there is one."""
    size = 0
    for number, body in enumerate(bodies):
        size += len(body) + 1
        if number and size > limit_bytes:
            return number
    return len(bodies)


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
