"""Alpaca's corporate actions → rows of actions, pure: an object of lists by kind.

The effective day is `ex_date`, where a kind has none `effective_date` or `process_date`; never `payable_date`, which may lie
before it. No kind says when it was declared. `partial_calls` are left out: they take some holders' shares, and leave the price.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field, ValidationError

from producers.vendors.action_rows import ActionPage, ActionRow
from producers.vendors.action_values import other_symbol
from producers.vendors.answers import RejectedValue
from producers.vendors.payloads import VendorModel, first_fault
from producers.vendors.values import rejected
from schemas.entries import ActionType
from schemas.errors import InvalidRecord, MalformedPayload

Entry = dict[str, Any]


class _Actions(VendorModel):
    corporate_actions: dict[str, Any] | None = Field(alias="corporate_actions")
    next_page_token: str | None = Field(default=None, alias="next_page_token")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """Reading of a kind: the key of its symbol, what it is, its ratio (after, before), its cash, and other symbols it names."""

    type: Callable[[Entry], ActionType]
    symbol: str = "symbol"
    ratio: Callable[[Entry], tuple[object, object] | None] = lambda _: None
    amount: Callable[[Entry], object] = lambda _: None
    new_symbol: Callable[[Entry], object] = lambda _: None
    child_symbol: Callable[[Entry], object] = lambda _: None
    # Where `process_date` is the day of payment an entry without an ex-date has no day.
    is_processed_on_ex_date: bool = True


def _always(kind: ActionType) -> Callable[[Entry], ActionType]:
    return lambda _: kind


def _value(key: str) -> Callable[[Entry], object]:
    return lambda entry: entry.get(key)


def _rates(after: str, before: str) -> Callable[[Entry], tuple[object, object]]:
    return lambda entry: (entry.get(after), entry.get(before))


def _dividend_type(entry: Entry) -> ActionType:
    if entry.get("sub_type") == "return_of_capital":
        return "return_of_capital"
    return "special_dividend" if entry.get("special") is True else "cash_dividend"


def _more_shares(entry: Entry) -> tuple[object, object]:
    """Return what a share becomes by a stock dividend: `rate` more of them."""
    rate: Any = entry.get("rate")
    return (1 + rate if type(rate) in (int, float) else rate, 1)


def _movement(entry: Entry) -> Entry:
    """Return the one security a reorganization gives; nothing where it gives several: no single ratio holds then."""
    movements: Any = entry.get("stock_movements")
    one = isinstance(movements, list) and len(movements) == 1 and isinstance(movements[0], dict)
    return movements[0] if one else {}


def _exchanged(entry: Entry) -> tuple[object, object]:
    return _movement(entry).get("new_rate"), _movement(entry).get("source_rate")


def _exchanged_for(entry: Entry) -> object:
    return _movement(entry).get("symbol")


def _cash_a_share(entry: Entry) -> object:
    """Return the cash of a merger for one share; it is told for `acquiree_rate` of them."""
    cash: Any = entry.get("cash_rate")
    shares: Any = entry.get("acquiree_rate")
    if not (type(cash) in (int, float) and type(shares) in (int, float) and shares):
        return cash
    try:
        return cash / shares
    except OverflowError:
        return cash


KINDS: Mapping[str, _Kind] = {
    "forward_splits": _Kind(type=_always("split"), ratio=_rates("new_rate", "old_rate")),
    "reverse_splits": _Kind(
        type=_always("split"), ratio=_rates("new_rate", "old_rate"), new_symbol=_value("new_symbol")
    ),
    # A unit is exchanged for a share and a part of another security.
    "unit_splits": _Kind(
        type=_always("merger"),
        symbol="old_symbol",
        ratio=_rates("new_rate", "old_rate"),
        new_symbol=_value("new_symbol"),
        child_symbol=_value("alternate_symbol"),
    ),
    "stock_dividends": _Kind(type=_always("stock_dividend"), ratio=_more_shares),
    "cash_dividends": _Kind(type=_dividend_type, amount=_value("rate"), is_processed_on_ex_date=False),
    "capital_gains_distributions": _Kind(
        type=_always("special_dividend"),
        amount=_value("rate"),
        is_processed_on_ex_date=False,
    ),
    "spin_offs": _Kind(
        type=_always("spin_off"),
        symbol="source_symbol",
        ratio=_rates("new_rate", "source_rate"),
        child_symbol=_value("new_symbol"),
    ),
    "rights_distributions": _Kind(
        type=_always("rights"),
        symbol="source_symbol",
        ratio=lambda entry: (entry.get("rate"), 1),
        child_symbol=_value("new_symbol"),
        is_processed_on_ex_date=False,
    ),
    "cash_mergers": _Kind(
        type=_always("merger"),
        symbol="acquiree_symbol",
        amount=_value("rate"),
        new_symbol=_value("acquirer_symbol"),
    ),
    "stock_mergers": _Kind(
        type=_always("merger"),
        symbol="acquiree_symbol",
        ratio=_rates("acquirer_rate", "acquiree_rate"),
        new_symbol=_value("acquirer_symbol"),
    ),
    "stock_and_cash_mergers": _Kind(
        type=_always("merger"),
        symbol="acquiree_symbol",
        ratio=_rates("acquirer_rate", "acquiree_rate"),
        amount=_cash_a_share,
        new_symbol=_value("acquirer_symbol"),
    ),
    "reorganizations": _Kind(
        type=_always("merger"), ratio=_exchanged, amount=_value("cash_rate"), new_symbol=_exchanged_for
    ),
    "redemptions": _Kind(type=_always("delisting"), amount=_value("rate")),
    "worthless_removals": _Kind(type=_always("delisting")),
    "name_changes": _Kind(type=_always("rename"), symbol="old_symbol", new_symbol=_value("new_symbol")),
}
IGNORED = frozenset({"partial_calls"})
SYMBOL_KEYS = (
    "symbol", "old_symbol", "new_symbol", "source_symbol", "alternate_symbol", "acquiree_symbol", "acquirer_symbol",
)  # fmt: skip


def parse_actions(payload: bytes, *, asked: Mapping[str, str]) -> ActionPage:
    """Return the actions of one page; `asked` maps the vendor's symbol to ours.

    An action that only names a symbol asked for, as a merger its acquirer, is none of that one's. An entry of other symbols
    or of an unknown kind is rejected alone. Raises MalformedPayload naming the field where the page as a whole cannot be used.
    """
    try:
        page = _Actions.model_validate_json(payload)
    except ValidationError as error:
        raise MalformedPayload(f"alpaca actions: {first_fault(error)}") from error
    rows: list[ActionRow] = []
    refused: list[RejectedValue] = []
    for kind, entry in _entries(page.corporate_actions or {}):
        try:
            row = _row(kind, entry, asked)
        except InvalidRecord as error:
            fault = InvalidRecord(f"alpaca actions: {kind[:40]}: {error}")
            refused.append(rejected(_named(entry, asked), fault, entry))
        else:
            rows += [] if row is None else [row]
    return ActionPage(rows=rows, rejected=refused, following=page.next_page_token or "")


def _entries(given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for kind, entries in given.items():
        if entries is not None and not isinstance(entries, list):
            raise MalformedPayload(f"alpaca actions: {kind[:40]!r} is no list")
        for entry in entries or ():
            yield kind, entry


def _row(kind: str, entry: Any, asked: Mapping[str, str]) -> ActionRow | None:
    """Return the row of an entry, None where it says nothing of a price: of a kind that does not, or of another symbol's."""
    if kind in IGNORED:
        return None
    read = KINDS.get(kind)
    if read is None:
        raise InvalidRecord("a kind that is not known; it is left out")
    if not isinstance(entry, dict):
        raise InvalidRecord("an entry is no object")
    name = entry.get(read.symbol)
    symbol = asked.get(name) if isinstance(name, str) else None
    if symbol is None:
        if _named(entry, asked):
            return None
        raise InvalidRecord(f"{read.symbol} is {name!r:.40}, which was not asked for")
    ex_date = entry.get("ex_date")
    if not ex_date and read.is_processed_on_ex_date:
        ex_date = entry.get("effective_date") or entry.get("process_date")
    return ActionRow(
        symbol=symbol,
        type=read.type(entry),
        ex_date=ex_date,
        entry=entry,
        action_id=entry.get("id"),
        record_date=entry.get("record_date"),
        pay_date=entry.get("payable_date"),
        ratio=read.ratio(entry),
        amount=read.amount(entry),
        currency=entry.get("currency"),
        new_symbol=other_symbol(read.new_symbol(entry), asked),
        child_symbol=other_symbol(read.child_symbol(entry), asked),
    )


def _named(entry: Any, asked: Mapping[str, str]) -> str:
    """Return a symbol asked for that an entry names anywhere, empty where it names none."""
    names = [entry.get(key) for key in SYMBOL_KEYS] if isinstance(entry, dict) else []
    return next((asked[name] for name in names if isinstance(name, str) and name in asked), "")
