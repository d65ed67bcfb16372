"""What a replay is asked for: words, moments, places, and what contradicts itself."""

from __future__ import annotations

from typing import Any

import pytest

from infra.cli.replay_request import requested
from schemas.errors import ConfigurationError
from schemas.intervals import MINUTE_US
from schemas.partitions import partition_of
from schemas.topics import BARS, QUOTES, RAW_BARS, RAW_TOPICS
from schemas.wire.codec import decode_value, encode
from schemas.wire.framing import StreamedRecord
from tests.support.builders import NINE_THIRTY, a_bar, a_bar_event, a_block

FILE = ("file", "x.parquet")


def a_record(topic: str, value: bytes, *, key: bytes | None = None) -> StreamedRecord:
    """Return a record of partition 0."""
    return StreamedRecord(topic=topic, partition=0, offset=4, append_time=9, key=key, value=value)


@pytest.mark.parametrize(
    ("words", "topics"),
    [
        (["bars"], (BARS,)),
        (["bars.v1,quotes", "bars"], (QUOTES, BARS)),
        (["raw.bars"], (RAW_BARS,)),
        (["raw"], RAW_TOPICS),
        (["raw.bars.v1", "raw"], RAW_TOPICS),
    ],
)
def test_topics_are_named_as_topics_or_as_streams(words: list[str], topics: tuple[str, ...]) -> None:
    """Each once, raw ones first, in the order of a replay."""
    assert requested(words, ("prefix", "p.")).topics == topics


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param({"words": ["ticks"]}, "--from ticks: no such topic", id="no topic"),
        pytest.param({"into": ("stdout", "-")}, "--into stdout", id="no target"),
        pytest.param({"into": ("file", "bars.txt")}, "end it with .parquet or .csv", id="no format"),
        pytest.param(
            {"words": ["bars,trades"]}, "one file cannot hold trades.v1 and bars.v1", id="two in a file"
        ),
        pytest.param({"into": ("database", "d")}, "give --from raw", id="a database of canonical ones"),
        pytest.param(
            {"since": "yesterday"}, "--since 'yesterday' is no moment; write it like", id="no moment"
        ),
        pytest.param(
            {"until": "2026-03-02T14:30:00"}, "--until 2026-03-02T14:30:00 names no zone", id="no zone"
        ),
        pytest.param({"since": "0001-01-01T00:00:00+14:00"}, "in no year of UTC", id="before all years"),
        pytest.param(
            {"since": "2026-03-02T14:30:00Z", "until": "2026-03-02T09:30:00-05:00"}, "not before", id="empty"
        ),
        pytest.param({"positions": ["3:"]}, "give OFFSET, or PARTITION:OFFSET", id="no offset"),
        pytest.param({"positions": ["x:7"]}, "PARTITION:OFFSET", id="no partition"),
        pytest.param({"positions": [":7"]}, "PARTITION:OFFSET", id="an empty partition"),
        pytest.param({"positions": ["7"], "since": "2026-03-02T14:30:00Z"}, "give one of them", id="both"),
        pytest.param({"positions": ["7"], "archive": True}, "no --archive", id="an offset of an archive"),
        pytest.param(
            {"positions": ["2:7", "2:8"]}, "2:8: there is another one of it", id="two of a partition"
        ),
        pytest.param({"symbols": ["spy"]}, "--symbol 'spy' is not a symbol", id="a symbol in small letters"),
        pytest.param({"symbols": ["SPY", ""]}, "write it like BRK.B", id="no symbol"),
        pytest.param({"into": ("prefix", "trial/")}, "--into prefix 'trial/'", id="no prefix"),
        pytest.param({"into": ("prefix", "t" * 201)}, "up to 200 letters", id="a prefix too long"),
        pytest.param({"words": ["raw.bars"], "by": "event"}, "events of many times", id="raw by event time"),
    ],
)
def test_what_contradicts_itself_is_refused_by_name(options: dict[str, Any], told: str) -> None:
    """Each names the option and what would be right."""
    given = {"words": ["bars"], "into": FILE} | options
    with pytest.raises(ConfigurationError, match=told):
        requested(given.pop("words"), given.pop("into"), **given)


