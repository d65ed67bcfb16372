"""What would come out of a dead event, told by the rules of the pipeline and by what is stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.dead_events.judging import (
    ENDPOINT,
    compared,
    judged,
    letter_name,
    names_letter,
    records_of,
    unpacked,
)
from schemas.clocks import KnowledgeTime, RawOffset
from schemas.errors import InvalidRecord
from schemas.intervals import DAY_US
from schemas.partitions import partition_of
from schemas.streams import BAR_STREAM, BY_RAW_TOPIC, QUOTE_STREAM
from schemas.topics import BARS, JOBS, RAW_BARS, RAW_QUOTES, RAW_TRADES
from schemas.wire.codec import decode_block, encode
from stream_processors.memory import PartitionState
from stream_processors.transaction import RawRecord, transact
from tests.support.builders import NINE_THIRTY, a_bar_event, a_block, a_quote_event, a_trade_event
from tests.support.dead_letters import NOW, PARTITIONS, judge, letter, of_event
from tests.support.growth import assert_linear


@pytest.mark.parametrize(
    ("topic", "event"),
    [
        (RAW_BARS, a_bar_event(symbol="KO", trade_count=12, session="pre")),
        (RAW_QUOTES, a_quote_event(symbol="BRK.B", ask=None)),
        (RAW_TRADES, a_trade_event(symbol="^VIX", trade_id="52983525027888")),
    ],
)
def test_what_is_kept_is_what_a_processor_makes_of_it(topic: str, event: dict[str, Any]) -> None:
    """The raw record goes through the real functions, and the canonical record says what was promised."""
    (told,) = judge(of_event(topic, event))
    ((partition, value),) = records_of(told, PARTITIONS, NOW)
    state = PartitionState(raw_topic=topic, partition=partition, partitions=PARTITIONS)
    record = RawRecord(
        topic=topic,
        partition=partition,
        offset=RawOffset(9),
        append_time=KnowledgeTime(NOW),
        key=None,
        value=value,
    )
    done = transact(state, record)

    assert (told.verdict, told.pieces[0].event) == ("kept", event)
    assert partition == partition_of(event["symbol"], PARTITIONS)
    assert (len(done.canonical), done.dead, done.repeated) == (1, [], 0)
    assert decode_block(topic, value).events[0] == event
    assert (decode_block(topic, value).route, decode_block(topic, value).endpoint) == ("backfill", ENDPOINT)
    assert names_letter(topic, value) == letter_name(told.event.place) == f"{topic}.dead/3/1"


@pytest.mark.parametrize(
    ("topic", "changes", "words"),
    [
        (RAW_BARS, {"low": float("nan")}, "low"),
        (RAW_BARS, {"high": float("-inf")}, "high"),
        (RAW_BARS, {"interval": "7m"}, "7m"),
        (RAW_BARS, {"event_time": NOW + 2 * DAY_US}, "event_time"),
        (RAW_BARS, {"final": False}, "forming"),
        (RAW_QUOTES, {"symbol": "S\u0007PY"}, "printable"),
        (RAW_TRADES, {"price": 0.0}, "price is 0"),
    ],
)
def test_what_is_still_impossible_is_refused_with_the_reason(
    topic: str, changes: dict[str, Any], words: str
) -> None:
    """As a processor would word it; nothing comes out."""
    makes = {RAW_BARS: a_bar_event, RAW_QUOTES: a_quote_event, RAW_TRADES: a_trade_event}
    (told,) = judge(of_event(topic, makes[topic](**changes)))

    assert (told.verdict, list(told.pieces)) == ("refused", [])
    assert words in told.detail


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"{", b"nonsense", b'{"symbol": "SPY"}', b"[" * 4_000, b'{"a": ' * 700]
)
def test_bytes_of_anybody_are_refused_and_never_an_error(payload: bytes) -> None:
    """As one event, and as a record."""
    for index, reason in ((0, "invalid"), (-1, "malformed")):
        (told,) = judge(letter(RAW_BARS, payload, index=index, reason=reason))

        assert (told.verdict, list(told.pieces)) == ("refused", [])


def test_a_member_of_the_wrong_type_is_refused() -> None:
    """Whoever wrote the letter."""
    for name, value in (
        ("open", "cheap"),
        ("symbol", 5),
        ("event_time", 2**80),
        ("final", None),
        ("currency", ["USD"]),
    ):
        (told,) = judge(letter(RAW_BARS, json.dumps(a_bar_event() | {name: value}).encode()))

        assert told.verdict == "refused", name


def test_what_is_stored_of_the_moment_decides() -> None:
    """Equal: nothing would come out; other: it would take its place, and says of what."""
    event = of_event(RAW_BARS, a_bar_event())
    ((piece,),) = [unpacked(event, event.letter.payload, PARTITIONS, NOW).pieces]
    other = tuple(
        1.0 if name == "close" else value
        for name, value in zip(compared(BAR_STREAM), piece.said, strict=True)
    )

    (same,) = judge(event, stored={piece.key: piece.said})
    (changed,) = judge(event, stored={piece.key: other})
    assert (same.verdict, len(same.pieces)) == ("repeat", 0)
    assert (changed.verdict, len(changed.pieces), changed.stored) == ("replaces", 1, other)


def test_of_two_that_died_of_one_moment_the_second_is_judged_beside_the_first() -> None:
    """Bars and quotes are values; trades without an id are occurrences, with one they are the same."""
    bars = judge(
        *(of_event(RAW_BARS, a_bar_event(volume=v), n) for n, v in enumerate((5.0, 5.0, 6.0), start=1))
    )
    lone = judge(*(of_event(RAW_TRADES, a_trade_event(trade_id=None), n) for n in (1, 2)))
    named = judge(*(of_event(RAW_TRADES, a_trade_event(trade_id="7"), n) for n in (1, 2)))

    assert [each.verdict for each in bars] == ["kept", "repeat", "replaces"]
    assert "dead event 1" in bars[1].detail
    assert [each.verdict for each in lone] == ["kept", "kept"]
    assert [each.verdict for each in named] == ["kept", "repeat"]


def test_a_whole_record_comes_in_again_with_what_of_it_is_possible() -> None:
    """By partition, under its own provider, and without what it said beside its events."""
    symbols = ["SPY", "KO", "IBM", "QQQ"]
    events = [a_quote_event(symbol=symbol) for symbol in symbols] + [a_quote_event(bid=-1.0)]
    block = a_block(*events, provider="alpaca", connection_id="c1", hints={"answered": "[]"})
    event = letter(
        RAW_QUOTES, encode(RAW_QUOTES, block), index=-1, reason="unknown_schema", provider="", symbol=""
    )
    (told,) = judge(event)
    blocks = {p: decode_block(RAW_QUOTES, value) for p, value in records_of(told, PARTITIONS, NOW)}

    assert (told.verdict, len(told.pieces)) == ("kept", 4)
    assert "4 kept, 1 refused" in told.detail
    assert sorted(e["symbol"] for each in blocks.values() for e in each.events) == sorted(symbols)
    assert all(partition_of(e["symbol"], PARTITIONS) == p for p, each in blocks.items() for e in each.events)
    assert {(each.provider, each.connection_id, *each.hints) for each in blocks.values()} == {
        ("alpaca", "", "dead_letter")
    }


def test_what_cannot_come_in_again_says_why() -> None:
    """Vendors' bytes, what the database refused, jobs, what was not seen, and bytes that are gone."""
    good = json.dumps(a_bar_event()).encode()
    for event, words in (
        (letter(RAW_BARS, good, stage="producer"), "POST /ops/backfill"),
        (letter(BARS, good, stage="sink"), "rebuild"),
        (letter(JOBS, b"{}", stage="producer"), "job_id"),
        (letter(RAW_BARS, b'{"symbol": "SPY"}', index=-1), "not seen"),
    ):
        (told,) = judge(event)
        assert (told.verdict, list(told.pieces)) == ("not_replayable", [])
        assert words in told.detail
    gone = judged(unpacked(letter(RAW_BARS, b"x" * 9_000), None, PARTITIONS, NOW), {}, {})
    assert gone.verdict == "not_replayable"
    assert "9000" in gone.detail


