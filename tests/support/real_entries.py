"""Corporate actions and vintages of real files: what is in them, read without the code under test, and what is stored of them."""

from __future__ import annotations

from pathlib import Path

from tests.support.corporate_actions import day, factor_file_actions
from tests.support.macro_vintages import real_vintages
from tests.support.sink_records import query

REAL_SERIES = ("FRED:GDPC1", "FRED:UNRATE")
# The day after the last one on which the file of vintages says something.
FILE_ENDS = "2017-01-28"
# Whose prices of SPY end with the day of its trades; nobody at full speed tells of it what came later.
LAST_DIVIDEND = "2013-10-07"

Vintage = tuple[str, int, int, int | None, float | None]
"""Key, first day of the period, first and last day of the vintage, value."""


def told_dividends(data: Path) -> dict[int, float]:
    """Return what SPY pays by ex-date, in order, up to the day of its trades."""
    paid = {each.ex_date: each.amount or 0.0 for each in factor_file_actions(data, "spy")}
    return {ex_date: paid[ex_date] for ex_date in sorted(paid) if ex_date <= day(LAST_DIVIDEND)}


def told_vintages(data: Path) -> list[Vintage]:
    """Return every vintage of the real series that are collected, in order."""
    return [
        (key, each.period_start, each.vintage_start or 0, each.vintage_end, each.value)
        for key in REAL_SERIES
        for each in sorted(
            real_vintages(data, key.removeprefix("FRED:")),
            key=lambda each: (each.period_start, each.vintage_start or 0),
        )
    ]


async def stored_dividends(dsn: str) -> list[tuple[int, float]]:
    """Return ex-date and amount of every version of an action that is stored."""
    rows = await query(dsn, "SELECT ex_date - DATE '1970-01-01', amount FROM v_actions ORDER BY 1, position")
    return [tuple(row) for row in rows]


async def stored_vintages_of(dsn: str) -> list[Vintage]:
    """Return every version of a vintage that is stored."""
    rows = await query(
        dsn,
        """SELECT symbol, period_start - DATE '1970-01-01', vintage_start - DATE '1970-01-01',
            vintage_end - DATE '1970-01-01', value FROM v_macro ORDER BY 1, 2, 3, position""",
    )
    return [tuple(row) for row in rows]
