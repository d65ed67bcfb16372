"""Raw prices around ex-dates, pure: of which days they are wanted, and what those that were found say.

A dividend is a part of the last close before it, and a split shows in that and the next open: a few days of each action, whatever
the length of the history.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import numpy as np

from analytics.action_effects import SHARES, RawSessions
from gateway.database.versions import BarVersion
from gateway.market.adjusting import Place, place_of
from schemas.calendar.expected_bars import DAILY
from schemas.calendar.sessions import Calendar
from schemas.calendar.trading_days import TradingSession
from schemas.clocks import Day, EventTime, date_of
from schemas.entries import CorporateAction
from schemas.intervals import DAY_US

# Longer than any closure since 1933.
NEIGHBOURS_US = 14 * DAY_US
# Tellings of one occasion lie so near each other; each is judged by its own day.
OCCASION_DAYS = 8


class PriceDay(NamedTuple):
    """A trading day of a symbol whose first and last regular price are wanted: the venue's day, and its regular session, µs."""

    symbol: str
    day: Day
    begin: EventTime
    end: EventTime
    opens: EventTime
    closes: EventTime


class EdgeBar(NamedTuple):
    """The first or the last regular bar of a wanted day, by its place among those asked for."""

    asked: int
    is_first: bool
    bar: BarVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class PricePlan:
    """The trading days around all actions, ascending, and those of them whose prices are wanted."""

    listed: tuple[Day, ...]
    asked: tuple[PriceDay, ...]

    @property
    def bounds(self) -> tuple[EventTime, EventTime]:
        """The time all of what is asked for lies in, µs; there is something."""
        return min(each.begin for each in self.asked), max(each.end for each in self.asked)


def price_plan(
    symbol: str, actions: Iterable[CorporateAction], calendar: Calendar, *, within: tuple[Day, Day] | None
) -> PricePlan:
    """Return which prices actions are judged by: all that change shares, and others whose ex-date is `within`; None: no others."""
    listed: set[Day] = set()
    asked: dict[tuple[str, Day], PriceDay] = {}
    for action in actions:
        if action.type == "delisting":
            continue
        around = _around(action.ex_date, calendar)
        listed.update(_day(session) for session in around)
        is_near = (
            within is not None and within[0] - OCCASION_DAYS <= action.ex_date <= within[1] + OCCASION_DAYS
        )
        if action.type not in SHARES and not is_near:
            continue
        children = [action.child_symbol] if action.child_symbol else []
        wanted = [(symbol, each) for each in around] + [
            (child, each) for child in children for each in around[-1:]
        ]
        for name, session in wanted:
            asked[name, _day(session)] = _price_day(name, session, calendar)
    return PricePlan(listed=tuple(sorted(listed)), asked=tuple(asked[key] for key in sorted(asked)))


def _around(ex: Day, calendar: Calendar) -> list[TradingSession]:
    """Return the trading day before an ex-date and the one on it, or after it where the market is closed; what is known of them."""
    begin = calendar.day_start(date_of(ex))
    near = list(calendar.sessions(begin - NEIGHBOURS_US, begin + NEIGHBOURS_US))
    earlier = [each for each in near if _day(each) < ex]
    later = [each for each in near if _day(each) >= ex]
    return [*earlier[-1:], *later[:1]]


def _day(session: TradingSession) -> Day:
    return Day(session.day // DAY_US)


def _price_day(symbol: str, session: TradingSession, calendar: Calendar) -> PriceDay:
    day = date_of(_day(session))
    return PriceDay(
        symbol=symbol,
        day=_day(session),
        begin=calendar.day_start(day),
        end=calendar.day_start(day + timedelta(days=1)),
        opens=EventTime(session.open),
        closes=EventTime(session.close),
    )


def raw_edges(found: Iterable[EdgeBar]) -> list[EdgeBar]:
    """Return those whose prices are stored as they were paid."""
    return [each for each in found if each.bar.adjustment_state == "raw"]


def rebased_edges(plan: PricePlan, symbol: str, found: Sequence[EdgeBar]) -> list[EdgeBar]:
    """Return those of `symbol` that its provider adjusted, of days none of which is stored as it was paid."""
    paid = {(each.asked, each.is_first) for each in raw_edges(found)}
    return [
        each
        for each in found
        if each.bar.adjustment_state == "split"
        and (each.asked, each.is_first) not in paid
        and plan.asked[each.asked].symbol == symbol
    ]


def brought_back(edges: Iterable[EdgeBar], bars: Iterable[BarVersion]) -> list[EdgeBar]:
    """Return edges with what their bars became in shares of their own days, without those nobody can tell."""
    became: Mapping[tuple[str, str, Place], BarVersion] = {
        _name(bar): bar for bar in bars if bar.basis is not None and not bar.basis.uncertain
    }
    return [each._replace(bar=became[_name(each.bar)]) for each in edges if _name(each.bar) in became]


def _name(bar: BarVersion) -> tuple[str, str, Place]:
    return bar.provider, bar.interval, place_of(bar)


def raw_sessions(symbol: str, plan: PricePlan, found: Iterable[EdgeBar]) -> RawSessions:
    """Return the trading days of a plan with the raw prices among `found`: of a day's own bar rather than of its minutes, the newest.

    They are in the currency of the newest close; of another currency a price is not known. What was spun off is priced on its ex-date.
    """
    best: dict[tuple[int, bool], BarVersion] = {}
    for each in found:
        held = best.get((each.asked, each.is_first))
        if held is None or _rank(each.bar) > _rank(held):
            best[each.asked, each.is_first] = each.bar
    own = {key: bar for key, bar in best.items() if plan.asked[key[0]].symbol == symbol}
    newest = max((bar for (_, is_first), bar in own.items() if not is_first), key=_age, default=None)
    currency = "" if newest is None else newest.currency
    places = {day: place for place, day in enumerate(plan.listed)}
    opens, closes = (np.full(len(plan.listed), np.nan) for _ in range(2))
    first_closes: dict[str, float] = {}
    for (asked, is_first), bar in sorted(best.items(), key=lambda item: -item[0][0]):
        about = plan.asked[asked]
        if bar.currency != currency:
            continue
        if about.symbol != symbol:
            first_closes |= {} if is_first else {about.symbol: bar.close}
        elif is_first:
            opens[places[about.day]] = bar.open
        else:
            closes[places[about.day]] = bar.close
    days = np.array(plan.listed, np.int64)
    return RawSessions(days=days, opens=opens, closes=closes, currency=currency, first_closes=first_closes)


def _rank(bar: BarVersion) -> tuple[bool, int, int, str]:
    return bar.interval == DAILY, bar.raw_offset, bar.index, bar.provider


def _age(bar: BarVersion) -> tuple[int, int, int]:
    return bar.event_time, bar.raw_offset, bar.index
