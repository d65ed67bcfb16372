"""Entries as REST shows them."""

from __future__ import annotations

from gateway.entries.rows import ACTION_COLUMNS, entry_row
from schemas.identity import event_id
from schemas.streams import ACTION_STREAM
from tests.support.builders import NINE_THIRTY, an_action


def test_a_row_has_the_declared_columns_days_as_dates_and_moments_in_utc() -> None:
    """Nothing is left out: what is not said is null."""
    action = an_action(
        pay_date=-1, published_at=NINE_THIRTY, published_precision="date", raw_offset=7, index=2
    )

    row = entry_row(ACTION_STREAM, 3, action)

    assert list(row) == [column.name for column in ACTION_COLUMNS]
    assert (row["ex_date"], row["pay_date"], row["record_date"]) == ("2014-06-09", "1969-12-31", None)
    assert row["published_at"] == "2013-10-07T13:30:00.000000Z"
    assert row["event_id"] == event_id(ACTION_STREAM.topic, "AAPL", action.event_time, 3, 7, 2)
    assert "raw_offset" not in row


def test_columns_say_what_may_be_null_and_which_words_there_are() -> None:
    """For OpenAPI."""
    columns = {column.name: column.schema for column in ACTION_COLUMNS}

    assert columns["state"]["enum"] == ["announced", "confirmed", "cancelled"]
    assert columns["ex_date"] == {"type": "string", "format": "date"}
    assert "null" in str(columns["pay_date"])
