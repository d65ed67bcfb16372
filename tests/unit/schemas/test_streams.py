"""The declared streams, and what one says of itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas.streams import (
    BAR_STREAM,
    BY_RAW_TOPIC,
    BY_RECORD,
    BY_TOPIC,
    QUOTE_STREAM,
    STREAM_NAMES,
    STREAMS,
    Quote,
    Stream,
)
from schemas.topics import catalogue


def test_the_names_of_configuration_and_command_line_are_the_streams() -> None:
    """A stream missing in the literal could not be asked for."""
    assert sorted(stream.name for stream in STREAMS) == sorted(STREAM_NAMES)


def test_no_two_streams_share_what_tells_them_apart() -> None:
    """Ids in the registry, letters of event_ids, topics and records."""
    ids = [number for stream in STREAMS for number in (stream.raw_id, stream.canonical_id)]

    assert len(set(ids)) == len(ids)
    for what in ("letter", "topic", "raw_topic", "schema", "raw_schema", "record"):
        assert len({getattr(stream, what) for stream in STREAMS}) == len(STREAMS), what


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_a_stream_is_found_by_topic_and_record(stream: Stream) -> None:
    """Whoever holds a record or reads a topic gets to the declaration."""
    assert BY_TOPIC[stream.topic] is BY_RAW_TOPIC[stream.raw_topic] is BY_RECORD[stream.record] is stream


def test_names_follow_from_the_stream_its_record_and_its_version() -> None:
    """Version 2 has topics and schemas of its own."""
    second = replace(QUOTE_STREAM, version=2)

    assert (second.topic, second.raw_topic) == ("quotes.v2", "raw.quotes.v2")
    assert (second.schema, second.raw_schema) == ("quote.v2", "raw_quotes.v2")
    assert second.record is Quote


def test_schemas_may_go_on_within_their_topics() -> None:
    """Bars of both versions lie on one topic; a reader tells them by the id they begin with."""
    assert (BAR_STREAM.topic, BAR_STREAM.raw_topic) == ("bars.v1", "raw.bars.v1")
    assert (BAR_STREAM.schema, BAR_STREAM.raw_schema) == ("bar.v2", "raw_bars.v2")
    assert {"bar.v1", "raw_bars.v1"} < set(catalogue().schema_ids.values())


def test_only_a_stream_with_intervals_has_a_channel_of_each() -> None:
    """Bars of a minute and of a day are two series."""
    assert (BAR_STREAM.channel("1m"), BAR_STREAM.capability("1m")) == ("bars.1m", "bars:1m")
    assert (QUOTE_STREAM.channel(""), QUOTE_STREAM.capability("")) == ("quotes", "quotes")
    assert [stream.name for stream in STREAMS if stream.by_interval] == ["bars"]
