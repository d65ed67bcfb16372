"""What is published of a day: never a day that is not whole, and the version that history answers with."""

from __future__ import annotations

import re
from datetime import date

import pytest

from schemas.archive.datasets import Dataset
from schemas.clocks import EventTime, KnowledgeTime
from schemas.streams import BAR_STREAM, QUOTE_STREAM, TRADE_STREAM
from sinks.archive.publishing import (
    NotYet,
    changed_statement,
    metadata_of,
    pinned,
    rows_statement,
    span_of,
)

SPAN = span_of(date(2025, 11, 28))
END = SPAN[1]
MINUTES = Dataset(stream=BAR_STREAM, interval="1m")


def marks(*moments: int) -> dict[int, KnowledgeTime]:
    """Return the exclusive watermarks of the first partitions."""
    return {number: KnowledgeTime(moment) for number, moment in enumerate(moments)}


def test_a_day_is_of_utc() -> None:
    """From midnight to midnight, whatever the zone of this machine."""
    assert SPAN == (1_764_288_000_000_000, 1_764_374_400_000_000)


@pytest.mark.parametrize(
    ("found", "as_of"),
    [
        (marks(END + 1, END + 1), END),
        (marks(END + 90, END + 7), END + 6),
        (marks(END + 7, END + 90), END + 6),
    ],
)
def test_it_is_pinned_to_what_every_partition_has_in_full(
    found: dict[int, KnowledgeTime], as_of: int
) -> None:
    """The least of the watermarks, which are exclusive."""
    assert pinned(found, 2, SPAN, None) == as_of


@pytest.mark.parametrize(
    ("found", "partitions", "floor", "problem"),
    [
        (marks(END + 9, END), 2, None, "complete through 2025-11-28T23:59:59.999999"),
        (marks(END + 9), 2, None, r"without a watermark yet: \[1\]"),
        ({}, 0, None, "without a watermark yet: all"),
        (marks(END + 9), 1, SPAN[0] + 1, "begins at 2025-11-28T00:00:00.000001"),
    ],
)
def test_a_day_that_is_not_whole_is_not_published(
    found: dict[int, KnowledgeTime], partitions: int, floor: int | None, problem: str
) -> None:
    """Not over, a partition never heard of, or its beginning dropped already."""
    verdict = pinned(found, partitions, SPAN, None if floor is None else EventTime(floor))

    assert isinstance(verdict, NotYet)

    assert re.search(problem, verdict.problem)


def test_a_day_that_begins_where_what_is_kept_begins_is_whole() -> None:
    """The floor itself is kept."""
    assert pinned(marks(END + 1), 1, SPAN, SPAN[0]) == END


def test_statements_read_the_public_views_alone() -> None:
    """Bars with what superseded them, one version a slot; of the others every row."""
    bars, trades, quotes = (
        rows_statement(each) for each in (MINUTES, Dataset(stream=TRADE_STREAM), Dataset(stream=QUOTE_STREAM))
    )

    assert "FROM v_bars_all" in bars and "position DESC" in bars and "interval = $5" in bars
    assert "FROM v_trades" in trades and "DISTINCT" not in trades and "$5" not in trades
    assert "FROM v_quotes" in quotes and "route <> 'shadow'" in quotes
    assert "interval = $5" in changed_statement(MINUTES)


def test_a_file_says_of_itself_what_it_is() -> None:
    """With the moment as an integer too, for who compares."""
    said = metadata_of(MINUTES, "2025-11-28", KnowledgeTime(END), "9.9")

    assert said["mds.dataset"] == "bars/interval=1m"
    assert (said["mds.as_of"], said["mds.as_of_us"]) == ("2025-11-29T00:00:00.000000+00:00", str(END))
