"""Fast readers written for streams nobody has: of every kind of field there is a reader for."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import BytesIO
from typing import Annotated, Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.deriving import raw_schema
from schemas.fields import AMOUNT, VALUE
from schemas.known import Known, Simulated, Stamp, Symbol
from schemas.streams import Frame, Stream
from schemas.wire.event_reading import Unusual
from scripts.event_readers import readers_source
from tests.support.stream_values import an_event, events_of
from tests.support.toy_stream import a_toy_stream

TOYS = {"latest": a_toy_stream(), "framed": a_toy_stream(versions="occurrences", frame=Frame)}


def reader_of(stream: Stream) -> Any:
    """Return the reader written for a stream."""
    module: dict[str, Any] = {"__name__": "generated"}
    exec(compile(readers_source([stream]), "generated", "exec"), module)  # noqa: S102 - our own text
    return module["READERS"][stream.raw_schema]


READERS = {name: reader_of(stream) for name, stream in TOYS.items()}


@given(data=st.data(), name=st.sampled_from(sorted(TOYS)))
def test_a_written_reader_reads_what_the_general_one_reads(data: st.DataObject, name: str) -> None:
    """Or says that the bytes are unusual."""
    stream = TOYS[name]
    events = data.draw(st.lists(events_of(stream), max_size=4))
    schema = fastavro.parse_schema(raw_schema(stream)["fields"][-1]["type"]["items"])
    encoded = b"".join(_bytes(schema, event) for event in events)
    try:
        found, heads, end = READERS[name](encoded, 0, len(events))
    except (Unusual, LookupError, ValueError, struct.error):
        return

    assert [repr(sorted(e.items())) for e in found] == [repr(sorted(e.items())) for e in events]
    assert end == len(encoded)
    assert len(heads) == len(events)


def _bytes(schema: Any, event: dict[str, Any]) -> bytes:
    out = BytesIO()
    fastavro.schemaless_writer(out, schema, event)
    return out.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class Awkward(Known):
    """A record whose fields are called like what a reader needs."""

    symbol: Symbol
    event_time: Stamp
    open: Annotated[float, AMOUNT, "a builtin"]
    size: Annotated[float, AMOUNT, "what the loop measures a text with"]
    pos: Annotated[str, VALUE, "where the loop stands"]
    data: Annotated[int | None, AMOUNT, "what the loop reads"] = None
    text: Annotated[str, VALUE, "what reads a text"] = ""
    simulated: Simulated = False


def test_a_field_may_be_called_like_something_the_reader_needs() -> None:
    """Neither overwrites the other."""
    stream = a_toy_stream(record=Awkward)
    events = [
        an_event(stream, pos="here", data=7, text="x"),
        an_event(stream, pos="there", data=None, text=""),
    ]
    schema = fastavro.parse_schema(raw_schema(stream)["fields"][-1]["type"]["items"])

    found, _, _ = reader_of(stream)(b"".join(_bytes(schema, event) for event in events), 0, 2)

    assert found == events


@dataclass(frozen=True, slots=True, kw_only=True)
class Worded(Frame):
    """A frame with a word in it."""

    origin: Annotated[str, "which socket"]


def test_a_frame_that_is_not_longs_is_refused() -> None:
    """Its bytes are compared and cut off as such."""
    with pytest.raises(ValueError, match="plain longs"):
        readers_source([a_toy_stream(frame=Worded)])
