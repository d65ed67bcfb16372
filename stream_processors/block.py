"""One raw block in, canonical events, evidence and dead letters out: the decision every path shares, live and replayed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from zlib import crc32

from schemas.answered import AnsweredStretch, answered_of
from schemas.clocks import EventTime, KnowledgeTime, RawOffset
from schemas.deriving import items
from schemas.errors import InvalidRecord
from schemas.fields import Versions
from schemas.intervals import AHEAD_US, SLOT_US
from schemas.records import DeadLetter, Discontinuity, Event, Evidence, RawBlock
from schemas.streams import StreamId
from schemas.validation import CHECKS, check_time
from schemas.wire.splicing import compared_bytes, event_bytes
from stream_processors.evidence import LOG_TRUNCATED, Told
from stream_processors.gaps import Blindness, ended_by, unseen_range
from stream_processors.memory import BACKFILL, Judgement, PartitionState, Series, see
from stream_processors.refusals import dead_event
from stream_processors.repeats import Frame
from stream_processors.versions import Entries

NAMELESS = "the block names no provider: only a tick may"
PROCESSING_VERSION = 3  # raised with every change that makes equal raw records give other canonical ones


@dataclass(slots=True)
class Outputs:
    """Outputs of one block: (index in the block, event) of each canonical event, evidence in order, dead letters."""

    events: list[tuple[int, Event]] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    repeated: int = 0


def process(
    state: PartitionState,
    raw_offset: RawOffset,
    known_from: KnowledgeTime,
    block: RawBlock,
    contents: Sequence[bytes] | None = None,
) -> Outputs:
    """Return what `block`, at `raw_offset` of the state's partition and known from `known_from` (µs), becomes.

    The state moves with it. `contents` are the Avro bytes of the block's events, by which values are compared; made where
    the caller has none. Never raises for what a block holds: an impossible event or discontinuity is a dead letter.
    """
    if contents is None and state.stream.versions != "occurrences":
        contents = [event_bytes(state.raw_topic, event) for event in block.events]
    run = _Run(state, raw_offset, known_from, block, contents or ())
    if state.torn_from is not None or state.torn:
        run.tell_truncation()
    run.take_discontinuities()
    TAKING[state.stream.versions](run)
    run.judge_slots()
    run.tell_collected()
    return run.outputs


class _Run:
    """One call of `process`."""

    def __init__(
        self,
        state: PartitionState,
        raw_offset: RawOffset,
        known_from: KnowledgeTime,
        block: RawBlock,
        contents: Sequence[bytes],
    ) -> None:
        self._told = Told(raw_offset=raw_offset, known_from=known_from, job_id=block.job_id)
        self.outputs = Outputs(evidence=self._told.evidence)
        self._state, self._offset, self._known_from, self._block = state, raw_offset, known_from, block
        self._contents, self._newest = contents, EventTime(known_from + AHEAD_US)
        # An entry tells of any day: what counts is when it was told.
        self._told_at = EventTime(known_from) if state.stream.versions == "entries" else None
        self._judgements: dict[StreamId, Judgement] = {}
        self._backfilled: dict[StreamId, list[EventTime]] | None = {} if block.route == BACKFILL else None

    def take_slots(self) -> None:
        """Version the values of slots; remember which final ones arrived.

        A value ahead of its time is compared with nothing: remembered, it would pass for the newest. What is told aside is
        no part of it, or a poll of the day after would be a version.
        """
        outputs, judgements = self.outputs, self._judgements
        live, newest = self._backfilled is None, self._newest
        contents = compared_bytes(self._state.stream, self._block.events, self._contents)
        for index, event, series in self._checked_events():
            start = event["event_time"]
            frontier = series.frontier
            if live and event["final"] and start <= newest and (frontier is None or frontier < start):
                judgement = judgements.get(series.key)
                if judgement is None:
                    judgement = judgements[series.key] = Judgement(series)
                judgement.arrivals.append(start)
            if start > newest or series.versions is None or series.versions.changes(start, contents[index]):
                outputs.events.append((index, event))
            else:
                outputs.repeated += 1

    def take_latest(self) -> None:
        """Version the values of the newest moment; one ahead of its time is compared with nothing."""
        outputs, contents, newest = self.outputs, self._contents, self._newest
        for index, event, series in self._checked_events():
            stamp = event["event_time"]
            if stamp > newest or series.versions is None or series.versions.changes(stamp, contents[index]):
                outputs.events.append((index, event))
            else:
                outputs.repeated += 1

    def take_entries(self) -> None:
        """Version what is told of entries; when it was told is no part of it, or each telling would be a version."""
        outputs, named = self.outputs, items(self._state.stream)
        for index, event, series in self._checked_events():
            name = "\0".join(str(event[each]) for each in named).encode()
            told = event_bytes(self._state.raw_topic, {**event, "event_time": 0})
            if not isinstance(series.versions, Entries) or series.versions.tells(name, told):
                outputs.events.append((index, event))
            else:
                outputs.repeated += 1

    def take_occurrences(self) -> None:
        """Pass every event but those of a repeated frame."""
        outputs, frames, newest = self.outputs, list[Frame](), self._newest
        taken: list[tuple[int, Event, int]] = []
        for index, event, _ in self._checked_events():
            sequence, content, stamp = event["frame_sequence"], event["frame_hash"], event["event_time"]
            subject = crc32(event["symbol"].encode())
            if not frames or frames[-1].sequence != sequence or frames[-1].content != content:
                frames.append(Frame(sequence, content, subject, stamp))
            frames[-1].add(subject, stamp, named=event.get("trade_id") is not None, ahead=stamp > newest)
            taken.append((index, event, len(frames) - 1))
        fates = self._state.frames.repeats(self._block.connection_id, frames)
        outputs.events = [(index, event) for index, event, frame in taken if not fates[frame]]
        outputs.repeated = len(taken) - len(outputs.events)

    def _checked_events(self) -> Iterator[tuple[int, Event, Series]]:
        """Yield the events that are possible, with their series; note what they say of its completeness."""
        state, provider, known_from = self._state, self._block.provider, self._known_from
        check, backfilled, by_interval = CHECKS[state.stream.name], self._backfilled, state.stream.by_interval
        for index, event in enumerate(self._block.events):
            try:
                if not provider:
                    raise InvalidRecord(NAMELESS)
                series = state.series(provider, event["symbol"], event["interval"] if by_interval else "")
                check(event, known_from)
            except InvalidRecord as error:
                self._refuse(index, event, error)
                continue
            stamp = self._told_at or event["event_time"]
            if backfilled is None:
                if not series.collecting or series.seen_to is None or stamp > series.seen_to:
                    self._see(series, stamp)
            elif not series.numbered or event["final"]:
                backfilled.setdefault(series.key, []).append(stamp)
            yield index, event, series

    def take_discontinuities(self) -> None:
        """Turn what the producer could not see into gaps, whichever it names first; those of slots wait for the block's values."""
        # A series is judged forward only. What has no begin begins with what was seen last.
        for discontinuity in sorted(self._block.discontinuities, key=lambda each: each.from_time or 0):
            try:
                series = self._unseen_series(discontinuity)
            except InvalidRecord as error:
                self._refuse(-1, asdict(discontinuity), error)
                continue
            self._take_unseen(series, ended_by(discontinuity, self._newest))

    def tell_truncation(self) -> None:
        """Tell what raw records that were deleted unprocessed may have cost: the partition at once, then its series.

        What a series lost ends with the newest event this block has of any: that is as late as the market was; of entries
        it ends where they are told of again, whatever day they are about. A block without events leaves the series torn.
        """
        state = self._state
        if state.torn_from is not None:
            self._told.of_partition(state.raw_topic, state.partition, state.torn_from)
            state.torn_from = None
        stamps = [self._told_at or event["event_time"] for event in self._block.events]
        possible = [stamp for stamp in stamps if 0 < stamp <= self._known_from + AHEAD_US]
        if not state.torn or not possible or self._block.route == BACKFILL:
            return
        state.torn = False
        to_time = EventTime(min(max(possible), self._known_from))
        for key, series in sorted(state.held.items()):
            series.touched = state.next_offset
            lost = Discontinuity(
                symbol=key.symbol, interval=key.interval, to_time=to_time, cause=LOG_TRUNCATED
            )
            self._take_unseen(series, lost)

    def _take_unseen(self, series: Series, discontinuity: Discontinuity) -> None:
        if series.numbered:
            judgement = self._judgements.setdefault(series.key, Judgement(series))
            told = Blindness(
                from_time=discontinuity.from_time, to_time=discontinuity.to_time, cause=discontinuity.cause
            )
            judgement.blindnesses.append(told)
            return
        unseen = unseen_range(series.calendar, series.seen_to, discontinuity)
        if unseen is not None:
            self._begin(series, unseen[0])
            self._told.missing(series.key, *unseen, cause=discontinuity.cause)
        if series.seen_to is not None or discontinuity.from_time is not None:
            see(series, discontinuity.to_time)

    def judge_slots(self) -> None:
        """Find the missing slots, now that all of the block's values have been seen."""
        for judgement in self._judgements.values():
            series, holes = judgement.series, judgement.holes()
            if not series.collecting and series.frontier is not None:
                series.collecting = True
                begin = min([*judgement.arrivals, *(hole.from_time for hole in holes[:1])])
                self._told.of_series("collected", series.key, begin, None)
            for hole in holes:
                self._told.missing(
                    series.key, hole.from_time, hole.to_time, cause=hole.cause, expected=hole.expected
                )

    def tell_collected(self) -> None:
        """Tell since when series are collected, and by a backfill: what was asked for, else from its first to its last value."""
        for key in self._told.tell_begun():
            self._state.held[key].collecting = True
        if self._backfilled is None:
            return
        told: set[StreamId] = set()
        for asked in self._asked():
            try:
                series = self._series_of(asked.symbol, asked.interval)
                check_time(asked.from_time, self._known_from)
            except InvalidRecord as error:
                self._refuse(-1, asdict(asked), error)
                continue
            if asked.given_up:
                said = (asked.from_time, asked.to_time)
                self._told.of_series("unrecoverable", series.key, *said, cause=asked.given_up)
                continue
            told.add(series.key)
            self._told.of_series("collected", series.key, asked.from_time, asked.to_time)
            if series.numbered:
                self._told.of_series("empty", series.key, asked.from_time, asked.to_time)
        for key, starts in self._backfilled.items():
            if key not in told:
                step = SLOT_US.get(key.interval, 1)
                self._told.of_series("collected", key, min(starts), EventTime(max(starts) + step))

    def _asked(self) -> Sequence[AnsweredStretch]:
        try:
            return answered_of(self._block.hints)
        except InvalidRecord as error:
            self._refuse(-1, {"symbol": "", "hints": dict(self._block.hints)}, error)
            return ()

    def _see(self, series: Series, stamp: EventTime) -> None:
        seen = EventTime(min(stamp, self._known_from))
        if not series.numbered:
            self._begin(series, seen)
        see(series, seen)

    def _begin(self, series: Series, moment: EventTime) -> None:
        if not series.collecting:
            self._told.begin(series.key, moment)

    def _unseen_series(self, discontinuity: Discontinuity) -> Series:
        if not self._block.provider:
            raise InvalidRecord(NAMELESS)
        check_time(discontinuity.to_time, self._known_from)
        if discontinuity.from_time is not None:
            check_time(discontinuity.from_time, self._known_from)
        return self._series_of(discontinuity.symbol, discontinuity.interval)

    def _series_of(self, symbol: str, interval: str) -> Series:
        named = interval if self._state.stream.by_interval else ""
        return self._state.series(self._block.provider, symbol, named)

    def _refuse(self, index: int, event: Event, error: InvalidRecord) -> None:
        letter = dead_event(
            error,
            event,
            topic=self._state.raw_topic,
            partition=self._state.partition,
            offset=self._offset,
            index=index,
            known_from=self._known_from,
            provider=self._block.provider,
        )
        self.outputs.dead.append(letter)


TAKING: Mapping[Versions, Callable[[_Run], None]] = {
    "slots": _Run.take_slots,
    "latest": _Run.take_latest,
    "entries": _Run.take_entries,
    "occurrences": _Run.take_occurrences,
}
