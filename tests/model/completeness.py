"""What of a raw partition is missing, computed the naive way: sets of bars, walked one by one, and lists of statements.

It shares no code with the processor, the ledger or the sink.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.intervals import DAY_US, MINUTE_US, SLOT_US
from tests.model.market import LONG_US, Series
from tests.model.oracle import AHEAD_US, Arrived, Oracle, Place, has_entries, has_slots
from tests.model.venues import DAILY, Bar, expected, open_minutes

MISSING_BARS, LOG_TRUNCATED = "missing_bars", "log_truncated"
LONG_SILENCE, ELSEWHERE = "long_silence", "served_elsewhere"
INFERRED = (MISSING_BARS, LONG_SILENCE)
VERDICTS = ("empty", "unrecoverable")  # the first outranks the second
KIND_OF_CAUSE = {MISSING_BARS: "absent", ELSEWHERE: "collected"}  # of any other cause nobody watched

Label = tuple[str, str, int]  # cause, state, how many times a verdict was overtaken


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Evidence the processor must publish: what, of which series, from and to in µs, why, and known from which record."""

    kind: str
    series: Series
    from_time: int
    to_time: int | None
    cause: str = ""
    expected: int = 0
    known_from: int
    raw_offset: int


@dataclass(frozen=True, slots=True)
class Statement:
    """What is said of a set of bars, or of [from, to): since when it is known, and what."""

    known_from: int
    kind: str
    slots: frozenset[int]
    cause: str = ""
    stretch: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class Line:
    """All that is known of one series: since when a final bar of each slot is, and up to where readers know it is judged."""

    bars: Sequence[Bar]
    frontier: int | None = None
    seen_to: int | None = None
    begun: tuple[int, int] | None = None  # known from, collected from
    said: list[Statement] = field(default_factory=list)
    stored: dict[int, int] = field(default_factory=dict)
    live: list[tuple[int, int]] = field(default_factory=list)  # known from, start


