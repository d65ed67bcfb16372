"""Made-up macro series: pure functions of (seed, key, period), revised as the real ones are.

A first print is somewhat wrong, later ones less so; a value that comes out the same again is no new vintage.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from types import MappingProxyType

from infra.simulator.market.macro_series import MacroSeries
from infra.simulator.market.random_walk import generator
from schemas.macro_keys import TENORS

FIRST_MONTH, FIRST_WEEK, FIRST_DAY = date(2015, 1, 1), date(2018, 1, 6), date(2016, 1, 4)
WANDERING_DAYS = (9, 67, 391)  # how far apart the turns of a wandering level are
ONE_DAY, ONE_WEEK = timedelta(days=1), timedelta(days=7)
SATURDAY = 5
CACHED_TURNS = 16_384
MONTHS = {"M": 1, "Q": 3}
EPOCH = date(1970, 1, 1).toordinal()
# A year's table has a column from the year on in which its maturity came.
TENOR_SINCE: Mapping[str, date] = {"1.5M": date(2025, 2, 18), "4M": date(2022, 10, 19)}
FIRST_CURVE = date(2020, 1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The making of a series: its level and its growth a year, how far it wanders, and how it is revised."""

    level: float
    growth: float = 0.0  # a year
    width: float = 0.0  # share of the level it wanders about
    decimals: int = 1
    lag_days: int = 12  # from the end of a period to its first print
    revisions: int = 0  # prints after the first
    error: float = 0.0  # share of the level the first print is wrong by
    corrected_every: int = 0  # one of so many is corrected once; 0 = none


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "FRED:CPIAUCSL": Recipe(
            level=240.0, growth=0.025, width=0.002, decimals=3, revisions=1, error=0.0004
        ),
        "FRED:UNRATE": Recipe(level=4.6, width=0.2, lag_days=5, corrected_every=9),
        "FRED:PAYEMS": Recipe(
            level=142_000.0, growth=0.015, width=0.002, decimals=0, lag_days=5, revisions=2, error=0.0003
        ),
        "FRED:GDPC1": Recipe(
            level=17_500.0, growth=0.022, width=0.004, lag_days=28, revisions=2, error=0.002
        ),
        "FRED:ICSA": Recipe(level=240_000.0, width=0.1, decimals=-3, lag_days=5, revisions=1, error=0.01),
        "FRED:DFF": Recipe(level=3.0, width=0.5, decimals=2, lag_days=1),
        "ECB:EXR.D.USD.EUR.SP00.A": Recipe(level=1.1, width=0.05, decimals=4, lag_days=0, corrected_every=61),
        "ECB:FM.D.U2.EUR.4F.KR.DFR.LEV": Recipe(level=2.0, decimals=2, lag_days=0),
        **{
            f"UST:{tenor}": Recipe(level=3.0 + 0.12 * number, width=0.25, decimals=2, lag_days=0)
            for number, tenor in enumerate(TENORS)
        },
    }
)


def _series(key: str, title: str, frequency: str, units: str, seasonal: str = "NSA") -> MacroSeries:
    return MacroSeries(
        key=key, title=title, frequency=frequency, units=units, seasonal=seasonal, synthetic=True
    )


_ALL = (
    _series("FRED:CPIAUCSL", "Made-up Consumer Price Index", "M", "Index 1982-1984=100", "SA"),
    _series("FRED:UNRATE", "Made-up Unemployment Rate", "M", "Percent", "SA"),
    _series("FRED:PAYEMS", "Made-up Employees, Total Nonfarm", "M", "Thousands of Persons", "SA"),
    _series("FRED:GDPC1", "Made-up Gross Domestic Product", "Q", "Billions of Chained 2017 Dollars", "SAAR"),
    _series("FRED:ICSA", "Made-up Initial Claims", "W", "Number", "SA"),
    _series("FRED:DFF", "Made-up Federal Funds Rate", "D", "Percent"),
    _series("ECB:EXR.D.USD.EUR.SP00.A", "Made-up US dollar/Euro", "D", "USD"),
    _series("ECB:FM.D.U2.EUR.4F.KR.DFR.LEV", "Made-up deposit facility rate", "D", "PCPA"),
    *(_series(f"UST:{tenor}", f"Made-up par yield, {tenor}", "D", "Percent") for tenor in TENORS),
)
SYNTHETIC = MappingProxyType({series.key: series for series in _ALL})
"""Made-up series by key."""


