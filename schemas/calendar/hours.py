"""Hours of venues that exchange_calendars does not tell, or tells wrongly: closing auctions, older breaks, own hours.

Facts only, each with where the venue publishes it. Times of day are the venue's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from schemas.symbols.venues import FX_HOURS

FIRST = "0001-01-01"


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueHours:
    """Hours of a venue beside its calendar in the library; `source` is the title under which it publishes them.

    Trading is continuous until `call_min` minutes before the library's close (`half_day_call_min` on its short days):
    then orders are called for the closing auction. The last trades at its price come `after_min` minutes after the
    close. `breaks` and `hours` are (first day, from, to) in order, in place of the library's; of (first day, call) the
    last that has begun counts.
    """

    source: str
    call_min: tuple[tuple[str, int], ...] = ()
    half_day_call_min: int = 0
    after_min: int = 0
    breaks: tuple[tuple[str, str, str], ...] = ()
    hours: tuple[tuple[str, str, str], ...] = ()


_EURONEXT = VenueHours(
    source="Euronext, Trading hours and holidays: closing call 17:30, uncrossing 17:35, trading at last until 17:40; "
    "half days end with the auction at 14:05",
    half_day_call_min=5,
    after_min=10,
)
_NORDIC = VenueHours(
    source="Nasdaq Nordic, Market Model, appendix of trading hours: the last 5 minutes are the closing call",
    call_min=((FIRST, 5),),
    half_day_call_min=10,
    after_min=5,
)
HOURS: Mapping[str, VenueHours] = {
    "XNYS": VenueHours(source="NYSE, Holidays and trading hours: 9:30 to 16:00, short days to 13:00"),
    "XLON": VenueHours(
        source="London Stock Exchange, Millennium Exchange business parameters (SETS): closing auction 16:30 to 16:35, "
        "closing price crossing until 16:40; on short days from 12:30",
        after_min=10,
    ),
    "XETR": VenueHours(
        source="Deutsche Boerse, Continuous trading with auctions: closing auction from 17:30 to 17:35 and its random "
        "end, trade-at-close for up to 10 minutes",
        after_min=15,
    ),
    "XFRA": VenueHours(
        source="Xetra circular 057/21: floor to 22:00 from 2021-11-29, 8:00 to 20:00 before; Boerse Frankfurt, Trading "
        "hours and trading calendar 2020: from 8:00 since 2011-06-01; XFRA notice of 2022-10: to 20:00 on holidays",
        hours=(
            (FIRST, "09:00", "17:30"),
            ("2000-06-02", "09:00", "20:00"),
            ("2011-06-01", "08:00", "20:00"),
            ("2021-11-29", "08:00", "22:00"),
        ),
    ),
    "XPAR": _EURONEXT,
    "XAMS": _EURONEXT,
    "XBRU": _EURONEXT,
    "XLIS": _EURONEXT,
    "XMIL": _EURONEXT,
    "XMAD": VenueHours(
        source="BME, Trading hours: open market 9:00 to 17:30, closing auction to 17:35, trading at last to 17:45",
        half_day_call_min=5,
        after_min=15,
    ),
    "XWBO": VenueHours(
        source="Wiener Boerse, Trading times: continuous to 17:30, closing auction to 17:35, trade at close after it",
        half_day_call_min=15,
        after_min=10,
    ),
    "XHEL": _NORDIC,
    "XSTO": _NORDIC,
    "XCSE": _NORDIC,
    "XOSL": VenueHours(
        source="Euronext Oslo Boers, Trading hours: continuous to 16:20, auction to 16:25, trading at last to 16:30",
        half_day_call_min=10,
        after_min=10,
    ),
    "XSWX": VenueHours(
        source="SIX Swiss Exchange, Trading hours: auction from 17:20 to 17:30, trading-at-last until 17:40",
        call_min=((FIRST, 10),),
        half_day_call_min=10,
        after_min=10,
    ),
    "XTSE": VenueHours(
        source="TMX, Trading hours: 9:30 to 16:00; market-on-close with its price movement extension to 16:10",
        after_min=10,
    ),
    "XTKS": VenueHours(
        source="JPX, Extension of trading hours (arrowhead 4.0): to 15:30 with a closing auction from 15:25 since "
        "2024-11-05; JPX, Extension of morning trading session: to 11:30 since 2011-11-21",
        call_min=((FIRST, 0), ("2024-11-05", 5)),
        after_min=1,  # the auction is held at the close itself
        breaks=((FIRST, "11:00", "12:30"), ("2011-11-21", "11:30", "12:30")),
    ),
    "XASX": VenueHours(
        source="ASX, Trading hours: normal trading 10:00 to 16:00, closing single price auction from 16:10, trades at "
        "its price to 16:21:30; short days to 14:10",
        half_day_call_min=10,
        after_min=22,
    ),
    "XHKG": VenueHours(
        source="HKEX, Trading hours: 9:30 to 12:00 and 13:00 to 16:00, closing auction session to 16:10; HKEX, Trading "
        "hours extension: phase 1 on 2011-03-07, phase 2 on 2012-03-05",
        after_min=10,
        breaks=(
            (FIRST, "12:30", "14:30"),
            ("2011-03-07", "12:00", "13:30"),
            ("2012-03-05", "12:00", "13:00"),
        ),
    ),
    FX_HOURS: VenueHours(
        source="FXCM, When is FXCM open for trading: Sunday 17:00 to Friday 17:00 New York; brokers' holiday notices "
        "close 25 December and 1 January alone"
    ),
}
# The floor's last hours fall away on public holidays that are trading days.
FLOOR_HOLIDAY_CLOSE = "20:00"
FX_HOLIDAYS = frozenset({"12-25", "01-01"})  # closed from 17:00 New York of the day before


def current(history: tuple[tuple[str, *tuple[str, ...]], ...], day: str) -> tuple[str, ...] | None:
    """Return what a history of (first day, ...) says of an ISO day, without its first day; None where it is empty."""
    found = None
    for since, *values in history:
        if since <= day:
            found = tuple(values)
    return found


def call_minutes(hours: VenueHours, day: str, *, is_half_day: bool) -> int:
    """Return how many minutes before the close of an ISO day its closing call begins."""
    if is_half_day:
        return hours.half_day_call_min
    return next((minutes for since, minutes in reversed(hours.call_min) if since <= day), 0)


def is_floor_holiday(day: date) -> bool:
    """Whether a day is a public holiday of Germany or Hesse on which Frankfurt's floor may trade."""
    sunday = easter(day.year)
    ascension, whit_monday, corpus_christi = (sunday + timedelta(days=days) for days in (39, 50, 60))
    moving = {ascension, whit_monday, corpus_christi}
    return day in moving or (day.month, day.day) == (10, 3)


def easter(year: int) -> date:
    """Return Easter Sunday of the Gregorian calendar, after the algorithm of Meeus, Jones and Butcher."""
    golden, (century, rest) = year % 19, divmod(year, 100)
    leap, skipped = divmod(century, 4)
    moon = (19 * golden + century - leap - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * skipped + 2 * (rest // 4) - moon - rest % 4) % 7
    late = (golden + 11 * moon + 22 * weekday) // 451
    month, day = divmod(moon + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)
