"""The market cut off at the clock: what a vendor could know at this market time."""

from __future__ import annotations

from dataclasses import dataclass

from infra.simulator.market.clock import SimulatedClock
from infra.simulator.market.model import Aggregate, Candle, Listing, MarketModel
from schemas.calendar.sessions import Calendar, load_calendar
from schemas.calendar.trading_days import TradingSession
from schemas.intervals import DAY_US, MINUTE_US, SECOND_US

LOOKBACK_US = 11 * DAY_US  # longer than any closure of an exchange since 1933


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySummary:
    """The regular session a vendor's "regular market" fields speak of, as far as it has happened."""

    session: TradingSession
    span: Aggregate
    previous_close: float | None


class MarketView:
    """A market seen through the clock; every method takes `now` so that one response has one time."""

    def __init__(self, market: MarketModel, clock: SimulatedClock) -> None:
        self.market = market
        self.clock = clock

    def now(self, symbol: str) -> int:
        """Return the market time `symbol` is seen at: at speed `max`, the end of its data where it has one."""
        if self.clock.unpaced:
            end = self.market.end_of(symbol)
            if end is not None:
                return end
        return self.clock.now()

    def calendar(self, listing: Listing) -> Calendar:
        """Return the trading calendar of `listing`."""
        return load_calendar(listing.calendar)

    def session(self, listing: Listing, now: int) -> TradingSession | None:
        """Return the trading day in progress, or the last one begun before `now`."""
        calendar = self.calendar(listing)
        return calendar.session_at(now) or _last(calendar, now)

    def sessions_before(self, listing: Listing, now: int) -> list[TradingSession]:
        """Return the trading days whose regular session had begun at `now`, newest first, a few days back."""
        sessions = self.calendar(listing).sessions(now - LOOKBACK_US, now + 1)
        return [session for session in reversed(list(sessions)) if session.open <= now]

    def minutes(self, symbol: str, start: int, end: int, now: int) -> list[Candle]:
        """Return the minutes of [start, end) that were over at `now`."""
        return list(self.market.minutes(symbol, start, min(end, now - MINUTE_US + 1)))

    def forming(self, symbol: str, start: int, end: int, now: int) -> Candle | None:
        """Return the minute in progress at `now` when it lies in [start, end).

        Nothing in its first second, where a vendor's row (stamped at `now`) would look like a whole minute.
        """
        minute = now - now % MINUTE_US
        if not start <= minute < end or now - minute < SECOND_US:
            return None
        return self.market.forming(symbol, now)

    def summary(self, listing: Listing, now: int) -> DaySummary | None:
        """Return the newest regular session with a trade at `now`; before the first, what pre-market there was."""
        end = self.market.end_of(listing.symbol)
        moments = (
            (now,) if end is None or end >= now else (now, end)
        )  # long after its data a symbol keeps its last day
        for moment in moments:
            for index, session in enumerate(found := self.sessions_before(listing, moment)):
                span = self._session_span(listing.symbol, session, moment)
                if span is not None:
                    previous = self._close_of(listing.symbol, found[index + 1 :], moment)
                    return DaySummary(session=session, span=span, previous_close=previous)
        current = self.session(listing, now)
        early = self.market.span(listing.symbol, current.pre_open, now) if current is not None else None
        if current is None or early is None:
            return None
        return DaySummary(session=current, span=early, previous_close=None)

    def close_before(self, listing: Listing, moment: int, now: int) -> float | None:
        """Return the last regular close before the session that holds or follows `moment`."""
        sessions = [s for s in self.sessions_before(listing, moment) if s.close <= moment]
        return self._close_of(listing.symbol, sessions, now)

    def forming_day(self, listing: Listing, start: int, end: int, now: int) -> DaySummary | None:
        """Return the regular session in progress at `now` when it opened in [start, end)."""
        summary = self.summary(listing, now)
        if summary is None or not summary.session.open <= now < summary.session.close:
            return None
        return summary if start <= summary.session.open < end else None

    def _session_span(self, symbol: str, session: TradingSession, now: int) -> Aggregate | None:
        span = self.market.span(symbol, session.open, min(now, session.close))
        if span is not None:
            return span
        for day in self.market.daily(symbol, session.open, session.open + 1, now):
            if day.visible_from <= now:
                return Aggregate(
                    time=day.time,
                    open=day.open,
                    high=day.high,
                    low=day.low,
                    close=day.close,
                    volume=day.volume,
                    last_time=session.close,
                )
        return None

    def _close_of(self, symbol: str, sessions: list[TradingSession], now: int) -> float | None:
        """Return the close of the newest of `sessions` that has one."""
        closes = (self.market.session_close(symbol, session, now) for session in sessions)
        return next((close for close in closes if close is not None), None)


def _last(calendar: Calendar, now: int) -> TradingSession | None:
    sessions = list(calendar.sessions(now - LOOKBACK_US, now))
    return sessions[-1] if sessions else None
