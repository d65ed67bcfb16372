"""Checks of records of provider health: every one that PostgreSQL will take passes, and no other."""

from __future__ import annotations

import json
from math import isfinite

from schemas.errors import InvalidRecord
from schemas.records import ProviderHealth

MAX_NAME_CHARACTERS = 64  # names are index keys
MAX_TEXT_CHARACTERS = 4_000
MAX_TIME_US = 1 << 55

COLUMNS = (
    "capability", "provider", "observed_time", "score", "success", "latency", "freshness", "validity", "breaker",
    "usable", "chosen", "reason", "changed", "previous", "chosen_since", "last_error", "budgets",
)  # fmt: skip


def check_health(record: ProviderHealth) -> None:
    """Raise InvalidRecord naming what cannot be stored."""
    for name in ("capability", "provider", "breaker", "previous"):
        _check_text(name, getattr(record, name), MAX_NAME_CHARACTERS)
    for name in ("reason", "last_error", "budgets"):
        _check_text(name, getattr(record, name), MAX_TEXT_CHARACTERS)
    if not record.capability or not record.provider:
        raise InvalidRecord("capability or provider is empty; name both")
    for name in ("score", "success", "latency", "freshness", "validity"):
        value = getattr(record, name)
        if not isfinite(value) or not 0.0 <= value <= 1.0:
            raise InvalidRecord(f"{name} is {value}; send a number of 0 to 1")
    for name in ("chosen_since", "observed_time"):
        if not 0 <= getattr(record, name) < MAX_TIME_US:
            raise InvalidRecord(f"{name} is out of range; times are µs since 1970")
    try:
        budgets = json.loads(record.budgets)
    except (ValueError, RecursionError) as error:
        raise InvalidRecord("budgets is not JSON; send an object") from error
    if not isinstance(budgets, dict):
        raise InvalidRecord("budgets is no JSON object; send one")


def row_of(record: ProviderHealth) -> tuple[object, ...]:
    """Return the values of COLUMNS; times stay µs."""
    return tuple(getattr(record, name) for name in COLUMNS)


def _check_text(name: str, text: str, most: int) -> None:
    if len(text) > most or "\0" in text:
        raise InvalidRecord(f"{name} is longer than {most} characters or holds a NUL; shorten it")