@dataclass(slots=True)
class Completeness:
    """Evidence and gaps of one raw partition whose schedule plays in [low, high) (µs).

    `tears`: by the offset of the last record processed before it, the moment since which records were deleted.
    """

    topic: str
    low: int
    high: int
    kept: Collection[Place] = ()  # events that are versions of their own and final
    tears: Mapping[int, int] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    lines: dict[Series, Line] = field(default_factory=dict)
    _offset: int = -1
    _torn: bool = False
    _arrived: Arrived = field(init=False)

    def take(self, arrived: Arrived) -> None:
        """Take the next block."""
        self._arrived, block = arrived, arrived.block
        since = [self.tears[at] for at in sorted(self.tears) if self._offset <= at < arrived.offset]
        self._offset = arrived.offset
        if since:
            self._torn = True
            stretch = (since[0], max(arrived.known_from, since[0] + 1))
            self._tell("blind", (f"{self.topic}/0", "", ""), *stretch, cause=LOG_TRUNCATED)
        blind: dict[Series, list[tuple[int | None, int, str]]] = {}
        # An entry tells of any day: what is known of it is that it was told.
        told = [arrived.known_from if has_entries(self.topic) else e["event_time"] for e in block.events]
        stamps = [each for each in told if each <= arrived.known_from + AHEAD_US]
        if self._torn and stamps and block.route != "backfill":
            self._torn = False
            for series in self.lines:
                blind[series] = [(None, min(max(stamps), arrived.known_from), LOG_TRUNCATED)]
        for each in block.discontinuities:
            series = (block.provider, each.symbol, each.interval)
            blind.setdefault(series, []).append((each.from_time, each.to_time, each.cause))
        events: dict[Series, list[tuple[int, bool]]] = {}  # start, whether it is final
        for index, event in arrived.events:
            series = (block.provider, event["symbol"], event.get("interval", ""))
            events.setdefault(series, []).append((told[index], event.get("final", True)))
            if (
                block.route != "backfill"
                and not arrived.suspect(event)
                and (arrived.offset, index) in self.kept
            ):
                self._line(series).live.append((arrived.known_from, event["event_time"]))
        if block.route == "backfill":
            self._backfilled(events)
            return
        for series in {**blind, **events}:
            self._watched(series, blind.get(series, []), events.get(series, []))

    def _line(self, series: Series) -> Line:
        if series not in self.lines:
            interval = series[2]
            bars = expected(series[1], interval, self.low, self.high) if interval else ()
            self.lines[series] = Line(bars)
        return self.lines[series]

    def _watched(
        self,
        series: Series,
        blind: Iterable[tuple[int | None, int, str]],
        events: Sequence[tuple[int, bool]],
    ) -> None:
        """Take what was seen live of a series, and what nobody saw."""
        line, known = self._line(series), self._arrived.known_from
        final = {start for start, is_final in events if is_final}
        judged = {start for start in final if start <= known + AHEAD_US}
        begins: list[int] = []
        if has_slots(self.topic):
            arrivals = sorted(start for start in judged if line.frontier is None or start > line.frontier)
            for since, to, cause in blind:
                begins += self._blind_bars(series, line, since, to, cause, arrivals)
            self._walk(series, line, arrivals)
            begins += arrivals
        else:
            for since, to, cause in blind:
                begins += self._blind_time(series, line, since, to, cause)
            begins += [min(start, known) for start, _ in events]
            line.seen_to = max([*begins, line.seen_to or 0]) if begins else line.seen_to
        if begins and line.begun is None:
            line.begun = (known, min(begins))
            self._tell("collected", series, min(begins), None)
        self._store(series, line, final)

    def _store(self, series: Series, line: Line, starts: Iterable[int]) -> None:
        for start in starts:
            line.stored.setdefault(slot_of(series, start), self._arrived.known_from)

    def _blind_bars(
        self, series: Series, line: Line, since: int | None, to: int, cause: str, arrivals: list[int]
    ) -> list[int]:
        """Judge what nobody watched, and what came before it; return where it begins."""
        after = -1 if line.frontier is None else slot_of(series, line.frontier)
        if line.frontier is None and since is None:
            return []
        bars = [b for b in line.bars if b.slot > after and b.end > (since or 0) and b.end <= to]
        if not bars:
            return []
        self._walk(series, line, [start for start in arrivals if start < bars[0].slot])
        if line.frontier is not None:
            self._missing(series, line, self._between(series, line, bars[0].slot), MISSING_BARS)
        self._missing(series, line, bars, cause)
        line.frontier = bars[-1].slot
        return [bars[0].slot]

    def _walk(self, series: Series, line: Line, arrivals: Sequence[int]) -> None:
        for start in arrivals:
            if line.frontier is not None and start <= line.frontier:
                continue
            if line.frontier is not None:
                silence = slot_of(series, start) - slot_of(series, line.frontier)
                cause = LONG_SILENCE if silence > LONG_US else MISSING_BARS
                self._missing(series, line, self._between(series, line, slot_of(series, start)), cause)
            line.frontier = start

    def _between(self, series: Series, line: Line, before: int) -> list[Bar]:
        assert line.frontier is not None
        return [bar for bar in line.bars if slot_of(series, line.frontier) < bar.slot < before]

    def _missing(self, series: Series, line: Line, bars: Sequence[Bar], cause: str) -> None:
        if bars:
            kind = KIND_OF_CAUSE.get(cause, "blind")
            to = bars[-1].slot + SLOT_US[series[2]]
            self._tell(kind, series, bars[0].slot, to, cause=cause, expected=len(bars), bars=bars)
            if kind == "blind":
                line.live.append((self._arrived.known_from, bars[-1].slot))

    def _blind_time(self, series: Series, line: Line, since: int | None, to: int, cause: str) -> list[int]:
        """Tell when trades could have happened that nobody watched; return what the series is known of then."""
        known = [moment for moment in (line.seen_to, since) if moment is not None]
        if not known:
            return []
        start = max(known)
        minutes = [m for m in open_minutes(series[1], self.low - DAY_US, to) if m + MINUTE_US > start]
        begins = []
        if start < to and minutes:
            begins = [max(start, minutes[0])]
            kind = KIND_OF_CAUSE.get(cause, "blind")
            self._tell(kind, series, begins[0], min(to, minutes[-1] + MINUTE_US), cause=cause)
        line.seen_to = max(line.seen_to or 0, to)
        return begins

    def _backfilled(self, events: Mapping[Series, Sequence[tuple[int, bool]]]) -> None:
        """Take what a backfill brought, and for which stretch that is all there is."""
        said: set[Series] = set()
        for symbol, interval, low, high in json.loads(self._arrived.block.hints.get("answered", "[]")):
            series = (self._arrived.block.provider, symbol, interval)
            said.add(series)
            for kind in ("collected", "empty") if has_slots(self.topic) else ("collected",):
                self._tell(kind, series, low, high, bars=self._over(series, low, high))
        for symbol, interval, low, high, cause in json.loads(self._arrived.block.hints.get("given_up", "[]")):
            series = (self._arrived.block.provider, symbol, interval)
            bars = self._over(series, low, high)
            self._tell("unrecoverable", series, low, high, cause=cause, bars=bars)
        for series, values in events.items():
            starts = [start for start, final in values if final]
            if starts and series not in said:
                low, high = min(starts), max(starts) + SLOT_US.get(series[2], 1)
                first = slot_of(series, low)
                self._tell(
                    "collected", series, low, high, bars=self._over(series, first, slot_of(series, high))
                )
            self._store(series, self._line(series), starts)

    def _over(self, series: Series, low: int, high: int) -> list[Bar]:
        """Return the bars in [low, high) that are over: nobody can say yet that others do not exist."""
        bars = self._line(series).bars
        return [bar for bar in bars if low <= bar.slot < high and bar.end <= self._arrived.known_from]

    def _tell(
        self, kind: str, series: Series, low: int, high: int | None, *, cause: str = "", expected: int = 0,
        bars: Iterable[Bar] = (),
    ) -> None:  # fmt: skip
        known = self._arrived.known_from
        self.told.append(
            Told(
                kind=kind, series=series, from_time=low, to_time=high, cause=cause, expected=expected,
                known_from=known, raw_offset=self._arrived.offset,
            )
        )  # fmt: skip
        slots = frozenset(bar.slot for bar in bars)
        self._line(series).said.append(Statement(known, kind, slots, cause, (low, high or 0)))


