"""What is collected, from whom, and where each stream stands: what a plan needs before its first poll."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from producers.adapters.market import Market
from producers.adapters.poller import Poll
from producers.adapters.polls import BarsPoll, Coverage, QuotesPoll
from producers.adapters.raw_topics import RawTopics
from producers.adapters.registry import Registry
from producers.adapters.vendors import Vendors
from producers.domain.cadence import first_position, offset_us
from producers.domain.discontinuity import StreamKey, bars_key
from producers.domain.plan import BarsTask, PollPlan
from schemas.calendar import Calendar
from schemas.configuration import Routing

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What is collected, from whom, and where each stream stands."""

    plan: PollPlan
    routing: Routing
    vendors: Vendors
    market: Market
    calendars: Mapping[str, Calendar]
    cursors: Mapping[StreamKey, int]
    simulated: frozenset[str]
    start: int | None  # where the simulator's data begins; None on live vendors


def markets_of(calendars: Mapping[str, Calendar], symbols: Iterable[str]) -> list[Calendar]:
    """Return the calendars of some symbols, each once."""
    return list({id(each): each for each in map(calendars.__getitem__, symbols)}.values())


def coverage_of(assignment: Assignment, registry: Registry) -> Mapping[tuple[str, str], Coverage]:
    """Return how far the bars of each (symbol, interval) were served: as far as those of its present provider.

    Of a symbol the present provider has no name for, as far as those of the first that has one.
    """
    coverage: dict[tuple[str, str], Coverage] = {}
    for task in assignment.plan.bars:
        stream = task.symbol, task.interval
        if stream not in coverage or registry.chosen(task.capability) == task.provider:
            position = _position(assignment, bars_key(task.provider, *stream))
            coverage[stream] = Coverage(task.provider, position)
    return coverage


def polls_of(
    raw: RawTopics,
    assignment: Assignment,
    provider: str,
    coverage: Mapping[tuple[str, str], Coverage],
) -> list[Poll]:
    """Return the tasks of one provider, each with its place in the cadence and where it begins."""
    market, calendars = assignment.market, assignment.calendars
    bars = [task for task in assignment.plan.bars if task.provider == provider]
    quotes = [task for task in assignment.plan.quotes if task.provider == provider]
    source = assignment.vendors.apis[provider]
    polls: list[Poll] = [
        BarsPoll(
            task,
            source,
            raw,
            market=market,
            calendar=calendars[task.symbol],
            position=_own_position(assignment, task),
            coverage=coverage[task.symbol, task.interval],
            offset=offset_us(index, len(bars), task.every_us),
        )
        for index, task in enumerate(bars)
    ]
    polls += [
        QuotesPoll(
            task,
            source,
            raw,
            market=market,
            calendars=markets_of(calendars, task.symbols),
            offset=offset_us(index, len(quotes), task.every_us),
        )
        for index, task in enumerate(quotes)
    ]
    return polls


def _own_position(assignment: Assignment, task: BarsTask) -> int | None:
    """Return how far a provider's own bars have come; None where it never served."""
    stream = bars_key(task.provider, task.symbol, task.interval)
    cursor = assignment.cursors.get(stream)
    return None if cursor is None else _position(assignment, stream)


def _position(assignment: Assignment, stream: StreamKey) -> int:
    """Return where a stream of bars begins: its cursor, else the start of the data or of the trading day."""
    now, cursor = assignment.market.horizon_us(), assignment.cursors.get(stream)
    if cursor is not None and cursor <= now:
        return cursor
    if cursor is not None:
        log.warning(
            "cursor_ahead_of_market", extra={"symbol": stream.symbol, "cursor": cursor, "market": now}
        )
    if assignment.start is not None:
        return assignment.start
    return first_position(now, assignment.calendars[stream.symbol])
