"""Names under which the bars of an answer are stored, pure: which of them a stretch of time is read under, and what `meta` says of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from analytics.symbol_names import NameChain, NameSpan, UnresolvedName
from gateway.database.versions import Span
from gateway.http.columns import DATE, TEXT, Column, or_null, record, rows, words_of
from gateway.http.endpoints import parameter
from gateway.http.moments import EARLIEST_US, LATEST_US
from gateway.http.parameters import OneOf
from gateway.market.action_account import CITED, cited
from gateway.market.aggregate import MOST_DAYS, unit_bounds
from schemas.calendar.sessions import Calendar
from schemas.clocks import Day, EventTime, date_of, iso_day
from schemas.partitions import partition_of

PinnedNames = tuple[tuple[str, int | None, int | None], ...]
"""Names as a page token holds them: symbol, first day, day after the last."""

MOST_TOLD = 16
NAMES = parameter(
    OneOf(("all", "own")),
    "all: bars under every name the instrument had, each within its days, by renames. own: those that are stored under this symbol, "
    "whoever bore it.",
    default="all",
)
NAMES_META = (
    Column(
        "names",
        rows(
            record(
                Column("symbol", TEXT, "What it was called."),
                Column(
                    "from", or_null(DATE), "First day at the venue; null: no earlier name is told.", "date"
                ),
                Column("to", or_null(DATE), "Day after the last; null: until further notice.", "date"),
            )
        ),
        "Where bars are of other names than the one asked for: what the instrument was called in the range. Each bar is of the name of its day.",
        always=False,
    ),
    Column(
        "unresolved_names",
        rows(
            record(
                Column("symbol", TEXT, "The name whose bearer before nobody can tell."),
                Column("day", DATE, "Its first day; the answer has no earlier bars.", "date"),
                Column(
                    "reason",
                    words_of(("several_old_names", "several_new_names", "too_many_names")),
                    "Why: one source tells two old names, or two new ones, or there are more than eight.",
                ),
                Column("told", rows(record(*CITED)), f"The renames as they are told, {MOST_TOLD} at most."),
            )
        ),
        "A rename within the range that cannot be followed.",
        always=False,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentNames:
    """The names of the instrument that `symbol` names, oldest first; `is_final`: what they follow from can never change."""

    symbol: str
    spans: tuple[NameSpan, ...]
    calendar: Calendar
    unresolved: UnresolvedName | None = None
    is_final: bool = True

    @classmethod
    def own(cls, symbol: str, calendar: Calendar) -> InstrumentNames:
        """Return those of a symbol that stands for itself, at all times."""
        return cls(symbol=symbol, spans=(NameSpan(symbol=symbol),), calendar=calendar)

    @classmethod
    def of_chain(
        cls, symbol: str, chain: NameChain, calendar: Calendar, *, is_known: bool
    ) -> InstrumentNames:
        """Return those of a chain; by what `is_known`, from one source, they are final."""
        return cls(
            symbol=symbol,
            spans=chain.spans,
            calendar=calendar,
            unresolved=chain.unresolved,
            is_final=not chain.sources or (is_known and len(chain.sources) == 1),
        )

    @property
    def is_own(self) -> bool:
        """Whether nothing but the symbol itself is to be read."""
        return self.spans == (NameSpan(symbol=self.symbol),)

    @property
    def pins(self) -> PinnedNames:
        """The names as the pages of one answer share them; empty of a symbol that stands for itself."""
        return () if self.is_own else tuple((each.symbol, each.start, each.end) for each in self.spans)

    def pinned(self, pins: PinnedNames) -> InstrumentNames:
        """Return the names that the first page had, with what is known of them now."""
        spans = tuple(
            NameSpan(symbol=name, start=_day(start), end=_day(end)) for name, start, end in pins
        ) or (NameSpan(symbol=self.symbol),)
        return replace(self, spans=spans, is_final=self.is_final and spans == self.spans)

    def of_stored(self, stored: Collection[str]) -> InstrumentNames:
        """Return the names without earlier ones that are not `stored`: their days are the next name's, under which vendors give them, too."""
        kept, taken = list[NameSpan](), list[NameSpan]()
        for each in self.spans:
            taken.append(each)
            if each is self.spans[-1] or each.symbol in stored:
                kept.append(replace(each, start=taken[0].start))
                taken = []
        return replace(self, spans=tuple(kept))

    def parts(self, span: Span, interval: str) -> list[tuple[str, Span]]:
        """Return what of a stretch of time (µs) is read under which name, in order of time.

        A stored week or month with a rename inside is of neither name: it is made of the days of both.
        """
        found = []
        for each in self.spans:
            low, high = self._bounds(each, interval)
            part = EventTime(max(span[0], low)), EventTime(min(span[1], high))
            if part[0] < part[1]:
                found.append((each.symbol, part))
        return found

    def name_on(self, day: Day) -> str:
        """Return what it was called on a day at the venue; empty where that is left open."""
        return next((each.symbol for each in self.spans if each.holds(day)), "")

    def places(self, partitions: int, span: Span | None) -> set[int]:
        """Return the partitions, of so many, of the names of a stretch of time; None: of all of them."""
        whole = (EARLIEST_US, LATEST_US) if span is None else span
        return {partition_of(name, partitions) for name, _ in self.parts(whole, "1m")}

    def meta(self, span: Span) -> Mapping[str, Any]:
        """Return what an answer says of the names in its range: nothing where they are but the one asked for."""
        listed = [each for each in self.spans if self._overlaps(each, span)]
        said: dict[str, Any] = {}
        if any(each.symbol != self.symbol for each in listed):
            said["names"] = [
                {"symbol": each.symbol, "from": _iso(each.start), "to": _iso(each.end)} for each in listed
            ]
        lost = self.unresolved
        if lost is not None and span[0] < self._begin(lost.day):
            said["unresolved_names"] = [
                {
                    "symbol": lost.symbol, "day": iso_day(lost.day), "reason": lost.reason,
                    "told": [cited(each) for each in lost.told[:MOST_TOLD]],
                }
            ]  # fmt: skip
        return said

    def _overlaps(self, each: NameSpan, span: Span) -> bool:
        low, high = self._bounds(each, "1m")
        return max(span[0], low) < min(span[1], high)

    def _bounds(self, each: NameSpan, interval: str) -> Span:
        """Return the time (µs) whose stored bars of an interval are of a name alone."""
        low, high = EARLIEST_US, LATEST_US
        if each.start is not None:
            low = self._edges(each.start, interval)[1]
        if each.end is not None:
            high = self._edges(each.end, interval)[0]
        return low, high

    def _edges(self, day: Day, interval: str) -> Span:
        """Return where what is of the name before a day ends, and where what is of the name since then begins."""
        begin = self._begin(day)
        if interval not in MOST_DAYS or begin >= LATEST_US:  # 9999-12-31 is how some say never
            return begin, begin
        first, after = unit_bounds(begin, interval, self.calendar)
        return (begin, begin) if first == begin else (first, after)

    def _begin(self, day: Day) -> EventTime:
        return self.calendar.day_start(date_of(day))


def _day(number: int | None) -> Day | None:
    return None if number is None else Day(number)


def _iso(day: Day | None) -> str | None:
    return None if day is None else iso_day(day)