def test_a_record_larger_than_a_topic_takes_is_told() -> None:
    """Not sent in vain."""
    quotes = [a_quote_event(currency="X" * 900, event_time=NINE_THIRTY + n) for n in range(1_300)]
    event = letter(RAW_QUOTES, encode(RAW_QUOTES, a_block(*quotes[:1])), index=-1, reason="malformed")
    found = unpacked(event, event.letter.payload, PARTITIONS, NOW)
    (piece,) = found.pieces
    found.pieces = [type(piece)(piece.series, quote, (n,)) for n, quote in enumerate(quotes)]

    with pytest.raises(InvalidRecord, match="bytes"):
        records_of(judged(found, {}, {}), PARTITIONS, NOW)


def test_only_records_that_came_from_a_letter_name_one() -> None:
    """Nothing, nonsense and blocks of vendors do not."""
    assert names_letter(RAW_BARS, None) == names_letter(RAW_BARS, b"dead_letter") == ""
    assert names_letter(RAW_BARS, encode(RAW_BARS, a_block(a_bar_event()))) == ""


def test_values_are_compared_by_what_they_say() -> None:
    """Not by when they were received: every declared stream."""
    assert all("known_from" not in compared(stream) for stream in BY_RAW_TOPIC.values())
    assert {"bid", "ask", "last"} <= set(compared(QUOTE_STREAM))


def test_the_cost_is_linear_in_events() -> None:
    """Judged one by one, of one symbol, all of one moment."""

    def prepare(count: int) -> Callable[[], object]:
        events = [of_event(RAW_BARS, a_bar_event(volume=float(n)), n) for n in range(count)]
        return lambda: judge(*events)

    assert_linear(prepare, 500)