def slot_of(series: Series, start: int) -> int:
    """Return the slot of a bar: a daily bar's is its day."""
    return start // DAY_US * DAY_US if series[2] == DAILY else start


def ledger(series: Series, line: Line, moment: int) -> dict[int, Label]:
    """Return what is missing of a series by all that is known at a moment, slot by slot: why, and what became of it."""
    said = [each for each in line.said if each.known_from <= moment]
    if not series[2]:
        return {
            each.stretch[0]: (each.cause, "open", each.stretch[1]) for each in said if each.kind == "blind"
        }
    stored = {slot for slot, known in line.stored.items() if known <= moment}
    labels: dict[int, Label] = {}
    for slot in _collected(series, line, said, moment) - stored:
        labels[slot] = (MISSING_BARS, _verdict({each.kind for each in said if slot in each.slots}), 0)
    blind: dict[int, Label] = {}
    asked: dict[int, set[str]] = {}
    for each in said:  # in the order of knowledge
        for slot in each.slots:
            cause, state, times = blind.get(slot, ("", "", 0))
            if each.cause == LONG_SILENCE:  # no news to who had asked before
                blind.setdefault(slot, (each.cause, _verdict(asked.get(slot, set())), 0))
            elif each.kind == "blind" and state != "open":
                blind[slot] = (each.cause, "open", times + (state in VERDICTS))
            elif each.kind in VERDICTS:
                if state:
                    blind[slot] = (cause, _verdict({state, each.kind}), times)
                asked.setdefault(slot, set()).add(each.kind)
    for slot, (cause, state, times) in blind.items():
        labels[slot] = (cause, "filled" if slot in stored else state, times)
    return labels


def _verdict(said: Collection[str]) -> str:
    """Return what verdicts come to: that nothing exists outranks giving up."""
    return next((kind for kind in VERDICTS if kind in said), "open")


def _collected(series: Series, line: Line, said: Iterable[Statement], moment: int) -> set[int]:
    live = [start for known, start in line.live if known <= moment]
    slots = {slot for e in said if e.kind == "collected" and not e.cause for slot in e.slots}
    elsewhere = {slot for e in said if e.cause == ELSEWHERE for slot in e.slots}
    if line.begun is not None and line.begun[0] <= moment and live:
        first, last = slot_of(series, line.begun[1]), slot_of(series, max(live))
        slots |= {bar.slot for bar in line.bars if first <= bar.slot < last} - elsewhere
    return slots


def bits(line: Line) -> tuple[set[int], set[int]]:
    """Return the slots of bars that are absent, and of those the vendor has none of, as they are told."""
    absent, empty = (
        set[int]().union(*(e.slots for e in line.said if e.kind == k)) for k in ("absent", "empty")
    )
    return absent - empty - line.stored.keys() - running(line), empty - line.stored.keys()


def running(line: Line) -> set[int]:
    """Return the slots of bars that were not over when they were told absent, by clocks that differ."""
    over = {bar.slot: bar.end for bar in line.bars}
    told = ((slot, e.known_from) for e in line.said if e.kind == "absent" for slot in e.slots)
    return {slot for slot, known in told if over[slot] > known}


def completeness(oracle: Oracle, low: int, high: int, tears: Mapping[int, int]) -> Completeness:
    """Return what is missing of what an oracle took."""
    found = Completeness(oracle.topic, low, high, frozenset(oracle.kept), tears)
    for arrived in oracle.arrived:
        found.take(arrived)
    return found
