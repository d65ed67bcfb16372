"""Mutated recordings of every vendor: whatever arrives, only our errors come out, and no impossible value.

1,000 cases by default; MDS_FUZZ_CASES sets another number.
"""

from __future__ import annotations

import json
import math
import os
import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import fields
from pathlib import Path

import pytest

from producers.raw.blocks import encoded
from producers.vendors.answers import Answer
from schemas.deriving import prices
from schemas.entries import MacroObservation
from schemas.errors import MarketDataError
from schemas.known import Known
from schemas.records import RawBlock
from schemas.streams import ACTION_STREAM, STREAMS
from schemas.topics import RAW_BARS, RAW_QUOTES, RAW_TRADES
from schemas.validation import check_action
from tests.support.vendors.sheet import RECEIVED, sheets

CASES = int(os.environ.get("MDS_FUZZ_CASES", "1000"))
SEED = 20131007
SPLICES = (
    *(b"null", b"NaN", b"Infinity", b"-1", b"1e999", b"1e-999", b"-0.0", b'"x"', b"[]", b"{}", b",", b":", b"true"),
    *(b"9" * 40, b"9" * 5_000, b"\x00", b"\xff", b"\\ud800", b"[" * 300, b'"t":', b"1651251948294080343", b""),
)  # fmt: skip
ODD_VALUES: tuple[object, ...] = (
    *(None, True, "", "x", "\x00", "\ud800", [], {}, 0, -1, 1, 0.0, -0.0, 0.5, 1e308, -1e308, 5e-324),
    *(
        float("nan"),
        float("inf"),
        2**31,
        2**53,
        2**63,
        10**40,
        1_582_641_000,
        1_582_641_000_000,
        253_402_300_800,
    ),
    *(
        1_651_251_948_294_080_343,
        "AAPL",
        "AMZN",
        "2021-10-15T16:00:00Z",
        "9999-12-31T23:59:59Z",
        "OK",
        "ok",
        [None],
    ),
)
ODD_CELLS = (
    *(
        b"",
        b".",
        b"N/A",
        b"NaN",
        b"inf",
        b"-inf",
        b"1e300",
        b"1e-300",
        b"-1.5",
        b"0",
        b"9" * 400,
        b'"',
        b'""',
        b"\xff",
    ),
    *(
        b"2016-02-30",
        b"02/30/2016",
        b"9999-12-31",
        b"0001-01-01",
        b"2016-Q5",
        b"2016-W54",
        b"Delete",
        b"D",
        b"X",
    ),
    *(b"2026-09-03T15:57:01.000+02:00", b"9999-12-31T23:59:59Z", b"0001-01-01T00:00:00Z", b"10 Yr", b"Date"),
)
MACRO_FIELDS = {field.name for field in fields(MacroObservation)} - {field.name for field in fields(Known)}
PRICES = {name for stream in STREAMS for name in prices(stream)}
TOPICS = {
    "interval": RAW_BARS,
    "frame_hash": RAW_TRADES,
    "previous_close": RAW_QUOTES,
    "action_id": ACTION_STREAM.raw_topic,
}
Case = tuple[str, bytes, Callable[[bytes], object]]


@pytest.fixture(scope="module")
def cases(market_data: Path) -> list[Case]:
    """Every vendor's examples with every parser of it, and bodies of refusals with what reads those."""
    found: list[Case] = []
    for sheet in sheets().values():
        found += [
            (name, payload, parse) for name, payload in sheet.payloads(market_data) for parse in sheet.parsers
        ]
        found += [
            (f"refusal {name}", body, lambda data, refuse=sheet.refuse: refuse(400, data, "AAPL"))
            for name, _, body, _ in sheet.refusals
            if body.startswith(b"{")
        ]
    # A recording given to another endpoint's parser is refused early: those it is meant for come more often.
    return found + 16 * [case for case in found if _holds_something(case[2], case[1])]


def changed(payload: bytes, draw: random.Random) -> bytes:
    """Return the payload, still JSON, with one to three of its values put in question."""
    document = json.loads(payload)
    for _ in range(draw.randint(1, 3)):
        holder: object = document
        while True:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))  # type: ignore[arg-type,call-overload]
            if not keys:
                break
            key = draw.choice(keys)
            inner = holder[key]  # type: ignore[index]
            if isinstance(inner, dict | list) and draw.random() < 0.95:
                holder = inner
                continue
            if draw.random() < 0.15:
                del holder[key]  # type: ignore[attr-defined]
            else:
                holder[key] = deepcopy(draw.choice(ODD_VALUES))  # type: ignore[index]
            break
    return json.dumps(document).encode()


