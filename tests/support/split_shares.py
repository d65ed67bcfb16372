"""Apple's shares around its splits, as records to store: real days and the actions of its factor file, and days made up for a case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from schemas.calendar.sessions import load_calendar
from schemas.clocks import KnowledgeTime, RawOffset, WallTime, date_of
from schemas.entries import CorporateAction
from schemas.intervals import HOUR_US, MINUTE_US
from schemas.streams import Bar
from schemas.symbology.factor_files import parse_factor_file
from schemas.symbology.file_actions import factor_actions
from schemas.symbology.stated_actions import BY_FILES, file_events
from tests.support.builders import a_bar
from tests.support.corporate_actions import daily_bars, day

XNYS = load_calendar("XNYS")
PATH = "/stocks/AAPL/history"


def moment(text: str, hours: float = 12.0) -> int:
    """Return so many hours after midnight in New York."""
    return XNYS.day_start(date_of(day(text))) + int(hours * HOUR_US)


def a_day(text: str, price: float, *, told: str = "", version: int = 0, **changes: Any) -> Bar:
    """Return the bar of a day, all of whose prices are alike, told at 17:00 or at noon of another day."""
    at = moment(told, 12 + version / 60) if told else moment(text, 17)
    said = {"open": price, "high": price, "low": price, "close": price, "volume": 100.0, "interval": "1d"}
    place = {"received_time": at, "known_from": at, "raw_offset": (at - moment("2000-01-03")) // MINUTE_US}
    return a_bar(**({"symbol": "AAPL", "event_time": moment(text, 9.5), **said, **place} | changes))


def real_days(data: Path, first: str, last: str) -> list[Bar]:
    """Return Apple's days, raw, each known an hour after its close."""
    listed, values = daily_bars(data, "aapl")
    kept = (listed >= day(first)) & (listed <= day(last))
    names = ("open", "high", "low", "close", "volume")
    return [
        a_day(date_of(number).isoformat(), 1.0, **dict(zip(names, numbers, strict=True)))
        for number, numbers in zip(listed[kept].tolist(), values.T[kept].tolist(), strict=True)
    ]


def file_actions(data: Path, known: str = "2021-04-01") -> list[CorporateAction]:
    """Return what Apple's factor file says, imported on a day."""
    path, stated = data / "equity_daily" / "factor_files" / "aapl.csv", moment(known)
    actions = factor_actions(parse_factor_file(path.read_text("ascii"), source=path.name), XNYS)
    events = file_events(actions, "AAPL", None, calendar=XNYS, stated=WallTime(stated))
    return [
        CorporateAction(
            provider=BY_FILES, received_time=WallTime(stated), known_from=KnowledgeTime(stated),
            raw_offset=RawOffset(1), index=index, **event,
        )
        for index, event in enumerate(events)
    ]  # fmt: skip