def made_up(series: MacroSeries, seed: int, until: date) -> Iterator[tuple[date, list[tuple[date, str]]]]:
    """Yield the dates of a series with what is said of each: days, in order, and the values from them on.

    Nothing is said after the day `until`; a date of which nothing is said yet is left out.
    """
    recipe = RECIPES[series.key]
    dates = _dates(series, until)
    for number, (dated, end) in enumerate(dates):
        prints = [_workday(end + timedelta(days=recipe.lag_days))]
        if prints[0] > until:
            return
        # A period is revised when a later one comes out, as agencies do it.
        later = (_workday(each + timedelta(days=recipe.lag_days)) for _, each in dates[number + 1 :])
        prints += (day for day, _ in zip(later, range(recipe.revisions), strict=False))
        if _is_corrected(recipe, seed, series.key, number):
            prints.append(_workday(prints[0] + ONE_DAY))
        # What is to come must not show in what was said: the right print is the last there will ever be.
        last = recipe.revisions + _is_corrected(recipe, seed, series.key, number)
        told: list[tuple[date, str]] = []
        for count, day in enumerate(prints):
            text = _text(series.key, recipe, seed, dated, count, last)
            if day <= until and (not told or told[-1][1] != text):
                told.append((day, text))
        yield dated, told


def _is_corrected(recipe: Recipe, seed: int, key: str, number: int) -> bool:
    every = recipe.corrected_every
    return every > 0 and not generator(seed, key, "correction", number).randrange(every)


def _dates(series: MacroSeries, until: date) -> list[tuple[date, date]]:
    """Return the dates of the periods that end by a day, each with its last day, one more among them."""
    if series.frequency in MONTHS:
        return list(_months(MONTHS[series.frequency], until))
    if series.frequency == "W":
        weeks = (until - FIRST_WEEK).days // 7 + 1
        return [(day, day) for day in (FIRST_WEEK + number * ONE_WEEK for number in range(weeks))]
    first = FIRST_DAY if series.source != "UST" else TENOR_SINCE.get(series.name, FIRST_CURVE)
    days = (first + number * ONE_DAY for number in range((until - first).days + 1))
    return [(day, day) for day in days if day.weekday() < SATURDAY]


def _months(length: int, until: date) -> Iterator[tuple[date, date]]:
    start = FIRST_MONTH
    while start <= until:
        count = start.year * 12 + start.month - 1 + length
        following = date(count // 12, count % 12 + 1, 1)
        yield start, following - ONE_DAY
        start = following


def _workday(day: date) -> date:
    """Return the day itself, or the Monday after it where it is a Saturday or Sunday."""
    return day if day.weekday() < SATURDAY else day + (7 - day.weekday()) * ONE_DAY


def _text(key: str, recipe: Recipe, seed: int, dated: date, count: int, last: int) -> str:
    """Return the `count`-th print of a period, of which the `last` is right."""
    ordinal = dated.toordinal() - EPOCH
    years = (dated - FIRST_MONTH).days / 365.25
    level = recipe.level * math.exp(recipe.growth * years)
    level += recipe.level * recipe.width * _wandering(seed, key, ordinal)
    if count < last:
        error = recipe.error or recipe.width / 50
        wrong = generator(seed, key, "error", ordinal * 8 + count).uniform(-1.0, 1.0)
        level += recipe.level * error * wrong * (last - count)
    return f"{round(level, recipe.decimals):.{max(0, recipe.decimals)}f}"


def _wandering(seed: int, key: str, ordinal: int) -> float:
    """Return a number between -1 and 1 that changes little from day to day."""
    total = 0.0
    for apart in WANDERING_DAYS:
        turn, share = ordinal // apart, ordinal % apart / apart
        total += (1 - share) * _turn(seed, key, apart, turn) + share * _turn(seed, key, apart, turn + 1)
    return total / len(WANDERING_DAYS)


@lru_cache(maxsize=CACHED_TURNS)
def _turn(seed: int, key: str, apart: int, turn: int) -> float:
    return generator(seed, key, f"turn {apart}", turn).uniform(-1.0, 1.0)
