"""The log's past in blocks: a stretch of one partition, read once for all who need any of it, decoded as it is asked for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from gateway.live.ring import Entry
from gateway.live.streams import BEST, channel_of, encode_entry, is_shadow, item_of
from schemas.clocks import CanonicalOffset
from schemas.errors import PermanentError
from schemas.partitions import TopicPartition
from schemas.streams import OPTION_STREAM
from schemas.topics import GAPS
from schemas.wire.codec import decode_value

BLOCK_OFFSETS = 1_000  # decoding all of them for one symbol takes about 10 ms
# Of option chains, whose slices have hundreds of legs: 20 MB of the largest there may be.
SLICE_BLOCK_OFFSETS = 50
RAW_OVERHEAD_BYTES = 200


class LoggedRecord(NamedTuple):
    """One record as the log has it; `append_time` is the broker's, µs."""

    offset: CanonicalOffset
    append_time: int
    value: bytes | None


class Block:
    """Records of a partition in [`first`, `to`], whole; `first` is above the beginning asked for where that is expired.

    `high` is where the log ended then, `number` counts reads in the order they began.
    """

    def __init__(
        self,
        place: TopicPartition,
        first: int,
        to: int,
        *,
        high: int,
        number: int,
        by_key: Mapping[bytes, list[LoggedRecord]],
    ) -> None:
        """Hold what was read; `by_key` are the records of each key, in order."""
        self.place, self.first, self.to = place, first, to
        self.high, self.number = high, number
        self._by_key = dict(by_key)
        self._entries: dict[tuple[str, str], list[Entry]] = {}
        self.cost_bytes = sum(
            len(raw.value or b"") + RAW_OVERHEAD_BYTES for raws in by_key.values() for raw in raws
        )

    def holds(self, offset: int) -> bool:
        """Whether it says what is at `offset`."""
        return self.first <= offset <= self.to

    def after(self, offset: int, feed: tuple[str, str], scope: str) -> Iterable[Entry]:
        """Return the records of a feed (channel, symbol) in one scope above `offset`, in order.

        Their links know of nothing before the block.
        """
        entries = self._of(feed)
        begin = bisect_right(entries, offset, key=lambda entry: entry.offset)
        return [entry for entry in entries[begin:] if entry.is_in(scope)]

    def _of(self, feed: tuple[str, str]) -> list[Entry]:
        # The ledger of gaps has keys of its own; of every other topic the key is the symbol.
        keys = list(self._by_key) if self.place.topic == GAPS else [feed[1].encode()]
        for raws in [self._by_key.pop(key) for key in keys if key in self._by_key]:
            self._decode(raws)
        return self._entries.get(feed, [])

    def _decode(self, raws: Iterable[LoggedRecord]) -> None:
        topic, partition = self.place
        for raw in raws:
            try:
                fields = decode_value(topic, raw.value)
            except PermanentError:
                continue  # skipped live as well
            entries = self._entries.setdefault((channel_of(topic, fields), fields["symbol"]), [])
            provider, shadow = fields["provider"], is_shadow(fields)
            before = CanonicalOffset(self.first - 1)
            entry = Entry(
                raw.offset,
                _newest(entries, BEST, before),
                _newest(entries, provider, before),
                provider,
                shadow,
                fields.get("event_time", 0),
                raw.append_time,
                encode_entry(topic, partition, raw.offset, fields),
                item_of(topic, fields),
            )
            entries.append(entry)
            self.cost_bytes += entry.cost_bytes


class PastView(Protocol):
    """The log's past, as far as it was read."""

    @property
    def number(self) -> int:
        """Return which read was begun last."""

    def find(self, place: TopicPartition, offset: int, *, asked: int) -> Block | None:
        """Return the block that says what is at `offset`, read since read `asked` where it does not hold it."""


def block_offsets(topic: str) -> int:
    """Return how many offsets a block of a topic has."""
    return SLICE_BLOCK_OFFSETS if topic == OPTION_STREAM.topic else BLOCK_OFFSETS


def block_of(topic: str, offset: int) -> int:
    """Return the number of the block that an offset lies in."""
    return offset // block_offsets(topic)


def _newest(entries: list[Entry], scope: str, otherwise: CanonicalOffset) -> CanonicalOffset:
    return next((entry.offset for entry in reversed(entries) if entry.is_in(scope)), otherwise)
