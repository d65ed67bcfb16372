"""Finnhub's socket frames → trade events, pure.

A busy socket brings hundreds of trades a frame, so frames are checked by hand instead of by pydantic.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import orjson

from producers.vendors.answers import Answer, Frame, RejectedValue
from producers.vendors.payloads import LAST_EPOCH_S
from producers.vendors.trade_rows import frame_hash, trade_event
from producers.vendors.values import has_sizes, rejected
from schemas.clocks import EventTime
from schemas.errors import InvalidRecord, MalformedPayload
from schemas.records import Event

MS_US = 1_000
LAST_EPOCH_MS = LAST_EPOCH_S * 1_000
MAX_SYMBOL_CHARACTERS = 64


def parse_frame(
    payload: bytes, *, sequence: int, asked: Mapping[str, str], simulated: Collection[str]
) -> Frame:
    """Return what one socket frame holds, its trades in the vendor's order; `asked` maps the vendor's symbol to ours.

    Every trade carries `sequence` (the frame's ordinal on its connection) and a hash of the frame's bytes: who
    reads the raw topic can tell a repeated frame from equal trades. A trade that cannot be used is rejected alone;
    MalformedPayload says why a frame as a whole cannot.
    """
    try:
        frame = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise MalformedPayload(f"finnhub frame: not JSON: {str(error)[:120]}") from error
    kind = frame.get("type") if isinstance(frame, dict) else None
    if kind == "trade":
        rows = frame.get("data")
        if not isinstance(rows, list):
            raise MalformedPayload("finnhub frame: data is not a list")
        return Frame(kind="trade", answer=_trades(rows, sequence, frame_hash(payload), asked, simulated))
    if kind == "ping":
        return Frame(kind="ping")
    if kind == "error":
        return Frame(kind="error", words=str(frame.get("msg"))[:160])
    if not isinstance(kind, str):
        raise MalformedPayload("finnhub frame: type is missing")
    return Frame(kind="other", words=kind[:40])


def _trades(
    rows: list[Any], sequence: int, digest: int, asked: Mapping[str, str], simulated: Collection[str]
) -> Answer:
    events: list[Event] = []
    refused: list[RejectedValue] = []
    for row in rows:
        try:
            event = _trade(row, sequence, digest, asked, simulated)
            # The vendor's documentation: a size of 0 is an update of the price, and no trade; pairs have no sizes.
            if event["size"] or not has_sizes(event["symbol"]):
                events.append(event)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            name = row.get("s") if isinstance(row, dict) else None
            symbol = asked.get(name, name[:MAX_SYMBOL_CHARACTERS]) if isinstance(name, str) else ""
            why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            refused.append(rejected(symbol, InvalidRecord(f"finnhub trade: {why}"[:300]), row))
    return Answer(events=events, rejected=refused)


def _trade(
    row: Any, sequence: int, digest: int, asked: Mapping[str, str], simulated: Collection[str]
) -> Event:
    """Return the event of one trade; raise KeyError, TypeError or ValueError naming the field."""
    name, price, size, codes = row["s"], row["p"], row["v"], row.get("c")
    time_ms = int(row["t"]) if type(row["t"]) is float and row["t"].is_integer() else row["t"]
    if type(name) is not str or (symbol := asked.get(name)) is None:
        raise ValueError(f"s is {name!r:.{MAX_SYMBOL_CHARACTERS}}, which was not subscribed")
    if type(time_ms) is not int or not 0 < time_ms < LAST_EPOCH_MS:
        raise ValueError(f"t is {time_ms!r:.40}, which is no unix millisecond")
    if codes is not None and type(codes) is not list:
        raise ValueError("c is not a list")
    conditions = ",".join(codes) if codes else ""
    return trade_event(
        symbol,
        EventTime(time_ms * MS_US),
        price,
        size,
        conditions=conditions,
        simulated=symbol in simulated,
        sequence=sequence,
        digest=digest,
    )
