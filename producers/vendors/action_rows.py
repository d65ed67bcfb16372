"""Rows of vendors' corporate actions → action events, pure: one verdict for all of them.

A value costs its row alone, with a reason that names the field. Four things are noted, as rejected values that say what became of them:
a ratio of 1:1, which changes nothing and is left out; an ex-date on which the venue does not trade, kept at its next session; a
day of declaration that has not come yet, kept without it; an action told twice in one answer and differently, the later kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from typing import Any

from producers.vendors.action_values import currency, day, given_id, positive
from producers.vendors.answers import ActionsRequest, Answer, RejectedValue
from producers.vendors.values import rejected
from schemas.calendar.next_days import trading_day_from
from schemas.calendar.sessions import Calendar, calendar_of
from schemas.clocks import Day, EventTime, WallTime, day_of, iso_day
from schemas.entries import ActionType, AmountBasis
from schemas.errors import InvalidRecord, MalformedPayload
from schemas.intervals import EPOCH
from schemas.records import Event

ID_BYTES = 12
MANY_ROWS = 10
WITH_RATIO = frozenset({"split", "stock_dividend"})
WITH_AMOUNT = frozenset({"cash_dividend", "special_dividend", "return_of_capital"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRow:
    """One action as the vendor gives it: texts and numbers may be any JSON, `entry` is all of it; days are ISO texts or Day.

    `ratio` is (shares after, shares before). `action_id` None: the vendor has no ids.
    """

    symbol: str  # ours
    type: ActionType
    ex_date: object
    entry: object
    action_id: object = None
    declared_date: object = None
    record_date: object = None
    pay_date: object = None
    ratio: tuple[object, object] | None = None
    amount: object = None
    currency: object = None
    new_symbol: str = ""
    child_symbol: str = ""
    is_cancelled: bool = False
    is_simulated: bool = False  # the vendor says that no market made it


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionPage:
    """One page of an answer; `following` leads to the next, empty on the last. `rejected` are entries that are no rows."""

    rows: Sequence[ActionRow] = ()
    rejected: Sequence[RejectedValue] = ()
    following: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionOrigin:
    """Origin that all actions of one answer share: who was asked for what.

    `calendars` are those of the symbols asked for, `simulated` those no market made, `basis` is of all amounts.
    """

    provider: str
    asked: ActionsRequest
    calendars: Mapping[str, Calendar]
    basis: AmountBasis
    simulated: frozenset[str] = frozenset()


def action_origin(
    provider: str, asked: ActionsRequest, *, basis: AmountBasis, simulated: Collection[str] = ()
) -> ActionOrigin:
    """Return what all actions of the answer to a request share; the first calendar of a market costs a second of work."""
    return ActionOrigin(
        provider=provider,
        asked=asked,
        calendars={symbol: calendar_of(symbol) for symbol in asked.symbols},
        basis=basis,
        simulated=frozenset(simulated),
    )


def action_events(rows: Iterable[ActionRow], origin: ActionOrigin, received_time: WallTime) -> Answer:
    """Return one event per action whose ex-date was asked for, by ex-date; what cannot be used is rejected alone.

    `received_time` is when the answer was in. Raises MalformedPayload where none of many rows can be used: then it is the format.
    """
    told = _Told(origin)
    refused: list[RejectedValue] = []
    read = 0
    for row in rows:
        try:
            event, remarks = _event(row, origin, EventTime(received_time))
        except _Nothing as nothing:
            told.notes.append(_rejected(row, origin, nothing))
        except InvalidRecord as error:
            refused.append(_rejected(row, origin, error))
        else:
            read += 1
            if origin.asked.first <= event["ex_date"] <= origin.asked.last:
                told.add(row, event, remarks)
    if len(refused) >= MANY_ROWS and not read:
        raise MalformedPayload(refused[0].message)
    return Answer(events=told.events(), rejected=[*refused, *told.notes])


class _Told:
    """Actions of one answer so far, each once, and what is to be noted of them."""

    def __init__(self, origin: ActionOrigin) -> None:
        self.notes: list[RejectedValue] = []
        self._origin = origin
        self._found: dict[tuple[str, str], tuple[Event, ActionRow]] = {}
        self._ordinals: Counter[tuple[str, str, int]] = Counter()
        self._entries: set[str] = set()

    def add(self, row: ActionRow, event: dict[str, Any], remarks: Iterable[str]) -> None:
        if not event["action_id"]:
            # The same row twice is one action; another amount of cash on the same day is another one.
            if repr(row.entry) in self._entries:
                return
            self._entries.add(repr(row.entry))
            event["action_id"] = _made_id(event, self._origin.provider, self._ordinals)
        key = event["symbol"], event["action_id"]
        if key in self._found:
            before, told = self._found.pop(key)
            if before != event:
                again = InvalidRecord(
                    f"{row.type} {event['action_id']} is told twice and differently; the later counts"
                )
                self.notes.append(_rejected(told, self._origin, again))
        self._found[key] = event, row
        self.notes += [_rejected(row, self._origin, InvalidRecord(remark)) for remark in remarks]

    def events(self) -> list[Event]:
        """Return them by ex-date, in the vendor's order within a day."""
        return sorted((event for event, _ in self._found.values()), key=lambda event: event["ex_date"])


