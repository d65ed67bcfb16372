"""Corporate actions as sources tell them, and those of real factor files with the raw prices beside them."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.action_choice import ActionView, Knowledge
from analytics.action_effects import Effect, RawSessions
from schemas.calendar.sessions import load_calendar
from schemas.clocks import Day, KnowledgeTime, RawOffset, WallTime
from schemas.entries import CorporateAction
from schemas.intervals import DAY_US

TOLD = "2021-04-01"
_UNIX_EPOCH = date(1970, 1, 1).toordinal()


def day(text: str) -> Day:
    """Return the day of an ISO date."""
    return Day(date.fromisoformat(text).toordinal() - _UNIX_EPOCH)


def days(*texts: str) -> NDArray[np.int64]:
    """Return days of ISO dates."""
    return np.array([day(each) for each in texts], np.int64)


def told(
    type_: str, ex: str | int, *, known: str | int = TOLD, offset: int = 0, **values: Any
) -> CorporateAction:
    """Return an action of AAPL as a source tells it on a day; amounts are as declared, in USD."""
    moment = day(known) * DAY_US + DAY_US // 2 if isinstance(known, str) else known
    ex_date = day(ex) if isinstance(ex, str) else Day(ex)
    defaults: dict[str, Any] = {
        "symbol": "AAPL", "provider": "acme", "currency": "USD", "amount_basis": "as_declared",
        "action_id": f"{type_}:{ex}", "event_time": moment,
    }  # fmt: skip
    return CorporateAction(
        type=type_,  # type: ignore[arg-type]
        ex_date=ex_date,
        received_time=WallTime(moment),
        known_from=KnowledgeTime(moment),
        raw_offset=RawOffset(offset),
        index=0,
        **(defaults | values),
    )


def split(ex: str | int, to: float, of: float = 1.0, **values: Any) -> CorporateAction:
    """Return a split of `of` shares into `to`."""
    return told("split", ex, ratio_to=to, ratio_from=of, **values)


def dividend(ex: str | int, amount: float, **values: Any) -> CorporateAction:
    """Return a dividend in cash."""
    return told("cash_dividend", ex, amount=amount, **values)


def view(
    as_of: str | int = "2100-01-01", *, knowledge: Knowledge = "known", providers: Sequence[str] = ("acme",)
) -> ActionView:
    """Return the view of New York at the start of a day, UTC, or at a moment (µs)."""
    moment = day(as_of) * DAY_US if isinstance(as_of, str) else as_of
    return ActionView(
        as_of=KnowledgeTime(moment),
        knowledge=knowledge,
        providers=providers,
        calendar=load_calendar("XNYS"),
    )


def sessions(
    prices: dict[str, tuple[float, float]] | None = None, *, first: str = "1998-01-02"
) -> RawSessions:
    """Return weekdays until the end of 2025 as trading days, with open and close of some."""
    every = np.arange(day(first), day("2025-12-31"), dtype=np.int64)
    listed = every[(every + 3) % 7 < 5]
    opens, closes = np.full(len(listed), np.nan), np.full(len(listed), np.nan)
    for text, (opened, closed) in (prices or {}).items():
        place = int(np.searchsorted(listed, day(text)))
        opens[place], closes[place] = opened, closed
    return RawSessions(days=listed, opens=opens, closes=closes, currency="USD")


def flat(price: float) -> RawSessions:
    """Return weekdays on which always the same was paid."""
    listed = sessions().days
    same = np.full(len(listed), price)
    return RawSessions(days=listed, opens=same, closes=same, currency="USD")


def daily_bars(data: Path, name: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return (days, open high low close volume of shape (5, n)) of real daily bars, raw."""
    with zipfile.ZipFile(data / "equity_daily" / "daily" / f"{name}.zip") as archive:
        rows = [line.split(",") for line in archive.read(archive.namelist()[0]).decode().split("\n") if line]
    named = [date(int(row[0][:4]), int(row[0][4:6]), int(row[0][6:8])) for row in rows]
    listed = np.array([each.toordinal() - _UNIX_EPOCH for each in named], np.int64)
    values = np.array([row[1:6] for row in rows], np.float64).T
    values[:4] /= 10_000
    return listed, values


def real_sessions(data: Path, name: str) -> RawSessions:
    """Return the trading days of real daily bars with their prices."""
    listed, values = daily_bars(data, name)
    return RawSessions(days=listed, opens=values[0], closes=values[3], currency="USD")


def factor_file_actions(data: Path, name: str, **values: Any) -> list[CorporateAction]:
    """Return the actions a factor file is made of: a row is the last day of its factors, with that day's close.

    A ratio is the nearest fraction with a denominator up to 1,000: the file rounds.
    """
    listed = daily_bars(data, name)[0]
    with (data / "equity_daily" / "factor_files" / f"{name}.csv").open() as file:
        rows = [row for row in csv.reader(file) if row]
    actions = []
    for (text, paid, shares, close), (_, paid_after, shares_after, _) in pairwise(rows):
        last = date(int(text[:4]), int(text[4:6]), int(text[6:8])).toordinal() - _UNIX_EPOCH
        ex = int(listed[np.searchsorted(listed, last, "right")]) if last < listed[-1] else last + 1
        ratio = Fraction(float(shares_after) / float(shares)).limit_denominator(1000)
        if ratio != 1:
            actions.append(split(ex, float(ratio.numerator), float(ratio.denominator), **values))
        if paid != paid_after:
            amount = float(close) * (1.0 - float(paid) / float(paid_after))
            actions.append(dividend(ex, amount, **values))
    return actions


def effect(
    ex: str | int, *, before: float = 1.0, after: float = 1.0, kept: float = 1.0, reason: Any = None
) -> Effect:
    """Return an effect of shares, or of cash where something is not kept."""
    action = dividend(ex, 1.0) if kept != 1.0 else split(ex, after, before)
    return Effect(action=action, ex=action.ex_date, before=before, after=after, kept=kept, reason=reason)
