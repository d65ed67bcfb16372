"""The part every record of market data has: where it came from, since when it is known, and its place in our log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from schemas.clocks import EventTime, KnowledgeTime, RawOffset, WallTime
from schemas.fields import CLOCK, FLAG, INT32, KEY, US, VALUE
from schemas.records import Route

Symbol = Annotated[str, KEY, "canonical symbol; also the record key"]
Stamp = Annotated[EventTime, CLOCK, "the vendor's or venue's stamp" + US]
Currency = Annotated[str, VALUE, "ISO 4217, empty where the vendor does not say"]
Simulated = Annotated[bool, FLAG, "true only for values that no market made"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The processor's part of every record: where it came from, since when it is known, and its place in our log."""

    provider: Annotated[str, KEY, "who sold us the value"]
    route: Annotated[Route, "why it was fetched"] = "primary"
    received_time: Annotated[WallTime, CLOCK, "our poller saw it" + US]
    known_from: Annotated[
        KnowledgeTime,
        CLOCK,
        f"running maximum of the broker's append time of the raw record{US}: from here on the value is known",
    ]
    raw_offset: Annotated[RawOffset, "offset of the raw block it came in"]
    index: Annotated[int, INT32, "place in that block"]
