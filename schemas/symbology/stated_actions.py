"""Corporate actions that people or files state → action events, pure.

Where nothing says when an action was announced it counts as published when its ex-date began, so that a history stated today can be
read as of then by what was published; what lies ahead was never published, and is known since it was stated.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from schemas.calendar.sessions import Calendar
from schemas.clocks import Day, EventTime, WallTime
from schemas.deriving import event_fields
from schemas.entries import ActionType
from schemas.intervals import EPOCH
from schemas.records import Event
from schemas.streams import ACTION_STREAM
from schemas.symbology.file_actions import FileAction
from schemas.symbology.map_files import NameHistory

BY_HAND, BY_FILES = "manual", "lean_import"  # providers, beside the vendors
DEFAULTS = {field.name: field.default for field in event_fields(ACTION_STREAM)}


def stated_event(
    symbol: str,
    kind: ActionType,
    ex_date: Day,
    *,
    calendar: Calendar,
    stated: WallTime,
    declared: Day | None = None,
    **said: Any,
) -> Event:
    """Return the event of an action stated at `stated` (µs); `said` are further fields of it.

    Its id is made of type and ex-date, so that it is put right by being stated again.
    """
    published = (
        _start(ex_date, calendar) if declared is None else EventTime(_start(Day(declared + 1), calendar) - 1)
    )
    is_known = 0 < published <= stated
    today = calendar.date_of(stated)
    return {
        **DEFAULTS,
        "symbol": symbol,
        "event_time": published if is_known else EventTime(stated),
        "action_id": f"{kind}:{EPOCH.date() + timedelta(days=ex_date)}",
        "type": kind,
        "ex_date": ex_date,
        "declared_date": declared,
        "state": "announced" if EPOCH.date() + timedelta(days=ex_date) > today else "confirmed",
        "published_at": published if is_known else None,
        "published_precision": "none" if not is_known else "scheduled" if declared is None else "date",
        **said,
    }


def file_events(
    actions: Iterable[FileAction],
    symbol: str,
    history: NameHistory | None,
    *,
    calendar: Calendar,
    stated: WallTime,
) -> list[Event]:
    """Return the events of actions that files hold, oldest first, each under the symbol of its ex-date, of a rename the one before.

    Without a history that is `symbol`. Amounts are dollars of the day before.
    """
    found = []
    for action in sorted(actions, key=lambda each: each.ex_date):
        said: dict[str, Any] = {}
        if action.ratio_to is not None and action.ratio_from is not None:
            said |= {"ratio_to": float(action.ratio_to), "ratio_from": float(action.ratio_from)}
        if action.amount is not None:
            said |= {"amount": action.amount, "currency": "USD", "amount_basis": "as_declared"}
        if action.new_symbol:
            said |= {"new_symbol": action.new_symbol}
        day = Day(action.ex_date - 1) if action.type == "rename" else action.ex_date
        name = _name_on(day, history) or symbol
        found.append(
            stated_event(name, action.type, action.ex_date, calendar=calendar, stated=stated, **said)
        )
    return found


def _start(day: Day, calendar: Calendar) -> EventTime:
    return calendar.day_start(EPOCH.date() + timedelta(days=day))


def _name_on(day: Day, history: NameHistory | None) -> str | None:
    moment = EPOCH.date() + timedelta(days=day)
    periods = () if history is None else history.periods
    return next((period.symbol for period in periods if period.holds(moment)), None)
