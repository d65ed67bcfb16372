"""Daily bars of real symbols: adjusted for the splits known at a market time, never for later ones."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import date, datetime
from fractions import Fraction
from itertools import pairwise

from infra.simulator.market.lean_files import NEW_YORK, DailyRow
from infra.simulator.market.model import Candle, DailyBar, Split
from schemas.calendar.sessions import Calendar
from schemas.calendar.trading_days import TradingSession
from schemas.intervals import SECOND_US
from schemas.symbology.factor_files import FactorRow

REGULAR_SESSION_US = 23_400 * SECOND_US  # 09:30 to 16:00, where the calendar does not know the day
ADJUSTED_DECIMALS = 6
MAX_SPLIT_TERM = 100


class DailySeries:
    """The daily bars of one symbol; raw prices become vendor prices by the factors in force at a market time."""

    def __init__(self, rows: Sequence[DailyRow], factors: Sequence[FactorRow], calendar: Calendar) -> None:
        """Hold `rows` and `factors`, both oldest first; `calendar` says when a day closed."""
        self._rows = rows
        self._factors = factors
        self._factor_days = [factor.last_day for factor in factors]
        self._opens = [_session_open(row.day) for row in rows]
        self._calendar = calendar

    @property
    def first_open(self) -> int | None:
        """The open of the first session held, None when there is none."""
        return self._opens[0] if self._opens else None

    def bars(self, start: int, end: int, now: int) -> list[DailyBar]:
        """Return the sessions opening in [start, end) as a vendor would have served them at `now`.

        Open, high, low and close are split-adjusted, `adjusted_close` for dividends as well; volume
        counts today's shares. A split counts from its own session's open on.
        """
        reference = self._factors_on(self._last_open_day(now))
        first, last = bisect_left(self._opens, start), bisect_left(self._opens, end)
        return [self._bar(index, reference) for index in range(first, last)]

    def splits(self, start: int, end: int) -> list[Split]:
        """Return the splits that took effect in [start, end)."""
        found = []
        for before, after in pairwise(self._factors):
            if before.split_factor == after.split_factor:
                continue
            index = bisect_right([row.day for row in self._rows], before.last_day)
            if index < len(self._opens) and start <= self._opens[index] < end:
                ratio = 1 / _split_ratio(before, after)
                found.append(
                    Split(time=self._opens[index], numerator=ratio.numerator, denominator=ratio.denominator)
                )
        return found

    def _bar(self, index: int, reference: FactorRow | None) -> DailyBar:
        row, opened = self._rows[index], self._opens[index]
        own = self._factors_on(row.day)
        split = float(_split_ratio(own, reference)) if own and reference else 1.0
        dividend = own.price_factor / reference.price_factor if own and reference else 1.0
        session = self._calendar.session_at(opened)
        return DailyBar(
            time=opened,
            open=_scaled(row.open, split),
            high=_scaled(row.high, split),
            low=_scaled(row.low, split),
            close=_scaled(row.close, split),
            volume=round(row.volume / split),
            adjusted_close=_scaled(row.close, split * dividend),
            visible_from=session.close if session else opened + REGULAR_SESSION_US,
        )

    def _last_open_day(self, now: int) -> date | None:
        index = bisect_right(self._opens, now) - 1
        return self._rows[index].day if index >= 0 else None

    def _factors_on(self, day: date | None) -> FactorRow | None:
        if day is None:
            return self._factors[0] if self._factors else None
        index = bisect_left(self._factor_days, day)
        return self._factors[index] if index < len(self._factors) else None


def regular_day(session: TradingSession, minutes: Sequence[Candle]) -> DailyBar | None:
    """Return the day made of the regular-session `minutes` of one session; None without any."""
    regular = [bar for bar in minutes if session.open <= bar.time < session.close]
    if not regular:
        return None
    return DailyBar(
        time=session.open,
        open=regular[0].open,
        high=max(bar.high for bar in regular),
        low=min(bar.low for bar in regular),
        close=regular[-1].close,
        volume=sum(bar.volume for bar in regular),
        adjusted_close=regular[-1].close,
        visible_from=session.close,
    )


def _session_open(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, 9, 30, tzinfo=NEW_YORK).timestamp()) * SECOND_US


def _split_ratio(earlier: FactorRow, later: FactorRow) -> Fraction:
    """Return what an earlier price is multiplied by, as the fraction it is: files round a seventh to 0.142857."""
    return Fraction(earlier.split_factor / later.split_factor).limit_denominator(MAX_SPLIT_TERM)


def _scaled(price: float, factor: float) -> float:
    """Return `price` untouched where nothing is adjusted, so raw prices stay exact."""
    return price if factor == 1.0 else round(price * factor, ADJUSTED_DECIMALS)
