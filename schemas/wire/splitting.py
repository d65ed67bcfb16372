"""A raw block of one partition as the blocks it becomes where symbols live in another number of partitions.

The order of a symbol's events stays, and so does everything their processing depends on; only their place changes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from schemas.errors import MalformedPayload
from schemas.partitions import partition_of
from schemas.wire.codec import decode_value, encode_value
from schemas.wire.framing import StreamedRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitBlock:
    """A record's pieces: the bytes for each new partition that gets one.

    `left_out` is how many events and discontinuities are in none of them, because they were refused for lying in the
    wrong partition.
    """

    values: Mapping[int, bytes | None]
    left_out: int = 0


def split(topic: str, value: bytes | None, *, partition: int, partitions: int, into: int) -> SplitBlock:
    """Return what a record of raw `topic` becomes that lies in `partition` of `partitions`, where there are `into`.

    Bytes that are no block go on as they are, to be refused again. A tick becomes nothing. An event or a discontinuity
    of a symbol that does not live in `partition` was refused there; among others it might live where it lies, and would
    become history that was none, so it is left out.
    """
    try:
        block = decode_value(topic, value)
    except MalformedPayload:
        return SplitBlock(values={partition % into: value})
    events, left_out = _by_home(block["events"], partition, partitions, into)
    unseen, also_left_out = _by_home(block["discontinuities"], partition, partitions, into)
    left_out += also_left_out
    homes = sorted({*events, *unseen})
    # Frames are told from their repeats by connection and bytes. Where several old partitions meet, the parts of one
    # frame that lay in each would be repeats of each other; as connections of their own they are not.
    meets = into % partitions != 0 and block["connection_id"] != ""
    if len(homes) == 1 and not left_out and not meets:
        return SplitBlock(values={homes[0]: value})
    if meets:
        block["connection_id"] = f"{block['connection_id']}/{partition}"
    values = {
        home: encode_value(
            topic, {**block, "events": events.get(home, []), "discontinuities": unseen.get(home, [])}
        )
        for home in homes
    }
    return SplitBlock(values=values, left_out=left_out)


def _by_home(
    entries: list[dict[str, Any]], partition: int, partitions: int, into: int
) -> tuple[dict[int, list[dict[str, Any]]], int]:
    """Return the entries by the partition their symbol will live in, in order, and how many are left out."""
    by_home: dict[int, list[dict[str, Any]]] = {}
    left_out = 0
    for entry in entries:
        if partition_of(entry["symbol"], partitions) != partition:
            left_out += 1
        else:
            by_home.setdefault(partition_of(entry["symbol"], into), []).append(entry)
    return by_home, left_out


def only(record: StreamedRecord, symbols: Collection[str]) -> StreamedRecord | None:
    """Return a record of a raw topic with the entries of `symbols` alone, None where it has none of them.

    Where it has no others its bytes stay as they are. Bytes that are no block are of nobody.
    """
    try:
        block = decode_value(record.topic, record.value)
    except MalformedPayload:
        return None
    kept = {
        name: [e for e in block[name] if e["symbol"] in symbols] for name in ("events", "discontinuities")
    }
    if not any(kept.values()):
        return None
    if all(len(kept[name]) == len(block[name]) for name in kept):
        return record
    return replace(record, value=encode_value(record.topic, {**block, **kept}))
