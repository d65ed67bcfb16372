"""Rows of bars and the facts of a quote, as the vendors with numbers in JSON rows share them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from infra.simulator.faults.habits import ShortPages
from infra.simulator.faults.injection import Row, apply_bar_faults
from infra.simulator.faults.scenario import Fault, LateBars, ZeroQuote
from infra.simulator.market.model import Aggregate, Candle, DailyBar, Listing, TopOfBook
from infra.simulator.market.view import LOOKBACK_US, DaySummary, MarketView
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US

BarRow = tuple[int, Candle]
MICS = {"NMS": "XNAS", "NYQ": "XNYS", "PCX": "ARCX"}
SHARES_PER_TRADE = 100  # of simulated bars, whose trades nobody has counted
NOBODY = TopOfBook(time=0, bid=0.0, bid_size=0, ask=0.0, ask_size=0)


def minute_rows(
    view: MarketView, listing: Listing, start: int, end: int, now: int, faults: Sequence[Fault]
) -> list[BarRow]:
    """Return the minutes of [start, end) that were over at `now`, as the faults leave them; null ones left out."""
    rows: list[Row] = [(bar.time, bar) for bar in view.minutes(listing.symbol, start, end, now)]
    rows = apply_bar_faults(rows, faults, now=now, zone=view.calendar(listing).timezone)
    return [(time, bar) for time, bar in rows if bar is not None]


def forming_minute(
    view: MarketView, listing: Listing, start: int, end: int, now: int, faults: Sequence[Fault]
) -> list[BarRow]:
    """Return the minute in progress where it lies in [start, end) and nothing delays it."""
    forming = view.forming(listing.symbol, start, end, now)
    if forming is None or any(isinstance(fault, LateBars) for fault in faults):
        return []
    return [(forming.time, forming)]


def page_rows(limit: int, faults: Sequence[Fault]) -> int:
    """Return how many bars a page holds where `limit` were asked for."""
    return min([limit, *(fault.rows for fault in faults if isinstance(fault, ShortPages))])


def day_rows(
    view: MarketView, listing: Listing, start: int, end: int, now: int, *, adjusted: bool
) -> list[BarRow]:
    """Return the sessions that open in [start, end), by their open, the one in progress last.

    `adjusted` takes out the splits known at `now`; otherwise a day has the prices it was traded at.
    """
    days = view.market.daily(listing.symbol, start, min(end, now + 1), now)
    closed = [day for day in days if day.visible_from <= now]
    if not adjusted:
        closed = [_as_traded(view, listing, day) for day in closed]
    rows: list[BarRow] = [(day.time, day) for day in closed]
    forming = view.forming_day(listing, start, end, now)
    if forming is not None:
        rows.append((forming.session.open, forming.span))
    return rows


def _as_traded(view: MarketView, listing: Listing, day: DailyBar) -> DailyBar:
    seen_then = view.market.daily(listing.symbol, day.time, day.time + 1, day.visible_from)
    return seen_then[0] if seen_then else day


def local_midnight(view: MarketView, listing: Listing, time: int) -> int:
    """Return the midnight, at the exchange, of the day that holds `time`: how days are stamped."""
    local = datetime.fromtimestamp(time // SECOND_US, ZoneInfo(view.calendar(listing).timezone))
    return int(local.replace(hour=0, minute=0, second=0).timestamp()) * SECOND_US


def days_by_midnight(
    view: MarketView, listing: Listing, start: int, end: int, now: int, *, adjusted: bool
) -> list[BarRow]:
    """Return the sessions whose local midnight lies in [start, end), as known at `now` (all µs), by that midnight."""
    rows = day_rows(view, listing, start, end + DAY_US, now, adjusted=adjusted)
    stamped = [(local_midnight(view, listing, time), bar) for time, bar in rows]
    return [(time, bar) for time, bar in stamped if start <= time < end]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Facts that a snapshot of one symbol is made of; a zeroed one says nothing but zeros."""

    last: Aggregate
    book: TopOfBook
    day: DaySummary
    previous: DailyBar | None
    minute: Candle | None
    zeroed: bool

    @property
    def newest(self) -> int:
        """Time of the newest of last trade and book (µs)."""
        return max(self.last.last_time, self.book.time)


def facts(view: MarketView, symbol: str, faults: Sequence[Fault]) -> Facts | None:
    """Return the facts of a symbol at its market time; None for one unknown or not traded yet."""
    listing = view.market.listing(symbol)
    if listing is None:
        return None
    now = view.now(symbol)
    summary = view.summary(listing, now)
    if summary is None:
        return None
    session = view.session(listing, now)
    today = view.market.span(symbol, session.pre_open, min(now, session.post_close)) if session else None
    opened = summary.session.open
    earlier = view.market.daily(symbol, opened - LOOKBACK_US, opened, now)
    minutes = view.minutes(symbol, now - HOUR_US, now, now)
    return Facts(
        last=today or summary.span,
        book=_stamped(view, view.market.top_of_book(symbol, now)),
        day=summary,
        previous=_as_traded(view, listing, earlier[-1]) if earlier else None,
        minute=minutes[-1] if minutes else None,
        zeroed=any(isinstance(fault, ZeroQuote) for fault in faults),
    )


def _stamped(view: MarketView, book: TopOfBook | None) -> TopOfBook:
    """Return a book stamped when it came to be: that of a file's minute is its end's."""
    if book is None:
        return NOBODY
    if view.market.synthetic:
        return book
    return TopOfBook(
        time=book.time + MINUTE_US,
        bid=book.bid,
        bid_size=book.bid_size,
        ask=book.ask,
        ask_size=book.ask_size,
    )


def bar_fields(view: MarketView, bar: Candle) -> dict[str, float]:
    """Return o, h, l, c, v and, where the market is made up anyway, n and vw: files of bars do not know them."""
    fields: dict[str, float] = {
        "o": bar.open,
        "h": bar.high,
        "l": bar.low,
        "c": bar.close,
        "v": bar.volume,
    }
    if view.market.synthetic:
        typical = (bar.high + bar.low + bar.close) / 3
        fields |= {"n": max(1, bar.volume // SHARES_PER_TRADE), "vw": round(typical, 6)}
    return fields


def zeros(row: Any) -> Any:
    """Return the same shape with every number 0."""
    if isinstance(row, dict):
        return {name: zeros(value) for name, value in row.items()}
    return 0 if isinstance(row, int | float) else row
