"""Rows are grouped by their stream, whatever its name."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.streams import BAR_STREAM, StreamId
from schemas.topics import BARS
from schemas.wire.codec import encode
from sinks.batch.groups import group_streams
from sinks.columns.avro import read_columns
from tests.support.builders import a_bar

NAMES = st.text(alphabet=st.characters(codec="utf-8"), max_size=20) | st.sampled_from(
    ["A", "AA", "A\0", "", "ABCDEFGH"]
)


@settings(max_examples=150, deadline=None)
@given(keys=st.lists(st.tuples(NAMES, NAMES, st.sampled_from(["1m", "5m"])), min_size=1, max_size=30))
def test_grouping_equals_a_dictionary(keys: list[tuple[str, str, str]]) -> None:
    """Each row is in the stream of its name; rows of a stream stay in log order."""
    values = [encode(BARS, a_bar(symbol=s, provider=p, interval=i)) for s, p, i in keys]

    streams = group_streams(read_columns(BARS, values)[0], BAR_STREAM)

    names = [StreamId("bars", interval, provider, symbol) for symbol, provider, interval in keys]
    assert [streams.names[number] for number in streams.index] == names
    assert sorted(streams.names) == sorted(set(names))
    rows = [
        streams.order[first : last + 1].tolist()
        for first, last in zip(streams.firsts, streams.lasts(), strict=True)
    ]
    for number, name in enumerate(streams.names):
        assert rows[number] == [row for row, key in enumerate(names) if key == name]


def test_long_names_are_told_apart() -> None:
    """A name longer than is compared by words is compared as bytes."""
    names = ["x" * 300 + "a", "x" * 300 + "b", "x" * 300 + "a"]

    streams = group_streams(
        read_columns(BARS, [encode(BARS, a_bar(symbol=name)) for name in names])[0], BAR_STREAM
    )

    assert streams.index.tolist() == [0, 1, 0]
