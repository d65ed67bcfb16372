"""What died of the same is one cause, and what a letter says is cut to what a database takes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from schemas.clocks import KnowledgeTime, WallTime
from schemas.dead_events import (
    KEPT_PAYLOAD_BYTES,
    LATEST_US,
    MAX_MESSAGE_CHARS,
    UNREADABLE,
    LetterPlace,
    cause_of,
    dead_event,
    fault_of,
    may_replay,
    remedy_of,
)
from schemas.records import DeadLetter
from schemas.topics import BARS, JOBS, PROGRESS, RAW_BARS, RAW_QUOTES, RAW_TOPICS, TRADES, catalogue, dead
from schemas.wire.codec import encode
from tests.support.growth import assert_linear

DIED = WallTime(1_790_000_000_000_000)
PLACE = LetterPlace(topic=RAW_BARS, topic_id="made-once", partition=2, offset=41)


def a_letter(**changes: object) -> DeadLetter:
    """Return a letter of the processor."""
    said: dict[str, object] = {
        "stage": "processor", "reason": "invalid", "message": "low is 0", "topic": RAW_BARS, "partition": 2, "offset": 7,
        "index": 3, "known_from": KnowledgeTime(5), "provider": "yahoo", "symbol": "KO", "payload": b"{}",
    }  # fmt: skip
    return DeadLetter(**(said | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "open 5.25 or close 6 outside low 1e-3 to high 2_000",
            "open 7 or close 8.5 outside low 12 to high 0.1",
        ),
        ("symbol BRK.B belongs to partition 1, not 3", "symbol KO belongs to partition 2, not 0"),
        ("price is 'abc', which is no number", "price is 'n/a', which is no number"),
        ("event_time -17 is not after 1970", "event_time 0 is not after 1970"),
    ],
)
def test_what_differs_from_event_to_event_is_no_other_cause(one: str, other: str) -> None:
    """Numbers, quoted values and the symbol."""
    assert fault_of(one, "BRK.B") == fault_of(other, "KO")


def test_another_field_topic_stage_or_reason_is_another_cause() -> None:
    """Each has its own remedy, or its own owner."""
    said = [(RAW_BARS, "processor", "invalid", "low"), (RAW_BARS, "processor", "invalid", "high")]
    said += [(RAW_QUOTES, "processor", "invalid", "low"), (RAW_BARS, "producer", "invalid", "low")]
    said += [(RAW_BARS, "processor", "malformed", "low"), (RAW_BARS, "process", "orinvalid", "low")]

    assert len({cause_of(*each) for each in said}) == len(said)
    assert fault_of("low is -1", "") != fault_of("high is -1", "")
    assert fault_of("F is no Field", "F") == "SYMBOL is no Field"


def test_a_letter_is_kept_with_the_begin_of_its_bytes() -> None:
    """All that fits, and how many there are."""
    small = dead_event(PLACE, encode(dead(RAW_BARS), a_letter()), DIED)
    large = dead_event(PLACE, encode(dead(RAW_BARS), a_letter(payload=b"x" * 70_000)), DIED)

    assert (small.is_whole, small.letter, small.state) == (True, a_letter(), "open")
    assert (large.is_whole, large.payload_bytes, len(large.letter.payload)) == (
        False,
        70_000,
        KEPT_PAYLOAD_BYTES,
    )
    assert small.cause == large.cause


def test_whoever_writes_a_letter_cannot_make_one_that_the_database_refuses() -> None:
    """NULs, endless texts and moments of no calendar; a record that is no letter is one, too."""
    hostile = a_letter(
        message="a\0b" * 9_000,
        symbol="S\0" * 500,
        reason="r" * 999,
        known_from=2**62,
        offset=-(2**62),
        index=-9,
    )
    event = dead_event(PLACE, encode(dead(RAW_BARS), hostile), DIED)
    none = dead_event(PLACE, b"no letter", DIED)

    assert "\0" not in event.letter.message + event.letter.symbol + event.fault
    assert len(event.letter.message) == MAX_MESSAGE_CHARS
    assert (event.letter.known_from, event.letter.index) == (LATEST_US, -1)
    assert (none.letter.stage, none.letter.payload, none.letter.known_from) == (
        UNREADABLE,
        b"no letter",
        DIED,
    )
    assert dead_event(PLACE, None, DIED).letter.stage == UNREADABLE


@pytest.mark.parametrize("piece", ["'", '"', "1", "1,", "e1", "-1e", "'1"])
def test_a_fault_costs_as_much_as_its_message_is_long(piece: str) -> None:
    """Quotes without end and digits without end, too."""

    def prepare(length: int) -> Callable[[], object]:
        text = piece * (length // len(piece))
        return lambda: fault_of(text, "")

    assert_linear(prepare, 50_000)


def test_only_what_a_processor_refused_comes_in_again_and_every_other_has_its_way() -> None:
    """A remedy for each topic and stage there may be, in words."""
    for topic in catalogue().topics:
        if topic.endswith(".dead"):
            continue
        for stage in ("producer", "processor", "sink", UNREADABLE):
            assert may_replay(topic, stage) == (topic in RAW_TOPICS and stage == "processor")
            assert "discard" in remedy_of(topic, stage)
    assert "POST /ops/backfill" in remedy_of(RAW_BARS, "producer")
    assert "jobs" not in remedy_of(RAW_BARS, "producer")
    assert "job_id" in remedy_of(JOBS, "producer")
    assert all("rebuild" in remedy_of(topic, "sink") for topic in (BARS, TRADES, PROGRESS))
