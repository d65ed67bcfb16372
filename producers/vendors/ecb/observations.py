"""The ECB's csvdata: one row an observation, with its history one row a version of it; pure.

VALID_FROM is the moment a version began to stand, with the offset of Frankfurt's clock; ACTION says that it was deleted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from producers.vendors.answers import Answer, RejectedValue
from producers.vendors.csv_rows import CsvTable, cells_rejected, table
from producers.vendors.macro_rows import (
    PublishedMoment,
    SeriesFacts,
    contradiction,
    observation,
    observed_value,
)
from producers.vendors.payloads import rfc3339_us
from producers.vendors.periods import EPOCH_ORDINAL, day_of, parsed_day, period_of
from producers.vendors.vintages import Vintage
from schemas.clocks import Day, EventTime, WallTime
from schemas.entries import Frequency, PublishedPrecision
from schemas.errors import InvalidRecord, MalformedPayload

PLACE = "ecb data"
NEEDED = ("KEY", "FREQ", "TIME_PERIOD", "OBS_VALUE")
FREQUENCIES: Mapping[str, Frequency] = {
    "D": "D", "B": "D", "W": "W", "M": "M", "Q": "Q", "H": "S", "S": "S", "A": "A",
}  # fmt: skip
SEASONAL = {"N": "NSA", "S": "SA", "Y": "SA"}
DELETED = ("delete", "d")
PERIOD = re.compile(r"(\d{4})(?:-(?:(\d\d)(?:-(\d\d))?|Q([1-4])|[SH]([12])|W(\d\d)))?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Version:
    vintage: Vintage
    moment: EventTime | None
    order: int  # in the answer


def parse_data(
    payload: bytes, *, key: str, series: str, since: Day | None, received_time: WallTime, simulated: bool
) -> Answer:
    """Return the versions of all observations: those that began on `since` or later, all without it.

    A row that cannot be one is rejected alone; raises MalformedPayload where it is no such table.
    """
    given = table(payload, PLACE, needed=NEEDED, symbol=key)
    if not given.rows:
        return Answer(rejected=given.rejected)
    dead = list(given.rejected)
    facts = _facts(given, key, simulated)
    found: dict[tuple[Day, Day, EventTime | None], _Version] = {}
    against: set[tuple[Day, Day, EventTime | None]] = set()
    for number, row in enumerate(given.rows):
        try:
            version = _version(row, series, facts.frequency, number)
        except (InvalidRecord, MalformedPayload) as error:
            dead.append(cells_rejected(key, f"{PLACE}: {error}", row))
            continue
        name = (version.vintage.period_start, version.vintage.start, version.moment)
        first = found.setdefault(name, version)
        if first.vintage != version.vintage:
            against.add(name)
            dead.append(_contradicting(key, version))
    dead += (_contradicting(key, found.pop(name)) for name in against)
    ordered = sorted(
        found.values(), key=lambda each: (each.vintage.period_start, each.moment or 0, each.order)
    )
    events = [
        observation(
            facts, each.vintage, _publication(each), received_time, with_vintages=each.moment is not None
        )
        for each in ordered
        if since is None or each.moment is None or each.vintage.start >= since
    ]
    return Answer(events=events, rejected=dead)


def _facts(given: CsvTable, key: str, simulated: bool) -> SeriesFacts:  # noqa: FBT001 - a value of the facts
    """Return what the rows say of their series; raise MalformedPayload for a frequency that nobody knows."""
    known = ((row, FREQUENCIES.get(row["FREQ"].strip())) for row in given.rows)
    row, frequency = next(((row, found) for row, found in known if found is not None), (given.rows[0], None))
    if frequency is None:
        raise MalformedPayload(f"{PLACE}: FREQ is {row['FREQ'][:20]!r}, which is no frequency")
    return SeriesFacts(
        key=key,
        units=row.get("UNIT", "").strip(),
        seasonal=SEASONAL.get(row.get("ADJUSTMENT", "").strip(), ""),
        frequency=frequency,
        rights="attribution",
        simulated=simulated,
    )


def _version(row: Mapping[str, str], series: str, frequency: Frequency, number: int) -> _Version:
    if row["KEY"].strip() != series:
        raise InvalidRecord(f"KEY is {row['KEY'][:64]!r}, {series} was asked for")
    if FREQUENCIES.get(row["FREQ"].strip()) != frequency:
        raise InvalidRecord(f"FREQ is {row['FREQ'][:20]!r}, of rows before it another")
    deleted = row.get("ACTION", "").strip().lower() in DELETED
    began, ended = row.get("VALID_FROM", "").strip(), row.get("VALID_TO", "").strip()
    value = None if deleted else observed_value(row["OBS_VALUE"])
    first, after = period(row["TIME_PERIOD"].strip(), frequency)
    start, end = Day(0), None
    if began:
        start = parsed_day(began[:10])
        if ended:
            # Superseded on the day it began, it stood on that day.
            end = Day(max(start, parsed_day(ended[:10]) - 1))
    moment = rfc3339_us(began, "VALID_FROM") if began else None
    vintage = Vintage(period_start=first, period_end=after, value=value, start=start, end=end)
    return _Version(vintage=vintage, moment=moment, order=number)


def period(text: str, frequency: Frequency) -> tuple[Day, Day]:
    """Return the days of a TIME_PERIOD: 2016, 2016-S1, 2016-Q3, 2016-07, 2016-W05 or 2016-07-29.

    Raises InvalidRecord for what is none, or none of the frequency.
    """
    match = PERIOD.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        year, month, day, quarter, half, week = match.groups()
        if week is not None:
            if frequency != "W":
                raise ValueError
            return period_of(day_of(date.fromisocalendar(int(year), int(week), 7)), "W")
        first = 3 * int(quarter) - 2 if quarter else 6 * int(half) - 5 if half else int(month or 1)
        told = "S" if half else "Q" if quarter else "D" if day else "M" if month else "A"
        if told != frequency and not (told == "D" and frequency == "W"):
            raise ValueError
        return period_of(Day(date(int(year), first, int(day or 1)).toordinal() - EPOCH_ORDINAL), frequency)
    except ValueError:
        raise InvalidRecord(f"TIME_PERIOD is {text[:20]!r}, which is none of frequency {frequency}") from None


def _publication(version: _Version) -> PublishedMoment:
    precision: PublishedPrecision = "none" if version.moment is None else "time"
    return PublishedMoment(moment=version.moment, precision=precision)


def _contradicting(key: str, version: _Version) -> RejectedValue:
    return contradiction(key, version.vintage, f"{PLACE}: two values of one period begin at the same moment")
