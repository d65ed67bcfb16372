"""The Treasury's par yield curve: one CSV table a year, a row a day, a column a maturity; pure."""

from __future__ import annotations

import re

from producers.vendors.answers import Answer
from producers.vendors.csv_rows import cells_rejected, table
from producers.vendors.macro_rows import (
    UNTOLD,
    PublishedMoment,
    SeriesFacts,
    contradiction,
    observation,
    observed_value,
    start_of_day,
)
from producers.vendors.periods import parsed_day, period_of
from producers.vendors.vintages import Vintage, began_since, joined
from schemas.clocks import Day, WallTime
from schemas.errors import InvalidRecord, MalformedPayload

PLACE = "treasury yields"
DATE = "Date"
# As the header names them: "1 Mo", "1.5 Month", "10 Yr".
COLUMN = re.compile(r"(\d+(?:\.\d+)?) (?:(Mo|Month)|(Yr|Year))s?")
AMERICAN_DATE = re.compile(r"(\d\d)/(\d\d)/(\d{4})", re.ASCII)


def parse_curve(
    payload: bytes, *, key: str, tenor: str, since: Day | None, received_time: WallTime, simulated: bool
) -> Answer:
    """Return the yields of one maturity in a year's table, none where the year had no such maturity.

    Without `since` they are history: published at the end of their day; what is newer, and what a poll with `since` finds,
    is known since it was seen. A row that cannot be one is rejected alone; raises MalformedPayload where it is no such table.
    """
    given = table(payload, PLACE, needed=(DATE,), symbol=key)
    columns = {_tenor(name): name for name in given.columns if name != DATE}
    if not columns or "" in columns:
        raise MalformedPayload(f"{PLACE}: the header names other things than maturities")
    dead = list(given.rejected)
    if tenor not in columns:
        return Answer(rejected=dead)
    facts = SeriesFacts(
        key=key, units="Percent", seasonal="NSA", frequency="D", rights="public", simulated=simulated
    )
    vintages = []
    for row in given.rows:
        try:
            first, after = period_of(_day(row[DATE]), "D")
            value = observed_value(row[columns[tenor]])
        except InvalidRecord as error:
            dead.append(cells_rejected(key, f"{PLACE}: {error}", row))
            continue
        vintages.append(Vintage(period_start=first, period_end=after, value=value, start=first, end=None))
    found, refused = joined(vintages)
    dead += (contradiction(key, each.vintage, f"{PLACE}: two yields of one day") for each in refused)
    events = [
        observation(
            facts,
            vintage,
            _publication(vintage.period_end, received_time, live=since is not None),
            received_time,
            with_vintages=False,
        )
        for vintage in began_since(found, since)
    ]
    return Answer(events=events, rejected=dead)


def _publication(day_after: Day, received_time: WallTime, *, live: bool) -> PublishedMoment:
    moment = start_of_day(day_after)
    if live or moment > received_time:
        return UNTOLD
    return PublishedMoment(moment=moment, precision="date")


def _tenor(column: str) -> str:
    """Return the maturity of a column as keys name it, empty where it is none."""
    match = COLUMN.fullmatch(column)
    return "" if match is None else f"{match[1]}{'M' if match[2] else 'Y'}"


def _day(text: str) -> Day:
    match = AMERICAN_DATE.fullmatch(text.strip())
    if match is None:
        raise InvalidRecord(f"{text[:20]!r} is no day; one is written 07/29/2016")
    return parsed_day(f"{match[3]}-{match[1]}-{match[2]}")
