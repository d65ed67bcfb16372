"""Statements that read entries; tests/integration asks a database with them."""

from __future__ import annotations

from gateway.entries.shell.reading import ABOUT, all_versions, newest_versions
from schemas.deriving import items, own_fields
from schemas.streams import ACTION_STREAM, MACRO_STREAM, STREAMS


def test_every_stream_of_entries_says_which_day_it_is_about() -> None:
    """A stream declared and not named here could not be asked for a range; what is cut by time is asked for by time."""
    for stream in STREAMS:
        assert (stream.name in ABOUT) is (stream.versions == "entries" and stream.for_good)
        if stream.name in ABOUT:
            assert ABOUT[stream.name] in {field.name for field in own_fields(stream) if field.kind == "date"}


def test_a_day_that_names_the_entry_is_asked_for_before_the_newest_is_chosen() -> None:
    """A vintage's period never changes; an action's ex-date may, and the version that moved it out must win first."""
    inside, outside = newest_versions(MACRO_STREAM), newest_versions(ACTION_STREAM)

    assert "period_start" in items(MACRO_STREAM)
    assert inside.index("v.period_start BETWEEN") < inside.index("ORDER BY")
    assert outside.index("ex_date BETWEEN") > outside.index("DISTINCT ON")
    assert outside.count("BETWEEN") == 1


def test_versions_come_in_the_order_of_the_log() -> None:
    """The last part of the order is their place."""
    assert "ORDER BY ex_date, provider, action_id, position LIMIT $6" in all_versions(ACTION_STREAM)
