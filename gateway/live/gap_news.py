"""News of gaps of one symbol: each opening and each end told once, whichever topic, evidence, ledger or bars, says it first.

Evidence tells of a gap in the transaction that revealed it. Of blind stretches the ledger tells what becomes of them. No
topic tells that the bars of an absent stretch came after all: that is seen here, in the bars. Memory is bounded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from schemas.calendar.expected_bars import expected_span, slot_of
from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime, KnowledgeTime
from schemas.errors import InvalidRecord
from schemas.identity import stream_of
from schemas.intervals import AHEAD_US, DAY_US, SLOT_US
from schemas.ledger.gaps import gap_from, gaps_of
from schemas.records import Evidence, Gap, GapState
from schemas.streams import BAR_STREAM, StreamId

MAX_OPEN_GAPS = 256  # per symbol, of each kind; the ledger of all of them is in the database
MAX_TOLD = 1_024  # gaps of a symbol of which it is remembered that they were told
MAX_LATE_BARS = 1_024  # of a series, late ones remembered for evidence that is read after them
# A longer stretch is told as one gap: the loop that reads all streams must not wait.
LONGEST_DERIVED_US = 31 * DAY_US
MAX_AWAITED_BARS = 16_384  # of one gap; the end of a longer one is in the database only
VERDICTS: Mapping[str, GapState] = {"empty": "empty", "unrecoverable": "unrecoverable"}


class GapNews(NamedTuple):
    """Fields of a gap that is new or has ended; `recorded`: they are a record of the symbol's stream of gaps as well."""

    fields: Mapping[str, Any]
    recorded: bool


@dataclass(slots=True)
class _Absence:
    gap: Gap
    series: StreamId
    arrived: int = 0  # bit n: the bar in slot n from the gap's first

    def take(self, start: EventTime) -> bool:
        """Note that the final bar of `start` is there; whether now all are."""
        gap, interval = self.gap, self.series.interval
        slot = slot_of(interval, start)
        if gap.from_time <= slot < gap.to_time and expected_span(
            calendar_of(gap.symbol), interval, slot, EventTime(slot + 1)
        ):
            self.arrived |= 1 << (slot - gap.from_time) // SLOT_US[interval]
        return self.arrived.bit_count() >= gap.expected


class SymbolGaps:
    """Gaps of one symbol: which were told, and the absences that are open."""

    def __init__(self) -> None:
        """Begin with nothing told."""
        self._told: dict[str, tuple[GapState, KnowledgeTime]] = {}
        self._absences: dict[str, _Absence] = {}
        self._newest: dict[tuple[str, str], EventTime] = {}
        self._late: dict[StreamId, deque[EventTime]] = {}

    def absences(self, since: KnowledgeTime) -> Iterator[Gap]:
        """Yield the open absences known since `since` (µs), in the order they were told."""
        for absence in self._absences.values():
            if absence.gap.known_from >= since:
                yield absence.gap

    def hear_evidence(self, fields: Mapping[str, Any]) -> list[GapNews]:
        """Return what a record of evidence.v1 makes news."""
        told = Evidence(**fields)
        try:
            series = stream_of(told.stream)
        except InvalidRecord:
            return []  # of a whole partition, or of something that is no series
        if told.kind in VERDICTS:
            return self._close(series, told)
        if told.kind not in ("blind", "absent") or told.to_time is None:
            return []
        news = []
        for gap in _revealed(series, told):
            before = self._told.get(gap.gap_id)
            if before is not None and before[1] >= gap.known_from:
                continue  # the ledger, or earlier evidence, said so before
            if told.kind == "absent":
                if self._await(series, gap):
                    continue
                news.append(GapNews(self._tell(gap), recorded=False))
            else:
                news.append(GapNews(self._tell(gap), recorded=True))
        return news

    def hear_gap(self, fields: Mapping[str, Any]) -> list[GapNews]:
        """Return what a record of gaps.v1 makes news: nothing where evidence told the same of it."""
        gap_id, said = fields["gap_id"], (fields["state"], fields["known_from"])
        self._absences.pop(gap_id, None)
        if self._told.get(gap_id) == said:
            return []
        self._remember(gap_id, said)
        return [GapNews(fields, recorded=True)]

    def hear_bar(self, fields: Mapping[str, Any]) -> list[GapNews]:
        """Return the absences that a final bar ends."""
        start, key = fields["event_time"], (fields["provider"], fields["interval"])
        newest = self._newest.get(key)
        if start > fields["known_from"] + AHEAD_US:
            return []
        if newest is None or start > newest:
            self._newest[key] = start
            return []
        series = StreamId(BAR_STREAM.name, fields["interval"], fields["provider"], fields["symbol"])
        self._late.setdefault(series, deque(maxlen=MAX_LATE_BARS)).append(start)
        ended = [each for each in self._of(series) if each.take(start)]
        return [self._end(each, "filled") for each in ended]

    def _of(self, series: StreamId) -> list[_Absence]:
        return [each for each in self._absences.values() if each.series == series]

    def _await(self, series: StreamId, gap: Gap) -> bool:
        """Wait for the bars of an absence; whether all have come already, read before the evidence."""
        if not 0 < (gap.to_time - gap.from_time) // SLOT_US[series.interval] <= MAX_AWAITED_BARS:
            return False
        absence = _Absence(gap, series)
        if any(absence.take(start) for start in self._late.get(series, ())):
            return True
        self._absences[gap.gap_id] = absence
        if len(self._absences) > MAX_OPEN_GAPS:
            del self._absences[next(iter(self._absences))]
        return False

    def _close(self, series: StreamId, verdict: Evidence) -> list[GapNews]:
        end = verdict.from_time if verdict.to_time is None else verdict.to_time
        closed = [
            each
            for each in self._of(series)
            if slot_of(series.interval, verdict.from_time) <= each.gap.from_time and each.gap.to_time <= end
        ]
        return [self._end(each, VERDICTS[verdict.kind]) for each in closed]

    def _end(self, absence: _Absence, state: GapState) -> GapNews:
        del self._absences[absence.gap.gap_id]
        return GapNews(self._tell(replace(absence.gap, state=state)), recorded=False)

    def _tell(self, gap: Gap) -> Mapping[str, Any]:
        self._remember(gap.gap_id, (gap.state, gap.known_from))
        return asdict(gap)

    def _remember(self, gap_id: str, said: tuple[GapState, KnowledgeTime]) -> None:
        self._told.pop(gap_id, None)
        self._told[gap_id] = said
        if len(self._told) > MAX_TOLD:
            del self._told[next(iter(self._told))]


def _revealed(series: StreamId, told: Evidence) -> list[Gap]:
    """Return the gaps that one piece of evidence makes by itself."""
    end = told.from_time if told.to_time is None else told.to_time
    if end - told.from_time > LONGEST_DERIVED_US:
        return [gap_from(told, told.from_time, end, expected=told.expected)]
    collected = replace(told, kind="collected", cause="")
    return gaps_of(series, [collected, told], (), horizon=None, start=told.from_time, end=end)
