"""Corporate actions of real symbols: what factor and map files say, and steps of prices of which it is known what they are.

Files do not know when an action was declared, so each is told from its ex-date on. Moments are market time in µs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from infra.simulator.market.lean_files import read_factors
from infra.simulator.market.model import DailyBar, SimulatedAction
from schemas.calendar.sessions import Calendar
from schemas.clocks import Day
from schemas.intervals import DAY_US, EPOCH, micros
from schemas.symbology.file_actions import (
    FileAction,
    TradedDay,
    factor_actions,
    rename_actions,
    steps_without_action,
)
from schemas.symbology.map_files import parse_map_file

# Of a price overnight: beyond it something may have been done to the share.
LEAST_STEP = 0.03
# Time Warner gave a share of Time Inc. for eight of its own (its press release of 2014-06-06); no file of ours says so.
SPIN_OFFS: Mapping[tuple[str, date], tuple[str, int, int]] = {("TWX", date(2014, 6, 9)): ("TIME", 1, 8)}


def load_actions(
    root: Path, symbol: str, days: Sequence[DailyBar], calendar: Calendar
) -> tuple[SimulatedAction, ...]:
    """Return the actions of a symbol below the data directory `root`; without a factor file its raw `days` are looked through.

    Raises MalformedPayload and InvalidRecord naming a file that cannot be read.
    """
    factors, names = (
        root / "equity_daily" / kind / f"{symbol.lower()}.csv" for kind in ("factor_files", "map_files")
    )
    found = list(factor_actions(read_factors(factors), calendar)) if factors.is_file() else []
    if names.is_file():
        found += rename_actions(parse_map_file(names.read_text("ascii"), source=str(names)), calendar)
    made = [_action(each, calendar) for each in found]
    return (*made, *(() if factors.is_file() else _spin_offs(symbol, days, calendar)))


def _spin_offs(symbol: str, days: Sequence[DailyBar], calendar: Calendar) -> Iterator[SimulatedAction]:
    traded = [TradedDay(day=Day(bar.time // DAY_US), open=bar.open, close=bar.close) for bar in days]
    for step in steps_without_action(traded, (), calendar, least=LEAST_STEP):
        known = SPIN_OFFS.get((symbol, _date(step.ex_date)))
        if known is not None:
            child, numerator, denominator = known
            yield SimulatedAction(
                kind="spin_off",
                numerator=numerator,
                denominator=denominator,
                other=child,
                **_when(step.ex_date, calendar),
            )


def _action(found: FileAction, calendar: Calendar) -> SimulatedAction:
    return SimulatedAction(
        kind="dividend" if found.type == "cash_dividend" else found.type,
        numerator=found.ratio_to or 1,
        denominator=found.ratio_from or 1,
        amount=round(found.amount or 0.0, 4),
        other=found.new_symbol,
        **_when(found.ex_date, calendar),
    )


def _when(day: Day, calendar: Calendar) -> dict[str, Any]:
    begins = micros(datetime.combine(_date(day), time(), ZoneInfo(calendar.timezone)))
    session = calendar.session_on(day * DAY_US)
    return {"ex_date": _date(day), "time": session.open if session else begins, "told_from": begins}


def _date(day: Day) -> date:
    return EPOCH.date() + timedelta(days=day)
