"""The statements that store staged rows, by strategy; tests/integration runs them, tests/model/guard.py is their rule."""

from __future__ import annotations

import re

import pytest

from schemas.streams import ACTION_STREAM, BAR_STREAM, MACRO_STREAM, STREAMS
from schemas.tables import Packed, packed, tables
from schemas.topics import BARS
from sinks.columns.tables import Table, table_of
from sinks.store.versions import KEEP_NEWEST, STORE_STAGED, keep_newest, staging, store_staged
from tests.support.toy_stream import a_toy_stream


def table(versions: str) -> Table:
    """Return the table of a toy stream with a strategy."""
    return table_of(a_toy_stream(versions=versions))


@pytest.mark.parametrize("versions", ["slots", "latest"])
def test_versions_are_stored_where_their_content_differs(versions: str) -> None:
    """Compared are the declared amounts and values, by the declared key and moment."""
    text = store_staged(table(versions))

    assert "ROW(s.rate, s.spread, s.rank, s.currency)" in text
    assert "PARTITION BY s.stream_id, s.event_time ORDER BY s.position" in text
    assert "FROM staged_slices s" in text


def test_slots_keep_the_newest_version_of_each_and_put_the_others_beside_it() -> None:
    """Counted, so that a revision has its ordinal."""
    text = store_staged(table("slots"))

    assert text.count("INSERT INTO slices_superseded") == 2
    assert "ON CONFLICT (stream_id, event_time) DO UPDATE" in text
    assert "revision = excluded.revision" in text


def test_words_packed_into_flags_are_compared_by_their_bits_alone() -> None:
    """Of a bar all but what is no content: route and simulated."""
    text = STORE_STAGED[BARS]

    assert "s.flags & 127" in text
    assert packed(BAR_STREAM) == (
        *(Packed("final", 0, (), 1), Packed("session", 1, ("pre", "regular", "post", "closed"), 3)),
        Packed("adjustment_state", 4, ("raw", "split", "all"), 3),
        *(Packed("simulated", 7, (), 1), Packed("route", 8, ("primary", "shadow", "backfill"), 3)),
    )


def test_the_latest_keep_one_row_a_series() -> None:
    """The newest moment wins, at one moment the later place in the log."""
    for text in (store_staged(table("latest")), keep_newest(table("latest"))):
        assert "ON CONFLICT (stream_id) DO UPDATE" in text
        assert "(slices_latest.event_time, slices_latest.position) <" in text


def test_occurrences_are_all_stored_and_compared_with_nothing() -> None:
    """A row read twice has the place of the first, and is left out by its key."""
    text = store_staged(table("occurrences"))

    assert "IS DISTINCT FROM" not in text
    assert re.search(r"INSERT INTO slices \(.*FROM staged_slices ON CONFLICT DO NOTHING", text)


def test_entries_are_compared_by_their_names_whatever_their_moment() -> None:
    """A part of a name that is not given equals itself, and nothing else."""
    text = STORE_STAGED[MACRO_STREAM.topic]

    same = "v.period_start = s.period_start AND v.vintage_start IS NOT DISTINCT FROM s.vintage_start"
    assert text.count(f"v.stream_id = s.stream_id AND {same}") == 2
    assert "v.event_time = s.event_time" not in text
    assert "v.action_id = s.action_id" in STORE_STAGED[ACTION_STREAM.topic]


def test_rows_are_staged_in_tables_of_the_connection() -> None:
    """Only strategies with one newest value a series need a second."""
    assert staging(table("latest")).count("ON COMMIT DELETE ROWS") == 2
    assert staging(table("slots")).count("ON COMMIT DELETE ROWS") == 2
    assert staging(table("occurrences")).count("ON COMMIT DELETE ROWS") == 1


def test_every_declared_stream_has_its_statements() -> None:
    """By topic."""
    assert set(STORE_STAGED) == {stream.topic for stream in STREAMS}
    assert set(KEEP_NEWEST) == {stream.topic for stream in STREAMS if tables(stream).newest}
