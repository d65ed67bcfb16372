"""Sessions of markets, and which bars may exist: exchange_calendars plus an overlay for ad-hoc closures.

One instance holds plain sorted integers; the library (and pandas under it) is only touched while it is made.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from schemas.clocks import EventTime, MarketTime
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US
from schemas.streams import Session
from schemas.symbols import venues
from schemas.symbols.instruments import classify

FIRST_DAY = "1998-01-01"
LAST_DAY = "2036-12-31"  # the library's own default ends one year ahead
PRE_MARKET_US = 5 * HOUR_US + 30 * MINUTE_US  # 04:00 to 09:30 New York
POST_MARKET_US = 4 * HOUR_US  # 16:00 to 20:00, 13:00 to 17:00 on a half day
ALWAYS_OPEN = venues.ALWAYS_OPEN
US_EQUITIES = venues.US_EQUITIES


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingSession:
    """One trading day: half-open intervals in µs, pre [pre_open, open), regular [open, close), post [close, post_close)."""

    pre_open: MarketTime
    open: MarketTime
    close: MarketTime
    post_close: MarketTime
    trading: tuple[tuple[MarketTime, MarketTime], ...] = ()

    @property
    def parts(self) -> tuple[tuple[MarketTime, MarketTime], ...]:
        """The stretches [start, end) (µs) of continuous trading, in order: bars are expected there and begin anew with each."""
        return self.trading or ((self.open, self.close),)


class Calendar:
    """Sessions of one market as sorted integers; every answer is a pure function of its arguments.

    It is asked about what a market did (event time) as about now (market time): moments are plain integers, in µs.
    """

    def __init__(self, name: str, timezone: str, sessions: Collection[TradingSession]) -> None:
        """Hold `sessions` in order; an empty collection means the market never closes."""
        self.name = name
        self.timezone = timezone
        self._sessions = sorted(sessions, key=lambda session: session.open)
        self._opens = [session.open for session in self._sessions]
        self._pre_opens = [session.pre_open for session in self._sessions]

    @property
    def always_open(self) -> bool:
        """Whether the market never closes."""
        return not self._sessions

    def sessions(self, start: int, end: int) -> Iterator[TradingSession]:
        """Yield the trading days that overlap [start, end), pre- and post-market included.

        A market that never closes yields UTC days.
        """
        if self.always_open:
            for midnight in range(start - start % DAY_US, end, DAY_US):
                opens, closes = MarketTime(midnight), MarketTime(midnight + DAY_US)
                yield TradingSession(pre_open=opens, open=opens, close=closes, post_close=closes)
            return
        first = max(bisect_right(self._pre_opens, start) - 1, 0)
        for index in range(first, len(self._sessions)):  # no slice: years of sessions would be copied
            session = self._sessions[index]
            if session.pre_open >= end:
                return
            if session.post_close > start:
                yield session

    def session_at(self, moment: int) -> TradingSession | None:
        """Return the trading day whose pre-, regular or post-market holds `moment`, if any."""
        if self.always_open:
            return next(self.sessions(moment, moment + 1))
        index = bisect_right(self._pre_opens, moment) - 1
        return self._sessions[index] if index >= 0 and moment < self._sessions[index].post_close else None

    def session_of(self, moment: int) -> Session:
        """Return which part of the trading day `moment` falls in."""
        if self.always_open:
            return "regular"
        session = self.session_at(moment)
        if session is None:
            return "closed"
        if moment < session.open:
            return "pre"
        return "regular" if moment < session.close else "post"

    def is_open(self, moment: int) -> bool:
        """Whether the regular session holds `moment`."""
        return self.session_of(moment) == "regular"

    def open_ranges(self, start: int, end: int) -> list[tuple[EventTime, EventTime]]:
        """Return the parts of [start, end) in which trades may happen, pre- and post-market included."""
        clipped = ((max(s.pre_open, start), min(s.post_close, end)) for s in self.sessions(start, end))
        ranges: list[tuple[int, int]] = []
        for left, right in clipped:
            if ranges and ranges[-1][1] == left:
                ranges[-1] = (ranges[-1][0], right)
            elif left < right:
                ranges.append((left, right))
        return cast("list[tuple[EventTime, EventTime]]", ranges)


def calendar_name(symbol: str) -> str:
    """Return the calendar a symbol trades on; never raises, since a stored symbol may be of any spelling.

    What is no canonical symbol trades in New York, or never closes where it names a market (`BINANCE:BTCUSDT`).
    """
    instrument = classify(symbol)
    if instrument is not None:
        return instrument.calendar
    return ALWAYS_OPEN if ":" in symbol else US_EQUITIES


def calendar_of(symbol: str) -> Calendar:
    """Return the calendar a symbol trades on."""
    return load_calendar(calendar_name(symbol))


@lru_cache(maxsize=32)
def load_calendar(name: str, closed_days: frozenset[str] = frozenset()) -> Calendar:
    """Return the calendar `name` of exchange_calendars without the `closed_days` (ISO dates) of the overlay."""
    if name == ALWAYS_OPEN:
        return Calendar(name, "UTC", ())
    import exchange_calendars

    book = exchange_calendars.get_calendar(name, start=FIRST_DAY, end=LAST_DAY)
    frame = book.schedule[["open", "close"]]
    opens, closes = (
        frame[column].dt.tz_convert(None).to_numpy().astype("datetime64[us]").astype("int64").tolist()
        for column in ("open", "close")
    )
    days = [day.date().isoformat() for day in frame.index]
    # Only the US venues have hours before and after that vendors report as such.
    pre, post = (PRE_MARKET_US, POST_MARKET_US) if name == US_EQUITIES else (0, 0)
    sessions = [
        TradingSession(pre_open=o - pre, open=o, close=c, post_close=c + post)
        for day, o, c in zip(days, opens, closes, strict=True)
        if day not in closed_days
    ]
    return Calendar(name, str(book.tz), sessions)
