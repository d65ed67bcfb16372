"""Macro series beside bars: which may be asked for, when a bar has ended, and which value had been said by then; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from analytics.macro_units import Said, Vintages
from gateway.database.versions import BarVersion
from gateway.http.columns import DATE, FLAG, NUMBER, TEXT, Column, Shown, by_name, or_null, record, rows
from gateway.http.endpoints import parameter
from gateway.http.parameters import Complaint
from gateway.http.problems import FieldError, Problem, invalid_field
from gateway.market.aggregate import unit_bounds
from schemas.calendar.sessions import Calendar
from schemas.clocks import Day, EventTime, KnowledgeTime, day_of, iso_day
from schemas.errors import UnknownSymbol
from schemas.intervals import DAY_US, INTRADAY_US
from schemas.macro_keys import series_key

MAX_SERIES = 50  # of one question about series
MAX_FACTORS = 10  # of one question about bars
MAX_ROWS = 200_000  # values and revisions of all series of one page
# Periods that began earlier before a bar say nothing of its time: a year that came out two years late is within.
OLDEST_DAYS = 1_500
RULE = (
    "of each bar the value of the newest period that had been published by its end, a day's being its official close; of what has "
    "no time of publication, that we knew by then"
)
NOT_YOURS = (
    "it belongs to its source, which does not let us pass it on; use a key with the scope redistribute"
)


@dataclass(frozen=True, slots=True)
class SeriesKeys:
    """Keys or aliases of macro series, with commas between; the value is the keys by what was given."""

    most: int = MAX_SERIES

    def read(self, name: str, text: str, _: str) -> Mapping[str, str]:
        """Return the key of each name given, each once."""
        given = dict.fromkeys(text.split(","))
        if len(given) > self.most:
            raise Complaint("out_of_range", f"{name} names {len(given)} series; ask for {self.most} at most")
        try:
            return {each: str(series_key(each)) for each in given}
        except UnknownSymbol as error:
            raise Complaint("not_a_symbol", f"{name}: {error}") from error

    def schema(self) -> dict[str, object]:
        """Return that it is text."""
        return {"type": "string", "examples": ["cpi,ust_10y,FRED:GDPC1"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorSeries:
    """One macro series as it is stored: its rows, and what the newest says of it."""

    key: str
    rows: Sequence[Said]
    provider: str
    units: str
    frequency: str
    rights: str
    simulated: bool

    def vintages(self, as_of: KnowledgeTime, knowledge: str) -> Vintages:
        """Return what of it was known, or published, by `as_of`."""
        return Vintages.of_rows(
            self.rows, as_of=as_of, knowledge=cast("Literal['known', 'published']", knowledge)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """A macro series beside the bars of a page: a value for each of them, and what the answer says of it as a whole."""

    name: str
    values: Sequence[float | None]
    about: Mapping[str, Any]


def bar_ends(bars: Sequence[BarVersion], interval: str, calendar: Calendar) -> NDArray[np.int64]:
    """Return the moment (µs) by which each bar was over: of days and longer ones the official close of their last day.

    A bar within a day ends where its stretch of the session does, if that is earlier than its length says.
    """
    width_us = INTRADAY_US.get(interval)
    if width_us is not None:
        ends = (_stretch_end(bar.event_time, width_us, calendar) for bar in bars)
    else:
        ends = (_last_close(bar.event_time, interval, calendar) for bar in bars)
    return np.fromiter(ends, np.int64, len(bars))


def _stretch_end(start: EventTime, width_us: int, calendar: Calendar) -> int:
    session = calendar.session_at(start)
    return start + width_us if session is None else min(start + width_us, session.stretch_at(start)[2])


def _last_close(start: EventTime, interval: str, calendar: Calendar) -> int:
    if interval == "1d":
        day = calendar.date_of(start)
        session = calendar.session_on(day_of(day) * DAY_US)
        return calendar.day_start(day + timedelta(days=1)) if session is None else session.close
    first, after = unit_bounds(start, interval, calendar)
    closes = [session.close for session in calendar.sessions(first, after)]
    return min(closes[-1], after) if closes else after


def factor(
    name: str,
    key: str,
    series: FactorSeries | None,
    ends: NDArray[np.int64],
    *,
    as_of: KnowledgeTime,
    knowledge: str,
) -> Factor:
    """Return a series beside bars that ended at `ends`; without one, of which nothing is known, no bar has a value.

    One merge: linear in bars and vintages, but for their sorting.
    """
    about: dict[str, Any] = {"name": name, "key": key, "provider": None, "units": None, "frequency": None}
    about |= {"rights": None, "simulated": None, "first_period": None, "last_period": None, "rule": RULE}
    if series is None:
        return Factor(name=name, values=[None] * len(ends), about=about)
    vintages = series.vintages(as_of, knowledge)
    places = vintages.joined(ends)
    found = places >= 0
    values = np.full(len(ends), np.nan)
    values[found] = vintages.values[places[found]]
    periods = vintages.periods[places[found]]
    about |= {
        name: getattr(series, name) for name in ("provider", "units", "frequency", "rights", "simulated")
    }
    if len(periods):
        about["first_period"] = iso_day(Day(int(periods.min())))
        about["last_period"] = iso_day(Day(int(periods.max())))
    said = [
        None if lacks else value
        for value, lacks in zip(values.tolist(), np.isnan(values).tolist(), strict=True)
    ]
    return Factor(name=name, values=said, about=about)


def too_many_values() -> Problem:
    """Return the Problem of series that have more values than one page may have."""
    detail = f"these series have more than {MAX_ROWS} values beside the bars of one page; ask for fewer, or set a smaller limit"
    return invalid_field("with", "out_of_range", detail)


def beside(
    shown: Sequence[dict[str, Any]], factors: Sequence[Factor], *, is_table: bool
) -> Sequence[dict[str, Any]]:
    """Return the rows of bars with their factors: under `factors`, in a table as columns of their own."""
    if not factors:
        return shown

    def row(number: int) -> dict[str, Any]:
        values = {each.name: each.values[number] for each in factors}
        return shown[number] | (values if is_table else {"factors": values})

    return Shown(range(len(shown)), row)


def lone_knowledge(given: Mapping[str, str]) -> Iterator[FieldError]:
    """Complain of a `knowledge` that is of nothing."""
    if "knowledge" in given and not given.keys() & {"with", "adjustment"}:
        detail = "knowledge is of macro series and of adjusted prices; give with=cpi or adjustment=all, or leave knowledge out"
        yield FieldError(param="knowledge", code="needs_factors", detail=detail)


WITH = parameter(
    SeriesKeys(most=MAX_FACTORS),
    "Macro series by key or alias: beside each bar the value of the newest period that had been published by its end, of periods "
    f"that began within {OLDEST_DAYS} days before; meta.factors says which.",
)
BESIDE_COLUMNS = (
    Column(
        "factors",
        by_name(or_null(NUMBER)),
        "Values of `with` by name; in a table a column each.",
        always=False,
    ),
)
FACTOR_META = Column(
    "factors",
    rows(
        record(
            Column("name", TEXT, "As asked: its name in `factors`, or its column."),
            Column("key", TEXT, "Key of the series."),
            Column("provider", or_null(TEXT), "Who gave it; null: nothing is known of it by as_of."),
            Column("units", or_null(TEXT), "The source's own unit."),
            Column("frequency", or_null(TEXT), "Length of a period: D, W, BW, M, Q, S or A."),
            Column("rights", or_null(TEXT), "Who may be given it."),
            Column("simulated", or_null(FLAG), "True of made-up values that no source published."),
            Column(
                "first_period",
                or_null(DATE),
                "First day of the earliest period beside a bar of this page.",
                "date",
            ),
            Column("last_period", or_null(DATE), "First day of the latest one.", "date"),
            Column("rule", TEXT, "Which value stands beside a bar."),
        )
    ),
    "With `with`: what stands beside the bars.",
    always=False,
)
