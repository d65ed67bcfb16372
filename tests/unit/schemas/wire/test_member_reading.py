"""Lists of flat records read from their bytes: equal to the general reader's, whatever the bytes."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.wire import member_reading
from schemas.wire.event_reading import Unusual
from schemas.wire.member_reading import MemberReader, member_fields

ITEMS = {
    "type": "record",
    "name": "Item",
    "fields": [
        {"name": "strike", "type": "double"},
        {"name": "right", "type": {"type": "enum", "name": "Right", "symbols": ["C", "P", "X"]}},
        {"name": "bid", "type": ["null", "double"]},
        {"name": "quote_time", "type": ["null", "long"]},
        {"name": "day", "type": ["null", "int"]},
        {"name": "count", "type": "long"},
        {"name": "ask", "type": ["null", "double"]},
    ],
}
LIST = {"type": "array", "items": ITEMS}
SCHEMA = fastavro.parse_schema(LIST)
FIELDS = member_fields(LIST) or ()
NAMES = [field.name for field in FIELDS]
LONGS = st.sampled_from([0, -1, 63, 64, 2**63 - 1, -(2**63), 1_381_152_600_000_000]) | st.integers(
    -(2**63), 2**63 - 1
)
MEMBERS = st.fixed_dictionaries(
    {
        "strike": st.floats(),
        "right": st.sampled_from("CPX"),
        "bid": st.none() | st.floats(),
        "quote_time": st.none() | LONGS,
        "day": st.none() | st.integers(-(2**31), 2**31 - 1),
        "count": LONGS,
        "ask": st.none() | st.floats(),
    }
)


def written(members: list[dict[str, Any]]) -> bytes:
    """Return a list as Avro has it."""
    out = BytesIO()
    fastavro.schemaless_writer(out, SCHEMA, members)
    return out.getvalue()


def general(data: bytes) -> tuple[str, int]:
    """Return what the general reader reads, as text since NaN equals nothing, and where it stopped."""
    stream = BytesIO(data)
    found = fastavro.schemaless_reader(stream, SCHEMA, None)
    return repr([tuple(each[name] for name in NAMES) for each in found]), stream.tell()  # type: ignore[index, union-attr]


@given(st.lists(st.lists(MEMBERS, max_size=8), max_size=4))
def test_every_list_is_read_as_the_general_reader_does(lists: list[list[dict[str, Any]]]) -> None:
    """By one reader after the other, which remembers the layouts of all before."""
    reader = MemberReader(FIELDS)
    for members in lists:
        data = written(members)
        found, end = reader.read(b"\7" + data + b"\7", 1)

        assert (repr(found), end - 1) == general(data)


@given(st.lists(MEMBERS, min_size=1, max_size=5), st.data())
def test_a_list_that_is_torn_or_changed_is_never_read_as_something_else(
    members: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Either it is unusual, or it says what the general reader says."""
    whole = written(members)
    cut = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    if cut:
        cut[data.draw(st.integers(0, len(cut) - 1))] ^= data.draw(st.integers(1, 255))
    reader = MemberReader(FIELDS)
    reader.read(whole, 0)
    try:
        found, end = reader.read(bytes(cut), 0)
    except (Unusual, IndexError):
        return
    assert (repr(found), end) == general(bytes(cut))


def test_runs_with_their_size_in_bytes_are_read() -> None:
    """As other writers spell lists: a negative count, then how many bytes follow."""
    one = written(
        [{"strike": 1.5, "right": "P", "bid": None, "quote_time": 7, "day": None, "count": 1, "ask": 2.0}]
    )
    body = one[1:-1]
    sized = bytes([0x01, 2 * len(body)]) + body
    twice = sized + sized + b"\0"

    assert MemberReader(FIELDS).read(twice, 0) == ([(1.5, "P", None, 7, None, 1, 2.0)] * 2, len(twice))


@pytest.mark.parametrize("place", [0, 9, 10])
def test_a_symbol_or_branch_that_is_none_is_unusual(place: int) -> None:
    """An enumeration of three has no fourth, a nullable value two branches."""
    member = {
        "strike": 1.5,
        "right": "P",
        "bid": 1.0,
        "quote_time": None,
        "day": None,
        "count": 1,
        "ask": None,
    }
    data = bytearray(written([member]))
    data[place] = 0x06 if place == 9 else 0x04
    reader = MemberReader(FIELDS)
    with pytest.raises((Unusual, IndexError)):
        reader.read(bytes(data), 0)


def test_layouts_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends lists of ever new shapes is read by the general reader in the end."""
    reader = MemberReader(FIELDS)
    sizes = [1 << 7 * n for n in range(9)]
    shapes = [
        {"strike": 1.0, "right": "C", "bid": bid, "quote_time": at, "day": day, "count": count, "ask": ask}
        for bid in (None, 1.0) for ask in (None, 1.0) for day in (None, 1, 100, 10_000)
        for at in (None, *sizes) for count in sizes
    ]  # fmt: skip
    monkeypatch.setattr(member_reading, "MOST_LAYOUTS", 5)

    with pytest.raises(Unusual):
        reader.read(written(shapes), 0)


@pytest.mark.parametrize(
    "declared", ["string", {"type": "array", "items": "string"}, {"type": "map", "values": "string"}, ["null", "long"],
                 {"type": "array", "items": {"type": "record", "name": "A", "fields": [{"name": "a", "type": "string"}]}}],
)  # fmt: skip
def test_other_types_are_left_to_the_general_reader(declared: Any) -> None:
    """Texts among them."""
    assert member_fields(declared) is None
