"""One raw record is one transaction's content, whatever it holds."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.calendar.sessions import calendars_in_force
from schemas.errors import ConfigurationError
from schemas.intervals import DAY_US, MINUTE_US
from schemas.partitions import partition_of
from schemas.records import DeadLetter, Evidence, Progress
from schemas.streams import STREAMS, Bar
from schemas.topics import BARS, EVIDENCE, PROGRESS, RAW_BARS, dead
from schemas.wire.codec import MAX_RECORD_BYTES, decode, encode
from stream_processors.block import PROCESSING_VERSION
from stream_processors.memory import PartitionState
from stream_processors.transaction import Ends, RawRecord, check_implemented, progress_of, transact
from tests.support.builders import NINE_THIRTY, a_bar, a_bar_event, a_block
from tests.support.toy_stream import a_toy_stream

PARTITION = partition_of("SPY", 4)


def a_state() -> PartitionState:
    """Return the empty state of SPY's bars."""
    return PartitionState(raw_topic=RAW_BARS, partition=PARTITION, partitions=4)


def a_record(value: bytes | None, **changes: Any) -> RawRecord:
    """Return a raw record of bars."""
    fields: dict[str, Any] = {
        "topic": RAW_BARS,
        "partition": PARTITION,
        "offset": 7,
        "append_time": NINE_THIRTY + MINUTE_US + 5_000,
        "key": None,
        "value": value,
    }
    return RawRecord(**(fields | changes))


def test_a_block_becomes_its_canonical_records() -> None:
    """Keyed by symbol, knowing when and where they came from."""
    block = transact(a_state(), a_record(encode(RAW_BARS, a_block(a_bar_event(), a_bar_event()))))

    assert [key for key, _ in block.canonical] == [b"SPY"]
    assert decode(BARS, block.canonical[0][1], Bar) == a_bar()
    assert (block.events, block.repeated) == (2, 1)


def test_evidence_and_progress_are_records_too() -> None:
    """Progress claims where records and evidence ended before this block."""
    events = [a_bar_event(), a_bar_event(event_time=NINE_THIRTY + 2 * MINUTE_US)]
    record = a_record(encode(RAW_BARS, a_block(*events)), append_time=NINE_THIRTY + DAY_US)
    done = transact(a_state(), record)
    told = done.evidence_records()
    progress_key, progress = progress_of([done], Ends(canonical=41, evidence=17))

    assert [key for key, _ in told] == [b"SPY", b"SPY"]
    assert [decode(EVIDENCE, value, Evidence) for _, value in told] == done.evidence
    assert progress_key == f"{RAW_BARS}:{PARTITION}".encode()
    assert decode(PROGRESS, progress, Progress) == Progress(
        raw_topic=RAW_BARS,
        partition=PARTITION,
        raw_offset=7,
        known_from=done.known_from,
        canonical_topic=BARS,
        canonical_end_offset=41,
        processing_version=PROCESSING_VERSION,
        complete_before=done.known_from,
        evidence_end_offset=17,
        calendars=calendars_in_force().fingerprint,
    )


def test_progress_of_a_run_stands_at_its_last_block_and_claims_what_was_known_before_its_first() -> None:
    """Where the blocks of the run itself end is not known before they are written."""
    state = a_state()
    tick = encode(RAW_BARS, a_block(provider="", endpoint="tick"))
    blocks = [
        transact(state, a_record(tick, offset=n, append_time=t)) for n, t in ((7, 50), (8, 50), (9, 70))
    ]

    progress = decode(PROGRESS, progress_of(blocks, Ends(canonical=41, evidence=17))[1], Progress)

    assert (progress.raw_offset, progress.known_from) == (9, 70)
    assert (progress.complete_before, progress.canonical_end_offset) == (50, 41)


def test_knowledge_never_steps_back_nor_stands() -> None:
    """A broker's clock may; the running maximum is told apart by the microsecond, in the order of the log."""
    state = a_state()
    tick = encode(RAW_BARS, a_block(provider="", endpoint="tick"))

    known = [
        transact(state, a_record(tick, offset=n, append_time=t)).known_from
        for n, t in enumerate([50, 40, 60, 59])
    ]

    assert known == [50, 51, 60, 61]
    assert state.next_offset == 4


def test_records_after_a_fast_clock_can_be_claimed_and_seen_at_once() -> None:
    """One record ten minutes ahead: each one after it is complete as soon as the next one is processed, and told apart."""
    state, fast = a_state(), 600_000_000
    tick = encode(RAW_BARS, a_block(provider="", endpoint="tick"))
    times = [n * 1_000_000 + (fast if n == 5 else 0) for n in range(1, 700)]
    blocks = [transact(state, a_record(tick, offset=n, append_time=t)) for n, t in enumerate(times)]
    claims = [
        decode(PROGRESS, progress_of([block], Ends(canonical=0, evidence=0))[1], Progress) for block in blocks
    ]

    for done, claim in zip(blocks, claims[1:], strict=False):
        assert claim.complete_before is not None
        assert done.known_from <= claim.complete_before - 1, "what was processed before is not seen yet"
    assert len({block.known_from for block in blocks}) == len(blocks)
    assert [block.known_from for block in blocks[606:]] == times[606:], (
        "the clock is right again, and so is knowledge"
    )


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(None, "malformed", id="nothing"),
        pytest.param(b"", "malformed", id="empty"),
        pytest.param(b"\xff random", "malformed", id="random bytes"),
        pytest.param(encode(BARS, a_bar()), "unknown_schema", id="another topic's schema"),
        pytest.param(encode(RAW_BARS, a_block(a_bar_event()))[:-9], "malformed", id="truncated"),
        pytest.param(bytes(MAX_RECORD_BYTES + 1), "oversized", id="oversized"),
    ],
)
def test_what_is_no_block_is_one_dead_letter_with_its_bytes(value: bytes | None, reason: str) -> None:
    """Progress moves on; later records are unharmed."""
    state = a_state()
    done = transact(state, a_record(value, key=b"k"))
    ((_, letter_bytes),) = done.dead_records()
    letter = decode(dead(RAW_BARS), letter_bytes, DeadLetter)

    assert (letter.stage, letter.reason, letter.topic, letter.offset) == ("processor", reason, RAW_BARS, 7)
    assert (letter.partition, letter.key, letter.payload) == (PARTITION, b"k", value or b"")
    assert (done.canonical, done.evidence) == ([], [])
    assert state.next_offset == 8


def test_the_declared_streams_are_implemented() -> None:
    """Each has a strategy that fits, a reader and a check."""
    check_implemented()


def test_a_stream_nobody_implemented_is_named_with_what_it_lacks() -> None:
    """Before any partition is taken: its raw records would all become dead letters."""
    with pytest.raises(ConfigurationError) as error:
        check_implemented([*STREAMS, a_toy_stream()])

    told = str(error.value)
    assert "slices has no series by maturity" in told
    assert "no reader of raw events (`make docs` writes it)" in told
    assert "no check of its events" in told
    assert "quotes" not in told.partition(":")[2].partition("(")[0]


@pytest.mark.parametrize(
    ("versions", "lacking"), [("slots", "field interval"), ("occurrences", "field frame_sequence")]
)
def test_a_strategy_says_which_fields_it_needs(versions: str, lacking: str) -> None:
    """Slots are numbered by interval, occurrences told apart by frame."""
    with pytest.raises(ConfigurationError, match=lacking):
        check_implemented([a_toy_stream(versions=versions)])
