"""A fourth stream, declared as somebody would declare one, and implemented by nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, cast

from schemas.fields import AMOUNT, INT32, KEY, PRICE, VALUE
from schemas.known import Currency, Known, Simulated, Stamp, Symbol
from schemas.streams import Stream, StreamName


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice(Known):
    """One version of a toy."""

    symbol: Symbol
    maturity: Annotated[str, KEY, "month, as 2026-01"]
    event_time: Stamp
    rate: Annotated[float, AMOUNT, PRICE, "rate, per cent a year"]
    spread: Annotated[float | None, AMOUNT, "distance to the reference, per cent"] = None
    rank: Annotated[int, INT32, VALUE, "place in its list"] = 0
    currency: Currency = ""
    simulated: Simulated = False


def a_toy_stream(**changes: Any) -> Stream:
    """Return the declaration, changed as asked."""
    declared: dict[str, Any] = {
        "name": cast("StreamName", "slices"), "record": Slice, "letter": "s", "versions": "latest",
        "raw_doc": "One vendor response of slices.", "raw_id": 901, "canonical_id": 902, "retention_days": 7,
    }  # fmt: skip
    return Stream(**(declared | changes))