def changed_table(payload: bytes, draw: random.Random) -> bytes:
    """Return a CSV payload with one to three of its cells put in question, a row that is twice there, or one that is short."""
    lines = [line.split(b",") for line in payload.split(b"\n")]
    for _ in range(draw.randint(1, 3)):
        row = draw.choice(lines)
        match draw.choice(("cell", "cell", "cell", "twice", "short", "long")):
            case "twice":
                lines.insert(draw.randrange(len(lines) + 1), list(row))
            case "short":
                del row[draw.randrange(len(row))]
            case "long":
                row.insert(draw.randrange(len(row) + 1), draw.choice(ODD_CELLS))
            case _ if row:
                row[draw.randrange(len(row))] = draw.choice(ODD_CELLS)
        lines = [line for line in lines if line] or [[b""]]
    return b"\n".join(b",".join(row) for row in lines)


def mutated(payload: bytes, draw: random.Random) -> bytes:
    """Return the payload with one to four injuries, mostly one."""
    data = bytearray(payload)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        at = draw.randrange(len(data) + 1)
        match draw.choice(("cut", "flip", "splice", "replace", "repeat")):
            case "cut":
                del data[at:]
            case "flip" if at < len(data):
                data[at] = draw.randrange(256)
            case "replace":
                data[at : at + draw.randint(1, 12)] = draw.choice(SPLICES)
            case "repeat":
                data[at:at] = data[at : at + draw.randint(1, 60)]
            case _:
                data[at:at] = draw.choice(SPLICES)
    return bytes(data)


def check(answer: Answer) -> None:
    """Events hold only finite, never negative numbers, no price of 0, and fit their topic's schema."""
    if answer.events and "period_start" in answer.events[0]:
        check_macro(answer)
        return
    for event in answer.events:
        if "action_id" in event:
            check_action(event, RECEIVED)
        numbers = [value for value in event.values() if isinstance(value, float)]
        assert all(math.isfinite(value) and value >= 0 for value in numbers), event
        assert all(event.get(name) != 0 for name in PRICES), event
    if answer.events:
        first = answer.events[0]
        topic = next(topic for name, topic in TOPICS.items() if name in first)
        block = RawBlock(provider="x", endpoint="x", route="primary", received_time=1, events=answer.events)
        assert encoded(topic, block)


def check_macro(answer: Answer) -> None:
    """Events are whole observations with a finite value or none, of a period with days, each of a period and day but once."""
    seen = set()
    for event in answer.events:
        value = event["value"]
        name = (event["period_start"], event["vintage_start"], event["published_at"])
        assert set(event) == MACRO_FIELDS
        assert value is None or math.isfinite(value)
        assert event["period_start"] < event["period_end"]
        assert event["vintage_end"] is None or event["vintage_start"] <= event["vintage_end"]
        assert name not in seen
        assert (event["published_at"] is None) == (event["published_precision"] == "none")
        assert all(type(event[part]) is int for part in ("event_time", "period_start", "period_end"))
        seen.add(name)


def test_only_our_errors_come_out(cases: list[Case]) -> None:
    """The same cases every time, so that a failure can be looked at; its number is in the message."""
    draw = random.Random(SEED)
    parsed = 0
    for number in range(CASES):
        name, payload, parse = cases[number % len(cases)]
        put_in_question = changed if payload[:1] in (b"{", b"[") else changed_table
        injured = put_in_question(payload, draw) if number % 3 else mutated(payload, draw)
        try:
            result = parse(injured)
        except MarketDataError:
            continue
        except Exception as error:
            raise AssertionError(f"case {number} ({name}) raised {error!r}: {injured[:300]!r}") from error
        if isinstance(result, Answer):
            parsed += 1
            check(result)

    assert parsed > CASES // 5  # the mutations are not all so rough that nothing is parsed


def test_the_recordings_are_of_all_vendors(cases: list[Case]) -> None:
    """Without injuries every parser finds what it is for in some recording."""
    found = {name for name, payload, parse in cases if _holds_something(parse, payload)}

    assert all(sheet.useful and sheet.useful <= found for sheet in sheets().values())


def _holds_something(parse: Callable[[bytes], object], payload: bytes) -> bool:
    try:
        result = parse(payload)
    except MarketDataError:
        return False
    return isinstance(result, Answer) and bool(result.events)
