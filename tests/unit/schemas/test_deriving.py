"""Everything derived from a declaration, shown on a toy stream; tests/contract compares the real ones with what is published."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Annotated

import fastavro
import pytest

from schemas.clocks import Day
from schemas.deriving import (
    amounts,
    aside,
    clocks,
    columns,
    content,
    event_fields,
    key,
    own_fields,
    prices,
    raw_schema,
    record_fields,
    record_schema,
    shown,
    shown_where_set,
    texts,
    written_out,
)
from schemas.fields import ASIDE, FLAG, INT32, KEY, Versions
from schemas.known import Known, Simulated, Stamp, Symbol
from schemas.streams import BAR_STREAM, QUOTE_STREAM, TRADE_STREAM
from tests.support.toy_stream import a_toy_stream

TOY = a_toy_stream()


def test_a_record_is_its_event_then_what_is_known_of_it() -> None:
    """The processor appends the rest to the event's own bytes."""
    own = [field.name for field in event_fields(TOY)]

    assert own == ["symbol", "maturity", "event_time", "rate", "spread", "rank", "currency", "simulated"]
    assert [field.name for field in record_fields(TOY)] == [
        *own,
        *("provider", "route", "received_time", "known_from", "raw_offset", "index"),
    ]


def test_a_frame_is_of_the_event_alone() -> None:
    """No canonical record keeps it."""
    held = {field.name for field in record_fields(TRADE_STREAM)}

    assert [f.name for f in event_fields(TRADE_STREAM)][-2:] == ["frame_sequence", "frame_hash"]
    assert not held & {"frame_sequence", "frame_hash"}


def test_the_schemas_are_avro_and_carry_types_defaults_and_texts() -> None:
    """A stock reader takes both; an optional amount may be null, a short number is an int."""
    record, block = record_schema(TOY), raw_schema(TOY)
    fastavro.parse_schema(json.loads(json.dumps(record)))
    fastavro.parse_schema(json.loads(json.dumps(block)))
    by_name = {field["name"]: field for field in record["fields"]}

    assert (record["name"], record["doc"], block["name"]) == (
        "Slice",
        "One version of a toy.",
        "RawSlicesBlock",
    )
    assert by_name["rate"] == {"name": "rate", "type": "double", "doc": "rate, per cent a year"}
    assert (by_name["spread"]["type"], by_name["spread"]["default"]) == (["null", "double"], None)
    assert (by_name["rank"]["type"], by_name["rank"]["default"]) == ("int", 0)
    assert block["fields"][-1]["type"]["items"]["fields"] == record["fields"][:8]


def test_roles_say_what_is_compared_checked_shown_and_keyed() -> None:
    """Each list that used to be written by hand."""
    assert key(TOY) == ("symbol", "provider", "maturity")
    assert content(TOY) == ("rate", "spread", "rank", "currency")
    assert amounts(TOY) == ("rate", "spread")
    assert prices(TOY) == ("rate",)
    assert texts(TOY) == ("currency",)
    assert clocks(TOY) == ("event_time", "received_time", "known_from")
    assert shown(TOY) == (
        *("event_time", "received_time", "known_from", "provider"),
        *("rate", "spread", "rank", "currency"),
    )
    assert shown_where_set(TOY) == ("simulated",)


def test_occurrences_are_compared_by_nothing() -> None:
    """Two equal trades are two trades; the same fields as versions of a moment are compared."""
    assert content(TRADE_STREAM) == ()
    assert content(replace(TRADE_STREAM, versions="latest")) == (
        *("price", "size", "trade_id", "conditions", "venue"),
    )


def test_a_day_told_aside_is_shown_where_it_is_set_and_no_version_differs_by_it() -> None:
    """The last of what an event says, so that all before it is what is compared."""
    assert aside(BAR_STREAM) == own_fields(BAR_STREAM)[-1].name == "adjusted_through"
    assert "adjusted_through" in shown_where_set(BAR_STREAM)
    assert "adjusted_through" not in (*content(BAR_STREAM), *shown(BAR_STREAM))
    assert (aside(QUOTE_STREAM), aside(TOY)) == (None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Early(Known):
    symbol: Symbol
    interval: Annotated[str, KEY, "length"]
    event_time: Stamp
    through: Annotated[Day | None, ASIDE, FLAG, "day"] = None
    simulated: Simulated = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Number(Known):
    symbol: Symbol
    interval: Annotated[str, KEY, "length"]
    event_time: Stamp
    through: Annotated[int, INT32, ASIDE, "number"] = 0


@pytest.mark.parametrize(
    ("record", "versions"), [(_Early, "slots"), (_Number, "slots"), (BAR_STREAM.record, "latest")]
)
def test_what_could_not_be_cut_off_is_no_declaration(record: type[Known], versions: Versions) -> None:
    """In the middle, of another kind, or of values that are compared whole."""
    with pytest.raises(ValueError, match="one nullable day of slots, the last of an event"):
        aside(replace(BAR_STREAM, record=record, versions=versions))


def test_columns_are_typed_by_the_declaration() -> None:
    """A moment is a time; `index` is a word of SQL."""
    found = {column.name: (column.type, column.nullable) for column in columns(TOY)}

    assert found["event_time"] == found["known_from"] == ("timestamptz", False)
    assert (found["spread"], found["rank"], found["idx"]) == (
        ("float8", True),
        ("int4", False),
        ("int4", False),
    )
    assert found["route"] == ("text", False)
    assert "index" not in found


def test_an_expression_of_declared_names_is_a_function() -> None:
    """It sees its arguments and what it is told, nothing else."""
    sums = written_out(
        "row", " + ".join(f"twice(row[{place}])" for place in range(3)), {"twice": lambda v: 2 * v}
    )

    assert sums([1, 2, 3]) == 12
    with pytest.raises(NameError):
        written_out("", "TOY", {})()
