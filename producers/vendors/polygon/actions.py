"""Polygon's (Massive's) splits and dividends → rows of actions, pure; of /stocks/v1 and of the older /v3/reference.

Of the vendor's own factors none is kept: `historical_adjustment_factor` is of everything up to today, not of the action.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import Field, ValidationError

from producers.vendors.action_rows import ActionPage, ActionRow
from producers.vendors.answers import RejectedValue
from producers.vendors.payloads import first_fault
from producers.vendors.polygon.bars import Said, following_address, raise_refusal
from producers.vendors.values import rejected
from schemas.entries import ActionType
from schemas.errors import InvalidRecord, MalformedPayload, PermanentError

# `adjustment_type`; the older shape has none, and calls everything a split.
SPLITS: Mapping[object, ActionType] = {
    None: "split", "forward_split": "split", "reverse_split": "split", "stock_dividend": "stock_dividend",
}  # fmt: skip
# `distribution_type`, and the older `dividend_type`: consistent, special, long- and short-term capital gains.
DIVIDENDS: Mapping[object, ActionType] = {
    "recurring": "cash_dividend", "irregular": "cash_dividend", "unknown": "cash_dividend", "CD": "cash_dividend",
    "special": "special_dividend", "supplemental": "special_dividend", "SC": "special_dividend",
    "LT": "special_dividend", "ST": "special_dividend", None: "cash_dividend",
}  # fmt: skip


class _Actions(Said):
    results: list[Any] | None = None
    next_url: str | None = Field(default=None, alias="next_url")


def parse_splits(payload: bytes, *, asked: Mapping[str, str], base_url: str) -> ActionPage:
    """Return the splits and stock dividends of one page; `asked` maps the vendor's symbol to ours.

    An entry of another symbol or of an unknown kind is rejected alone. Raises MalformedPayload naming the field where the page
    as a whole cannot be used; the next page's address is only taken where it leads to the origin of `base_url`.
    """
    return _page(payload, "splits", asked, base_url, _split)


def parse_dividends(payload: bytes, *, asked: Mapping[str, str], base_url: str) -> ActionPage:
    """Return the cash dividends of one page, as `parse_splits` does."""
    return _page(payload, "dividends", asked, base_url, _dividend)


def _page(
    payload: bytes,
    what: str,
    asked: Mapping[str, str],
    base_url: str,
    read: Callable[[str, dict[str, Any]], ActionRow],
) -> ActionPage:
    try:
        page = _Actions.model_validate_json(payload)
    except ValidationError as error:
        raise MalformedPayload(f"polygon {what}: {first_fault(error)}") from error
    raise_refusal(page, f"the {what}")
    rows: list[ActionRow] = []
    refused: list[RejectedValue] = []
    for entry in page.results or ():
        name = entry.get("ticker") if isinstance(entry, dict) else None
        symbol = asked.get(name, "") if isinstance(name, str) else ""
        try:
            if not symbol:
                raise MalformedPayload(f"ticker is {name!r:.40}, which was not asked for")
            rows.append(read(symbol, entry))
        except PermanentError as error:
            fault = type(error)(f"polygon {what}: {symbol or 'an entry'}: {error}")
            refused.append(rejected(symbol, fault, entry))
    return ActionPage(rows=rows, rejected=refused, following=following_address(page.next_url, base_url))


def _split(symbol: str, entry: dict[str, Any]) -> ActionRow:
    return ActionRow(
        symbol=symbol,
        type=_kind("adjustment_type", entry.get("adjustment_type"), SPLITS),
        ex_date=entry.get("execution_date"),
        entry=entry,
        action_id=entry.get("id"),
        ratio=(entry.get("split_to"), entry.get("split_from")),
    )


def _dividend(symbol: str, entry: dict[str, Any]) -> ActionRow:
    name = "distribution_type" if "distribution_type" in entry else "dividend_type"
    return ActionRow(
        symbol=symbol,
        type=_kind(name, entry.get(name), DIVIDENDS),
        ex_date=entry.get("ex_dividend_date"),
        entry=entry,
        action_id=entry.get("id"),
        declared_date=entry.get("declaration_date"),
        record_date=entry.get("record_date"),
        pay_date=entry.get("pay_date"),
        amount=entry.get("cash_amount"),
        currency=entry.get("currency"),
    )


def _kind(name: str, given: object, kinds: Mapping[object, ActionType]) -> ActionType:
    kind = kinds.get(given) if given is None or isinstance(given, str) else None
    if kind is None:
        raise InvalidRecord(f"{name} is {given!r:.40}, a kind that is not known; it is left out")
    return kind
