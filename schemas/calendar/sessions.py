"""Sessions of markets, and which bars may exist; the calendars of this process, with the overlay it was last given.

One instance holds plain sorted integers; the library is only touched while it is made.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import cast
from zoneinfo import ZoneInfo

from schemas.calendar.overlay import NO_OVERLAY, NOTHING, CalendarOverlay, MarketOverlay, calendar_fingerprint
from schemas.calendar.trading_days import FIRST_DAY, LAST_DAY, TradingSession, trading_days
from schemas.clocks import EventTime, MarketTime
from schemas.errors import ConfigurationError
from schemas.intervals import DAY_US, EPOCH, micros
from schemas.streams import Session
from schemas.symbols import venues
from schemas.symbols.instruments import classify

ALWAYS_OPEN = venues.ALWAYS_OPEN
US_EQUITIES = venues.US_EQUITIES
UNKNOWN = venues.UNKNOWN
CACHED_CALENDARS = 64  # of some 5 MB; each venue with the overlay in force, and with the one before
FX_ROLL_HOURS = 7  # before midnight in New York the next day of currencies begins


class Calendar:
    """Sessions of one market as sorted integers; every answer is a pure function of its arguments.

    It is asked about what a market did (event time) as about now (market time): moments are plain integers, in µs.
    """

    def __init__(
        self,
        name: str,
        timezone: str,
        sessions: Collection[TradingSession],
        *,
        first_day: str = FIRST_DAY,
        last_day: str = LAST_DAY,
    ) -> None:
        """Hold `sessions` in order; an empty collection means the market never closes, or that nobody knows its hours.

        They are all there are from `first_day` to `last_day` (ISO dates); of other days nothing is known.
        """
        self.name = name
        self.timezone = timezone
        self._roll = timedelta(hours=FX_ROLL_HOURS if name == venues.FX_HOURS else 0)
        self._sessions = sorted(sessions, key=lambda session: session.open)
        self._days = [session.day for session in self._sessions]
        self._pre_opens = [session.pre_open for session in self._sessions]
        self._known_from = self.day_start(date.fromisoformat(first_day))
        self._horizon = self.day_start(date.fromisoformat(last_day) + timedelta(days=1))

    @property
    def always_open(self) -> bool:
        """Whether the market never closes."""
        return not self._sessions and self.is_known

    @property
    def is_known(self) -> bool:
        """Whether the market's hours are known; where not, nothing is expected and nothing is ever called closed."""
        return self.name != UNKNOWN

    @property
    def known_from(self) -> EventTime | None:
        """The moment (µs) before which its trading days are not known; None where it has no such days."""
        return self._known_from if self._sessions else None

    @property
    def horizon(self) -> EventTime | None:
        """The moment (µs) from which on its trading days are not known; None where it has no such days."""
        return self._horizon if self._sessions else None

    def knows(self, moment: int) -> bool:
        """Whether it can be said if the market is open at `moment`; where not, it is as if its hours were not known."""
        return self._known_from <= moment < self._horizon if self._sessions else self.is_known

    def sessions(self, start: int, end: int) -> Iterator[TradingSession]:
        """Yield the trading days that overlap [start, end), pre- and post-market included.

        A market that never closes, or is not known, yields UTC days.
        """
        if not self._sessions:
            for midnight in range(start - start % DAY_US, end, DAY_US):
                opens, closes = MarketTime(midnight), MarketTime(midnight + DAY_US)
                yield TradingSession(day=opens, pre_open=opens, open=opens, close=closes, post_close=closes)
            return
        first = max(bisect_right(self._pre_opens, start) - 1, 0)
        for index in range(first, len(self._sessions)):  # no slice: years of sessions would be copied
            session = self._sessions[index]
            if session.pre_open >= end:
                return
            if session.post_close > start:
                yield session

    def session_at(self, moment: int) -> TradingSession | None:
        """Return the trading day whose pre-, regular or post-market, breaks included, holds `moment`, if any."""
        if not self._sessions:
            return next(self.sessions(moment, moment + 1))
        index = bisect_right(self._pre_opens, moment) - 1
        return self._sessions[index] if index >= 0 and moment < self._sessions[index].post_close else None

    def session_on(self, day: int) -> TradingSession | None:
        """Return the trading day of a date, given as its midnight UTC (µs); it may open the evening before, in UTC."""
        if not self._sessions:
            return next(self.sessions(day, day + 1))
        index = bisect_left(self._days, day)
        return self._sessions[index] if index < len(self._days) and self._days[index] == day else None

    def session_of(self, moment: int) -> Session:
        """Return which part of the trading day `moment` falls in; a break is closed, the closing auction regular.

        Where its hours are not known a market is regular: nothing says that it is closed.
        """
        session = self.session_at(moment)
        if session is None:
            return "closed" if self.knows(moment) else "regular"
        return session.stretch_at(moment)[0]

    def is_open(self, moment: int) -> bool:
        """Whether the regular session holds `moment`, as far as is known."""
        return self.knows(moment) and self.session_of(moment) == "regular"

    def open_ranges(self, start: int, end: int) -> list[tuple[EventTime, EventTime]]:
        """Return the parts of [start, end) in which trades are to be expected, pre- and post-market included."""
        ranges: list[tuple[int, int]] = []
        for low, high in self._stretches(start, end) if self.is_known else ():
            left, right = max(low, start), min(high, end)
            if ranges and ranges[-1][1] == left:
                ranges[-1] = (ranges[-1][0], right)
            elif left < right:
                ranges.append((left, right))
        return cast("list[tuple[EventTime, EventTime]]", ranges)

    def _stretches(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        for session in self.sessions(start, end):
            begin = session.pre_open
            for stops, resumes in session.breaks:
                yield begin, stops
                begin = resumes
            yield begin, session.post_close

    def date_of(self, moment: int) -> date:
        """Return the date of the market's day that holds `moment`: local, of currencies from 17:00 New York on the next."""
        local = (EPOCH + timedelta(microseconds=moment)).astimezone(ZoneInfo(self.timezone))
        return (local.replace(tzinfo=None) + self._roll).date()

    def day_start(self, day: date) -> EventTime:
        """Return where the market's day of a date begins: local midnight, of currencies 17:00 New York of the day before."""
        begins = datetime.combine(day, time()) - self._roll
        return EventTime(micros(begins.replace(tzinfo=ZoneInfo(self.timezone))))


class CalendarBook:
    """The calendars under one overlay: immutable in meaning, so that one in hand answers alike while another comes."""

    def __init__(self, overlay: CalendarOverlay = NO_OVERLAY) -> None:
        """Load nothing yet."""
        self.overlay = overlay
        self.fingerprint = calendar_fingerprint(overlay)
        self._held: dict[str, Calendar] = {}

    def calendar(self, name: str) -> Calendar:
        """Return the calendar `name`; the first time costs a second of work."""
        found = self._held.get(name)
        if found is None:
            found = self._held[name] = load_calendar(name, self.overlay.of(name))
        return found

    def calendar_of(self, symbol: str) -> Calendar:
        """Return the calendar a symbol trades on; the first of its market costs a second of work."""
        return self.calendar(calendar_name(symbol))

    def holds(self, symbol: str) -> bool:
        """Whether the calendar of a symbol is loaded, so that asking for it costs nothing."""
        return calendar_name(symbol) in self._held

    def load(self, names: Iterable[str]) -> None:
        """Load the calendars `names`; blocking, for a thread of its own."""
        for name in names:
            self.calendar(name)

    def unload(self) -> None:
        """Forget the calendars that are loaded; they are loaded anew when asked for."""
        self._held = {}

    def names(self) -> frozenset[str]:
        """Return the names of the calendars that are loaded."""
        return frozenset(self._held)


class _InForce:
    book = CalendarBook()


_JUDGING: ContextVar[CalendarBook | None] = ContextVar("calendars", default=None)


def calendars_in_force() -> CalendarBook:
    """Return the calendars of this process, or inside `judging_by` those given there.

    Keep the book where several answers must agree.
    """
    return _JUDGING.get() or _InForce.book


@contextmanager
def judging_by(book: CalendarBook) -> Iterator[None]:
    """Let this task, and the threads it starts inside, judge by the calendars of another moment."""
    token = _JUDGING.set(book)
    try:
        yield
    finally:
        _JUDGING.reset(token)


def put_in_force(overlay: CalendarOverlay) -> bool:
    """Let the process judge by an overlay from now on; return whether that is another than before.

    Blocking: what was loaded is loaded anew before the exchange, which is one assignment.
    """
    before = _InForce.book
    if before.overlay == overlay:
        return False
    book = CalendarBook(overlay)
    book.load(before.names())
    _InForce.book = book
    return True


def check_overlay(overlay: CalendarOverlay) -> None:
    """Raise ConfigurationError where an early close lies on no day of its market, or not within it; blocking."""
    for name, market in overlay.markets:
        for day, closes in market.early_closes:
            midnight = _midnight(day)
            found, before = (load_calendar(name, each).session_on(midnight) for each in (market, NOTHING))
            if (
                found is None
                or before is None
                or (found.parts == before.parts and _closing_time(name, before) != closes)
            ):
                raise ConfigurationError(
                    f"calendar_early_closes.{name}.{day}: {name} does not close at {closes} on that day, or is closed",
                    remedy="give a trading day, and a time within its hours in the venue's own time zone",
                )


def _closing_time(name: str, session: TradingSession) -> str:
    moment = EPOCH + timedelta(microseconds=session.parts[-1][1])
    return moment.astimezone(ZoneInfo(load_calendar(name).timezone)).strftime("%H:%M")


def _midnight(day: str) -> int:
    return (date.fromisoformat(day) - EPOCH.date()).days * DAY_US


def calendar_name(symbol: str) -> str:
    """Return the calendar a symbol trades on; never raises, since a stored symbol may be of any spelling.

    What is no canonical symbol is of a market it names (`BINANCE:BTCUSDT`, `OANDA:EUR_USD`), or of an unknown one.
    """
    instrument = classify(symbol)
    if instrument is not None:
        return instrument.calendar
    return venues.CALENDARS_BY_MARKET.get(symbol.partition(":")[0], UNKNOWN) if ":" in symbol else UNKNOWN


def calendar_of(symbol: str) -> Calendar:
    """Return the calendar a symbol trades on, of those in force; the first of its market costs a second of work."""
    return calendars_in_force().calendar_of(symbol)


@lru_cache(maxsize=CACHED_CALENDARS)
def load_calendar(name: str, overlay: MarketOverlay = NOTHING) -> Calendar:
    """Return the calendar `name` under an overlay, whatever is in force; the first time costs a second of work."""
    if name in (ALWAYS_OPEN, UNKNOWN):
        return Calendar(name, "UTC", ())
    return Calendar(name, *trading_days(name, overlay))
