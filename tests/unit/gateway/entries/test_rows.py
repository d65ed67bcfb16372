"""Entries as REST shows them."""

from __future__ import annotations

from itertools import permutations

import pytest

from gateway.entries.rows import ACTION_COLUMNS, entry_row, published_by
from schemas.calendar.sessions import calendar_of
from schemas.clocks import KnowledgeTime
from schemas.entries import CorporateAction
from schemas.identity import event_id
from schemas.streams import ACTION_STREAM
from tests.support.builders import NINE_THIRTY, an_action

NEW_YORK, SYDNEY = calendar_of("AAPL"), calendar_of("BHP.AX")
MIDNIGHT_US = 1_402_286_400_000_000  # 2014-06-09 in New York, an hour of summer time behind


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


def told(offset: int, published_at: int | None = None, **said: object) -> CorporateAction:
    """Return what a raw record said."""
    precision = "none" if published_at is None else "date"
    return an_action(raw_offset=offset, published_at=published_at, published_precision=precision, **said)


@pytest.mark.parametrize(("moment", "count"), [(MIDNIGHT_US - 1, 0), (MIDNIGHT_US, 1)])
def test_without_a_declaration_the_midnight_of_the_ex_date_counts(moment: int, count: int) -> None:
    """Of the venue: Sydney's is fourteen hours before New York's."""
    action = told(1)

    assert len(published_by([action], KnowledgeTime(moment), NEW_YORK, latest=True)) == count
    assert len(published_by([action], KnowledgeTime(moment - 1), SYDNEY, latest=True)) == 1


def test_the_newest_version_that_was_published_by_then_counts_in_whatever_order_they_come() -> None:
    """A correction published later is none yet; the older one is not shown beside it once it is."""
    versions = told(1, 10, ratio_to=7.0), told(2, 20, ratio_to=8.0), told(3, 10, action_id="other")
    for order in permutations(versions):
        early = published_by(order, KnowledgeTime(15), NEW_YORK, latest=True)
        late = published_by(order, KnowledgeTime(20), NEW_YORK, latest=True)
        assert {(each.action_id, each.ratio_to) for each in early} == {("split-2014", 7.0), ("other", 7.0)}
        assert {(each.action_id, each.ratio_to) for each in late} == {("split-2014", 8.0), ("other", 7.0)}
    assert len(published_by(versions, KnowledgeTime(20), NEW_YORK, latest=False)) == 3


def test_two_providers_ids_are_two_actions() -> None:
    """However alike they are."""
    both = told(1, 5), told(2, 5, provider="polygon")

    assert len(published_by(both, KnowledgeTime(5), NEW_YORK, latest=True)) == 2
