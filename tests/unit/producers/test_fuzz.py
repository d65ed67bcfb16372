"""Mutated recordings of every vendor: whatever arrives, only our errors come out, and no impossible value.

1,000 cases by default; MDS_FUZZ_CASES sets another number.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from producers.raw.blocks import encoded
from producers.vendors.answers import Answer
from schemas.clocks import KnowledgeTime
from schemas.deriving import prices
from schemas.entries import MacroObservation
from schemas.errors import MarketDataError
from schemas.known import Known
from schemas.records import RawBlock
from schemas.streams import ACTION_STREAM, OPTION_STREAM, STREAMS
from schemas.topics import RAW_BARS, RAW_QUOTES, RAW_TRADES
from schemas.validation import check_action, check_slice
from tests.support.chains import check_slices
from tests.support.injuries import CASES, SEED, changed, changed_table, mutated
from tests.support.vendors.sheet import RECEIVED, sheets

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


def check(answer: Answer) -> None:
    """Events hold only finite, never negative numbers, no price of 0, and fit their topic's schema."""
    if answer.events and "period_start" in answer.events[0]:
        check_macro(answer)
        return
    if answer.events and "legs" in answer.events[0]:
        check_slices(answer, RECEIVED)
        for event in answer.events:
            check_slice(event, KnowledgeTime(RECEIVED))
        block = RawBlock(provider="x", endpoint="x", route="primary", received_time=1, events=answer.events)
        assert encoded(OPTION_STREAM.raw_topic, block)
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