def test_only_partitions_that_can_hold_the_answer_are_read() -> None:
    """Those of the symbols, or those an offset names; an offset alone is of all."""
    spy = partition_of("SPY", 8)
    bars = ["bars"]

    assert [place.partition for place in requested(bars, FILE, symbols=["SPY"]).places(8)] == [spy]
    assert [place.partition for place in requested(bars, FILE, positions=["5:9", "2:0"]).places(8)] == [2, 5]
    anywhere = requested(bars, FILE, positions=["2:0", "9"])
    assert [place.partition for place in anywhere.places(4)] == [0, 1, 2, 3]
    assert (anywhere.bounds.position(2), anywhere.bounds.position(3)) == (0, 9)


def test_a_partition_that_cannot_hold_the_answer_is_no_empty_answer() -> None:
    """One that there is not, and one in which none of the symbols lives."""
    spy = partition_of("SPY", 8)
    elsewhere = requested(["bars"], FILE, symbols=["SPY"], positions=[f"{(spy + 1) % 8}:0"])

    with pytest.raises(ConfigurationError, match=r"8:5: there is no such partition; name one of 0 to 7"):
        requested(["bars"], FILE, positions=["8:5", "9"]).places(8)
    with pytest.raises(ConfigurationError, match=f"no partition of SPY; they live in {spy}"):
        elsewhere.places(8)


def test_times_of_events_do_not_bound_the_log() -> None:
    """Where they lie in it nobody knows; times of knowledge do."""
    times = {"since": "2026-03-02T14:30:00.5Z", "until": "2026-03-02T10:00:00-05:00"}
    known, event = requested(["bars"], FILE, **times), requested(["bars"], FILE, by="event", **times)

    assert known.bounds.until_us == known.bounds.since_us + 30 * MINUTE_US - 500_000
    assert (event.bounds.since_us, event.bounds.until_us) == (None, None)
    assert event.until_us == known.until_us


def test_canonical_records_are_chosen_by_symbol_and_event_time() -> None:
    """The end is not in it; what is no record of the topic happened at no time."""
    request = requested(
        ["bars"],
        FILE,
        by="event",
        symbols=["SPY"],
        since="2026-03-02T14:30:00Z",
        until="2026-03-02T14:31:00Z",
    )
    choose, start = request.chosen(), request.since_us or 0
    inside, before, after, other = (
        a_record(BARS, encode(BARS, a_bar(symbol=symbol, event_time=moment)), key=symbol.encode())
        for symbol, moment in (("SPY", start), ("SPY", start - 1), ("SPY", start + MINUTE_US), ("QQQ", start))
    )

    assert [choose(each) for each in (inside, before, after, other)] == [inside, None, None, None]
    assert choose(a_record(BARS, b"poison", key=b"SPY")) is None


def test_of_a_raw_block_the_symbols_asked_for_are_left() -> None:
    """Bytes of a block that holds no others stay as they are."""
    choose = requested(["raw.bars"], FILE, symbols=["SPY"]).chosen()
    both = a_block(a_bar_event(symbol="SPY"), a_bar_event(symbol="QQQ", event_time=NINE_THIRTY))
    mixed, own = (
        a_record(RAW_BARS, encode(RAW_BARS, both)),
        a_record(RAW_BARS, encode(RAW_BARS, a_block(a_bar_event(symbol="SPY")))),
    )

    cut = choose(mixed)
    assert cut is not None
    assert [event["symbol"] for event in decode_value(RAW_BARS, cut.value)["events"]] == ["SPY"]
    assert (cut.offset, cut.append_time) == (mixed.offset, mixed.append_time)
    assert choose(own) is own
    assert choose(a_record(RAW_BARS, encode(RAW_BARS, a_block(a_bar_event(symbol="QQQ"))))) is None
    assert choose(a_record(RAW_BARS, b"poison")) is None
