"""One raw block in, canonical events, gaps and dead letters out: the decision every path shares, live and replayed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any

from schemas.calendar.sessions import calendars_in_force
from schemas.clocks import EventTime, KnowledgeTime, RawOffset
from schemas.errors import InvalidRecord
from schemas.fields import Versions
from schemas.identity import gap_id
from schemas.records import Confidence, DeadLetter, Discontinuity, Event, Gap, RawBlock
from schemas.streams import StreamId
from stream_processors.gaps import Blindness, judge, unseen_ranges
from stream_processors.memory import PartitionState, Series, see
from stream_processors.validation import CHECKS, check_time

STAGE = "processor"
LOG_TRUNCATED = "log_truncated"
PROCESSING_VERSION = 1  # raised with every change that makes equal raw records give other canonical ones


@dataclass(slots=True)
class Outputs:
    """Outputs of one block: (index in the block, event) of each canonical event, gaps in order, dead letters."""

    events: list[tuple[int, Event]] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    repeated: int = 0


@dataclass(slots=True)
class _Judgement:
    """The evidence of a block on the completeness of one series of slots."""

    series: Series
    arrivals: list[EventTime] = field(default_factory=list)
    blindnesses: list[Blindness] = field(default_factory=list)


def process(
    state: PartitionState, raw_offset: RawOffset, known_from: KnowledgeTime, block: RawBlock
) -> Outputs:
    """Return what `block`, at `raw_offset` of the state's partition and known from `known_from` (µs), becomes.

    The state moves with it. Never raises for what a block holds: an impossible event or discontinuity is a dead letter.
    """
    state.judge_by(calendars_in_force())
    run = _Run(state, raw_offset, known_from, block)
    if state.torn:
        run.tell_truncation()
    run.take_discontinuities()
    TAKING[state.stream.versions](run)
    run.judge_slots()
    return run.outputs


class _Run:
    """One call of `process`."""

    def __init__(
        self, state: PartitionState, raw_offset: RawOffset, known_from: KnowledgeTime, block: RawBlock
    ) -> None:
        self.outputs = Outputs()
        self._state, self._offset, self._known_from, self._block = state, raw_offset, known_from, block
        self._judgements: dict[StreamId, _Judgement] = {}
        confident = block.hints.get("guaranteed") == "1"
        self._confidence: Confidence = "proven" if confident else "inferred"

    def take_slots(self) -> None:
        """Version the values of slots; remember which final ones arrived."""
        state, provider, known_from = self._state, self._block.provider, self._known_from
        outputs, check, content = self.outputs, CHECKS[state.stream.name], state.content
        judgements = self._judgements
        for index, event in self._named_events():
            try:
                series = state.series(provider, event["symbol"], event["interval"])
                check(event, known_from)
            except InvalidRecord as error:
                self._refuse(index, event, error)
                continue
            start = event["event_time"]
            if series.seen_to is None or start > series.seen_to:
                series.seen_to = start
            if event["final"] and (series.frontier is None or start > series.frontier):
                judgement = judgements.get(series.key)
                if judgement is None:
                    judgement = judgements[series.key] = _Judgement(series)
                judgement.arrivals.append(start)
            if series.versions is not None and series.versions.changes(start, content(event)):
                outputs.events.append((index, event))
            else:
                outputs.repeated += 1

    def take_latest(self) -> None:
        """Version the values of the newest moment."""
        state, provider, known_from = self._state, self._block.provider, self._known_from
        outputs, check, content = self.outputs, CHECKS[state.stream.name], state.content
        for index, event in self._named_events():
            try:
                series = state.series(provider, event["symbol"], "")
                check(event, known_from)
            except InvalidRecord as error:
                self._refuse(index, event, error)
                continue
            stamp = event["event_time"]
            if series.seen_to is None or stamp > series.seen_to:
                series.seen_to = stamp
            if series.versions is not None and series.versions.changes(stamp, content(event)):
                outputs.events.append((index, event))
            else:
                outputs.repeated += 1

    def take_occurrences(self) -> None:
        """Pass every event but those of a repeated frame."""
        state, block, known_from, outputs = self._state, self._block, self._known_from, self.outputs
        check = CHECKS[state.stream.name]
        frame: tuple[int, ...] = ()
        repeats = False
        for index, event in self._named_events():
            try:
                series = state.series(block.provider, event["symbol"], "")
                check(event, known_from)
            except InvalidRecord as error:
                self._refuse(index, event, error)
                continue
            stamp = event["event_time"]
            if series.seen_to is None or stamp > series.seen_to:
                series.seen_to = stamp
            if frame != (event["frame_sequence"], event["frame_hash"]):
                frame, repeats = (event["frame_sequence"], event["frame_hash"]), state.repeats(block, event)
            if repeats:
                outputs.repeated += 1
            else:
                outputs.events.append((index, event))

    def take_discontinuities(self) -> None:
        """Turn what the producer could not see into gaps; those of slots wait for the block's values."""
        for discontinuity in self._block.discontinuities:
            try:
                series = self._unseen_series(discontinuity)
            except InvalidRecord as error:
                self._refuse(-1, asdict(discontinuity), error)
                continue
            self._take_unseen(series, discontinuity)

    def tell_truncation(self) -> None:
        """Turn raw records that were deleted unprocessed into gaps: of each stream, up to the first event it has again.

        Nobody knows whether it had any in between; a stream is told of when it goes on, because only that bounds the gap.
        """
        state, first = self._state, dict[StreamId, EventTime]()
        for event in self._block.events:
            key = StreamId(
                state.stream.name, event.get("interval", ""), self._block.provider, event["symbol"]
            )
            moment = event["event_time"]
            if key in state.torn and moment > (state.held[key].seen_to or 0) and self._is_possible(moment):
                first[key] = min(moment, first.get(key, moment))
        for key, moment in first.items():
            state.torn.discard(key)
            lost = Discontinuity(
                symbol=key.symbol, interval=key.interval, from_time=None, to_time=moment, cause=LOG_TRUNCATED
            )
            self._take_unseen(state.held[key], lost)

    def _is_possible(self, moment: EventTime) -> bool:
        try:
            check_time(moment, self._known_from)
        except InvalidRecord:
            return False
        return True

    def _take_unseen(self, series: Series, discontinuity: Discontinuity) -> None:
        if series.numbered:
            judgement = self._judgements.setdefault(series.key, _Judgement(series))
            told = Blindness(
                from_time=discontinuity.from_time, to_time=discontinuity.to_time, cause=discontinuity.cause
            )
            judgement.blindnesses.append(told)
            return
        for start, end in unseen_ranges(series.calendar, series.seen_to, discontinuity):
            self._find(series, start, end, expected=0, cause=discontinuity.cause)
        if series.seen_to is not None or discontinuity.from_time is not None:
            see(series, discontinuity.to_time)

    def judge_slots(self) -> None:
        """Find the missing slots, now that all of the block's values have been seen."""
        for judgement in self._judgements.values():
            series = judgement.series
            series.frontier, holes = judge(
                series.calendar,
                series.key.interval,
                series.frontier,
                judgement.arrivals,
                judgement.blindnesses,
            )
            for hole in holes:
                self._find(series, hole.from_time, hole.to_time, expected=hole.expected, cause=hole.cause)

    def _unseen_series(self, discontinuity: Discontinuity) -> Series:
        if not self._block.provider:
            raise InvalidRecord("the block names no provider: only a tick may")
        check_time(discontinuity.to_time, self._known_from)
        if discontinuity.from_time is not None:
            check_time(discontinuity.from_time, self._known_from)
        interval = discontinuity.interval if self._state.stream.by_interval else ""
        return self._state.series(self._block.provider, discontinuity.symbol, interval)

    def _named_events(self) -> Iterable[tuple[int, Event]]:
        if self._block.provider:
            return enumerate(self._block.events)
        for index, event in enumerate(self._block.events):
            self._refuse(index, event, InvalidRecord("the block names no provider: only a tick may"))
        return ()

    def _find(self, series: Series, start: EventTime, end: EventTime, *, expected: int, cause: str) -> None:
        gap = Gap(
            gap_id=gap_id(series.name, start),
            stream=series.name,
            symbol=series.key.symbol,
            provider=series.key.provider,
            interval=series.key.interval,
            from_time=start,
            to_time=end,
            cause=cause,
            confidence=self._confidence,
            expected=expected,
            detector=STAGE,
            known_from=self._known_from,
            raw_offset=self._offset,
            index=len(self.outputs.gaps),
        )
        self.outputs.gaps.append(gap)

    def _refuse(self, index: int, event: Event, error: InvalidRecord) -> None:
        letter = DeadLetter(
            stage=STAGE,
            reason=error.reason,
            message=str(error),
            topic=self._state.raw_topic,
            partition=self._state.partition,
            offset=self._offset,
            index=index,
            known_from=self._known_from,
            provider=self._block.provider,
            symbol=str(event["symbol"]),
            payload=_as_json(event),
        )
        self.outputs.dead.append(letter)


TAKING: Mapping[Versions, Callable[[_Run], None]] = {
    "slots": _Run.take_slots,
    "latest": _Run.take_latest,
    "occurrences": _Run.take_occurrences,
}


def _as_json(event: Mapping[str, Any]) -> bytes:
    """Return an event as JSON; a number JSON cannot hold becomes its name as text."""
    plain = {
        name: repr(value) if isinstance(value, float) and not isfinite(value) else value
        for name, value in event.items()
    }
    return json.dumps(plain, ensure_ascii=False).encode()
