"""Series that are stored, and those of them whose values are still to come, since they are collected now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import NamedTuple

from gateway.objectives.burn_rates import WHOLE, market_windows
from schemas.calendar.expected_bars import DAILY
from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime
from schemas.configuration.model import FROM_DATABASE, Configuration
from schemas.configuration.tiers import cadence_us
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US
from schemas.ledger.coverage import Coverage
from schemas.streams import BAR_STREAM, StreamId
from schemas.universe import TIERS, Member, Tier

SILENT_AFTER_US = 20 * MINUTE_US  # after a bar's end: vendors without a live plan are 15 minutes late
DAILY_SILENT_AFTER_US = 4 * HOUR_US  # official bars of days come in the evening
UNLISTED: Tier = "T2"  # of a symbol that no universe names
COVERED_SHARE = 0.99  # of fewer symbols than the target: some are always being listed, renamed or halted
NAMED = 20


class BlindGap(NamedTuple):
    """A blind gap [low, high) (µs) of a series, its state and cause."""

    low: EventTime
    high: EventTime
    state: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesStanding:
    """A series from its first to its newest value (µs), with the holes and the absent bars of the time asked about."""

    id: StreamId
    start: EventTime
    last_seen: EventTime
    holes: tuple[BlindGap, ...] = ()
    coverage: tuple[Coverage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectedNow:
    """The symbols and bars that are collected now, each symbol's tier; None: all that was ever stored.

    `symbols` are those of any stream, `tiers` those of which bars are collected; `way_us` (µs of market time) is what the
    way from the vendor into the database may take.
    """

    symbols: frozenset[str] | None = None
    tiers: Mapping[str, Tier] | None = None
    intervals: frozenset[str] | None = None
    cadences_us: Mapping[tuple[Tier, str], int] = field(default_factory=dict)
    way_us: int = 0

    def tier(self, symbol: str) -> Tier:
        """Return the tier of a symbol."""
        return UNLISTED if self.tiers is None else self.tiers.get(symbol, UNLISTED)

    def collects(self, series: StreamId) -> bool:
        """Whether values of a series are still to come."""
        if series.name != BAR_STREAM.name:
            return self.symbols is None or series.symbol in self.symbols
        listed = self.tiers is None or series.symbol in self.tiers
        return listed and (self.intervals is None or series.interval in self.intervals)

    def silent_after_us(self, tier: Tier, interval: str) -> int:
        """Return how long (µs of market time) after its end a bar may be on its way."""
        late = DAILY_SILENT_AFTER_US if interval == DAILY else SILENT_AFTER_US
        return late + self.cadences_us.get((tier, interval), 0) + self.way_us


def wanted_of(configuration: Configuration, universe: Sequence[Member]) -> CollectedNow:
    """Return what a configuration has collected; `universe` are the members in the database, where it names those."""
    members = universe if configuration.universe == FROM_DATABASE else configuration.members()
    bars = configuration.streams.bars
    intervals = frozenset[str]() if bars is None else frozenset(bars.intervals)
    every_s = {tier: configuration.tiers.bars_every_s(tier, bars.every_s) for tier in TIERS} if bars else {}
    return CollectedNow(
        symbols=frozenset(each.symbol for each in members),
        tiers={each.symbol: each.tier for each in members if BAR_STREAM.name in each.streams},
        intervals=intervals,
        cadences_us={
            (tier, interval): cadence_us(interval, every_s[tier])
            for tier in every_s
            for interval in intervals
        },
    )


def live_series(every: Iterable[SeriesStanding], wanted: CollectedNow) -> set[StreamId]:
    """Return the series whose values are still to come: of each symbol and stream that of whoever gave the newest."""
    newest: dict[tuple[str, str, str], SeriesStanding] = {}
    for each in every:
        if wanted.collects(each.id):
            key = each.id.symbol, each.id.name, each.id.interval
            held = newest.get(key)
            if held is None or (each.last_seen, each.id.provider) > (held.last_seen, held.id.provider):
                newest[key] = each
    return {each.id for each in newest.values()}


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolCoverage:
    """Numbers of symbols: those collected, and those of which a value of their last three trading days is stored.

    `uncovered` names some of the others.
    """

    wanted: int
    covered: int
    uncovered: tuple[str, ...]

    def needed(self, target: int) -> int:
        """Return how many are needed for a target; of fewer symbols nearly all."""
        return min(target, ceil(COVERED_SHARE * self.wanted))


def symbol_coverage(every: Iterable[SeriesStanding], wanted: CollectedNow, now: int) -> SymbolCoverage:
    """Return which symbols had values lately, at market time `now` (µs); blocking, for a thread of its own."""
    newest: dict[str, int] = {}
    for each in every:
        symbol = each.id.symbol
        newest[symbol] = max(newest.get(symbol, each.last_seen), each.last_seen)
    symbols = newest.keys() if wanted.symbols is None else wanted.symbols
    since: dict[str, int] = {}
    uncovered = []
    for symbol in symbols:
        calendar = calendar_of(symbol)
        if calendar.name not in since:
            windows = market_windows(calendar, now)
            since[calendar.name] = now - 3 * DAY_US if windows is None else windows[WHOLE]
        if newest.get(symbol, 0) < since[calendar.name]:
            uncovered.append(symbol)
    return SymbolCoverage(
        wanted=len(symbols), covered=len(symbols) - len(uncovered), uncovered=tuple(sorted(uncovered)[:NAMED])
    )
