"""Compact tables and public views follow from a declaration; tests/integration compares them with the migrations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas.streams import BAR_STREAM, QUOTE_STREAM, STREAMS, TRADE_STREAM
from schemas.tables import (
    ARRAYS,
    ENUM_BITS,
    Tables,
    compared,
    create_tables,
    create_views,
    packed,
    stored_columns,
    tables,
)
from tests.support.toy_stream import a_toy_stream

WIDTHS = {
    "int8": 8,
    "float8": 8,
    "timestamptz": 8,
    "int4": 4,
    "date": 4,
    "int2": 2,
    "text": 1,
    **dict.fromkeys(ARRAYS, 0),
}


def test_the_declared_streams_keep_their_tables() -> None:
    """The names PostgreSQL knows."""
    assert [tables(stream) for stream in (BAR_STREAM, QUOTE_STREAM, TRADE_STREAM)] == [
        Tables("bars", "bars_superseded", "bars_forming"),
        Tables("quotes", "", "quotes_latest"),
        Tables("trades", "", ""),
    ]


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_wide_columns_come_first_so_that_none_is_padded(stream: object) -> None:
    """Each column's width is at most that of the one before."""
    widths = [WIDTHS[column.type] for column in stored_columns(stream)]  # type: ignore[arg-type]

    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize(
    ("versions", "keys"),
    [
        ("slots", ["(stream_id, event_time)", "(stream_id, event_time, position)", "(stream_id)"]),
        ("latest", ["(stream_id, event_time, position)", "(stream_id)"]),
        ("occurrences", ["(stream_id, event_time, position)"]),
        ("entries", ["(stream_id, event_time, position)"]),
    ],
)
def test_the_tables_of_a_migration_follow_the_strategy(versions: str, keys: list[str]) -> None:
    """Only what grows with time is cut by it."""
    text = create_tables(a_toy_stream(versions=versions, for_good=versions == "entries"))

    assert [
        line.strip().removeprefix("PRIMARY KEY ") for line in text.splitlines() if "PRIMARY KEY" in line
    ] == keys
    cut = {"slots": 2, "entries": 0}.get(versions, 1)
    assert text.count("PARTITION BY RANGE (event_time)") == cut
    assert ("revision smallint" in text) == (versions == "slots")


def test_flags_are_read_back_by_their_bits() -> None:
    """Published: what a bit means never changes."""
    (final, session, adjustment, simulated, route) = packed(BAR_STREAM)

    assert [each.mask for each in (final, session, adjustment, simulated, route)] == [1, 14, 112, 128, 1_792]
    assert session.read("r") == "(ARRAY['pre', 'regular', 'post', 'closed'])[((r.flags & 14) >> 1) + 1]"
    assert final.read("r") == "(r.flags & 1) <> 0"
    assert [(each.name, each.shift) for each in packed(TRADE_STREAM)] == [("simulated", 0), ("route", 1)]
    assert [(each.name, each.shift) for each in packed(QUOTE_STREAM)] == [("simulated", 0), ("route", 1)]


def test_every_enumeration_has_room_for_its_symbols() -> None:
    """Three bits each, of entries as many as they need; one symbol more would read as another."""
    for stream in STREAMS:
        assert all(len(each.symbols) <= 1 << each.bits for each in packed(stream))
        if stream.versions != "entries":
            assert {each.bits for each in packed(stream) if each.symbols} == {ENUM_BITS}


def test_versions_are_compared_by_content_alone() -> None:
    """Not by clocks, origin or route; of occurrences nothing."""
    assert compared(BAR_STREAM) == (
        ("open", "high", "low", "close", "volume", "vwap", "trade_count", "currency"),
        1 + 14 + 112,
    )
    assert compared(TRADE_STREAM) == ((), 0)
    assert compared(replace(TRADE_STREAM, versions="latest"))[0] == (
        *("price", "size", "trade_id", "conditions", "venue"),
    )


def test_views_say_every_field_of_the_record() -> None:
    """And of slots their ordinal; a bar that is final forms no more."""
    current, every, forming = create_views(BAR_STREAM)

    for name in (
        "symbol",
        "interval",
        "provider",
        "route",
        "session",
        "raw_offset",
        "idx",
        "final",
        "revision",
    ):
        assert f" AS {name}" in current or f".{name}" in current
    assert "UNION ALL SELECT * FROM bars_superseded" in every
    assert "NOT EXISTS (SELECT FROM bars" in forming
