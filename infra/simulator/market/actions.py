"""Corporate actions as simulated markets tell them, and those that are made up: a pure function of (seed, symbol, time).

Made-up ones are dividends alone: made-up prices depend on the seed, and no split moves them. Moments are market time in µs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta

from infra.simulator.market.model import SimulatedAction
from infra.simulator.market.random_walk import generator
from schemas.intervals import DAY_US, EPOCH, micros

PAYERS = 0.5  # of the simulated symbols
FIRST_QUARTER = 4 * 2024  # since the simulated market trades
DECLARED_BEFORE_DAYS = (30, 75)
TOLD_AT = time(12)
CORRECTED_AFTER_US = 3 * DAY_US
MISTAKE = 0.1  # dollars: what the dividend of one quarter a year is told too high at first
RECORD_AFTER, PAID_AFTER = timedelta(days=1), timedelta(days=21)


def told(actions: Iterable[SimulatedAction], now: int) -> list[SimulatedAction]:
    """Return what of `actions` is told by `now`, each as it was told last, by ex-date."""
    newest: dict[tuple[str, date], SimulatedAction] = {}
    for action in sorted(actions, key=lambda each: each.told_from):
        if action.told_from <= now:
            newest[action.kind, action.ex_date] = action
    return sorted(newest.values(), key=lambda each: each.ex_date)


def made_dividends(seed: int, symbol: str, now: int) -> Sequence[SimulatedAction]:
    """Return the dividends of a simulated symbol that may be told by `now`: quarterly, declared weeks ahead, one a year corrected."""
    draw = generator(seed, symbol, "dividends", 0)
    pays, cents, corrected = draw.random() < PAYERS, draw.randint(5, 120), draw.randint(0, 3)
    if not pays:
        return ()
    ahead = EPOCH + timedelta(microseconds=now, days=DECLARED_BEFORE_DAYS[1])
    quarters = range(FIRST_QUARTER, 4 * ahead.year + (ahead.month - 1) // 3 + 1)
    return [action for quarter in quarters for action in _of_quarter(seed, symbol, quarter, cents, corrected)]


def _of_quarter(
    seed: int, symbol: str, quarter: int, cents: int, corrected: int
) -> Iterator[SimulatedAction]:
    draw, year = generator(seed, symbol, "dividend", quarter), quarter // 4
    ex_date = date(year, 3 * (quarter % 4) + draw.randint(1, 3), draw.randint(1, 28))
    declared = ex_date - timedelta(days=draw.randint(*DECLARED_BEFORE_DAYS))
    amount = (cents + year - FIRST_QUARTER // 4) / 100
    is_corrected = quarter % 4 == corrected
    told_from = micros(datetime.combine(declared, TOLD_AT, UTC))
    for wait, paid in (
        ((0, amount + MISTAKE), (CORRECTED_AFTER_US, amount)) if is_corrected else ((0, amount),)
    ):
        yield SimulatedAction(
            kind="dividend",
            ex_date=ex_date,
            time=micros(datetime.combine(ex_date, time(), UTC)),
            told_from=told_from + wait,
            declared=declared,
            record=ex_date + RECORD_AFTER,
            paid=ex_date + PAID_AFTER,
            amount=round(paid, 2),
        )
