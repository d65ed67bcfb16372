"""The first record of a later leader epoch: in a log that was cut and grew again, before what was stored of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from infra.runtime.clock import monotonic_s
from infra.runtime.kafka.clients import Message
from infra.runtime.kafka.logs import READ_TIMEOUT_S, TAIL_BATCH, LogEvent, Source, event_of
from schemas.clocks import CanonicalOffset
from schemas.errors import BrokerUnavailable
from schemas.partitions import TopicPartition
from sinks.progress.positions import UNKNOWN_EPOCH, EpochStart

FIRST_WINDOW = 64  # offsets looked back; doubled until an older record is found or the log begins


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochSpan:
    """Offsets [start, end) of a log, none of which may hold a record of a later leader epoch than `epoch`."""

    start: int
    end: int
    epoch: int


def newer_records(
    source: Source, spans: Mapping[TopicPartition, EpochSpan]
) -> dict[TopicPartition, EpochStart]:
    """Return the first record of a later epoch of each span that has one; blocking.

    Epochs never fall along a log, so it is read from its end backwards, all partitions at once, until a record is found
    that is not newer. Raises BrokerUnavailable where a span cannot be read whole, as when an open transaction hides it.
    """
    found: dict[TopicPartition, EpochStart] = {}
    looking, window = {place: span for place, span in spans.items() if span.start < span.end}, FIRST_WINDOW
    while looking:
        begins = {place: max(span.start, span.end - window) for place, span in looking.items()}
        older, newer = set[TopicPartition](), dict[TopicPartition, EpochStart]()
        for place, offset, epoch in _records(source, begins, looking):
            if epoch <= looking[place].epoch:
                older.add(place)
            else:
                newer.setdefault(place, EpochStart(offset=CanonicalOffset(offset), epoch=epoch))
        found |= newer
        looking = {
            place: span
            for place, span in looking.items()
            if place not in older and begins[place] > span.start
        }
        window *= 2
    return found


def _records(
    source: Source, begins: Mapping[TopicPartition, int], spans: Mapping[TopicPartition, EpochSpan]
) -> Iterator[tuple[TopicPartition, int, int]]:
    """Yield offset and leader epoch of the records of each span from where it begins, as they come."""
    source.assign(begins)
    unread, heard_s = set(begins), monotonic_s()
    while unread:
        for message in source.fetch(TAIL_BATCH, within_s=READ_TIMEOUT_S):
            place, offset = (
                TopicPartition(message.topic() or "", message.partition() or 0),
                message.offset() or 0,
            )
            if place not in unread:
                continue
            end, error, heard_s = spans[place].end, message.error(), monotonic_s()
            if error is None:
                if offset < end:
                    yield place, offset, _epoch(message)
                if offset >= end - 1:
                    unread.discard(place)
            elif (event := event_of(error)) is LogEvent.END and offset >= end:
                unread.discard(place)
            elif event is LogEvent.END:
                raise BrokerUnavailable(
                    f"{place.topic}/{place.partition} ends at {offset}, before {end}: an open transaction hides the rest"
                )
            elif event is not LogEvent.PASSING:
                raise BrokerUnavailable(f"{place.topic}/{place.partition} cannot be read: {error.str()}")
        if monotonic_s() - heard_s > READ_TIMEOUT_S:
            raise BrokerUnavailable(
                f"{len(unread)} logs gave nothing for {READ_TIMEOUT_S:.0f} s; is the broker up?"
            )


def _epoch(message: Message) -> int:
    epoch = message.leader_epoch()
    return UNKNOWN_EPOCH if epoch is None else epoch
