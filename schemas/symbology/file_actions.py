"""Corporate actions that follow from LEAN's factor and map files, and steps of a price that follow from none; pure.

A factor holds from the day after its row: the ex-date is the next session. Ratios are whole numbers, which the files' decimals
only come near to: each is snapped to the nearest fraction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Literal

from schemas.calendar.next_days import trading_day_from
from schemas.calendar.sessions import Calendar
from schemas.clocks import Day, day_of
from schemas.errors import InvalidRecord
from schemas.symbology.factor_files import FactorRow
from schemas.symbology.map_files import NameHistory

MAX_RATIO_TERM = 1_000
# Files round factors to seven or eight decimals: a hundred-and-twelfth is 3.3e-7 off.
RATIO_WITHIN = 1e-4
# A cent of a dividend is a few units of a factor's seventh decimal.
LEAST_DIVIDEND = 0.0005


@dataclass(frozen=True, slots=True, kw_only=True)
class FileAction:
    """One action: of a split `ratio_to` shares for `ratio_from`, of a dividend the cash a share held before, of a rename the new symbol."""

    type: Literal["split", "cash_dividend", "rename"]
    ex_date: Day
    ratio_to: int | None = None
    ratio_from: int | None = None
    amount: float | None = None
    new_symbol: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradedDay:
    """One session's first and last raw price."""

    day: Day
    open: float
    close: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceStep:
    """A step of raw prices from one close to the next open; `ex_date` is the day of the open."""

    ex_date: Day
    close: float
    open: float


def factor_actions(rows: Sequence[FactorRow], calendar: Calendar) -> tuple[FileAction, ...]:
    """Return the splits and dividends of a factor file, oldest first.

    A dividend is close · (1 - factor before / factor after), in the money of the close. Raises InvalidRecord for a split
    that is no ratio, and for a dividend without a close.
    """
    found: list[FileAction] = []
    for before, after in pairwise(rows):
        ex_date = trading_day_from(Day(day_of(before.last_day) + 1), calendar)
        if before.split_factor != after.split_factor:
            ratio = split_ratio(before, after)
            found.append(
                FileAction(
                    type="split", ex_date=ex_date, ratio_to=ratio.numerator, ratio_from=ratio.denominator
                )
            )
        amount = before.close * (1.0 - before.price_factor / after.price_factor)
        if before.price_factor != after.price_factor and not before.close:
            raise InvalidRecord(f"the factors of {before.last_day} have no close; a dividend cannot be told")
        if amount >= LEAST_DIVIDEND:
            # A millionth of a dollar each time shows in the sixth decimal of seven years.
            found.append(FileAction(type="cash_dividend", ex_date=ex_date, amount=round(amount, 8)))
    return tuple(found)


def split_ratio(before: FactorRow, after: FactorRow) -> Fraction:
    """Return how many shares one became; raise InvalidRecord where it is no fraction with terms up to 1,000."""
    step = after.split_factor / before.split_factor
    # The smaller of a ratio's terms is snapped, whichever way it goes.
    small = min(step, 1.0 / step)
    near = Fraction(small).limit_denominator(MAX_RATIO_TERM)
    if not near or abs(near / Fraction(small) - 1) > RATIO_WITHIN:
        raise InvalidRecord(f"the split factors of {before.last_day} step by {step}, which is no ratio")
    return near if step < 1.0 else 1 / near


def rename_actions(history: NameHistory, calendar: Calendar) -> tuple[FileAction, ...]:
    """Return the changes of an instrument's symbol, oldest first; a change of venue alone is none."""
    return tuple(
        FileAction(
            type="rename",
            ex_date=trading_day_from(day_of(after.start), calendar),
            new_symbol=after.symbol,
        )
        for before, after in pairwise(history.periods)
        if before.symbol != after.symbol
    )


def steps_without_action(
    days: Sequence[TradedDay], actions: Iterable[FileAction], calendar: Calendar, *, least: float
) -> tuple[PriceStep, ...]:
    """Return the steps from a session's close to the next one's open, of at least `least` (0.03 for 3 %), that no action explains.

    A split's ratio and a dividend's amount are taken out first; between days that are not neighbours nothing is said. A step
    is a question, not an answer: news make them, too.
    """
    ratios: dict[Day, float] = {}
    amounts: dict[Day, float] = {}
    for action in actions:
        if action.ratio_to and action.ratio_from:
            ratios[action.ex_date] = ratios.get(action.ex_date, 1.0) * action.ratio_to / action.ratio_from
        amounts[action.ex_date] = amounts.get(action.ex_date, 0.0) + (action.amount or 0.0)
    found = []
    for before, after in pairwise(days):
        without = before.close - amounts.get(after.day, 0.0)
        is_next = trading_day_from(Day(before.day + 1), calendar) == after.day
        if not is_next or without <= 0:
            continue
        if abs(after.open * ratios.get(after.day, 1.0) / without - 1.0) >= least:
            found.append(PriceStep(ex_date=after.day, close=before.close, open=after.open))
    return tuple(found)