class _Nothing(InvalidRecord):
    """An action that changes nothing."""


def _rejected(row: ActionRow, origin: ActionOrigin, fault: InvalidRecord) -> RejectedValue:
    said = InvalidRecord(f"{origin.provider} actions: {row.symbol}: {fault}")
    return rejected(row.symbol, said, row.entry)


def _event(row: ActionRow, origin: ActionOrigin, received: EventTime) -> tuple[dict[str, Any], list[str]]:
    """Return the event of a row, and what is to be noted of it; raise InvalidRecord naming the field."""
    calendar = origin.calendars[row.symbol]
    today = day_of(calendar.date_of(received))
    ex_date, declared, remarks = _days(row, calendar, today)
    published = None if declared is None else _end_of(declared, calendar)
    ratio, amount = _ratio(row), _amount(row)
    if row.type == "rename" and not row.new_symbol:
        raise InvalidRecord("new_symbol is missing of a rename")
    return {
        "symbol": row.symbol,
        "event_time": received if published is None else min(published, received),
        "action_id": given_id(row.action_id),
        "type": row.type,
        "ex_date": ex_date,
        "declared_date": declared,
        "record_date": day("record_date", row.record_date),
        "pay_date": day("pay_date", row.pay_date),
        "ratio_to": ratio[0],
        "ratio_from": ratio[1],
        "amount": amount,
        "price_factor": None,
        "currency": "" if amount is None else currency(row.currency),
        "new_symbol": row.new_symbol,
        "child_symbol": row.child_symbol,
        "amount_basis": "unknown" if amount is None else origin.basis,
        "state": "cancelled" if row.is_cancelled else "announced" if ex_date > today else "confirmed",
        "published_at": published,
        "published_precision": "none" if published is None else "date",
        "simulated": row.is_simulated or row.symbol in origin.simulated,
    }, remarks


def _days(row: ActionRow, calendar: Calendar, today: Day) -> tuple[Day, Day | None, list[str]]:
    """Return ex-date and day of declaration, and what is to be noted of them."""
    given, declared = day("ex_date", row.ex_date), day("declared_date", row.declared_date)
    if given is None:
        raise InvalidRecord(f"ex_date is missing of a {row.type}; an action has a day")
    ex_date, remarks = trading_day_from(given, calendar), list[str]()
    if ex_date != given:
        remarks.append(
            f"ex_date {iso_day(given)} is no trading day of {calendar.name}; kept at {iso_day(ex_date)}"
        )
    if declared is not None and declared > today:
        remarks.append(
            f"declared_date {iso_day(declared)} lies after {iso_day(today)}, when it was told; kept without it"
        )
        declared = None
    if declared is not None and declared <= 0:
        declared = None  # before the epoch: no moment of ours
    return ex_date, declared, remarks


def _end_of(declared: Day, calendar: Calendar) -> EventTime:
    """Return the last microsecond of a day at the venue."""
    return EventTime(calendar.day_start(EPOCH.date() + timedelta(days=declared + 1)) - 1)


def _ratio(row: ActionRow) -> tuple[float | None, float | None]:
    if row.ratio is None or row.ratio == (None, None):
        if row.type in WITH_RATIO:
            raise InvalidRecord(f"ratio_to and ratio_from are missing of a {row.type}")
        return None, None
    to, before = (
        positive(name, value) for name, value in zip(("ratio_to", "ratio_from"), row.ratio, strict=True)
    )
    if to == before and row.type in WITH_RATIO:
        raise _Nothing(f"a {row.type} of {to:g}:{before:g} changes nothing; it is left out")
    return to, before


def _amount(row: ActionRow) -> float | None:
    if row.amount is None and row.type not in WITH_AMOUNT:
        return None
    return positive("amount", row.amount)


def _made_id(event: Mapping[str, Any], provider: str, ordinals: Counter[tuple[str, str, int]]) -> str:
    """Return an id of a vendor that has none: of provider, symbol, type, ex-date and the ordinal among those alike.

    A day has any number of payments in cash; of all else it has one, which may be told anew.
    """
    alike = event["symbol"], event["type"], event["ex_date"]
    ordinal = ordinals[alike] if event["type"] in WITH_AMOUNT else 0
    ordinals[alike] += 1
    text = "/".join(map(str, (provider, *alike, ordinal)))
    return blake2b(text.encode(), digest_size=ID_BYTES).hexdigest()
